"""LlamaIndex's callbacks: what calls used and saved, counted once, beside the token counter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.llms.openai import OpenAI

from accel_core.testing.replies import Reply
from llamaindex_accel import AccelCallbackHandler, accelerate
from tests.llamaindex.retrieving import WordEmbedding, document, index_of
from tests.llamaindex.support import ALL_METHODS, QUESTION, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

STATED = {"additional_kwargs": {"stream_options": {"include_usage": True}}}


@pytest.fixture
def handler() -> AccelCallbackHandler:
    return AccelCallbackHandler()


@pytest.fixture
def _settings() -> Iterator[None]:
    kept = vars(Settings).copy()
    yield
    vars(Settings).update(kept)


@pytest.mark.parametrize("method", ALL_METHODS)
def test_what_was_used_and_saved(
    method: str,
    *,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    server: ModelServer,
    ask: Caller,
    handler: AccelCallbackHandler,
) -> None:
    """Calls, hits and tokens are what the server counted; nobody else's handler hears of a hit."""
    counter = TokenCountingHandler(tokenizer=str.split)
    manager = CallbackManager([handler, counter])
    options = STATED if "stream" in method else {}
    llm = accelerate(make_llm(callback_manager=manager, **options), accel)
    with accel.tenant("acme"):
        for _ in range(3):
            ask(llm, method, QUESTION)
    total, used = handler.total, server.usage
    assert (total.calls, total.hits, total.failures) == (3, 2, 0)
    assert (total.tokens.input_tokens, total.tokens.output_tokens) == (
        used.prompt_tokens,
        used.completion_tokens,
    )
    assert total.saved_tokens.output_tokens == 2 * used.completion_tokens
    assert total.cost is not None
    assert total.saved_cost == pytest.approx(2 * total.cost)
    assert handler.tenants == {"acme": total}
    assert len(counter.llm_token_counts) == 1


@pytest.mark.usefixtures("_settings")
def test_of_the_settings(
    make_llm: Callable[..., OpenAI], accel: Accel, ask: Caller, handler: AccelCallbackHandler
) -> None:
    """One in ``Settings`` is told of what an engine asks, retrieves and finds again."""
    Settings.callback_manager = CallbackManager([handler])
    Settings.llm = accelerate(make_llm(), accel)
    Settings.embed_model = WordEmbedding()
    index = index_of([document("one", "a refund is paid")], Settings.embed_model)
    engine = index.as_query_engine()
    engine.query("is a refund paid")
    ask.run(engine.aquery("is a refund paid"))
    assert (handler.total.calls, handler.total.hits) == (2, 1)
    assert handler.events["llm"] == 1
    assert handler.events["retrieve"] == 2
    assert handler.events["query"] == 2


class Chatting(OpenAI):
    """Completes by chatting, and tells of both, as some integrations do."""

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        from llama_index.core.base.llms.generic_utils import chat_to_completion_decorator

        return chat_to_completion_decorator(self.chat)(prompt, **kwargs)


@pytest.mark.parametrize("fast", [False, True])
def test_a_call_inside_a_call_counts_once(
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    server: ModelServer,
    handler: AccelCallbackHandler,
    *,
    fast: bool,
) -> None:
    """What LlamaIndex's own counter counts twice, accelerated or not."""
    llm: Any = make_llm(Chatting, callback_manager=CallbackManager([handler, handler]))
    llm = accelerate(llm, accel) if fast else llm
    llm.complete(QUESTION)
    llm.chat(user("Hi"))
    assert server.call_count == 2
    assert handler.total.calls == 2
    assert handler.total.tokens.input_tokens == server.usage.prompt_tokens


@pytest.mark.parametrize("method", ["chat", "achat", "stream_chat"])
def test_failures(
    method: str,
    *,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    server: ModelServer,
    ask: Caller,
    handler: AccelCallbackHandler,
) -> None:
    """A call that raises is a failure and no answer; a stream that is given up is neither."""
    llm = accelerate(make_llm(callback_manager=CallbackManager([handler])), accel)
    if method == "stream_chat":
        stream = llm.stream_chat(user("Hi"))
        next(iter(stream))
        stream.close()  # type: ignore[attr-defined]
        assert (handler.total.calls, handler.total.failures) == (0, 0)
        return
    server._answer = lambda _: Reply(status=400)
    with pytest.raises(openai.BadRequestError):
        ask(llm, method, QUESTION)
    assert (handler.total.calls, handler.total.failures) == (0, 1)
