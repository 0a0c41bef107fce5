"""Accelerated objects where they are copied, pickled, forked, and used from several loops."""

from __future__ import annotations

import asyncio
import copy
import itertools
import multiprocessing
import os
import pickle
import select
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate

from accel_core.accel import Accel
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Miss
from accel_core.testing.encoders import HashEncoder
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat

QUESTION = "What is the capital of France?"

asked: list[str] = []
"""Every question that any `Local` was asked, in this process."""


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


class Local(BaseChatModel):
    """A model that needs no server."""

    persona: str = "anybody"

    @property
    def _llm_type(self) -> str:
        return "local"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        asked.append(messages[-1].content)
        message = AIMessage(f"{self.persona}: {messages[-1].content}")
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        asked.append(messages[-1].content)
        yield ChatGenerationChunk(message=AIMessageChunk(f"{self.persona}: "))
        yield ChatGenerationChunk(message=AIMessageChunk(messages[-1].content))


class TestPickling:
    """Objects that cross to another process and come back."""

    @pytest.mark.parametrize(
        "build",
        [
            lambda fast: fast,
            lambda fast: fast.bind(stop=["x"]),
            lambda fast: ChatPromptTemplate.from_template("{q}") | fast | StrOutputParser(),
            lambda fast: fast.with_fallbacks([fast]),
            lambda fast: fast.with_retry(),
        ],
        ids=["model", "binding", "chain", "fallbacks", "retry"],
    )
    def test_round_trip(self, accel: Accel, colour: Colour, *, build: Callable[[Any], Any]) -> None:
        """In the same process, a pickled object comes back accelerated, by the same answers."""
        made = build(accelerate(Local(), accel))
        value: Any = {"q": QUESTION} if hasattr(made, "steps") else QUESTION
        colour.invoke(made, value)
        colour.invoke(pickle.loads(pickle.dumps(made)), value)
        assert asked == [QUESTION]

    def test_model_comes_back_as_its_class(self, accel: Accel) -> None:
        """It is the user's class underneath, with its fields, and not accelerated twice."""
        fast = accelerate(Local(persona="ann"), accel)
        back = pickle.loads(pickle.dumps(fast))
        assert type(back) is type(fast)
        assert back.persona == "ann"

    def test_chat_openai_as_far_as_it_goes(self, accel: Accel, chat: MakeChat) -> None:
        """Where the user's own model cannot be pickled, neither can the accelerated one."""
        try:
            pickle.dumps(chat())
        except TypeError as error:
            with pytest.raises(TypeError, match=str(error)[:20]):
                pickle.dumps(accelerate(chat(), accel))
        else:
            assert pickle.loads(pickle.dumps(accelerate(chat(), accel)))

    def test_cache(self, accel: Accel, colour: Colour) -> None:
        """`AccelCache` comes back over the same answers."""
        set_llm_cache(AccelCache(accel))
        colour.invoke(Local(), QUESTION)
        set_llm_cache(pickle.loads(pickle.dumps(AccelCache(accel))))
        colour.invoke(Local(), QUESTION)
        assert asked == [QUESTION]

    def test_limiter_and_settings_survive(self, accel: Accel) -> None:
        """A model's own settings are there afterwards, in the copy and in the original."""
        model = Local(tags=["x"], metadata={"a": 1}, cache=True)
        back = pickle.loads(pickle.dumps(accelerate(model, accel)))
        assert (back.tags, back.metadata["a"]) == (["x"], 1)
        assert model.cache is True

    def test_pickle_holds_no_answers(self, make_accel: MakeAccel) -> None:
        """Neither questions nor answers are in the pickle."""
        accel = make_accel(tenant="the-tenant")
        fast = accelerate(Local(), accel)
        fast.invoke("What is my balance?")
        assert b"balance" not in pickle.dumps(fast)

    @pytest.mark.slow
    def test_other_process(self, tmp_path: Path) -> None:
        """A process started anew answers with the unpickled object, from the shared file."""
        settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
        with Accel.from_mapping(settings, encoder=HashEncoder()) as accel:
            fast = accelerate(Local(), accel)
            fast.invoke(QUESTION)
            accel.flush()
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                told, calls = pool.apply(_ask_and_count, (fast,))
        assert told == f"anybody: {QUESTION}"
        assert calls == 0


def _ask_and_count(fast: BaseChatModel) -> tuple[Any, int]:
    return fast.invoke(QUESTION).content, len(asked)


class TestDeepCopy:
    """`copy.copy` and `copy.deepcopy`."""

    @pytest.mark.parametrize("method", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
    def test_copied(self, accel: Accel, colour: Colour, *, method: Callable[[Any], Any]) -> None:
        """A copy is accelerated by the same answers, and is a model of its own."""
        fast = accelerate(Local(), accel)
        copied = method(fast)
        colour.invoke(fast, QUESTION)
        colour.invoke(copied, QUESTION)
        assert asked == [QUESTION]
        copied.persona = "ann"
        assert colour.invoke(copied, QUESTION).content == f"ann: {QUESTION}"
        assert colour.invoke(fast, QUESTION).content == f"anybody: {QUESTION}"

    def test_answers(self, accel: Accel) -> None:
        """An answer from memory can be copied and pickled like any other."""
        fast = accelerate(Local(), accel)
        fast.invoke(QUESTION)
        hit = fast.invoke(QUESTION)
        for again in (copy.deepcopy(hit), pickle.loads(pickle.dumps(hit)), hit.model_copy()):
            assert again == hit
        assert AIMessage.model_validate(hit.model_dump()) == hit
        assert AIMessage.model_validate_json(hit.model_dump_json()) == hit

    def test_schema_of_a_cache(self, accel: Accel) -> None:
        """A copied `AccelCache` is over the same answers."""
        copied = copy.deepcopy(AccelCache(accel))
        assert copied.accel is accel


def _in_child(work: Callable[[], bytes], timeout_s: float = 20.0) -> bytes:
    """Run `work` in a forked child and return what it returns; a child that hangs is killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(write, work())
            status = 0
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(status)
    os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], timeout_s)
        told = os.read(read, 1 << 16) if ready else b"hung"
    finally:
        os.close(read)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return told


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestFork:
    """A child process after `os.fork`."""

    @pytest.fixture(params=["memory", "sqlite"])
    def accel(self, request: pytest.FixtureRequest, make_accel: MakeAccel, tmp_path: Path) -> Accel:
        sqlite = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
        return make_accel({} if request.param == "memory" else sqlite)

    def test_child_goes_on(self, accel: Accel) -> None:
        """A child has its parent's answers, and looks up, stores and flushes without hanging."""
        fast = accelerate(Local(), accel)
        fast.invoke("one")
        accel.flush()

        def child() -> bytes:
            asked.clear()
            told = [fast.invoke(text).content for text in ("one", "two", "two")]
            told.append("".join(c.content for c in fast.stream("three")))
            told.append(asyncio.run(fast.ainvoke("two")).content)
            told.append(asyncio.run(fast.ainvoke("four")).content)
            accel.flush()
            return repr((told, asked)).encode()

        texts = ["one", "two", "two", "three", "two", "four"]
        expected = ([f"anybody: {text}" for text in texts], ["two", "three", "four"])
        assert _in_child(child) == repr(expected).encode()
        assert fast.invoke("one").content == "anybody: one"

    def test_child_follows_nobody(self, accel: Accel) -> None:
        """A call in progress in the parent keeps no child waiting, and ids do not repeat."""
        fast = accelerate(Local(), accel)
        inside, go = threading.Event(), threading.Event()

        class Slow(Local):
            def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
                inside.set()
                assert go.wait(30)
                return super()._generate(*args, **kwargs)

        slow = accelerate(Slow(), accel)
        fast.invoke(QUESTION)
        before = fast.invoke(QUESTION).id
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(slow.invoke, QUESTION)
            assert inside.wait(10)

            def child() -> bytes:
                go.set()
                told = slow.invoke(QUESTION).content
                assert fast.invoke(QUESTION).id != before
                return str(told).encode()

            assert _in_child(child) == f"anybody: {QUESTION}".encode()
            go.set()
            assert future.result(10).content == f"anybody: {QUESTION}"

    def test_many_forks_under_load(self, accel: Accel) -> None:
        """Whatever our threads held at the moment of the fork, no child hangs.

        The cache is asked directly: LangChain and Python have locks of their own.
        """

        def ask(text: str) -> str:
            request = accel.identify(Prompt("test", "m", (Turn("user", (text,)),)))
            assert request is not None
            found = accel.cache.lookup(request)
            if isinstance(found, Miss):
                accel.cache.store(request, Answer(text.encode(), text), flight=found.flight)
                return text
            return found.entry.payload.decode()

        def load(worker: int) -> None:
            for number in itertools.count():
                if stop.is_set():
                    return
                ask(f"question {number % 50} of {worker}")

        def child() -> bytes:
            told = [ask(f"in the child {n}") for n in range(3)]
            accel.flush()
            return repr(told).encode()

        stop = threading.Event()
        ask("so that everything is loaded")
        accel.flush()
        threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                assert _in_child(child) == repr([f"in the child {n}" for n in range(3)]).encode()
        finally:
            stop.set()
            for thread in threads:
                thread.join()


class TestLoops:
    """Several event loops, and none to spare."""

    def test_one_after_the_other(self, accel: Accel) -> None:
        """What one loop asked answers in the next."""
        fast = accelerate(Local(), accel)
        for _ in range(3):
            assert asyncio.run(fast.ainvoke(QUESTION)).content == f"anybody: {QUESTION}"
        assert asked == [QUESTION]

    @pytest.mark.parametrize("how", ["accelerate", "set_llm_cache"])
    def test_at_once(self, accel: Accel, *, how: str) -> None:
        """Loops in several threads share answers, without a word about another loop."""
        set_llm_cache(AccelCache(accel) if how == "set_llm_cache" else None)
        model: Any = accelerate(Local(), accel) if how == "accelerate" else Local()
        questions = [f"question {n}" for n in range(10)]

        def work(_: int) -> list[Any]:
            async def ask() -> list[Any]:
                return await asyncio.gather(*(model.ainvoke(text) for text in questions))

            return [message.content for message in asyncio.run(ask())]

        with ThreadPoolExecutor(4) as pool:
            told = list(pool.map(work, range(4)))
        assert told == [[f"anybody: {text}" for text in questions]] * 4
        assert sorted(asked) == sorted(questions)

    @pytest.mark.parametrize("how", ["accelerate", "set_llm_cache"])
    def test_in_a_notebook(
        self, accel: Accel, chat: MakeChat, server: ModelServer, *, how: str
    ) -> None:
        """Synchronous calls on a thread with a running loop work, and are answered from memory."""
        set_llm_cache(AccelCache(accel) if how == "set_llm_cache" else None)
        model: Any = accelerate(chat(), accel) if how == "accelerate" else chat()

        async def cell() -> list[Any]:
            told = [model.invoke(QUESTION).content for _ in range(2)]
            told += [m.content for m in model.batch([QUESTION] * 2)]
            accel.flush()
            return told

        assert asyncio.run(cell()) == [f"Answer to: {QUESTION}"] * 4
        assert server.call_count == 1


@pytest.mark.slow
@pytest.mark.parametrize("code", ["fast.invoke('x')", "asyncio.run(fast.ainvoke('x'))", "pass"])
def test_exit_without_closing(tmp_path: Path, code: str) -> None:
    """A process that never closes its `Accel` ends by itself, and what it stored is kept."""
    import subprocess

    script = f"""
import asyncio
from accel_core.accel import Accel
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Miss
from accel_core.testing.encoders import HashEncoder
from langchain_accel import accelerate
from tests.langchain.test_copies import Local
settings = {{"cache": {{"store": {{"kind": "sqlite", "path": {str(tmp_path / "c.db")!r}}}}}}}
accel = Accel.from_mapping(settings, encoder=HashEncoder())
fast = accelerate(Local(), accel)
{code}
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "c.db")}}}
    with Accel.from_mapping(settings, encoder=HashEncoder()) as accel:
        accelerate(Local(), accel).invoke("x")
    assert asked == (["x"] if code == "pass" else [])
