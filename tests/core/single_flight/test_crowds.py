"""Single flight as applications meet it: identical calls at once are one model call."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI

from langchain_accel import accelerate
from tests.core.single_flight.rig import ANSWER, CROWD, QUESTION, loops_own, run, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer

    Build = Callable[[], Any]

pytestmark = pytest.mark.timeout(20)


class TestCrowd:
    """A hundred identical calls at once."""

    def test_threads(self, build: Build, server: ModelServer, accel: Accel) -> None:
        """A hundred threads make one call and get its answer, each a message of its own."""
        model = build()
        ready = threading.Barrier(CROWD)

        def ask() -> Any:
            ready.wait()
            return model.invoke(QUESTION)

        with ThreadPoolExecutor(CROWD) as pool:
            with server.hold():
                futures = [pool.submit(ask) for _ in range(CROWD)]
                server.wait_for_calls(1)
            answers = [future.result() for future in futures]
        assert {text_of(answer) for answer in answers} == {ANSWER}
        assert server.call_count == 1
        assert accel.stats().stored == 1
        if not isinstance(answers[0], str):
            assert len({answer.id for answer in answers}) == CROWD

    def test_tasks(self, build: Build, server: ModelServer, accel: Accel) -> None:
        """A hundred tasks make one call."""

        async def crowd() -> list[Any]:
            async with loops_own(build()) as model:
                with server.hold():
                    tasks = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(CROWD)]
                    await asyncio.to_thread(server.wait_for_calls, 1)
                return await asyncio.gather(*tasks)

        assert {text_of(answer) for answer in run(crowd())} == {ANSWER}
        assert server.call_count == 1
        assert accel.stats().shared_hits >= CROWD // 2

    def test_threads_and_tasks(self, build: Build, server: ModelServer) -> None:
        """Threads, and tasks of two loops, all make one call together."""
        model = build()

        async def crowd() -> list[Any]:
            async with loops_own(model) as own:
                return await asyncio.gather(*(own.ainvoke(QUESTION) for _ in range(CROWD // 4)))

        with ThreadPoolExecutor(CROWD) as pool:
            with server.hold():
                loops = [pool.submit(run, crowd()) for _ in range(2)]
                threads = [pool.submit(model.invoke, QUESTION) for _ in range(CROWD // 2)]
                server.wait_for_calls(1)
            answers = [answer for loop in loops for answer in loop.result()]
            answers += [thread.result() for thread in threads]
        assert {text_of(answer) for answer in answers} == {ANSWER}
        assert len(answers) == CROWD
        assert server.call_count == 1

    def test_streams_and_invocations(
        self, accel: Accel, options: dict[str, Any], server: ModelServer
    ) -> None:
        """Streams wait for an invocation, and invocations for a stream."""
        model = accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)

        def stream() -> str:
            return "".join(str(chunk.content) for chunk in model.stream(QUESTION))

        def invoke() -> str:
            return str(model.invoke(QUESTION).content)

        with ThreadPoolExecutor(20) as pool:
            with server.hold():
                futures = [pool.submit(ask) for ask in [stream, invoke] * 10]
                server.wait_for_calls(1)
            assert {future.result() for future in futures} == {ANSWER}
        assert server.call_count == 1

    def test_several_questions_at_once(self, build: Build, server: ModelServer) -> None:
        """Threads with different questions in different orders ask each question once."""
        model = build()
        questions = [f"question {n}" for n in range(8)]

        def ask(worker: int) -> list[str]:
            mine = questions[worker:] + questions[:worker]
            return sorted(text_of(model.invoke(question)) for question in mine)

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(ask, range(8)))
        assert told == [[f"Answer to: {question}" for question in questions]] * 8
        assert server.call_count == 8

    def test_models_without_asyncio(self, accel: Accel) -> None:
        """Tasks that ask a model which knows only threads make one call, and fill no pool."""
        inside, go = threading.Event(), threading.Event()
        calls: list[int] = []

        class Threaded(BaseChatModel):
            @property
            def _llm_type(self) -> str:
                return "threaded"

            def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
                calls.append(1)
                inside.set()
                assert go.wait(10)
                return ChatResult(generations=[ChatGeneration(message=AIMessage(ANSWER))])

        model = accelerate(Threaded(), accel)

        async def crowd() -> list[Any]:
            tasks = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(CROWD)]
            await asyncio.to_thread(inside.wait, 10)
            go.set()
            return await asyncio.gather(*tasks)

        assert {answer.content for answer in run(crowd())} == {ANSWER}
        assert len(calls) == 1
