"""Single flights whose leader fails or is cancelled, and nobody hangs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI, OpenAI
from openai import APIStatusError

from accel_core.accel import Accel
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate
from tests.core.single_flight.rig import ANSWER, CROWD, QUESTION, loops_own, run, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.ports import Vectors
    from accel_core.testing.model_server import ModelServer

    Build = Callable[[], Any]

pytestmark = pytest.mark.timeout(20)


def fail_first(server: ModelServer, count: int = 1) -> None:
    """Answer the first calls with an error."""
    numbers = itertools.count(1)
    server._answer = lambda request: (
        Reply(status=500, content="not now") if next(numbers) <= count else ANSWER
    )


class TestFailingLeader:
    """The leader's call ends without an answer."""

    def test_threads(self, build: Build, server: ModelServer) -> None:
        """The leader alone gets the error; another leads, and everybody else gets its answer."""
        fail_first(server)
        model = build()
        with ThreadPoolExecutor(CROWD) as pool:
            with server.hold():
                futures = [pool.submit(model.invoke, QUESTION) for _ in range(CROWD)]
                server.wait_for_calls(1)
            wait(futures)
        failed = [future for future in futures if future.exception()]
        assert len(failed) == 1
        assert isinstance(failed[0].exception(), APIStatusError)
        assert {text_of(f.result()) for f in futures if f not in failed} == {ANSWER}
        assert server.call_count == 2

    def test_tasks(self, build: Build, server: ModelServer) -> None:
        """The same with tasks."""
        fail_first(server)

        async def crowd() -> list[Any]:
            async with loops_own(build()) as model:
                with server.hold():
                    tasks = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(CROWD)]
                    await asyncio.to_thread(server.wait_for_calls, 1)
                return await asyncio.gather(*tasks, return_exceptions=True)

        told = run(crowd())
        failed = [answer for answer in told if isinstance(answer, BaseException)]
        assert len(failed) == 1
        assert {text_of(answer) for answer in told if answer not in failed} == {ANSWER}
        assert server.call_count == 2

    def test_task_that_lives_on(self, build: Build, server: ModelServer) -> None:
        """A task that catches the error and goes on keeps nobody waiting."""
        fail_first(server)

        async def scene() -> str:
            async with loops_own(build()) as model:
                over = asyncio.Event()

                async def lead() -> None:
                    with contextlib.suppress(APIStatusError):
                        await model.ainvoke(QUESTION)
                    await over.wait()

                leader = asyncio.create_task(lead())
                await asyncio.to_thread(server.wait_for_calls, 1)
                answer = text_of(await model.ainvoke(QUESTION))
                over.set()
                await leader
                return answer

        assert run(scene()) == ANSWER
        assert server.call_count == 2

    def test_thread_that_lives_on(self, build: Build, server: ModelServer) -> None:
        """A thread that catches the error and goes on keeps nobody waiting."""
        fail_first(server)
        model = build()
        with contextlib.suppress(APIStatusError):
            model.invoke(QUESTION)
        with ThreadPoolExecutor(1) as pool:
            assert text_of(pool.submit(model.invoke, QUESTION).result()) == ANSWER
        assert server.call_count == 2

    def test_notebook_that_lives_on(self, build: Build, server: ModelServer) -> None:
        """A synchronous call that fails on a running loop keeps nobody waiting."""
        fail_first(server)
        model = build()

        async def cell() -> str:
            with contextlib.suppress(APIStatusError):
                model.invoke(QUESTION)
            return text_of(await asyncio.to_thread(model.invoke, QUESTION))

        assert run(cell()) == ANSWER
        assert server.call_count == 2

    @pytest.mark.parametrize("colour", ["threads", "tasks"])
    def test_all_fail(self, build: Build, server: ModelServer, *, colour: str) -> None:
        """Where every call fails, every caller leads in turn and gets an error of its own."""
        fail_first(server, 1000)
        crowd = 8

        async def tasks() -> list[Any]:
            async with loops_own(build()) as model:
                asked = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(crowd)]
                return await asyncio.gather(*asked, return_exceptions=True)

        if colour == "tasks":
            told = run(tasks())
        else:
            model = build()
            with ThreadPoolExecutor(crowd) as pool:
                futures = [pool.submit(model.invoke, QUESTION) for _ in range(crowd)]
                told = [future.exception() for future in futures]
        assert all(isinstance(error, APIStatusError) for error in told)
        assert len({id(error) for error in told}) == crowd
        assert server.call_count == crowd

    def test_batch_of_a_plain_model(
        self, accel: Accel, options: dict[str, Any], server: ModelServer
    ) -> None:
        """A failing `generate` over several prompts frees all of them."""
        set_llm_cache(AccelCache(accel))
        fail_first(server)
        model = OpenAI(temperature=0, **options)
        with contextlib.suppress(APIStatusError):
            model.generate(["one", "two"])
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(model.invoke, ["one", "two"])) == [ANSWER, ANSWER]

    def test_stream_that_is_left(
        self, accel: Accel, options: dict[str, Any], server: ModelServer
    ) -> None:
        """Whoever closes a stream early frees the others, and the next one leads."""
        model = accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)
        stream: Any = model.stream(QUESTION)
        next(stream)
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(model.invoke, QUESTION) for _ in range(4)]
            stream.close()
            assert {text_of(future.result()) for future in futures} == {ANSWER}
        assert server.call_count == 2

    def test_stream_that_breaks(
        self, accel: Accel, options: dict[str, Any], server: ModelServer
    ) -> None:
        """A stream that breaks in the middle frees the others."""
        replies = [Reply(chunks=("Par", "is"), break_after=1)]
        server._answer = lambda request: replies.pop() if replies else ANSWER
        model = accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)
        with ThreadPoolExecutor(5) as pool:
            with server.hold():
                leader = pool.submit(lambda: list(model.stream(QUESTION)))
                server.wait_for_calls(1)
                futures = [pool.submit(model.invoke, QUESTION) for _ in range(4)]
            assert leader.exception() is not None
            assert {text_of(future.result()) for future in futures} == {ANSWER}
        assert server.call_count == 2


class TestCancelled:
    """Callers that are cancelled while they lead or follow."""

    def test_leader(self, build: Build, server: ModelServer) -> None:
        """When the leader is cancelled a follower leads at once; the first call may still hang."""

        async def scene() -> list[Any]:
            async with loops_own(build()) as model:
                with server.hold():
                    leader = asyncio.create_task(model.ainvoke(QUESTION))
                    await asyncio.to_thread(server.wait_for_calls, 1)
                    others = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(20)]
                    await asyncio.sleep(0)
                    leader.cancel()
                    await asyncio.to_thread(server.wait_for_calls, 2)
                with pytest.raises(asyncio.CancelledError):
                    await leader
                return await asyncio.gather(*others)

        assert {text_of(answer) for answer in run(scene())} == {ANSWER}
        assert server.call_count == 2

    def test_follower(self, build: Build, server: ModelServer) -> None:
        """A follower that is cancelled or out of time disturbs neither leader nor others."""

        async def scene() -> list[Any]:
            async with loops_own(build()) as model:
                with server.hold():
                    leader = asyncio.create_task(model.ainvoke(QUESTION))
                    await asyncio.to_thread(server.wait_for_calls, 1)
                    others = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(4)]
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(model.ainvoke(QUESTION), 0.05)
                    others[0].cancel()
                    await asyncio.wait(others[:1])
                return await asyncio.gather(leader, *others[1:])

        assert {text_of(answer) for answer in run(scene())} == {ANSWER}
        assert server.call_count == 1

    def test_loop_of_a_follower_is_gone(
        self, build: Build, server: ModelServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A follower whose loop has ended is no trouble to the leader when it lands."""
        model = build()

        async def give_up() -> None:
            async with loops_own(model) as own:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(own.ainvoke(QUESTION), 0.05)

        with caplog.at_level(logging.WARNING), ThreadPoolExecutor(1) as pool:
            with server.hold():
                leader = pool.submit(model.invoke, QUESTION)
                server.wait_for_calls(1)
                run(give_up())
            assert text_of(leader.result()) == ANSWER
        assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
        assert server.call_count == 1


class Meeting(HashEncoder):
    """An encoder in which two callers meet, each with a text of its own, before either goes on."""

    def __init__(self, texts: set[str]) -> None:
        super().__init__()
        self._barrier = threading.Barrier(len(texts))
        self._lock = threading.Lock()
        self._texts = texts

    def encode(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            new = [text for text in texts if text in self._texts]
            self._texts -= set(new)
        if new:
            self._barrier.wait(10)
        return super().encode(texts)


class TestNobodyHangs:
    """Callers that could wait for one another."""

    @pytest.mark.parametrize("colour", ["threads", "tasks", "a thread and a task"])
    def test_crossing(self, options: dict[str, Any], server: ModelServer, *, colour: str) -> None:
        """Two calls that each lead what the other asks for next both end, with right answers."""
        with Accel(encoder=Meeting({"one", "two"})) as accel:
            set_llm_cache(AccelCache(accel))
            model = OpenAI(temperature=0, **options)

            async def agenerate(orders: list[list[str]]) -> list[Any]:
                async with loops_own(model) as own:
                    return await asyncio.gather(*(own.agenerate(order) for order in orders))

            orders = [["one", "two"], ["two", "one"]]
            with ThreadPoolExecutor(2) as pool:
                if colour == "tasks":
                    results = run(agenerate(orders))
                elif colour == "threads":
                    results = list(pool.map(model.generate, orders))
                else:
                    thread = pool.submit(model.generate, orders[0])
                    results = run(agenerate(orders[1:]))
                    results.insert(0, thread.result())
        for order, result in zip(orders, results, strict=True):
            told = [generations[0].text for generations in result.generations]
            assert told == [f"Answer to: {prompt}" for prompt in order]

    def test_same_prompt_twice_in_one_call(
        self, accel: Accel, options: dict[str, Any], server: ModelServer
    ) -> None:
        """One call with a prompt twice does not wait for itself."""
        set_llm_cache(AccelCache(accel))
        model = OpenAI(temperature=0, **options)

        async def agenerate() -> Any:
            async with loops_own(model) as own:
                return await own.agenerate(["two", "two", "two"])

        for result in (model.generate(["one", "one"]), run(agenerate())):
            assert len({generations[0].text for generations in result.generations}) == 1

    def test_sync_call_on_a_running_loop(self, build: Build, server: ModelServer) -> None:
        """On a thread with a running loop a call waits for nobody: it asks for itself."""
        model = build()

        async def cell() -> str:
            return text_of(model.invoke(QUESTION))

        with ThreadPoolExecutor(2) as pool:
            with server.hold():
                leader = pool.submit(model.invoke, QUESTION)
                server.wait_for_calls(1)
                other = pool.submit(run, cell())
                server.wait_for_calls(2)
            assert text_of(leader.result()) == other.result() == ANSWER

    def test_sync_call_on_the_leaders_own_loop(self, build: Build, server: ModelServer) -> None:
        """A call that blocks the loop its leader runs on cannot wait for it, and does not."""
        first, go = threading.Event(), threading.Event()

        def reply(_: Any) -> str:
            if not first.is_set():
                first.set()
                assert go.wait(10)
            else:
                go.set()
            return ANSWER

        server._answer = reply
        model = build()

        async def scene() -> tuple[str, str]:
            async with loops_own(model) as own:
                leader = asyncio.create_task(own.ainvoke(QUESTION))
                await asyncio.to_thread(first.wait, 10)
                return text_of(model.invoke(QUESTION)), text_of(await leader)

        assert run(scene()) == (ANSWER, ANSWER)
        assert server.call_count == 2

    def test_calls_inside_calls(self, accel: Accel, options: dict[str, Any]) -> None:
        """Models that ask one another in a circle of questions do not wait for each other."""
        ready = threading.Barrier(2)

        class Around(ChatOpenAI):
            def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
                ready.wait(10)
                other = {"one": "two", "two": "one"}[messages[-1].content]
                told = inner.invoke(other).content
                result = ChatGeneration(message=AIMessage(f"{told}!"))
                return ChatResult(generations=[result])

        set_llm_cache(AccelCache(accel))
        inner = ChatOpenAI(model="gpt-4o-mini", **options)
        outer = Around(model="gpt-4o-mini", **options)
        with ThreadPoolExecutor(2) as pool:
            told = [answer.content for answer in pool.map(outer.invoke, ["one", "two"])]
        assert told == ["Answer to: two!", "Answer to: one!"]
