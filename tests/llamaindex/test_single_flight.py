"""The same question asked by many at once: one model call, and nobody hangs."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from llamaindex_accel import accelerate
from tests.llamaindex.support import (
    ALL_METHODS,
    METHODS,
    QUESTION,
    in_flight,
    origin,
    text_of,
    user,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from tests.llamaindex.support import Caller

CROWD = 8
THREADED = [name for name in ALL_METHODS if not name.startswith("a")]
AWAITED = [name for name in ALL_METHODS if name.startswith("a")]


def failing_first() -> Callable[[dict[str, Any]], Reply | str]:
    """Return what fails the first call and answers the others."""
    lock = threading.Lock()
    calls = iter(range(1_000))

    def answer(_: dict[str, Any]) -> Reply | str:
        with lock:
            number = next(calls)
        return Reply(status=500, content="broken") if number == 0 else "whole"

    return answer


def ask_in_threads(llm: OpenAI, method: str, server: ModelServer) -> list[Any]:
    """Ask from many threads while the model is on hold; return last responses and errors."""

    def one(_: int) -> Any:
        try:
            asked: Any = user(QUESTION) if "chat" in method else QUESTION
            found = getattr(llm, method)(asked)
            return list(found)[-1] if "stream" in method else found
        except Exception as error:
            return error

    with ThreadPoolExecutor(CROWD) as pool:
        with server.hold():
            asking = [pool.submit(one, number) for number in range(CROWD)]
            server.wait_for_calls(1)
        return [future.result(20) for future in asking]


async def ask_in_tasks(llm: OpenAI, method: str, server: ModelServer) -> list[Any]:
    """Ask from many tasks, as `ask_in_threads`."""

    async def one() -> Any:
        found = await getattr(llm, method)(user(QUESTION) if "chat" in method else QUESTION)
        return [chunk async for chunk in found][-1] if "stream" in method else found

    with server.hold():
        asking = asyncio.gather(*(one() for _ in range(CROWD)), return_exceptions=True)
        await asyncio.to_thread(server.wait_for_calls, 1)
    return await asyncio.wait_for(asking, 20)


@pytest.mark.parametrize("method", THREADED)
def test_threads_share_one_call(method: str, llm: OpenAI, server: ModelServer) -> None:
    """Eight threads with one question make one model call."""
    found = ask_in_threads(llm, method, server)
    assert {text_of(one) for one in found} == {f"Answer to: {QUESTION}"}
    assert [origin(one) for one in found].count(None) == 1
    assert server.call_count == 1


@pytest.mark.parametrize("method", AWAITED)
def test_tasks_share_one_call(method: str, llm: OpenAI, ask: Caller, server: ModelServer) -> None:
    """Eight tasks with one question make one model call."""
    found = ask.run(ask_in_tasks(llm, method, server))
    assert {text_of(one) for one in found} == {f"Answer to: {QUESTION}"}
    assert sum(one.additional_kwargs.get("accel", {}).get("shared", False) for one in found) == 7
    assert server.call_count == 1


@pytest.mark.parametrize("method", THREADED)
def test_threads_recover_from_a_failed_leader(
    method: str, make_llm: Callable[..., OpenAI], accel: Accel
) -> None:
    """One failure reaches one caller; another asks, and serves the rest."""
    with ModelServer(failing_first()) as server:
        found = ask_in_threads(accelerate(make_llm(api_base=server.url), accel), method, server)
        assert server.call_count == 2
    errors = [one for one in found if isinstance(one, Exception)]
    assert len(errors) == 1
    assert {text_of(one) for one in found if one not in errors} == {"whole"}


@pytest.mark.parametrize("method", AWAITED)
def test_tasks_recover_from_a_failed_leader(
    method: str, make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller
) -> None:
    """As with threads."""
    with ModelServer(failing_first()) as server:
        llm = accelerate(make_llm(api_base=server.url), accel)
        found = ask.run(ask_in_tasks(llm, method, server))
        assert server.call_count == 2
    errors = [one for one in found if isinstance(one, Exception)]
    assert len(errors) == 1
    assert {text_of(one) for one in found if one not in errors} == {"whole"}


@pytest.mark.parametrize("method", AWAITED)
def test_a_cancelled_leader_is_replaced(
    method: str, llm: OpenAI, accel: Accel, ask: Caller, server: ModelServer
) -> None:
    """A task cancelled while it asks lets the next one ask."""

    async def cancel_the_first() -> str:
        async def one() -> Any:
            found = await getattr(llm, method)(user(QUESTION) if "chat" in method else QUESTION)
            return [chunk async for chunk in found][-1] if "stream" in method else found

        with server.hold():
            leader = asyncio.create_task(one())
            await asyncio.to_thread(server.wait_for_calls, 1)
            follower = asyncio.create_task(one())
            await asyncio.sleep(0)
            leader.cancel()
            await asyncio.gather(leader, return_exceptions=True)
            await asyncio.to_thread(server.wait_for_calls, 2)
        return text_of(await asyncio.wait_for(follower, 20))

    assert ask.run(cancel_the_first()) == f"Answer to: {QUESTION}"
    assert in_flight(accel) == 0


def test_a_blocking_call_on_a_running_loop_never_waits(
    llm: OpenAI, ask: Caller, server: ModelServer
) -> None:
    """A sync call inside a coroutine asks for itself: waiting would stop what it waits for."""

    async def both() -> list[str]:
        stream = await llm.astream_chat(user(QUESTION))
        first = await anext(stream)
        blocking = llm.chat(user(QUESTION))
        rest = [chunk async for chunk in stream]
        return [text_of(blocking), text_of([first, *rest][-1])]

    assert set(ask.run(both())) == {f"Answer to: {QUESTION}"}
    assert server.call_count == 2


def test_two_open_streams_of_one_thread_never_wait_for_each_other(
    llm: OpenAI, server: ModelServer
) -> None:
    """A caller who leads a stream asks its own question again without waiting for itself."""
    one, other = (llm.stream_chat(user(QUESTION)) for _ in range(2))
    pairs = list(zip(one, other, strict=True))
    assert [text_of(chunk) for chunk in pairs[-1]] == [f"Answer to: {QUESTION}"] * 2
    assert server.call_count == 2


def test_streams_and_whole_answers_share_a_call(
    llm: OpenAI, ask: Caller, server: ModelServer
) -> None:
    """Whoever comes while a stream is read waits for its end and is served the whole."""

    async def crowd() -> list[Any]:
        async def one(method: str) -> Any:
            found = await getattr(llm, method)(user(QUESTION))
            return [chunk async for chunk in found][-1] if "stream" in method else found

        with server.hold():
            asking = asyncio.gather(*(one(name) for name in METHODS["chat"] if name[0] == "a"))
            await asyncio.to_thread(server.wait_for_calls, 1)
        return await asking

    assert {text_of(one) for one in ask.run(crowd())} == {f"Answer to: {QUESTION}"}
    assert server.call_count == 1
