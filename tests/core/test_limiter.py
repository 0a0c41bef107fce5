"""The public limiter: its settings, and clients of httpx in front of a provider that refuses."""

from __future__ import annotations

import asyncio
import gc
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import openai as sdk
import pytest
import trio

from accel_core import Accel, Limiter
from accel_core.errors import (
    ConfigError,
    LimitExceededError,
    RequestTooLargeError,
    UnsupportedError,
)
from accel_core.testing.doubles import ManualClock
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer
from accel_core.testing.provider import SimulatedProvider
from accel_core.testing.provider_answers import ProviderAnswers
from accel_core.testing.provider_rules import faster, openai
from accel_core.testing.replies import Reply
from tests.limited import LIMIT, quick_answers, quick_rules
from tests.shared_levels import RemoteLevels, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE, SMALL = 590_000, 4_000


@pytest.fixture
def answers() -> ProviderAnswers:
    return quick_answers(LIMIT)


@pytest.fixture
def server(answers: ProviderAnswers) -> Iterator[ModelServer]:
    with ModelServer(answers) as server:
        yield server


ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def asked(server: ModelServer, limiter: Limiter | None, colour: str, sizes: list[int]) -> int:
    """Ask an SDK that retries nothing, the first alone, and return how many answers came."""
    keys: dict[str, Any] = {"base_url": server.url, "api_key": "any", "max_retries": 0}

    async def ask_all() -> int:
        async with httpx.AsyncClient() as http:
            used = http if limiter is None else limiter.limited(http)
            create: Any = sdk.AsyncOpenAI(http_client=used, **keys).chat.completions.create
            first = await create(**ASK, max_tokens=sizes[0])
            others = await asyncio.gather(*(create(**ASK, max_tokens=n) for n in sizes[1:]))
        return len([first, *others])

    if colour == "async":
        return asyncio.run(ask_all())
    with httpx.Client() as http:
        used = http if limiter is None else limiter.limited(http)
        create: Any = sdk.OpenAI(http_client=used, **keys).chat.completions.create
        return len([create(**ASK, max_tokens=size) for size in sizes])


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("known", [{"tokens_per_minute": LIMIT}, {}])
def test_no_refusal_reaches_the_caller(
    server: ModelServer, answers: ProviderAnswers, colour: str, known: Any
) -> None:
    """Limits that are stated, or learned from the first response, are waited for."""
    limiter = Limiter("openai", **known)
    assert asked(server, limiter, colour, [LARGE, SMALL, SMALL, SMALL]) == 4
    assert not answers.refused
    assert server.call_count == 4
    state = limiter.state()
    assert state.under_way == state.waiting == 0
    assert state.attained["best_effort"].kept == 4


def test_refusals_inside_streams_do_not_reach_the_caller_either() -> None:
    """A 200 whose stream begins with a rate limit is waited for like a 429."""
    rules = replace(quick_rules(LIMIT), refuses_in_stream=True, limits={"tokens": LIMIT})
    # Nothing is refilled before both were refused, however long that takes.
    passed = lambda: 60.0 if len(answers.refused) == 2 else 0.0  # noqa: E731
    answers = ProviderAnswers(SimulatedProvider(rules, seed=1), mono_now=passed)
    with ModelServer(answers) as server, httpx.Client() as http:
        keys: dict[str, Any] = {"base_url": server.url, "api_key": "any", "max_retries": 0}
        plain: Any = sdk.OpenAI(http_client=http, **keys).chat.completions.create
        made: Any = sdk.OpenAI(http_client=Limiter().limited(http), **keys)
        list(plain(**ASK, max_tokens=LARGE, stream=True))
        with pytest.raises(sdk.APIError, match="Rate limit"):
            list(plain(**ASK, max_tokens=LARGE // 50, stream=True))
        said = list(made.chat.completions.create(**ASK, max_tokens=LARGE // 50, stream=True))
        assert said[-1].choices[0].finish_reason == "stop"
        assert len(answers.refused) == 2


def test_a_stream_cut_by_an_overload_is_the_callers_and_settles() -> None:
    """What had come stays, the SDK raises the event, and nothing is held."""
    rules = replace(openai(), latency=faster(openai(), 100).latency, cut_share=1.0)
    with ModelServer(ProviderAnswers(SimulatedProvider(rules, seed=1))) as server:
        with httpx.Client() as http:
            limiter = Limiter()
            keys: dict[str, Any] = {"base_url": server.url, "api_key": "any", "max_retries": 0}
            made: Any = sdk.OpenAI(http_client=limiter.limited(http), **keys)
            stream = iter(made.chat.completions.create(**ASK, stream=True))
            assert next(stream).choices[0].delta.content == ""
            assert next(stream).choices[0].delta.content
            with pytest.raises(sdk.APIError, match="overloaded"):
                list(stream)
        assert server.call_count == 1
        assert limiter.state().under_way == 0


def test_without_it_the_provider_refuses() -> None:
    """The same calls are refused when nobody waits."""
    still = ProviderAnswers(SimulatedProvider(openai(tokens=LIMIT), seed=1), mono_now=lambda: 0.0)
    with ModelServer(still) as server, pytest.raises(sdk.RateLimitError):
        asked(server, None, "sync", [LARGE, SMALL, SMALL, SMALL])


def test_what_can_never_fit_is_refused_here(server: ModelServer) -> None:
    """A call larger than a stated limit is an error at once, which the SDK wraps in its own."""
    with pytest.raises(sdk.APIConnectionError) as error:
        asked(server, Limiter(tokens_per_minute=100), "sync", [SMALL])
    assert isinstance(error.value.__cause__, RequestTooLargeError)
    assert server.call_count == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"provider": "nobody"},
        {"tokens_per_minute": 0},
        {"tokens_per_minute": -1},
        {"max_wait_s": -1},
        {"max_wait_s": float("nan")},
        {"tiers": {"gold": 0}},
    ],
)
def test_bad_settings_are_refused(settings: Any) -> None:
    """A limiter that could never let anything through is not made."""
    with pytest.raises(ConfigError, match=r"limits\."):
        Limiter(**settings)


def test_tiers_are_those_there_are() -> None:
    """A tier is set for a block; an unknown one is an error where it is set."""
    limiter = Limiter(tiers={"fast": 1.0})
    with limiter.tier("fast"), limiter.tier("best_effort"):
        pass
    with pytest.raises(ConfigError, match="gold"), limiter.tier("gold"):
        pass


def test_deadlines_are_those_of_tiers_there_are() -> None:
    """A deadline for nobody is a mistake."""
    Limiter(tiers={"fast": 1.0}, deadlines_s={"fast": 2.0, "best_effort": None})
    with pytest.raises(ConfigError, match="gold"):
        Limiter(tiers={"fast": 1.0}, deadlines_s={"gold": 2.0})
    with pytest.raises(ConfigError, match=r"limits\.deadlines\.gold"):
        Limiter(deadlines_s={"gold": 0.0})


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_each_tier_has_a_deadline_of_its_own(colour: str) -> None:
    """A call that one tier gives up, as by the SDK's own timeout, is answered in another."""
    limiter = Limiter(deadlines_s={"bronze": 0.05, "gold": 5.0})
    answer = Reply(content="a b c d", chunk_s=0.05)
    with ModelServer(lambda _: answer) as server:
        with limiter.tier("bronze"), pytest.raises(sdk.APITimeoutError):
            asked(server, limiter, colour, [SMALL])
        with limiter.tier("gold"):
            assert asked(server, limiter, colour, [SMALL]) == 1
    assert limiter.state().under_way == 0


def test_tiers_reach_the_queue(server: ModelServer) -> None:
    """A call is counted for the tier it was made in."""
    limiter = Limiter()
    with limiter.tier("gold"):
        asked(server, limiter, "sync", [SMALL])
    attained = limiter.state().attained
    assert (attained["gold"].kept + attained["gold"].late, attained["best_effort"].kept) == (1, 0)


def test_only_clients_of_httpx_are_limited() -> None:
    """Anything else is refused by name."""
    with pytest.raises(UnsupportedError, match="object"):
        Limiter().limited(object())


@pytest.mark.parametrize("known", [{}, {"concurrent_requests": 1}])
def test_trio_is_refused_by_name_at_the_first_call(server: ModelServer, known: Any) -> None:
    """A loop that nothing could be waited on is told at once, not when something has to wait."""
    limiter = Limiter(**known)

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=server.url) as http:
            made = limiter.limited(http)
            assert (await made.get("models")).status_code == 200
            with pytest.raises(UnsupportedError, match="trio"):
                await made.post("chat/completions", json=ASK)
            assert (await http.post("chat/completions", json=ASK)).status_code == 200

    trio.run(ask)
    assert limiter.state().under_way == 0


def accel(limits: Any) -> Accel:
    return Accel.from_mapping({"limits": limits}, encoder=HashEncoder())


def test_a_configuration_makes_the_limiter() -> None:
    """`limits` with a provider makes one; without, there is none."""
    assert accel({}).limiter is None
    limits = {"provider": "groq", "tokens_per_minute": 60_000, "tiers": {"gold_s": "3s"}}
    made = accel({**limits, "tiers": {"gold_deadline_s": "1m"}}).limiter
    assert made is not None
    assert made._calls.limiter.deadline_s("gold") == 60.0
    assert made._calls.limiter.deadline_s("best_effort") == float("inf")
    assert made.state().waiting == 0


@pytest.mark.parametrize(
    ("limits", "place"),
    [
        ({"provider": "nobody"}, r"limits\.provider"),
        ({"tokens_per_minute": 1}, r"limits\.provider"),
        ({"provider": "openai", "tokens_per_minute": 0}, r"limits\.tokens_per_minute"),
        ({"provider": "openai", "tiers": {"gold_s": 0}}, r"limits\.tiers\.gold_s"),
        (
            {"provider": "openai", "tiers": {"gold_deadline_s": 0}},
            r"limits\.tiers\.gold_deadline_s",
        ),
        ({"provider": "openai", "retry": {"max_attempts": 0}}, r"limits\.retry\.max_attempts"),
        ({"provider": "openai", "retry": {"cap_s": 0.1}}, r"limits\.retry\.cap_s"),
        ({"provider": "openai", "max_wait_s": -1}, r"limits\.max_wait_s"),
    ],
)
def test_bad_sections_name_their_place(limits: Any, place: str) -> None:
    """A wrong setting is named by where it stands."""
    with pytest.raises(ConfigError, match=place):
        accel(limits)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_a_forked_child_starts_anew(server: ModelServer) -> None:
    """What the parent holds counts only there, also where the child closes its copy of it."""
    limiter = Limiter(concurrent_requests=1)
    with httpx.Client() as http:
        made = limiter.limited(http)
        with made.stream("POST", f"{server.url}/chat/completions", json={**ASK, "stream": True}):
            child = os.fork()
            if child == 0:
                before = limiter.state().under_way
                del made, http
                gc.collect()
                os._exit(0 if before == limiter.state().under_way == 0 else 1)
            assert os.waitpid(child, 0)[1] == 0
            assert limiter.state().under_way == 1
    assert limiter.state().under_way == 0


def test_a_broken_off_response_does_not_count_in_a_child(server: ModelServer) -> None:
    """A body of before a fork ends nothing after it."""
    limiter = Limiter(concurrent_requests=1)
    with httpx.Client() as http:
        made = limiter.limited(http)
        url = f"{server.url}/chat/completions"
        with made.stream("POST", url, json={**ASK, "stream": True}):
            limiter.after_fork()
        assert limiter.state().under_way == 0


def test_a_server_of_ones_own_finds_how_many_it_takes_and_others_do_so_on_request() -> None:
    assert Limiter("vllm").state().slots == 8
    assert Limiter("vllm", concurrent_requests=4).state().slots == 4
    assert Limiter("openai").state().slots is None
    assert Limiter("openai", adaptive_concurrency=True).state().slots == 8
    assert Limiter("vllm", adaptive_concurrency=False).state().slots is None


def test_clocks_and_a_store_are_given_to_it() -> None:
    """Two limiters that share a store share a limit, by the clock they were given."""
    clock = ManualClock()
    server = Server(lambda: clock.now_s)

    def asks(tokens: int) -> None:
        limiter = Limiter(
            tokens_per_minute=6_000,
            max_wait_s=0.0,
            store=RemoteLevels(server),
            clocks=clock.clocks(),
        )
        with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as http:
            limiter.limited(http).post(
                "http://model.test/v1/chat/completions", json={**ASK, "max_tokens": tokens}
            )

    asks(5_500)
    with pytest.raises(LimitExceededError):
        asks(5_000)
    clock.advance(60.0)
    asks(5_000)


def test_how_long_a_call_would_wait_can_be_asked_without_taking_anything() -> None:
    limiter = Limiter("openai", tokens_per_minute=6_000)
    assert limiter.eta_s(5_000, 1_000) == 0.0
    assert limiter.eta_s(5_000, 1_000) == 0.0
    assert limiter.eta_s(12_000, 0) == float("inf")
