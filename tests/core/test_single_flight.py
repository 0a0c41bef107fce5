"""Single flight as applications meet it: identical calls at once are one model call, nobody hangs.

Real clients ask a server whose answers are held back, so that callers meet on purpose. A caller who
waited for a lease instead of being freed would take 30 s, and the time limit of every test is less.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI, OpenAI
from openai import APIStatusError
from pydantic import SecretStr

from accel_core.accel import Accel
from accel_core.clocks import Clocks
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence

    from accel_core.ports import Vectors

    Build = Callable[[], Any]

pytestmark = pytest.mark.timeout(20)

QUESTION = "What is the capital of France?"
ANSWER = f"Answer to: {QUESTION}"
CROWD = 100


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_global_cache() -> Iterator[None]:
    set_llm_cache(None)
    yield
    set_llm_cache(None)


class Clock:
    """A monotonic clock that tests turn by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accel(clock: Clock) -> Iterator[Accel]:
    with Accel(encoder=HashEncoder(), clocks=Clocks(mono_now=clock)) as accel:
        yield accel


@pytest.fixture
def options(server: ModelServer) -> Iterator[dict[str, Any]]:
    """What both of langchain-openai's classes take, for calls of threads."""
    limits = httpx.Limits(max_connections=2 * CROWD)
    with httpx.Client(limits=limits, verify=False) as client:
        yield {
            "base_url": server.url,
            "api_key": SecretStr("any"),
            "max_retries": 0,
            "http_client": client,
        }


@contextlib.asynccontextmanager
async def loops_own(model: Any) -> AsyncIterator[Any]:
    """Give `model` an asynchronous client of the running loop."""
    limits = httpx.Limits(max_connections=2 * CROWD)
    async with httpx.AsyncClient(limits=limits, verify=False) as client:
        fields = {
            name: value
            for name, value in model.__dict__.items()
            if name in {"model_name", "max_retries", "temperature"}
        }
        kind = OpenAI if isinstance(model, OpenAI) else ChatOpenAI
        made = kind(
            base_url=model.openai_api_base,
            api_key=SecretStr("any"),
            http_async_client=client,
            **fields,
        )
        accel = getattr(type(model), "__accel__", None)
        yield made if accel is None else accelerate(made, accel)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture(params=["accelerate", "set_llm_cache", "plain"])
def build(
    request: pytest.FixtureRequest, accel: Accel, options: dict[str, Any]
) -> Callable[[], Any]:
    """Make a model that answers from `accel`: accelerated, behind the cache, or a plain one."""
    if request.param == "accelerate":
        return lambda: accelerate(ChatOpenAI(model="gpt-4o-mini", **options), accel)
    set_llm_cache(AccelCache(accel))
    if request.param == "set_llm_cache":
        return lambda: ChatOpenAI(model="gpt-4o-mini", **options)
    return lambda: OpenAI(temperature=0, **options)


def text_of(answer: Any) -> str:
    return answer if isinstance(answer, str) else str(answer.content)


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
