"""Models that ask otherwise than through OpenAI's clients, within limits: a double of boto3's."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from accel_core import Limiter, Retries, RetryPolicy
from accel_core.errors import LimitExceededError, RequestTooLargeError
from langchain_accel import accelerate
from tests.limited import TPM, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel

ONE = {"requests_per_minute": 1}
EAGER = Retries(policy=RetryPolicy(max_attempts=3, base_s=0.001))
hows = pytest.mark.parametrize("how", ["invoke", "stream"])


class ClientError(Exception):
    """As botocore's."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {
            "Error": {"Code": code, "Message": "Too many tokens, please wait."},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after-ms": "1"}},
        }


THROTTLED = ClientError(429, "ThrottlingException")
DOWN = ClientError(503, "ServiceUnavailableException")
INVALID = ClientError(400, "ValidationException")


class Converse(BaseChatModel):
    """Answers from a script: before each answer, errors are raised; pieces are streamed."""

    errors: list[Any] = []
    pieces: list[Any] = ["one ", "two ", "three"]
    usage: tuple[int, int] | None = (100, 30)
    tells_first: bool = False
    max_tokens: int | None = None
    asked: ClassVar[list[int | None]] = []
    """The retries that each call found; not of an instance, whose fields name its requests."""

    @property
    def _llm_type(self) -> str:
        return "converse"

    def _told(self, *, last: bool) -> Any:
        if self.usage is None or not last:
            return None
        read, written = self.usage
        return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}

    def _ask(self) -> None:
        self.asked.append(getattr(self, "max_retries", None))
        if self.errors:
            raise self.errors.pop(0)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> Any:
        self._ask()
        text = "".join(piece for piece in self.pieces if isinstance(piece, str))
        message = AIMessage(text, usage_metadata=self._told(last=True))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[Any]:
        self._ask()
        for number, piece in enumerate(self.pieces, 1):
            if isinstance(piece, Exception):
                raise piece
            told = self._told(last=number == (1 if self.tells_first else len(self.pieces)))
            message = AIMessageChunk(piece, usage_metadata=told)
            yield ChatGenerationChunk(message=message)


class Retrying(Converse):
    """One that can be told to leave retries to others."""

    max_retries: int = 5


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    Converse.asked.clear()


def limiter(provider: str = "bedrock", **amounts: Any) -> Limiter:
    return Limiter(provider, retries=EAGER, **{"tokens_per_minute": TPM, **amounts})


@hows
def test_an_answer_settles_by_its_usage(colour: Any, accel: Accel, how: str) -> None:
    """What was reserved beyond the stated usage is given back, streamed or whole."""
    limits = limiter()
    model = accelerate(Converse(max_tokens=30_000), accel, limiter=limits)
    getattr(colour, how)(model, "one")
    assert 100 <= taken(limits) <= 200
    assert limits._calls._estimate.expected_output_tokens("") > 0


@hows
def test_a_call_waits_for_room(colour: Any, accel: Accel, how: str) -> None:
    """The prompt and the model's own maximum are what is reserved."""
    model = accelerate(Converse(max_tokens=TPM + 1), accel, limiter=limiter())
    with pytest.raises(RequestTooLargeError):
        getattr(colour, how)(model, "one")
    model = accelerate(Converse(max_tokens=10), accel, limiter=limiter(max_wait_s=0, **ONE))
    getattr(colour, how)(model, "one")
    with pytest.raises(LimitExceededError):
        getattr(colour, how)(model, "two")
    assert len(model.asked) == 1


def test_a_call_may_lower_its_maximum(colour: Any, accel: Accel) -> None:
    """An argument of the call counts before the model's field."""
    model = accelerate(Converse(max_tokens=TPM + 1), accel, limiter=limiter())
    colour.invoke(model, "one", max_tokens=10)


def test_a_hit_and_a_follower_take_nothing(colour: Any, accel: Accel) -> None:
    """One question asked many times, at once and again, is one call of the limiter's."""
    limits = limiter(max_wait_s=0, **ONE)
    model = accelerate(Converse(), accel, limiter=limits)
    colour.batch(model, ["What is the capital of France?"] * 5)
    colour.invoke(model, "What is the capital of France?")
    colour.stream(model, "What is the capital of France?")
    assert len(model.asked) == 1
    assert limits.state().under_way == 0


@hows
def test_refusals_are_sent_again_where_nobody_else_does(
    colour: Any, accel: Accel, how: str
) -> None:
    """A model whose own retries can be switched off is asked again, and by the limiter alone."""
    user = Retrying(errors=[THROTTLED, DOWN])
    limits = limiter()
    model = accelerate(user, accel, limiter=limits)
    assert getattr(colour, how)(model, "one")
    assert model.asked == [0, 0, 0]
    assert user.max_retries == 5
    assert limits.state().under_way == 0


@hows
@pytest.mark.parametrize("error", [THROTTLED, DOWN, INVALID])
def test_a_model_that_may_retry_itself_is_asked_once(
    colour: Any, accel: Accel, how: str, error: ClientError
) -> None:
    """Its refusal is the caller's, as it was raised; a refused call takes no tokens."""
    limits = limiter()
    model = accelerate(Converse(errors=[error], max_tokens=1_000), accel, limiter=limits)
    with pytest.raises(ClientError) as caught:
        getattr(colour, how)(model, "one")
    assert caught.value is error
    assert len(model.asked) == 1
    if error is THROTTLED:
        assert limits.state().under_way == 0
    else:
        assert (taken(limits) < 100) == (error is INVALID)


@pytest.mark.parametrize("error", [ConnectionRefusedError("no"), ValueError("odd")])
def test_what_reached_nobody_takes_nothing(colour: Any, accel: Accel, error: Exception) -> None:
    """A refused connection is given back; of an error that says nothing it is not known."""
    limits = limiter()
    model = accelerate(Converse(errors=[error], max_tokens=1_000), accel, limiter=limits)
    with pytest.raises(type(error)):
        colour.invoke(model, "one")
    assert (taken(limits) < 100) == isinstance(error, ConnectionError)


@hows
def test_what_states_no_usage_is_counted(colour: Any, accel: Accel, how: str) -> None:
    """Text stands in for usage, and teaches nothing."""
    limits = limiter()
    pieces = ["word " * 800] * 3
    model = accelerate(Converse(usage=None, pieces=pieces), accel, limiter=limits)
    getattr(colour, how)(model, "one")
    assert 2_900 <= taken(limits) <= 3_200
    assert limits._calls._estimate.expected_output_tokens("") == 0


@pytest.mark.parametrize("tells_first", [True, False])
@pytest.mark.parametrize("broken", [True, False])
def test_a_stream_that_ends_early_is_counted(
    colour: Any, accel: Accel, runner: asyncio.Runner, broken: bool, tells_first: bool
) -> None:
    """Closed by its reader or broken off, a stream takes what it streamed; it is sent once."""
    limits = limiter()
    pieces = ["word " * 800, THROTTLED if broken else "word " * 8_000]
    own = Retrying(pieces=pieces, tells_first=tells_first, usage=(10, 1), max_tokens=30_000)
    model = accelerate(own, accel, limiter=limits)
    if broken:
        with pytest.raises(ClientError):
            colour.stream(model, "one")
    else:
        colour.take(model, "one", 1)
        runner.run(asyncio.sleep(0.01))
    assert len(model.asked) == 1
    assert 950 <= taken(limits) <= 1_200


def test_a_stream_that_nobody_closes_holds_nothing(accel: Accel) -> None:
    """A stream that was begun and dropped has ended when it is collected."""
    limits = limiter()
    stream = accelerate(Converse(), accel, limiter=limits).stream("one")
    next(stream)
    assert limits.state().under_way == 1
    del stream
    gc.collect()
    assert limits.state().under_way == 0


class Waiting(Converse):
    """A model that thinks until it is cancelled."""

    async def _agenerate(self, *args: Any, **_: Any) -> Any:
        self.asked.append(None)
        await asyncio.Event().wait()

    async def _astream(self, *args: Any, **_: Any) -> Any:
        self.asked.append(None)
        await asyncio.Event().wait()
        yield ChatGenerationChunk(message=AIMessageChunk("never"))


@hows
async def test_a_cancelled_task_holds_nothing(accel: Accel, how: str) -> None:
    """A task that is cancelled while the model thinks, or while it waits, leaves nothing behind."""
    limits = limiter(concurrent_requests=1)
    model = accelerate(Waiting(), accel, limiter=limits)

    async def ask(text: str) -> None:
        if how == "invoke":
            await model.ainvoke(text)
        async for _ in model.astream(text):
            pass

    first, second = asyncio.create_task(ask("one")), asyncio.create_task(ask("two"))
    while not (model.asked and limits.state().waiting):
        await asyncio.sleep(0)
    for task in (second, first):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert limits.state().under_way == limits.state().waiting == 0
    assert len(model.asked) == 1


async def test_waiting_streams_leave_the_loops_pool_free(accel: Accel) -> None:
    """A model without async methods waits for room as a task: one in progress can always end."""
    limits = limiter(concurrent_requests=1, max_wait_s=400)
    model = accelerate(Converse(), accel, limiter=limits)

    async def read(text: str) -> int:
        return len([chunk async for chunk in model.astream(text)])

    counts = await asyncio.gather(*(read(f"Question {number}?") for number in range(64)))
    assert all(counts)
    assert len(model.asked) == 64
    assert limits.state().under_way == 0


def test_copies_stay_limited_and_the_users_own_is_not(
    accel: Accel, make_accel: Callable[..., Accel]
) -> None:
    """The limit goes where LangChain copies the model, and to the next `Accel`."""
    limits = limiter(max_wait_s=0, requests_per_minute=2)
    user = Converse()
    model = accelerate(user, accel, limiter=limits)
    model.bind(stop=["x"]).invoke("one")
    accelerate(model.model_copy(), make_accel()).invoke("two")
    with pytest.raises(LimitExceededError):
        model.invoke("three")
    user.invoke("four")
    assert user.rate_limiter is None


def test_limiting_again_replaces_the_limiter(accel: Accel) -> None:
    """A second limiter takes the first one's place."""
    first, second = limiter(**ONE), limiter()
    model = accelerate(accelerate(Converse(), accel, limiter=first), accel, limiter=second)
    model.invoke("one")
    model.invoke("two")
    assert sum(one.kept for one in first.state().attained.values()) == 0
    assert sum(one.kept for one in second.state().attained.values()) == 2


def test_files_count_as_files(accel: Accel) -> None:
    """A picture in a message is not as many tokens as its bytes would be."""
    picture = {"type": "image", "base64": "iVBORw0KGgo" * 100_000, "mime_type": "image/png"}
    message = HumanMessage([{"type": "text", "text": "What is it?"}, picture])
    accelerate(Converse(), accel, limiter=limiter()).invoke([message])
