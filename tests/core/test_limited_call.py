"""One call within limits, over senders made by hand: what ends leases, what is sent again."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo, is_mine
from accel_core.errors import LimitExceededError, RequestTooLargeError
from accel_core.limited_call import LimitedCalls, Retries
from accel_core.policy.limits.account import Limits
from accel_core.policy.limits.charge import Demand
from accel_core.policy.limits.provider_profile import PROFILES
from accel_core.policy.limits.retry import RetryPolicy
from accel_core.policy.limits.tiers import BEST_EFFORT, Tiers
from accel_core.policy.limits.token_estimate import TokenEstimate
from accel_core.token_limiter import TokenLimiter
from accel_core.transport.httpx_transport import limited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

URL = "http://model.test/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
SAID = {"usage": {"prompt_tokens": 40, "completion_tokens": 7}}
LIMITED = {"error": {"code": "rate_limit_exceeded", "message": "Rate limit reached"}}
OVERSIZE = {
    "error": {
        "code": "rate_limit_exceeded",
        "message": "Request too large for m on tokens per min (TPM): Limit 5, Requested 60.",
    }
}
EVENTS = [b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'] * 3

Answer = httpx.Response | Exception


def calls(
    *,
    limits: Limits | None = None,
    retries: Retries | None = None,
    mono_now: Callable[[], float] = lambda: 0.0,
    max_wait_s: float = 0.01,
    deadline_s: float | None = None,
) -> LimitedCalls:
    colours = (BlockingIo(), AsyncIo())
    return LimitedCalls(
        TokenLimiter(
            limits or Limits(tokens_per_minute=6_000),
            PROFILES["vllm"],
            max_wait_s=max_wait_s,
            tiers=Tiers(deadlines_s={BEST_EFFORT: deadline_s}),
            colours=colours,
            emit=lambda _: None,
            mono_now=mono_now,
            lock=threading.RLock,
        ),
        retries or Retries(),
        estimate=TokenEstimate(),
        tier=lambda: BEST_EFFORT,
        colours=colours,
        wall_now=lambda: 1_800_000_000.0,
        mono_now=mono_now,
        chance=lambda: 0.0,
        lock=threading.RLock,
        is_mine=is_mine,
    )


class Provider:
    """Answers what it is given, in order, and then the last again."""

    def __init__(self, *answers: Callable[[], Answer]) -> None:
        self._answers, self.asked = answers, 0

    def __call__(self, _: httpx.Request) -> httpx.Response:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]()
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def says(status: int, body: Any, **headers: str) -> Callable[[], Answer]:
    return lambda: httpx.Response(status, json=body, headers=headers)


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes], error: Exception | None = None) -> None:
        self._chunks, self._error = chunks, error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def streams(chunks: list[bytes], error: Exception | None = None) -> Callable[[], Answer]:
    headers = {"content-type": "text/event-stream"}
    return lambda: httpx.Response(200, headers=headers, stream=Chunks(chunks, error))


def client(made: LimitedCalls, provider: Provider) -> httpx.Client:
    whole: httpx.Client = limited(httpx.Client(transport=httpx.MockTransport(provider)), made)
    return whole


def post(made: LimitedCalls, provider: Provider, colour: str, ask: Any = ASK) -> httpx.Response:
    if colour == "sync":
        return client(made, provider).post(URL, json=ask)
    waiting = limited(httpx.AsyncClient(transport=httpx.MockTransport(provider)), made)
    return asyncio.run(waiting.post(URL, json=ask))  # type: ignore[no-any-return]


def idle(made: LimitedCalls) -> bool:
    state = made.limiter.state()
    return state.under_way == state.waiting == 0


colours = pytest.mark.parametrize("colour", ["sync", "async"])


@colours
def test_an_answer_settles(colour: str) -> None:
    """An answer comes back unchanged, holds nothing afterwards, and teaches the estimate."""
    made = calls()
    answer = post(made, Provider(says(200, SAID)), colour)
    assert answer.json() == SAID
    assert idle(made)
    assert made._estimate.expected_output_tokens("m") > 0


@colours
def test_refused_and_failed_calls_are_sent_again(colour: str) -> None:
    """A refusal, an overload and a lost connection do not reach the caller."""
    retries = Retries(policy=RetryPolicy(max_attempts=5))
    made = calls(mono_now=time.monotonic, max_wait_s=10.0, retries=retries)
    provider = Provider(
        lambda: httpx.ConnectError("refused"),
        says(429, LIMITED, **{"retry-after-ms": "20"}),
        says(503, {}),
        lambda: httpx.ReadError("lost"),
        says(200, SAID),
    )
    assert post(made, provider, colour).status_code == 200
    assert provider.asked == 5
    assert idle(made)
    assert made.limiter.state().attained[BEST_EFFORT].kept == 1


@colours
@pytest.mark.parametrize(("status", "body"), [(400, {}), (429, OVERSIZE), (503, {"error": "down"})])
def test_given_up_errors_are_the_providers_own(colour: str, status: int, body: Any) -> None:
    """Where attempts end, the caller reads the provider's last response."""
    made = calls(retries=Retries(policy=RetryPolicy(max_attempts=2)))
    provider = Provider(says(status, body))
    answer = post(made, provider, colour)
    assert (answer.status_code, answer.json()) == (status, body)
    assert provider.asked == (2 if status == 503 else 1)
    assert idle(made)


@colours
def test_a_limit_that_was_named_refuses_at_once(colour: str) -> None:
    """What the provider calls too large is not sent a second time."""
    made, provider = calls(), Provider(says(429, OVERSIZE))
    post(made, provider, colour)
    with pytest.raises(RequestTooLargeError):
        post(made, provider, colour)
    assert provider.asked == 1


@colours
def test_retries_are_paid_from_a_budget(colour: str) -> None:
    """Without budget a failing service is asked once for each call."""
    made = calls(retries=Retries(share=0.0, allowance=0.0))
    provider = Provider(lambda: httpx.ConnectError("refused"))
    with pytest.raises(httpx.ConnectError):
        post(made, provider, colour)
    assert provider.asked == 1
    assert idle(made)


@colours
def test_what_cannot_be_in_time_is_not_sent(colour: str) -> None:
    """A call without room in time, or that never fits, is the caller's at once."""
    made, provider = calls(), Provider(says(200, SAID))
    with pytest.raises(RequestTooLargeError):
        post(made, provider, colour, {**ASK, "messages": "hello " * 10_000})
    late = calls(limits=Limits(requests_per_minute=1))
    post(late, provider, colour)
    with pytest.raises(LimitExceededError):
        post(late, provider, colour)
    never = calls(limits=Limits(input_tokens_per_minute=2))
    with pytest.raises(RequestTooLargeError):
        post(never, provider, colour)
    assert provider.asked == 1


def test_a_stream_passes_and_is_counted() -> None:
    """A stream's bytes are the provider's; what it states is learned."""
    last = b"data: " + json.dumps({"choices": [], **SAID}).encode() + b"\n\ndata: [DONE]\n\n"
    made = calls()
    with client(made, Provider(streams([*EVENTS, last]))).stream("POST", URL, json=ASK) as answer:
        assert not idle(made)
        assert b"".join(answer.iter_raw()) == b"".join([*EVENTS, last])
        assert idle(made)
    assert made._estimate.expected_output_tokens("m") > 0


@pytest.mark.parametrize("error", [None, httpx.ReadError("lost")])
def test_a_broken_stream_holds_nothing_and_teaches_nothing(error: Exception | None) -> None:
    """Closed early or broken off, a stream is settled by its events."""
    made = calls()
    whole = client(made, Provider(streams(EVENTS, error)))
    with whole.stream("POST", URL, json=ASK) as answer:
        chunks = answer.iter_raw()
        if error is None:
            next(chunks)
        else:
            with pytest.raises(httpx.ReadError):
                list(chunks)
    assert idle(made)
    assert made._estimate.expected_output_tokens("m") == 0


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


AGAIN = {"error": {**LIMITED["error"], "message": "Rate limit reached. Try again in 20ms."}}
CRASHED = {"error": {"type": "server_error", "message": "oh", "code": None}}
CONTENT = {"choices": [{"delta": {"content": "a"}}]}


@colours
@pytest.mark.parametrize("error", [AGAIN, CRASHED])
def test_a_stream_that_begins_with_an_error_is_sent_again(colour: str, error: Any) -> None:
    """Nobody has got anything of it: it was refused, like a response that says so."""
    made = calls(mono_now=time.monotonic, max_wait_s=10.0)
    provider = Provider(streams([b": wait\n\n", event(error)]), streams(EVENTS))
    answer = post(made, provider, colour)
    assert answer.content == b"".join(EVENTS)
    assert provider.asked == 2
    assert idle(made)
    assert made.limiter.state().attained[BEST_EFFORT].kept == 1


@colours
@pytest.mark.parametrize("body", [{"error": {"code": "insufficient_quota"}}, CRASHED])
def test_a_stream_of_an_error_that_is_given_up_is_the_callers(colour: str, body: Any) -> None:
    """Where attempts end, the caller reads the error event."""
    made = calls(retries=Retries(policy=RetryPolicy(max_attempts=2)))
    answer = post(made, Provider(streams([event(body), b"never read"])), colour)
    assert answer.content == event(body)
    assert idle(made)


@colours
def test_a_stream_that_breaks_before_its_first_event_is_sent_again(colour: str) -> None:
    """Nobody has got anything of it either."""
    lost = httpx.ReadError("lost")
    made, provider = calls(), Provider(streams([b": wait\n\n"], lost), streams(EVENTS))
    assert post(made, provider, colour).content == b"".join(EVENTS)
    assert provider.asked == 2
    assert idle(made)


@colours
def test_an_error_after_content_passes_and_holds_others_off(colour: str) -> None:
    """What came settles, the caller gets the error, and the next call waits as after a 429."""
    made = calls(limits=Limits(output_tokens_per_minute=6_000))
    message = "Rate limit reached. Try again in 5s."
    sent = [event(CONTENT)] * 3 + [event({"error": {**AGAIN["error"], "message": message}})]
    provider = Provider(streams(sent))
    assert post(made, provider, colour).content == b"".join(sent)
    assert provider.asked == 1
    assert idle(made)
    assert made._estimate.expected_output_tokens("m") == 0
    assert made.limiter.eta_s(Demand(1.0)) == pytest.approx(5.0)
    made.limiter._account.reservations.levels.closed_until_s = 0.0
    assert made.limiter.eta_s(Demand(1.0, 5_997.0, 5_997.0)) == 0.0
    assert made.limiter.eta_s(Demand(1.0, 5_998.0, 5_998.0)) > 0.0


@colours
def test_what_a_stream_stated_before_its_error_settles_and_teaches_nothing(colour: str) -> None:
    """An answer that broke off says nothing of how long answers are."""
    made = calls(limits=Limits(output_tokens_per_minute=6_000))
    post(made, Provider(streams([event({**CONTENT, **SAID}), event(CRASHED)])), colour)
    assert made._estimate.expected_output_tokens("m") == 0
    assert made.limiter.eta_s(Demand(1.0, 5_993.0, 5_993.0)) == 0.0
    assert made.limiter.eta_s(Demand(1.0, 5_994.0, 5_994.0)) > 0.0


@colours
def test_an_error_before_content_is_a_refusal(colour: str) -> None:
    """Where nothing was said and nothing counted, it teaches what a 429 does."""
    made = calls(limits=Limits(output_tokens_per_minute=6_000))
    begun = {"type": "response.created", "response": {"error": None}}
    failed = {"type": "response.failed", "response": {"error": AGAIN["error"]}}
    post(made, Provider(streams([event(begun), event(failed)])), colour)
    assert idle(made)
    assert made.limiter._account._slowed_to < 1.0


def test_nothing_is_held_back_after_the_first_event() -> None:
    """A stream is its caller's as soon as it has begun, and chunk by chunk."""
    taken: list[bytes] = []

    def slowly() -> Iterator[bytes]:
        for chunk in EVENTS:
            taken.append(chunk)
            yield chunk

    def answer(_: httpx.Request) -> httpx.Response:
        stream = Chunks([])
        stream._chunks = slowly()  # type: ignore[assignment]
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)

    whole = limited(httpx.Client(transport=httpx.MockTransport(answer)), calls())
    with whole.stream("POST", URL, json=ASK) as streamed:
        assert len(taken) == 1
        chunks = streamed.iter_raw()
        assert (next(chunks), len(taken)) == (EVENTS[0], 1)
        assert (next(chunks), len(taken)) == (EVENTS[1], 2)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def passes(self, seconds: float, answer: Callable[[], Answer]) -> Callable[[], Answer]:
        """Let an answer take so long."""

        def late() -> Answer:
            self.now_s += seconds
            return answer()

        return late


@colours
def test_a_deadline_bounds_the_wait(colour: str) -> None:
    """A call that would be let through only after its deadline is turned away."""
    limits = Limits(requests_per_minute=1)
    made = calls(limits=limits, max_wait_s=600.0, deadline_s=30.0)
    provider = Provider(says(200, SAID))
    post(made, provider, colour)
    with pytest.raises(LimitExceededError):
        post(made, provider, colour)
    assert (provider.asked, idle(made)) == (1, True)


@colours
@pytest.mark.parametrize(("takes_s", "attempts"), [(4.0, 3), (10.0, 1)])
def test_a_deadline_bounds_the_attempts(colour: str, takes_s: float, attempts: int) -> None:
    """Nothing is sent again when the time is up; the caller gets what there was."""
    clock = Clock()
    made = calls(mono_now=clock, deadline_s=10.0)
    provider = Provider(clock.passes(takes_s, says(503, {})))
    assert post(made, provider, colour).status_code == 503
    assert (provider.asked, idle(made)) == (attempts, True)


@colours
def test_a_deadline_bounds_every_operation(colour: str) -> None:
    """The client's own timeouts hold where they are shorter, and become shorter with time."""
    clock, seen = Clock(), []
    made = calls(mono_now=clock, deadline_s=10.0)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        clock.now_s += 4.0
        return httpx.Response(503)

    own = httpx.Timeout(5.0, read=60.0, pool=None)
    transport = httpx.MockTransport(answer)
    if colour == "sync":
        limited(httpx.Client(transport=transport), made).post(URL, json=ASK, timeout=own)
    else:
        waiting = limited(httpx.AsyncClient(transport=transport), made)
        asyncio.run(waiting.post(URL, json=ASK, timeout=own))
    assert seen == [
        {"connect": min(5.0, left), "read": left, "write": min(5.0, left), "pool": left}
        for left in (10.0, 6.0, 2.0)
    ]


def test_without_a_deadline_timeouts_are_the_clients() -> None:
    """What nobody bounds is as it was."""
    seen: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, json=SAID)

    limited(httpx.Client(transport=httpx.MockTransport(answer)), calls()).post(URL, json=ASK)
    assert seen == [httpx.Timeout(5.0).as_dict()]


@colours
def test_a_deadline_ends_an_answer_that_goes_on(colour: str) -> None:
    """A stream that is still coming breaks off, and settles with what came."""
    clock = Clock()
    made = calls(mono_now=clock, deadline_s=10.0, limits=Limits(output_tokens_per_minute=6_000))

    class Slow(Chunks):
        def __iter__(self) -> Iterator[bytes]:
            for chunk in super().__iter__():
                clock.now_s += 4.0
                yield chunk

    headers = {"content-type": "text/event-stream"}
    provider = Provider(lambda: httpx.Response(200, headers=headers, stream=Slow(EVENTS * 2)))
    with pytest.raises(httpx.ReadTimeout, match="deadline"):
        post(made, provider, colour)
    assert (provider.asked, idle(made)) == (1, True)
    assert made.limiter.eta_s(Demand(1.0, 5_997.0, 5_997.0)) == 0.0


@colours
@pytest.mark.parametrize(("deadline_s", "overloads"), [(None, 1), (10.0, 0)])
def test_a_deadline_of_ones_own_is_no_overload(
    colour: str, deadline_s: float | None, overloads: int
) -> None:
    """A service that was given too little time is not taken for one that is too slow."""
    clock = Clock()
    policy = Retries(policy=RetryPolicy(max_attempts=1))
    made = calls(mono_now=clock, deadline_s=deadline_s, retries=policy)
    noted: list[bool] = []
    failed = made.limiter.failed

    def note(lease: Any, shown: Any, *, overloaded: bool) -> None:
        noted.append(overloaded)
        failed(lease, shown, overloaded=overloaded)

    made.limiter.failed = note  # type: ignore[method-assign]
    with pytest.raises(httpx.ReadTimeout):
        post(made, Provider(clock.passes(11.0, lambda: httpx.ReadTimeout("late"))), colour)
    assert (sum(noted), idle(made)) == (overloads, True)


def opened(made: LimitedCalls) -> httpx.Response:
    whole = client(made, Provider(streams(EVENTS)))
    answer = whole.send(whole.build_request("POST", URL, json=ASK), stream=True)
    assert not idle(made)
    return answer


def test_a_dropped_response_is_ended() -> None:
    """A response that became garbage unread holds nothing any more."""
    made = calls()
    answer = opened(made)
    del answer
    gc.collect()
    assert idle(made)


@pytest.mark.parametrize("held", ["estimates", "limiter"])
def test_garbage_collected_under_a_lock_is_ended_later(held: str) -> None:
    """What is collected while its own thread holds a lock is ended by the next call, not stuck."""
    made = calls()
    answer = opened(made)
    with made.limiter.lock if held == "limiter" else made._lock:
        answer.close()
        del answer
        gc.collect()
    assert not idle(made)
    client(made, Provider(says(200, SAID))).post(URL, json=ASK)
    assert idle(made)


@pytest.mark.parametrize("where", ["sending", "beginning", "reading", "pausing", "waiting"])
async def test_cancelled_calls_hold_nothing(where: str) -> None:
    """Wherever a task is cancelled, nothing stays held."""
    there, forever = asyncio.Event(), asyncio.Event()

    class Slow(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            there.set()
            await forever.wait()
            yield b""

    async def answer(_: httpx.Request) -> httpx.Response:
        if where == "sending":
            there.set()
            await forever.wait()
        if where == "pausing":
            there.set()
            return httpx.Response(503, headers={"retry-after": "60"})
        streamed = {"content-type": "text/event-stream"} if where == "beginning" else {}
        return httpx.Response(200, headers=streamed, stream=Slow())

    limits = Limits(concurrent_requests=1) if where == "waiting" else None
    made = calls(limits=limits, max_wait_s=600.0)
    whole = limited(httpx.AsyncClient(transport=httpx.MockTransport(answer)), made)
    tasks = [asyncio.create_task(whole.post(URL, json=ASK))]
    await there.wait()
    if where == "waiting":
        tasks.append(asyncio.create_task(whole.post(URL, json=ASK)))
        while not made.limiter.state().waiting:
            await asyncio.sleep(0)
    for task in reversed(tasks):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert idle(made)


async def test_blocking_code_on_a_loop_has_one_attempt() -> None:
    """A sync client on a running loop neither waits nor hammers."""
    made, provider = calls(), Provider(says(429, LIMITED, **{"retry-after": "30"}))
    assert client(made, provider).post(URL, json=ASK).status_code == 429
    assert provider.asked == 1
    assert idle(made)


def test_what_asks_no_model_passes() -> None:
    """Other requests are not limited and not changed."""
    made = calls(limits=Limits(requests_per_minute=1))
    whole = client(made, Provider(says(200, {})))
    for _ in range(3):
        whole.get(URL)
        whole.post(URL, json={"no": "model"})
        whole.post(URL, json=[1])
        whole.post(URL, content=b"{", headers={"content-type": "application/json"})
        whole.post(URL, files={"file": b"model"})
    assert "identity" not in whole.get(URL).request.headers["accept-encoding"]


def test_closing_the_copy_closes_nothing_of_the_clients() -> None:
    """The client it was made from goes on working, and keeps its own transport."""
    provider = Provider(says(200, SAID))
    own = httpx.Client(transport=httpx.MockTransport(provider), headers={"x-own": "1"})
    before = own._transport
    made = limited(own, calls())
    assert made.post(URL, json=ASK).request.headers["x-own"] == "1"
    made.close()
    assert own._transport is before
    assert own.post(URL, json=ASK).status_code == 200


def test_encoded_answers_pass_and_are_charged_as_reserved() -> None:
    """A server that encodes all the same is passed on; nothing is learned."""
    import gzip

    made = calls()
    raw = gzip.compress(json.dumps(SAID).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    provider = Provider(lambda: httpx.Response(200, headers=headers, stream=Chunks([raw])))
    assert client(made, provider).post(URL, json=ASK).json() == SAID
    assert idle(made)
    assert made._estimate.expected_output_tokens("m") == 0
    refused = Provider(
        lambda: httpx.Response(
            400, headers=headers, stream=Chunks([gzip.compress(b'{"error": "no"}')])
        )
    )
    assert client(made, refused).post(URL, json=ASK).json() == {"error": "no"}
