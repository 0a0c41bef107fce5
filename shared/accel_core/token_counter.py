"""The first estimates of a model made better by counting: a tokenizer beside the calls.

What responses say calibrates estimates anyhow, but not before one has come. Until then each kind of
text of each model is counted once by tiktoken, and the count's ratio takes the place of the usual
one. It is counted in a process of its own: loading a vocabulary in a thread stops all others for
the better part of a second and keeps 80 MB.

Invariants: no call waits for a count; a count that fails, or is late, is not tried again for its
model; without tiktoken, or without a vocabulary and a network, estimates are what they were.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accel_core import events
from accel_core.policy.limits.token_estimate import TokenEstimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.policy.limits.token_estimate import Asked
    from accel_core.ports import Observer

    Count = Callable[[str, list[str]], int]
    """Returns the tokens of a model's texts; raises where it cannot."""

DEADLINE_S: Final = 20.0
_MOST_CHARACTERS: Final = 65_536
_PER_MESSAGE: Final = 4
"""https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb"""
_MODELS: Final = 64
_TEXTS: Final = ("system", "instructions", "messages", "prompt", "input", "content", "text")
_CACHES: Final = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
_PROGRAM: Final = """
import json, sys, tiktoken
model, texts = json.load(sys.stdin)
encoding = tiktoken.encoding_for_model(model)
print(sum(len(encoding.encode_ordinary(text)) for text in texts))
"""


class CountingEstimate(TokenEstimate):
    """Estimates that are counted where no response has said anything yet.

    Args:
        count: counts.
        emit: receives `BackendFailed` where it cannot, once for a model.
    """

    def __init__(self, count: Count, emit: Observer) -> None:
        super().__init__()
        self._count, self._emit = count, emit
        self._asked: dict[str, set[str]] = {}
        self._counted: deque[tuple[Asked, float]] = deque()
        """Handed from the threads that count to the owner of the estimates."""

    def read(self, document: object, body: bytes) -> Asked:
        """Do as `TokenEstimate.read`, and have what is new to it counted for the next ones."""
        while self._counted:
            self.calibrate(*self._counted.popleft())
        asked = super().read(document, body)
        if isinstance(document, dict) and self._is_new(asked):
            self._asked.setdefault(asked.model, set()).add(asked.measure.script)
            threading.Thread(
                target=self._calibrate, args=(asked, document), name="accel-tokens", daemon=True
            ).start()
        return asked

    def _is_new(self, asked: Asked) -> bool:
        known = self._asked.get(asked.model, set())
        if asked.measure.script in known or len(self._asked) >= _MODELS:
            return False
        return not asked.measure.files and not self.is_calibrated(asked)

    def _calibrate(self, asked: Asked, document: dict[str, Any]) -> None:
        texts = list(_texts(document))
        size = sum(map(len, texts))
        if not size:
            return
        try:
            counted = self._count(asked.model, _sample(texts))
        except Exception as error:
            # Its other kinds of text would fail alike.
            self._asked[asked.model] = {"ascii", "mixed", "other"}
            self._emit(events.BackendFailed("tiktoken", "count", repr(error)))
            return
        messages = document.get("messages")
        around = _PER_MESSAGE * (len(messages) if isinstance(messages, list) else 1)
        tokens = counted * size / min(size, _MOST_CHARACTERS)
        self._counted.append((asked, tokens + around))


def tiktoken_count(model: str, texts: list[str], deadline_s: float = DEADLINE_S) -> int:
    """Return how many tokens `texts` are to `model`, counted by tiktoken in another process.

    Raises:
        RuntimeError: there is no tiktoken, it does not know the model, or cannot get its
            vocabulary; the message is its error's type.
        TimeoutError: it took longer than `deadline_s` seconds, and was ended.
    """
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and a constant
            [sys.executable, "-P", "-c", _PROGRAM],
            input=json.dumps([model, texts]).encode(),
            capture_output=True,
            timeout=deadline_s,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        # What tiktoken fetches its vocabulary with has no timeout of its own.
        raise TimeoutError(f"no count within {deadline_s:g} s") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise RuntimeError(last.partition(":")[0] or f"exit status {done.returncode}")
    return int(done.stdout)


def _environment() -> dict[str, str]:
    """Return an environment in which tiktoken finds what llama-index-core's wheel carries."""
    spec = None if any(name in os.environ for name in _CACHES) else find_spec("llama_index")
    for place in (spec and spec.submodule_search_locations) or ():
        bundled = Path(place, "core", "_static", "tiktoken_cache")
        if bundled.is_dir():
            return {**os.environ, _CACHES[0]: str(bundled)}
    return dict(os.environ)


def _texts(value: object) -> Iterator[str]:
    """Yield the texts that a request's prompt is made of; its tools are counted as JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for name in _TEXTS:
            yield from _texts(value.get(name))
        if isinstance(value.get("tools"), list):
            yield json.dumps(value["tools"])


def _sample(texts: list[str]) -> list[str]:
    """Return the beginning of `texts`, long enough to tell how long their tokens are."""
    left, sample = _MOST_CHARACTERS, []
    for text in texts:
        sample.append(text[:left])
        left -= len(sample[-1])
        if left <= 0:
            break
    return sample
