"""Any embedding model behind OpenAI's API, OpenAI's own or one that speaks like it.

No threshold is known for it: semantic hits need one set, found by calibration. Calls give up after
five seconds and are not repeated, because a cache that waits longer than the model saves nothing.

The key is read from ``OPENAI_API_KEY`` by the client library, and is kept nowhere here.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from accel_core.encoder.lazy import Lazy
from accel_core.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openai import AsyncOpenAI, OpenAI
    from openai.types import CreateEmbeddingResponse

    from accel_core.ports import Vectors

WINDOW_TOKENS: Final = 8_191  # of text-embedding-3-small, -3-large and ada-002
TIMEOUT_S: Final = 5.0
_OWN_HOST = "api.openai.com"


class OpenAIEncoder:
    """Encodes by asking a server.

    Args:
        model: the model's name at the server.
        min_similarity: the threshold calibrated for it, a cosine; None: no semantic hits.
        dimensions: how many dimensions to ask for; None: the model's own number.
        base_url: where the server is; None: ``OPENAI_BASE_URL``, else OpenAI.
        window_tokens: what the model reads of a text. Lower it for models that read less: some
            servers cut longer texts without a word.
    """

    def __init__(
        self,
        model: str,
        *,
        min_similarity: float | None = None,
        dimensions: int | None = None,
        base_url: str | None = None,
        window_tokens: int = WINDOW_TOKENS,
    ) -> None:
        if window_tokens < 1:
            raise ConfigError("encoder.window_tokens", window_tokens, "at least 1")
        self._model, self._dimensions = model, dimensions
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        self._window_tokens = window_tokens
        self.name = _space(model, dimensions, self._base_url)
        self.min_similarity = min_similarity
        self._client: Lazy[OpenAI] = Lazy(self._new_client)
        # A client's connections belong to the loop that opened them.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = (
            WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"OpenAIEncoder({self.name!r})"

    def __reduce__(self) -> tuple[Callable[[], OpenAIEncoder], tuple[()]]:
        # Another process connects for itself, with its own key; connections do not travel.
        remade = partial(
            type(self),
            self._model,
            min_similarity=self.min_similarity,
            dimensions=self._dimensions,
            base_url=self._base_url,
            window_tokens=self._window_tokens,
        )
        return remade, ()

    def warm(self) -> None:
        """Import the client library, which takes about a second. Asks the server nothing."""
        self._client.get()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order; no texts make no request."""
        if not texts:
            return self._nothing()
        return _vectors(self._client.get().embeddings.create(**self._request(texts)))

    async def aencode(self, texts: Sequence[str]) -> Vectors:
        """Async form of `encode`."""
        if not texts:
            return self._nothing()
        client = await self._async_client()
        return _vectors(await client.embeddings.create(**self._request(texts)))

    def distrust(self, text: str) -> str | None:
        """Return why `text` must not be compared by meaning, or None where it may.

        Reasons: ``empty``, which the server refuses, and ``window``. A token is at least one byte
        long, so what has no more bytes than the window has tokens fits for certain, in any
        language and without a tokeniser; of English prose that is a quarter of the window, and
        longer questions are hardly ever asked twice.
        """
        if not text or text.isspace():
            return "empty"
        fits = len(text.encode("utf-8", "surrogatepass")) <= self._window_tokens
        return None if fits else "window"

    def close(self) -> None:
        """Close the connections of blocking callers. A later call opens new ones."""
        client = self._client.drop()
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop. A later call opens new ones."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def after_fork(self) -> None:
        """Leave the parent its connections and locks."""
        self._client = Lazy(self._new_client)
        self._clients = WeakKeyDictionary()

    def _nothing(self) -> Vectors:
        import numpy as np

        return np.empty((0, self._dimensions or 0), np.float32)

    def _request(self, texts: Sequence[str]) -> dict[str, Any]:
        request: dict[str, Any] = {"model": self._model, "input": list(texts)}
        if self._dimensions is not None:
            request["dimensions"] = self._dimensions
        return request

    def _new_client(self) -> OpenAI:
        try:
            from openai import OpenAI
        except ImportError as error:
            raise MissingExtraError("openai", f"the encoder {self.name!r}") from error
        return OpenAI(base_url=self._base_url, timeout=TIMEOUT_S, max_retries=0)

    async def _async_client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            # In a thread: the import and the certificates take up to a second, once.
            made = await asyncio.to_thread(self._new_async_client)
            # A client's open connections refer to their loop and so keep a closed one alive.
            for other in [other for other in list(self._clients) if other.is_closed()]:
                self._clients.pop(other, None)
            client = self._clients.setdefault(loop, made)
        return client

    def _new_async_client(self) -> AsyncOpenAI:
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise MissingExtraError("openai", f"the encoder {self.name!r}") from error
        return AsyncOpenAI(base_url=self._base_url, timeout=TIMEOUT_S, max_retries=0)


def _space(model: str, dimensions: int | None, base_url: str | None) -> str:
    """Name the vector space: the same model name may mean another model at another server."""
    host = urlsplit(base_url).netloc.rpartition("@")[2] if base_url else _OWN_HOST
    cut = "" if dimensions is None else f"-{dimensions}"
    return f"openai:{model}{cut}" + ("" if host == _OWN_HOST else f"@{host}")


def _vectors(response: CreateEmbeddingResponse) -> Vectors:
    import numpy as np

    rows = sorted(response.data, key=lambda row: row.index)
    vectors = np.array([row.embedding for row in rows], np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
