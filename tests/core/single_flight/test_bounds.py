"""Single flight's bounds: what may not be shared, and what ends with a lease."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration
from langchain_openai import ChatOpenAI

from accel_core.accel import Accel
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate
from tests.core.single_flight.rig import ANSWER, QUESTION, Clock, loops_own, run, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.testing.model_server import ModelServer

    Build = Callable[[], Any]

pytestmark = pytest.mark.timeout(20)


class TestWhatMayNotBeShared:
    """Answers that only their own caller may have."""

    @pytest.mark.parametrize("colour", ["threads", "tasks"])
    def test_cut_answer(self, build: Build, server: ModelServer, *, colour: str) -> None:
        """Where the leader's answer is not kept every follower asks for itself, at once."""
        server._answer = lambda request: Reply(content="Par", finish_reason="length")
        crowd = 10

        async def tasks() -> list[Any]:
            async with loops_own(build()) as model:
                with server.hold():
                    asked = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(crowd)]
                    await asyncio.to_thread(server.wait_for_calls, 1)
                return await asyncio.gather(*asked)

        if colour == "tasks":
            told = run(tasks())
        else:
            model = build()
            with ThreadPoolExecutor(crowd) as pool:
                with server.hold():
                    futures = [pool.submit(model.invoke, QUESTION) for _ in range(crowd)]
                    server.wait_for_calls(1)
                told = [future.result() for future in futures]
        assert [text_of(answer) for answer in told] == ["Par"] * crowd
        assert server.call_count == crowd

    def test_other_tenants(self, build: Build, accel: Accel, server: ModelServer) -> None:
        """Nobody waits for another tenant's answer, or gets it."""
        model = build()

        def ask(tenant: str) -> str:
            with accel.tenant(tenant):
                return text_of(model.invoke(QUESTION))

        with ThreadPoolExecutor(4) as pool:
            with server.hold():
                futures = [pool.submit(ask, tenant) for tenant in ("ann", "bob", "ann", "bob")]
                server.wait_for_calls(2)
            assert {future.result() for future in futures} == {ANSWER}
        assert server.call_count == 2

    def test_no_store(self, accel: Accel, options: dict[str, Any], server: ModelServer) -> None:
        """A leader that keeps its answer to itself frees the others at once."""
        model = accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)
        with ThreadPoolExecutor(4) as pool:
            with server.hold():
                leader = pool.submit(model.invoke, QUESTION, {"tags": ["accel:no-store"]})
                server.wait_for_calls(1)
                futures = [pool.submit(model.invoke, QUESTION) for _ in range(3)]
            for future in (leader, *futures):
                assert text_of(future.result()) == ANSWER
        assert accel.stats().stored >= 1

    def test_variety(self, accel: Accel, options: dict[str, Any], server: ModelServer) -> None:
        """Calls that ask for variety share nothing."""
        model = accelerate(ChatOpenAI(model="gpt-4o-mini", temperature=1, **options), accel)
        with ThreadPoolExecutor(5) as pool:
            with server.hold():
                futures = [pool.submit(model.invoke, QUESTION) for _ in range(5)]
                server.wait_for_calls(5)
            assert {text_of(future.result()) for future in futures} == {ANSWER}

    def test_switched_off(self, options: dict[str, Any], server: ModelServer) -> None:
        """Without single flight every caller asks."""
        settings = {"cache": {"single_flight": {"enabled": False}}}
        with Accel.from_mapping(settings, encoder=HashEncoder()) as accel:
            model = accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)
            with ThreadPoolExecutor(5) as pool:
                with server.hold():
                    futures = [pool.submit(model.invoke, QUESTION) for _ in range(5)]
                    server.wait_for_calls(5)
                assert {text_of(future.result()) for future in futures} == {ANSWER}
            assert text_of(model.invoke(QUESTION)) == ANSWER
        assert server.call_count == 5


class TestLease:
    """A leader that takes too long, or never ends."""

    def test_next_caller_leads(self, build: Build, server: ModelServer, clock: Clock) -> None:
        """After the lease the next caller leads; both get their answers, and it is kept once."""
        model = build()
        with ThreadPoolExecutor(2) as pool:
            with server.hold():
                first = pool.submit(model.invoke, QUESTION)
                server.wait_for_calls(1)
                clock.now += 31
                second = pool.submit(model.invoke, QUESTION)
                server.wait_for_calls(2)
            assert text_of(first.result()) == text_of(second.result()) == ANSWER
        assert text_of(model.invoke(QUESTION)) == ANSWER
        assert server.call_count == 2

    @pytest.mark.parametrize("colour", ["thread", "task"])
    def test_followers_are_freed(
        self, build: Build, server: ModelServer, clock: Clock, *, colour: str
    ) -> None:
        """A follower waits for what is left of the lease, and then asks for itself."""
        model = build()

        async def ask() -> Any:
            async with loops_own(model) as own:
                return await own.ainvoke(QUESTION)

        with ThreadPoolExecutor(2) as pool:
            with server.hold():
                first = pool.submit(model.invoke, QUESTION)
                server.wait_for_calls(1)
                clock.now += 29.99
                if colour == "task":
                    second = pool.submit(run, ask())
                else:
                    second = pool.submit(model.invoke, QUESTION)
                server.wait_for_calls(2)
            assert text_of(first.result()) == text_of(second.result()) == ANSWER

    def test_leader_that_never_ends(self, accel: Accel, clock: Clock) -> None:
        """A lookup that nothing follows is replaced after its lease, and leaves nothing behind."""
        cache = AccelCache(accel)
        prompt = dumps([HumanMessage(QUESTION)])
        assert cache.lookup(prompt, "llm") is None
        with ThreadPoolExecutor(1) as pool:
            clock.now += 31
            assert pool.submit(cache.lookup, prompt, "llm").result() is None
            clock.now += 31
            assert pool.submit(cache.lookup, prompt, "llm").result() is None
            cache.update(prompt, "llm", [ChatGeneration(message=AIMessage(ANSWER))])
            assert pool.submit(cache.lookup, prompt, "llm").result() is not None

    def test_invalidated_while_under_way(
        self, accel: Accel, options: dict[str, Any], server: ModelServer
    ) -> None:
        """An answer asked for before an invalidation is given to its caller and not kept."""
        model = accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)
        with ThreadPoolExecutor(1) as pool:
            with server.hold():
                future = pool.submit(model.invoke, QUESTION)
                server.wait_for_calls(1)
                accel.invalidate()
            assert text_of(future.result()) == ANSWER
        assert text_of(model.invoke(QUESTION)) == ANSWER
        assert server.call_count == 2
