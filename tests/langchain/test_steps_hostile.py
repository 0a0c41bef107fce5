"""Retrievals and embeddings as requests when they nest, overlap, or are broken off."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from accel_core.events.requests import RequestEnded
from accel_core.recording import current
from langchain_accel import accelerate
from tests.langchain.retrieving import Counting
from tests.langchain.test_steps import ended

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour, MakeChat, Recorder

QUESTION = "when is a refund paid"
WAIT_S = 10.0


class Asking(BaseRetriever):
    """Asks another retriever, and a model, before it finds anything."""

    inner: Any = None
    model: Any = None

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        config = {"callbacks": run_manager.get_child()}
        found = self.inner.invoke(query, config) if self.inner else []
        said = self.model.invoke(query, config).content if self.model else ""
        return [*found, Document(f"outer {said}")]


class Held(BaseRetriever):
    """Waits until it is let go."""

    entered: Any = None
    released: Any = None

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        self.entered.release()
        assert self.released.wait(WAIT_S)
        return [Document(query)]

    async def _aget_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        self.entered.release()
        await asyncio.to_thread(self.released.wait, WAIT_S)
        return [Document(query)]


def test_steps_inside_steps(accel: Accel, chat: MakeChat, events: Recorder, colour: Colour) -> None:
    """Each is told once, with its own time; what is inside ends nothing of what is around it."""
    inner = accelerate(Asking(), accel, corpus="inner")
    outer = Asking(inner=inner, model=accelerate(chat(), accel))
    fast = accelerate(outer, accel, corpus="outer")
    colour.invoke(fast, QUESTION)
    told = [(one.operation, one.outcome, one.ending) for one in events.of(RequestEnded)]
    assert told == [
        ("retrieval", "miss", "answered"),
        ("chat", "miss", "answered"),
        ("retrieval", "miss", "answered"),
    ]
    first, around = ended(events, "retrieval")
    (asked,) = ended(events, "chat")
    assert around.parts.retrieval_s >= first.total_s + asked.total_s
    assert current() is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_what_breaks_off_in_the_midst(
    accel: Accel, events: Recorder, error: type[BaseException]
) -> None:
    """Whatever is raised is the caller's; it is told once, and the next call is recorded anew."""

    class Broken(BaseRetriever):
        def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
            raise error

    fast = accelerate(Broken(), accel, corpus="broken")
    for _ in range(2):
        with pytest.raises(error):
            fast.invoke(QUESTION)
        assert current() is None
    ending = "cancelled" if error is KeyboardInterrupt else "failed"
    assert [one.ending for one in ended(events, "retrieval")] == [ending] * 2
    assert accel.stats().requests.endings == {f"retrieval.miss.{ending}": 2}


async def test_a_retrieval_that_is_cancelled(accel: Accel, events: Recorder) -> None:
    """A cancelled task is told as such; who waited for it retrieves, and is told as answered."""
    entered, released = threading.Semaphore(0), threading.Event()
    fast = accelerate(Held(entered=entered, released=released), accel, corpus="held")
    first = asyncio.create_task(fast.ainvoke(QUESTION, {"tags": ["first"]}))
    await asyncio.to_thread(entered.acquire)
    second = asyncio.create_task(fast.ainvoke(QUESTION, {"tags": ["second"]}))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    released.set()
    assert [one.page_content for one in await second] == [QUESTION]
    told = {one.tags: (one.outcome, one.ending) for one in ended(events, "retrieval")}
    assert told == {("first",): ("miss", "cancelled"), ("second",): ("miss", "answered")}


def test_threads_at_once(accel: Accel, events: Recorder) -> None:
    """Of many who ask the same at once one asks, each is told with his own tags, once."""
    entered, released = threading.Semaphore(0), threading.Event()
    fast = accelerate(Held(entered=entered, released=released), accel, corpus="held")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(fast.invoke, QUESTION, {"tags": [f"t{n}"]}) for n in range(8)]
        assert entered.acquire(timeout=WAIT_S)
        released.set()
        for one in asked:
            one.result(WAIT_S)
    told = ended(events, "retrieval")
    assert sorted(one.tags for one in told) == [(f"t{n}",) for n in range(8)]
    assert sorted(one.outcome for one in told) == ["hit"] * 7 + ["miss"]
    assert all(one.ending == "answered" for one in told)


async def test_tasks_that_embed_at_once(accel: Accel, events: Recorder) -> None:
    """Each batch is one request, though batches share the texts that are under way."""
    fast: Any = accelerate(Counting(), accel)
    batches = [[f"text {n}", f"text {n + 1}"] for n in range(6)]
    await asyncio.gather(*(fast.aembed_documents(batch) for batch in batches))
    told = ended(events, "embeddings")
    assert [one.ending for one in told] == ["answered"] * 6
    assert accel.stats().embeddings_asked == 7
    assert current() is None
