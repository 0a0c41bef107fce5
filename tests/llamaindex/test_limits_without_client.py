"""LLMs that ask otherwise than through OpenAI's clients, within limits, by all eight methods."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback

from accel_core import Limiter, Retries, RetryPolicy
from accel_core.errors import LimitExceededError, RequestTooLargeError
from llamaindex_accel import accelerate
from tests.limited import TPM, taken
from tests.llamaindex.support import ALL_METHODS, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel

ONE = {"requests_per_minute": 1, "max_wait_s": 0}
EAGER = Retries(policy=RetryPolicy(max_attempts=3, base_s=0.001))
methods = pytest.mark.parametrize("method", ALL_METHODS)
streams = pytest.mark.parametrize("method", [name for name in ALL_METHODS if "stream" in name])


class StatusCode:
    """As one of grpc's."""

    def __init__(self, name: str) -> None:
        self.name = name


class RpcError(Exception):
    """As grpc's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: quota exceeded, retry in 0.001s")
        self.code = lambda: StatusCode(name)


EXHAUSTED, UNAVAILABLE = RpcError("RESOURCE_EXHAUSTED"), RpcError("UNAVAILABLE")


class Local(CustomLLM):
    """Answers from a script: before each answer, errors are raised; pieces are streamed."""

    errors: list[Any] = []
    pieces: list[Any] = ["one ", "two ", "three"]
    usage: dict[str, int] | None = {"prompt_tokens": 100, "completion_tokens": 30}
    max_tokens: int | None = None
    asked: ClassVar[list[int | None]] = []
    """The retries that each call found; not of an instance, whose fields name its requests."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="local")

    def _ask(self) -> None:
        self.asked.append(getattr(self, "max_retries", None))
        if self.errors:
            raise self.errors.pop(0)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        self._ask()
        text = "".join(piece for piece in self.pieces if isinstance(piece, str))
        return CompletionResponse(text=text, raw={"usage": self.usage})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        self._ask()

        def generate() -> Iterator[CompletionResponse]:
            text = ""
            for number, piece in enumerate(self.pieces, 1):
                if isinstance(piece, Exception):
                    raise piece
                text += piece
                raw = {"usage": self.usage if number == len(self.pieces) else None}
                yield CompletionResponse(text=text, delta=piece, raw=raw)

        return generate()


class Retrying(Local):
    """One that can be told to leave retries to others."""

    max_retries: int = 5


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    Local.asked.clear()


def limiter(provider: str = "bedrock", **amounts: Any) -> Limiter:
    return Limiter(provider, retries=EAGER, **{"tokens_per_minute": TPM, **amounts})


@methods
def test_an_answer_settles_by_its_usage(ask: Any, accel: Accel, method: str) -> None:
    """What was reserved is given back beyond the stated usage; each call is one, however nested."""
    limits = limiter()
    llm = accelerate(Local(max_tokens=30_000), accel, limiter=limits)
    assert ask.text(llm, method) == "one two three"
    assert 100 <= taken(limits) <= 200
    assert sum(one.kept + one.late for one in limits.state().attained.values()) == 1


@methods
def test_a_call_waits_for_room(ask: Any, accel: Accel, method: str) -> None:
    """The prompt and the model's own maximum are what is reserved, unless the call says another."""
    llm = accelerate(Local(max_tokens=TPM + 1), accel, limiter=limiter())
    with pytest.raises(RequestTooLargeError):
        ask(llm, method)
    assert ask(llm, method, max_tokens=10)
    llm = accelerate(Local(), accel, limiter=limiter(**ONE))
    ask(llm, method, "one")
    with pytest.raises(LimitExceededError):
        ask(llm, method, "two")
    assert len(llm.asked) == 2


def test_a_hit_takes_nothing(ask: Any, accel: Accel) -> None:
    """What is answered from the cache never asks the limiter."""
    llm = accelerate(Local(), accel, limiter=limiter(**ONE))
    for method in ("chat", "achat", "stream_chat", "astream_chat"):
        ask(llm, method)
    assert len(llm.asked) == 1


async def test_followers_take_nothing(accel: Accel) -> None:
    """Of identical calls at once only the one that is sent is charged."""
    llm = accelerate(Local(), accel, limiter=limiter(**ONE))
    await asyncio.gather(*(llm.achat(user("one")) for _ in range(5)))
    assert len(llm.asked) == 1


@methods
def test_refusals_are_sent_again_where_nobody_else_does(
    ask: Any, accel: Accel, method: str
) -> None:
    """A model whose own retries can be switched off is asked again, and by the limiter alone."""
    own = Retrying(errors=[EXHAUSTED, UNAVAILABLE])
    limits = limiter()
    llm = accelerate(own, accel, limiter=limits)
    assert ask.text(llm, method) == "one two three"
    assert llm.asked == [0, 0, 0]
    assert own.max_retries == 5
    assert limits.state().under_way == 0


@methods
@pytest.mark.parametrize("error", [EXHAUSTED, UNAVAILABLE, ValueError("odd")])
def test_a_model_that_may_retry_itself_is_asked_once(
    ask: Any, accel: Accel, method: str, error: Exception
) -> None:
    """Its refusal is the caller's, as it was raised."""
    limits = limiter()
    llm = accelerate(Local(errors=[error]), accel, limiter=limits)
    with pytest.raises(type(error)) as caught:
        ask(llm, method)
    assert caught.value is error
    assert len(llm.asked) == 1
    assert limits.state().under_way == 0


@streams
@pytest.mark.parametrize("broken", [True, False])
def test_a_stream_without_its_end_is_counted(
    ask: Any, accel: Accel, method: str, broken: bool
) -> None:
    """Broken off, or read to an end that states nothing, a stream takes what it streamed."""
    limits = limiter()
    pieces = ["word " * 800, EXHAUSTED if broken else "end"]
    llm = accelerate(Retrying(pieces=pieces, usage=None), accel, limiter=limits)
    if broken:
        with pytest.raises(RpcError):
            ask(llm, method)
    else:
        ask(llm, method)
    assert len(llm.asked) == 1
    assert 950 <= taken(limits) <= 1_200


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_is_given_up_holds_nothing(accel: Accel, begun: bool, closed: bool) -> None:
    """Closed or dropped, read or not, a stream ends its lease."""
    limits = limiter()
    stream = accelerate(Local(), accel, limiter=limits).stream_complete("one")
    assert limits.state().under_way == 1
    if begun:
        next(stream)
    if closed:
        stream.close()
    del stream
    gc.collect()
    assert limits.state().under_way == 0


@pytest.mark.parametrize("begun", [True, False])
async def test_an_async_stream_that_is_given_up_holds_nothing(accel: Accel, begun: bool) -> None:
    """Async form of the same."""
    limits = limiter()
    llm = accelerate(Local(), accel, limiter=limits)
    stream: Any = await llm.astream_complete("one")
    assert limits.state().under_way == 1
    if begun:
        await anext(stream)
    await stream.aclose()
    assert limits.state().under_way == 0


class Waiting(Local):
    """A model that thinks until it is cancelled."""

    async def acomplete(self, *_: Any, **__: Any) -> Any:
        self.asked.append(None)
        await asyncio.Event().wait()


async def test_a_cancelled_task_holds_nothing(accel: Accel) -> None:
    """A task that is cancelled while the model thinks, or while it waits, leaves nothing behind."""
    limits = limiter(concurrent_requests=1)
    llm = accelerate(Waiting(), accel, limiter=limits)
    tasks = [asyncio.create_task(llm.acomplete(text)) for text in ("one", "two")]
    while not (llm.asked and limits.state().waiting):
        await asyncio.sleep(0)
    for task in reversed(tasks):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert limits.state().under_way == limits.state().waiting == 0
    assert len(llm.asked) == 1


def test_copies_stay_limited_and_the_users_own_is_not(
    ask: Any, accel: Accel, make_accel: Callable[..., Accel]
) -> None:
    """The limit goes with copies, and to the next `Accel`; a second limiter takes its place."""
    own = Local()
    llm = accelerate(own, accel, limiter=limiter(max_wait_s=0, requests_per_minute=2))
    ask(llm.model_copy(), "chat", "one")
    ask(accelerate(llm, make_accel()), "chat", "two")
    with pytest.raises(LimitExceededError):
        ask(llm, "chat", "three")
    ask(accelerate(llm, accel, limiter=limiter()), "chat", "four")
    ask(own, "chat", "five")
