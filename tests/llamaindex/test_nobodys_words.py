"""Nothing that is told of requests holds anybody's words, names or keys, whatever goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding

from accel_core.testing.encoders import HashEncoder
from accel_core.testing.replies import Reply
from llamaindex_accel import accelerate
from tests.llamaindex.retrieving import COLOURS, Retrieve
from tests.telling import ADDRESS, QUESTION, Telling

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller


class Vectors(BaseEmbedding):
    """Goes by the address that it is asked at."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return [1.0, float(len(query))]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_query_embedding(text)


class Broken(HashEncoder):
    """Says of what it failed, and where."""

    def encode(self, texts: Any) -> Any:
        raise ValueError(f"{texts} cannot be sent to {ADDRESS}")


class Listing(BaseRetriever):
    """The same of a retriever."""

    def _retrieve(self, query_bundle: Any) -> Any:
        raise ConnectionError(f"{query_bundle.query_str}: {ADDRESS}")


@pytest.fixture
def telling(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Telling:
    return Telling(tmp_path, caplog)


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


@pytest.mark.parametrize("method", ["chat", "achat", "stream_chat", "astream_complete"])
def test_calls_hits_and_failures(
    *,
    telling: Telling,
    make_accel: Any,
    make_llm: Any,
    server: ModelServer,
    ask: Caller,
    method: str,
) -> None:
    """Tenant, user, question, answer, key and address are told nowhere."""
    accel = make_accel(telling.settings, encoder=Broken(), observers=telling.observers)
    with accel.tenant("acme-tenant", user="ann-user"):
        for llm in (make_llm(api_key="sk-secret"), make_llm(model="gpt-4o", default_headers={})):
            for _ in range(2):
                ask(accelerate(llm, accel), method, QUESTION)
        server._answer = lambda _: Reply(status=400)
        with pytest.raises(Exception, match="400"):
            ask(accelerate(make_llm(), accel), method, f"{QUESTION} by sea")
    accel.flush()
    assert telling.leaks() == []


def test_vectors_and_documents(telling: Telling, make_accel: Any, retrieve: Retrieve) -> None:
    """A model that goes by an address, and a retriever that names what it was asked, tell none."""
    accel = make_accel(telling.settings, observers=telling.observers)
    fast: Any = accelerate(Vectors(model_name=ADDRESS), accel)
    with accel.tenant("acme-tenant"):
        if retrieve.waits:
            retrieve.run(fast.aget_query_embedding(QUESTION))
        else:
            fast.get_query_embedding(QUESTION)
        with pytest.raises(ConnectionError):
            retrieve(accelerate(Listing(), accel, corpus="list"), QUESTION)
    accel.flush()
    assert telling.leaks() == []
    assert "https://models.example/v1" in telling.texts()["metrics"]
