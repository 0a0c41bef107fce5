"""The callback handler when runs overlap, are given up, never end, or are forked away."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda

from langchain_accel import AccelCallbackHandler, accelerate, callback_handler
from tests.forks import in_a_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat

QUESTION = "What is the capital of France?"


@pytest.fixture
def handler() -> AccelCallbackHandler:
    return AccelCallbackHandler()


@pytest.fixture
def _hurried() -> Iterator[None]:
    """Let threads interrupt each other as often as can be."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual_s)


def answer(tokens: int = 1) -> LLMResult:
    usage = {"input_tokens": tokens, "output_tokens": tokens, "total_tokens": 2 * tokens}
    message = AIMessage("Paris", usage_metadata=usage)  # type: ignore[arg-type]
    return LLMResult(generations=[[ChatGeneration(message=message)]])


def test_what_is_given_up_has_not_failed(
    accel: Accel, chat: MakeChat, colour: Colour, handler: AccelCallbackHandler
) -> None:
    """A stream that its reader leaves is neither an answer nor a failure."""
    model = accelerate(chat(), accel).with_config(callbacks=[handler])
    colour.take(model, "tell me something long", 1)
    assert (handler.total.calls, handler.total.failures) == (0, 0)


async def test_a_cancelled_task_has_not_failed(
    accel: Accel, chat: MakeChat, server: ModelServer, handler: AccelCallbackHandler
) -> None:
    """Nor is a call whose task is cancelled, alone or in a chain."""
    model = accelerate(chat(), accel)

    async def ask(question: str) -> Any:
        return await model.ainvoke(question)

    for count, runnable in enumerate((model, RunnableLambda(ask)), 1):
        with server.hold():
            call = runnable.ainvoke(f"{QUESTION} {count}", {"callbacks": [handler]})
            task = asyncio.create_task(call)
            await asyncio.to_thread(server.wait_for_calls, count)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert (handler.total.calls, handler.total.failures) == (0, 0)


def test_a_stream_belongs_to_who_began_it(
    accel: Accel, chat: MakeChat, handler: AccelCallbackHandler
) -> None:
    """Read by somebody else, it is still the tenant's that asked."""
    stream: Any = accelerate(chat(), accel).stream(QUESTION, {"callbacks": [handler]})
    with accel.tenant("acme"):
        next(stream)
    with accel.tenant("umbrella"):
        list(stream)
    assert {name: used.calls for name, used in handler.tenants.items()} == {"acme": 1}


def test_a_retrievers_calls_are_the_outermost_runs(
    accel: Accel, chat: MakeChat, colour: Colour, handler: AccelCallbackHandler
) -> None:
    """A model that a retriever asks is part of the chain around it."""
    model = accelerate(chat(), accel)

    class Rewriting(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            rewritten = model.invoke(query, {"callbacks": run_manager.get_child()})
            return [Document(str(rewritten.content))]

    chain = RunnableLambda(lambda question: question) | Rewriting() | RunnableLambda(str)
    colour.invoke(chain, QUESTION, {"callbacks": [handler], "run_id": (run := uuid4())})
    assert {name: used.calls for name, used in handler.runs.items()} == {run: 1}
    assert not handler._roots


def test_two_accelerators_share_one(
    make_accel: MakeAccel, chat: MakeChat, colour: Colour, handler: AccelCallbackHandler
) -> None:
    """One handler adds up what models of both ask."""
    for accel in (make_accel(), make_accel()):
        for _ in range(2):
            colour.invoke(accelerate(chat(), accel), QUESTION, {"callbacks": [handler]})
    assert (handler.total.calls, handler.total.hits) == (4, 2)


@pytest.mark.usefixtures("_hurried")
def test_threads_that_mix_their_runs(
    handler: AccelCallbackHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is begun and ended at once, with older runs forgotten meanwhile, all is counted."""
    monkeypatch.setattr(callback_handler, "_MOST_RUNS", 20)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                chain, call = uuid4(), uuid4()
                handler.on_chain_start({}, {}, run_id=chain)
                handler.on_chat_model_start({}, [], run_id=call, parent_run_id=chain)
                handler.on_llm_end(answer(), run_id=call)
                handler.on_chain_end({}, run_id=chain)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert handler.total.calls == handler.total.tokens.input_tokens == 1_600
    assert not handler._roots
    assert len(handler.runs) <= 20


def test_runs_that_never_end_are_forgotten(
    handler: AccelCallbackHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded though nobody tells of an end."""
    monkeypatch.setattr(callback_handler, "_MOST_RUNS", 50)
    for _ in range(500):
        handler.on_chain_start({}, {}, run_id=(chain := uuid4()))
        handler.on_chat_model_start({}, [], run_id=uuid4(), parent_run_id=chain)
    assert len(handler._roots) <= 50
    assert len(handler._asked) <= 50


def test_a_forked_child_goes_on(handler: AccelCallbackHandler) -> None:
    """A lock that a thread of the parent held is no lock of the child's."""

    def work() -> None:
        handler.on_chat_model_start({}, [], run_id=(run := uuid4()))
        handler.on_llm_end(answer(), run_id=run)
        assert handler.total.calls == 1

    assert in_a_child(work, handler._lock) == 0
    assert handler.total.calls == 0
