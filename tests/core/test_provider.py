"""The simulated provider: the arithmetic of public logs, what is conserved, what clients read."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core.testing.provider import Admitted, Refused, SimulatedProvider
from accel_core.testing.provider_dialects import spell_duration
from accel_core.testing.provider_latency import SELF_HOSTED, Batch
from accel_core.testing.provider_layers import Bucket, Layer, Window
from accel_core.testing.provider_rules import (
    Ask,
    Hidden,
    Neighbour,
    Outage,
    ProviderRules,
    anthropic,
    azure,
    bedrock,
    faster,
    groq,
    openai,
    self_hosted,
)

EXACT = {"count_sigma": 0.0}


def provider(rules: ProviderRules, **changes: Any) -> SimulatedProvider:
    return SimulatedProvider(replace(rules, **{**EXACT, **changes}), seed=1)


def admitted(found: Admitted | Refused) -> Admitted:
    assert isinstance(found, Admitted), found
    return found


def refused(found: Admitted | Refused) -> Refused:
    assert isinstance(found, Refused)
    return found


def ask(tokens: int, output: int = 0) -> Ask:
    return Ask(prompt_tokens=tokens, output_tokens=output, max_tokens=output)


@pytest.mark.parametrize(
    ("limit", "used", "requested", "said_s"),
    [
        (30_000, 14_567, 24_754, 18.642),
        (5_000, 5_747, 4_251, 59.977),
        (9_000, 0, 16_008, 46.72),
    ],
    ids=["semanser/codel#72", "crewAIInc/crewAI#494", "BerriAI/litellm#3274"],
)
def test_waits_of_public_logs(limit: float, used: float, requested: float, said_s: float) -> None:
    """A bucket of a minute says the wait that the real services said, in debt and beyond it."""
    bucket = Bucket(limit / 60, 60)
    bucket.take(used, 0.0)
    assert bucket.wait_s(requested, 0.0) == pytest.approx(said_s, abs=0.002)


@pytest.mark.parametrize(
    ("limit", "remaining", "said"), [(20_000, 15_482, "13.554s"), (5_000, 4_999, "12ms")]
)
def test_resets_of_public_logs(limit: float, remaining: float, said: str) -> None:
    """The reset in a header is what is used ÷ the rate (openai-realtime-console#42)."""
    bucket = Bucket(limit / 60, 60)
    bucket.take(limit - remaining, 0.0)
    assert spell_duration(bucket.reset_s(0.0)) == said


def test_refusal_as_logged() -> None:
    """The 429 of a public log comes out to the letter, with headers that agree."""
    one = provider(openai(tokens=30_000))
    admitted(one.admit(ask(14_567), 0.0))
    no = refused(one.admit(ask(24_754), 0.0))
    assert (no.status, no.reason) == (429, "limit")
    assert (
        "on tokens per min (TPM): Limit 30000, Used 14567, Requested 24754."
        " Please try again in 18.642s." in no.body["error"]["message"]
    )
    assert no.body["error"]["code"] == "rate_limit_exceeded"
    assert no.headers["x-ratelimit-limit-tokens"] == "30000"
    assert no.headers["x-ratelimit-remaining-tokens"] == "15433"
    assert no.headers["x-ratelimit-reset-tokens"] == "29.134s"
    assert no.headers["retry-after"] == "19"
    assert no.headers["retry-after-ms"] == "18642"
    assert admitted(one.admit(ask(24_754), 18.642)).number == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0ms"), (0.0121, "12ms"), (1, "1s"), (90.5, "1m30.5s"), (360, "6m0s"), (3_600, "1h0m0s")],
)
def test_durations(seconds: float, said: str) -> None:
    """Durations are spelt as the service spells them."""
    assert spell_duration(seconds) == said


@pytest.mark.parametrize("shape", ["bucket", "window"])
@given(steps=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 400)), min_size=1, max_size=60))
@settings(max_examples=60)
def test_never_more_than_capacity_and_refill(shape: str, steps: list[tuple[float, int]]) -> None:
    """Over any window, what is admitted and kept is within capacity and what refills bring."""
    one = provider(openai(tokens=600), shape=shape)
    taken: list[tuple[float, float]] = []
    now = 0.0
    for gap_s, tokens in steps:
        now += gap_s
        if isinstance(one.admit(ask(tokens), now), Admitted):
            taken.append((now, tokens))
    for begin, _ in taken:
        total = 0.0
        for at, amount in taken:
            if at >= begin:
                total += amount
                bound = 600 + 10 * (at - begin) + (600 if shape == "window" else 0)
                assert total <= bound + 1e-6


@given(
    steps=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 90), st.integers(0, 90)), max_size=40)
)
@settings(max_examples=60)
def test_settling_conserves(steps: list[tuple[float, int, int]]) -> None:
    """Where the charge is corrected, exactly what was used stays charged."""
    one = provider(bedrock(tokens=6_000))
    used: float = 0
    now = 0.0
    for gap_s, prompt, output in steps:
        now += gap_s
        call = one.admit(Ask(prompt_tokens=prompt, output_tokens=output, max_tokens=100), now)
        if isinstance(call, Admitted):
            ended = one.finish(call, now + call.course.end_s)
            used += ended.prompt_tokens + ended.output_tokens
            now += call.course.end_s
    assert one.charged_in_all["tokens"] == pytest.approx(used)
    assert one.in_flight == 0
    assert one.room("tokens", now + 60) == 6_000


def run(rules: ProviderRules, seed: int) -> list[str]:
    one, dice = SimulatedProvider(rules, seed=seed), Random(seed)
    now, told = 0.0, []
    for _ in range(300):
        now += dice.expovariate(4)
        verdict = one.admit(ask(dice.randrange(50, 900), dice.randrange(300)), now)
        told.append(json.dumps([verdict.headers, getattr(verdict, "body", None)]))
        if isinstance(verdict, Admitted):
            told.append(repr(one.finish(verdict, now + dice.random() * 3)))
    return told


def test_same_seed_same_course() -> None:
    """The same calls at the same moments end the same; another seed throws otherwise."""
    rules = replace(
        openai(tokens=30_000),
        hidden=Hidden(shape="window"),
        neighbour=Neighbour(share=0.3, present_s=20),
        error_share=0.1,
    )
    assert run(rules, 1) == run(rules, 1) != run(rules, 2)


@pytest.mark.parametrize(
    ("layer", "wait_s"),
    [(Bucket(1_000, 1), 1.7), (Window(1_000, 1), 2.0)],
    ids=["bucket", "window"],
)
def test_debt(layer: Layer, wait_s: float) -> None:
    """What was taken beyond the capacity is paid before the next second's worth fits."""
    layer.take(1_700, 0.0)
    assert layer.room(0.0) == -700
    assert layer.wait_s(1_000, 0.0) == pytest.approx(wait_s)
    assert layer.wait_s(1_000, wait_s) == 0


@pytest.mark.parametrize("shape", ["bucket", "window"])
def test_hidden_layer(shape: Any) -> None:
    """A hidden second refuses while headers show room, but lets through what is larger, alone."""
    one = provider(openai(), hidden=Hidden(shape=shape))
    admitted(one.admit(ask(700), 0.0))
    no = refused(one.admit(ask(700), 0.0))
    assert no.reason == "hidden"
    assert int(no.headers["x-ratelimit-remaining-tokens"]) == 59_300
    assert no.retry_s is not None
    assert 0 < no.retry_s <= 1
    admitted(one.admit(ask(2_700), 10.0))
    assert refused(one.admit(ask(100), 10.9)).reason == "hidden"
    admitted(one.admit(ask(100), 14.0))


def test_charge_by_characters() -> None:
    """Some are charged the larger of max_tokens and a quarter of the characters."""
    one = provider(openai(), charge="larger")
    by_text = Ask(prompt_tokens=10, chars=4_001, max_tokens=50)
    assert admitted(one.admit(by_text, 0.0)).charged["tokens"] == 1_001
    by_maximum = Ask(prompt_tokens=10, chars=4_001, max_tokens=2_000)
    assert admitted(one.admit(by_maximum, 0.0)).charged["tokens"] == 2_000


def test_output_charged_as_it_comes() -> None:
    """Anthropic's output counts while it is produced, and cached input does not count."""
    one = provider(anthropic(output_tokens=600))
    long = Ask(prompt_tokens=5_000, cached_tokens=4_000, output_tokens=700, max_tokens=8_000)
    call = admitted(one.admit(long, 0.0))
    assert one.room("input_tokens", 0.0) == 59_000
    assert one.room("output_tokens", 0.0) == 600
    middle = call.course.first_s + (call.course.end_s - call.course.first_s) / 2
    assert 600 - 350 - 10 < one.room("output_tokens", middle) < 600 - 250
    end = call.course.end_s
    assert one.finish(call, end).output_tokens == 700
    assert one.room("output_tokens", end) < one.room("output_tokens", end + 5)


def test_left_early() -> None:
    """A client that leaves is charged what had been produced, where charges are corrected."""
    one = provider(bedrock())
    call = admitted(one.admit(Ask(prompt_tokens=100, output_tokens=400, max_tokens=500), 0.0))
    used = one.finish(call, call.course.first_s + 10.5 * call.course.token_s)
    assert used.output_tokens == 11
    assert one.charged_in_all["tokens"] == 111
    with pytest.raises(ValueError, match="ended already"):
        one.finish(call, 9.0)


def test_failed_calls_count_as_requests() -> None:
    """Refused calls use up requests, so that hammering makes it worse."""
    one = provider(openai(requests=60, tokens=600))
    admitted(one.admit(ask(600), 0.0))
    for _ in range(10):
        refused(one.admit(ask(600), 0.0))
    assert one.room("requests", 0.0) == 60 - 11
    kind = provider(openai(requests=60, tokens=600), failed_count=False)
    refused(kind.admit(ask(601), 0.0))
    assert kind.room("requests", 0.0) == 60


def test_oversize() -> None:
    """What is larger than the limit is refused for good, or told to come again all the same."""
    no = refused(provider(openai(tokens=9_000)).admit(ask(16_008), 0.0))
    assert no.body["error"]["message"].startswith("Request too large for gpt-4o")
    no = refused(provider(groq(tokens=9_000)).admit(ask(16_008), 0.0))
    assert "Please try again in 46.72s" in no.body["error"]["message"]
    assert (no.reason, no.headers["retry-after"]) == ("oversize", "47")


def test_money_spent() -> None:
    """Once the money is spent, every call is refused for good, without a time to come back."""
    one = provider(openai(), spend_cap_tokens=1_000)
    admitted(one.admit(ask(1_000), 0.0))
    no = refused(one.admit(ask(1), 500.0))
    assert (no.status, no.body["error"]["code"]) == (429, "insufficient_quota")
    assert "retry-after" not in no.headers


def test_crowded() -> None:
    """Calls in flight are limited; one that ends makes room."""
    one = provider(anthropic(), max_concurrency=2)
    first = admitted(one.admit(ask(10), 0.0))
    admitted(one.admit(ask(10), 0.0))
    assert "concurrent connections" in refused(one.admit(ask(10), 0.0)).body["error"]["message"]
    one.finish(first, 0.1)
    admitted(one.admit(ask(10), 0.1))


def test_outages_and_errors() -> None:
    """An outage fails every call with its status, and a share of errors some of them."""
    one = provider(anthropic(), outages=(Outage(from_s=10, to_s=20),))
    admitted(one.admit(ask(10), 100.0))
    no = refused(one.admit(ask(10), 115.0))
    assert (no.status, no.body["error"]["type"]) == (529, "overloaded_error")
    admitted(one.admit(ask(10), 120.0))
    flaky = provider(openai(), error_share=0.3)
    statuses = [getattr(flaky.admit(ask(1), n / 10), "status", 200) for n in range(1_000)]
    assert 250 < statuses.count(500) < 350


def test_neighbour() -> None:
    """A neighbour leaves its complement to us, and headers show what it took."""
    one = provider(openai(requests=60_000), neighbour=Neighbour(share=0.25))
    served = sum(100 * isinstance(one.admit(ask(100), n / 20), Admitted) for n in range(20 * 300))
    assert served == pytest.approx(60_000 + 0.75 * 1_000 * 300, rel=0.08)
    coming = provider(openai(), neighbour=Neighbour(share=0.5, present_s=30))
    one_away = [coming.room("tokens", float(n)) for n in range(60)]
    assert min(one_away[25:30]) < 60_000
    assert one_away[59] == 60_000


def test_batch() -> None:
    """A self-hosted batch slows down as it fills, and calls beyond its seats wait for one."""
    batch = Batch(replace(SELF_HOSTED, token_sigma=0.0, first_sigma=0.0), Random(1))
    courses = [batch.join(0, 100, 0.0) for _ in range(70)]
    assert courses[0].token_s == pytest.approx(0.010)
    assert courses[39].token_s == pytest.approx(0.0196)
    assert courses[63].token_s == pytest.approx(0.0292)
    assert courses[63].first_s == pytest.approx(0.1)
    assert courses[64].first_s == pytest.approx(0.1 + courses[0].end_s)
    assert isinstance(SimulatedProvider(self_hosted()).admit(ask(10), 0.0), Admitted)


def test_what_each_says() -> None:
    """Each provider speaks its own headers, and some none."""
    said = refused(_full(anthropic(requests=1)).admit(ask(10), 0.0))
    assert said.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert said.headers["anthropic-ratelimit-input-tokens-remaining"] == "60000"
    assert said.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert said.headers["retry-after"] == "60"
    assert "rate limit of 1 requests per minute" in said.body["error"]["message"]
    said = refused(_full(azure(requests=6)).admit(ask(10), 0.0))
    assert said.reason == "hidden"
    assert 0 < int(said.headers["retry-after-ms"]) <= 10_000
    assert "x-ratelimit-limit-tokens" not in said.headers
    said = refused(_full(bedrock(requests=1)).admit(ask(10), 0.0))
    assert said.headers == {"x-amzn-errortype": "ThrottlingException"}


def _full(rules: ProviderRules) -> SimulatedProvider:
    one = provider(rules)
    admitted(one.admit(ask(10), 0.0))
    return one


def test_faster() -> None:
    """A shorter minute refills sooner and changes nothing else."""
    one = provider(faster(openai(tokens=6_000), speed=60))
    admitted(one.admit(ask(6_000), 0.0))
    assert refused(one.admit(ask(3_000), 0.0)).headers["retry-after-ms"] == "500"
    assert one.room("tokens", 1.0) == 6_000


def test_wrong_rules() -> None:
    """Limits that cannot be enforced are refused at construction."""
    with pytest.raises(ValueError, match="over 0"):
        openai(tokens=0)
    with pytest.raises(ValueError, match="knows no limit"):
        ProviderRules(limits={"input_tokens": 5})
