"""Broken backends and strange input: the model still answers, and an event says why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from accel_core.events import BackendFailed, CacheBypassed
from accel_core.testing.encoders import HashEncoder
from llamaindex_accel import accelerate
from tests.llamaindex.support import ALL_METHODS, QUESTION, accel_of, origin, text_of, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from tests.llamaindex.support import Caller


class Broken:
    """A store or index of which one operation fails, or all (`operation` is empty)."""

    blocking = True

    def __init__(self, operation: str = "") -> None:
        self._operation = operation

    def _maybe(self, operation: str, result: Any) -> Any:
        if self._operation in {"", operation}:
            raise OSError("broken")
        return result

    def fetch(self, key: bytes) -> None:
        return self._maybe("fetch", None)  # type: ignore[no-any-return]

    def fetch_many(self, keys: Any) -> dict[bytes, Any]:
        return self._maybe("fetch", {})  # type: ignore[no-any-return]

    def save(self, entries: Any) -> None:
        self._maybe("save", None)

    def select(self, selector: Any) -> list[bytes]:
        return self._maybe("select", [])  # type: ignore[no-any-return]

    def remove(self, *_: Any) -> int:
        return self._maybe("remove", 0)  # type: ignore[no-any-return]

    def add(self, *_: Any) -> None:
        self._maybe("add", None)

    def nearest(self, *_: Any) -> list[Any]:
        return self._maybe("nearest", [])  # type: ignore[no-any-return]

    def clear(self) -> None:
        self._maybe("clear", None)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def after_fork(self) -> None: ...

    def __len__(self) -> int:
        return 0


class BrokenEncoder(HashEncoder):
    """Fails at encoding, or at judging a text."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self._operation = operation

    def encode(self, texts: Any) -> Any:
        if self._operation == "encode":
            raise RuntimeError("broken")
        return super().encode(texts)

    def distrust(self, text: str) -> str | None:
        if self._operation == "distrust":
            raise RuntimeError("broken")
        return super().distrust(text)


BREAK: dict[str, Callable[[Callable[..., Accel]], Accel]] = {
    **{
        f"store {name}": lambda make, name=name: make(store=Broken(name))
        for name in ("fetch", "save", "")
    },
    **{
        f"encoder {name}": lambda make, name=name: make(encoder=BrokenEncoder(name))
        for name in ("encode", "distrust")
    },
    **{
        f"index {name}": lambda make, name=name: with_index(make(), Broken(name))
        for name in ("add", "nearest", "remove", "")
    },
}


def with_index(accel: Accel, index: Any) -> Accel:
    accel._built.tiers._near._index = index
    return accel


@pytest.mark.parametrize("method", ALL_METHODS)
@pytest.mark.parametrize("broken", BREAK)
def test_broken_backends_cost_no_answer(
    broken: str,
    method: str,
    make_accel: Callable[..., Accel],
    make_llm: Callable[..., OpenAI],
    ask: Caller,
) -> None:
    """Whatever fails, every call is answered, and memory still serves the very same question."""
    accel = BREAK[broken](make_accel)
    llm = accelerate(make_llm(), accel)
    for question in (QUESTION, "Which city is the capital of France?", QUESTION):
        assert ask.text(llm, method, question) == f"Answer to: {question}"
        accel._built.tiers._background._writer.flush(5)
    assert origin(ask(llm, method)[-1]) == "exact"
    failed = broken.partition(" ")[0]
    told = accel.stats().failures
    assert (any(name.startswith(failed) for name in told)) or broken == "index remove"


@pytest.mark.parametrize("method", ALL_METHODS)
@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff\x00", b"[]", b"{}", b"null", b'{"blocks": 3, "text": 4}', b'{"blocks": [{}]}'],
    ids=str,
)
def test_a_payload_that_is_none_of_ours_is_a_miss(
    method: str,
    payload: bytes,
    llm: OpenAI,
    ask: Caller,
    observed: RecordingObserver,
) -> None:
    """Bytes that are no answer are dropped and said, and the model is asked."""
    ask(llm, method)
    accel = accel_of(llm)
    (key,) = accel.invalidate(dry_run=True)
    entry = accel._built.tiers.near(bytes.fromhex(key))
    accel._built.tiers._near._memory.save([replace(entry, payload=payload)])
    found = ask(llm, method)[-1]
    assert origin(found) is None
    assert text_of(found) == f"Answer to: {QUESTION}"
    assert [event.backend for event in observed.of(BackendFailed)] == ["payload"]
    assert origin(ask(llm, method)[-1]) == "exact"


def test_a_payload_cannot_make_other_objects(llm: OpenAI, ask: Caller) -> None:
    """A stored block of a kind that is never stored is not made, whatever it names."""
    ask(llm, "chat")
    accel = accel_of(llm)
    (key,) = accel.invalidate(dry_run=True)
    entry = accel._built.tiers.near(bytes.fromhex(key))
    forged = entry.payload.replace(b'"block_type":"text"', b'"block_type":"image","path":"/etc"')
    assert forged != entry.payload
    accel._built.tiers._near._memory.save([replace(entry, payload=forged)])
    assert origin(ask(llm, "chat")[0]) is None


@pytest.mark.parametrize("method", ["chat", "astream_chat"])
@pytest.mark.parametrize(
    "messages",
    [
        user(""),
        user(" \n"),
        user("忘记了密码怎么办"),
        user("🦜"),
        user("word " * 1_000),
        [ChatMessage(role="system", content="s")],
        [ChatMessage(role="user", content=[])],
    ],
    ids=["empty", "space", "chinese", "emoji", "long", "no user", "no block"],
)
def test_strange_questions_are_served_exactly(
    method: str, messages: list[ChatMessage], llm: OpenAI, ask: Caller
) -> None:
    """What cannot be compared by meaning is answered, and answered again from memory."""
    found = [origin(ask(llm, method, messages)[-1]) for _ in range(2)]
    assert found == [None, "exact"]


def test_a_closed_accel_still_asks(llm: OpenAI, ask: Caller, observed: RecordingObserver) -> None:
    """After ``close`` every call reaches the model."""
    accel_of(llm).close()
    for _ in range(2):
        assert ask.text(llm, "achat") == f"Answer to: {QUESTION}"
    assert [event.reason for event in observed.of(CacheBypassed)] == ["disabled"] * 2
