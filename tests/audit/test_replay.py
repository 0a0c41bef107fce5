"""What a replay comes to: repeats that are known, times, tenants, limits, and sums that add up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core import config
from accel_core.audit.run import Terms, audit
from accel_core.audit.settings import _differing
from accel_core.audit.tally import TIERS, Sum
from accel_core.policy.limits.account import Limits
from tests.core.support import calibrated

if TYPE_CHECKING:
    from pathlib import Path

    from accel_core.audit.findings import Findings

BEGAN_S = 1_770_000_000.0


class Said(NamedTuple):
    """A call of a log, by what differs between tests."""

    text: str
    at_s: float | None = 0.0
    took_s: float | None = 1.0
    tenant: str | None = None
    answer: str | None = "yes"
    tokens: int | None = 10
    temperature: float = 0.0
    limited: bool = False
    scope: str = "s"


def record(said: Said) -> dict[str, Any]:
    """Return a line of a log."""
    messages = [
        {"role": "system", "content": said.scope},
        {"role": "user", "content": said.text},
    ]
    usage = {"prompt_tokens": said.tokens, "completion_tokens": 5}
    made: dict[str, Any] = {
        "request": {"model": "gpt-4o", "temperature": said.temperature, "messages": messages},
        "response": {
            "choices": [{"message": {"content": said.answer}, "finish_reason": "stop"}],
            "usage": usage if said.tokens is not None else None,
        },
        "tenant": said.tenant,
    }
    if said.at_s is not None:
        made["started_at"] = BEGAN_S + said.at_s
    if said.took_s is not None:
        made["took_s"] = said.took_s
    if said.limited:
        made |= {"response": None, "status": 429, "error": "Rate limit reached"}
    return made


def replayed(path: Path, calls: list[Said], *, meaning: bool = False, **terms: Any) -> Findings:
    """Audit a log of these calls."""
    log = path / "log.jsonl"
    log.write_text("".join(f"{json.dumps(record(call))}\n" for call in calls))
    return audit([log], calibrated() if meaning else None, Terms(**terms))


def by_tier(found: Findings) -> dict[str, int]:
    """Return the calls saved by tier."""
    return {tier: found.tally.saved[tier].calls for tier in TIERS}


def test_known_repeats_are_exactly_what_is_saved(tmp_path: Path) -> None:
    """The same again, asked meanwhile, in other words; what must be asked anew is."""
    asked = [
        Said("where is thing1 of place1", 0, took_s=10),
        Said("where is thing1 of place1", 4, took_s=9),  # joins the first, and waits six seconds
        Said("where is thing1 of place1", 20, took_s=8),
        Said("WHERE IS THING1 OF PLACE1?", 30, took_s=7),
        Said("where is thing1 of place1", 40, temperature=1.0),
        Said("where is thing1 of place1", 50, scope="another"),
        Said("where is thing1 of place1", 3_700, took_s=6),  # an hour is over
        Said("where is thing1 of place1", 3_710, took_s=5),
        Said("cancel my order 7", 3_720),
        Said("cancel my order 7", 3_730),  # is done twice
    ]
    found = replayed(tmp_path, asked, meaning=True)
    assert by_tier(found) == {"exact": 2, "shared": 1, "semantic": 1}
    assert found.tally.saved["exact"].seconds == 13.0
    assert found.tally.saved["shared"].seconds == pytest.approx(3.0)
    assert found.tally.saved["semantic"].seconds == 7.0
    assert found.tally.misses["temperature"] == 1
    assert found.tally.misses["acting"] == 2
    assert found.hit_share == 0.4
    (risky,) = found.riskiest
    assert (risky.asked, risky.stored) == (asked[3].text, asked[0].text)
    assert risky.probability is not None
    assert risky.times == 1
    assert found.tally.same_words == 1


def test_what_is_said_is_judged_by_what_was_near(tmp_path: Path) -> None:
    """Both answers stand side by side, and the least probable pair comes first, once."""
    asked = []
    for number in range(30):
        question = f"where is thing{number} of place{number}"
        again = f"{question.upper()}?"
        asked += [Said(question, answer="here"), Said(again, 10.0 + number, answer="there")]
    asked += [asked[1]._replace(at_s=50.0)] * 3
    found = replayed(tmp_path, asked, meaning=True)
    assert found.tally.saved["semantic"].calls == 33
    assert found.tally.same_words == 0
    assert len(found.riskiest) == 20
    probable = [hit.probability or 0.0 for hit in found.riskiest]
    assert probable == sorted(probable)
    assert {(hit.logged, hit.served) for hit in found.riskiest} == {("there", "here")}


def test_nothing_crosses_a_tenant(tmp_path: Path) -> None:
    """Whatever is asked, at once or later, in the same words or others."""
    tenants = ("north", "south", None)
    texts = ("where is thing1 of place1", "WHERE IS THING1 OF PLACE1?")
    asked = [
        Said(texts[place // 3 % 2], float(place), took_s=2.5, tenant=tenants[place % 3])
        for place in range(6)
    ]
    found = replayed(tmp_path, asked[:3], meaning=True)
    assert found.tally.total.calls == 0
    found = replayed(
        tmp_path, [*asked, *(call._replace(at_s=60.0) for call in asked)], meaning=True
    )
    assert found.tally.total.calls == 9
    assert len(found.tally.tenants) == 3
    required = config.from_mapping({"security": {"tenant_required": True}})
    found = replayed(tmp_path, asked * 2, config=required)
    assert found.tally.misses["tenant_required"] == 4


def test_order_is_that_of_times_whatever_that_of_the_log(tmp_path: Path) -> None:
    """Exports come newest first, too; and a call without a time follows the one before it."""
    asked = [Said("a", float(place), took_s=0.1) for place in range(50)]
    asked += [Said("b", 60.0), Said("b", None)]
    found = replayed(tmp_path, asked)
    turned = replayed(tmp_path, [*reversed(asked[:50]), *asked[50:]])
    assert found.to_json() == turned.to_json()
    assert by_tier(found) == {"exact": 49, "shared": 1, "semantic": 0}
    assert "1 calls have no time" in " ".join(found.notes)


def test_what_a_log_does_not_say_is_not_known(tmp_path: Path) -> None:
    """No times, no usage, no price: no figure, and never 0."""
    found = replayed(tmp_path, [Said("a", None, None, tokens=None)] * 3)
    saved = found.to_json()["saved"]
    assert saved["calls"] == 2
    assert [saved[name] for name in ("input_tokens", "dollars", "seconds")] == [None] * 3
    assert saved["unknown"] == {"tokens": 2, "price": 0, "seconds": 2}
    assert found.to_json()["repeat_gaps"] is None
    notes = " ".join(found.notes)
    assert "has no times" in notes
    assert "2 of the calls saved do not state their usage" in notes
    known = replayed(tmp_path, [Said("a", None, None), Said("a", None, None, tokens=None)] * 2)
    assert known.to_json()["saved"]["input_tokens"] == 10
    assert known.to_json()["saved"]["dollars"] == pytest.approx((10 * 2.5 + 5 * 10) / 1e6)


def test_failures_are_not_kept_and_answer_nobody(tmp_path: Path) -> None:
    """Who waited for one asks for himself; what a cache has spares the failing call."""
    asked = [
        Said("a", 0, took_s=5, limited=True),
        Said("a", 1, took_s=5),
        Said("a", 20, limited=True),
        Said("b", 30, answer=""),
        Said("b", 40),
    ]
    found = replayed(tmp_path, asked)
    assert found.tally.failed == 2
    assert by_tier(found) == {"exact": 0, "shared": 0, "semantic": 0}
    refusals = found.to_json()["refusals"]
    assert refusals == {
        "logged": 2, "answered": 1, "waited": None, "turned_away": None, "unknown": 1,
    }  # fmt: skip
    assert "not known" in " ".join(found.notes)


def test_refusals_that_a_limit_explains_would_have_waited(tmp_path: Path) -> None:
    """Those that it does not explain are left open; who finds no room in time is turned away."""
    burst = [Said(f"q{place}", place / 10, took_s=0.1, tokens=95) for place in range(10)]
    asked = [
        *burst,
        Said("more", 1.5, limited=True),
        Said("q1", 2.0, limited=True),
        Said("late", 500.0, limited=True),
    ]
    found = replayed(tmp_path, asked, limits=Limits(tokens_per_minute=1_000))
    assert found.to_json()["refusals"] == {
        "logged": 3, "answered": 1, "waited": 1, "turned_away": 0, "unknown": 1,
    }  # fmt: skip
    assert found.tally.longest_wait_s > 0
    unwaited = replayed(tmp_path, asked, limits=Limits(tokens_per_minute=100_000))
    assert unwaited.tally.waited_s == 0
    assert unwaited.tally.refusals.unknown == 2
    small = replayed(tmp_path, asked, limits=Limits(tokens_per_minute=50))
    assert small.tally.turned_away == len(asked)
    assert not small.tally.total.calls


def test_limits_per_day_explain_refusals_too(tmp_path: Path) -> None:
    """What was sent in the day before counts; what a cache answers leaves room for another."""
    hour = 3_600.0
    sent = [Said(f"q{place % 8}", place * hour, tokens=95) for place in range(10)]
    asked = [
        *sent,
        Said("one more", 11 * hour, limited=True),  # the eighth: two of ten were repeats
        Said("q1", 11 * hour + 1, limited=True),
        Said("another", 40 * hour, limited=True),  # nothing was sent in the day before it
    ]
    given = config.from_mapping({"cache": {"ttl": {"base_s": 1_000_000}}})
    for named in (Limits(requests_per_day=10), Limits(tokens_per_day=1_000)):
        found = replayed(tmp_path, asked, limits=named, config=given)
        assert found.to_json()["refusals"] == {
            "logged": 3, "answered": 1, "waited": 1, "turned_away": 0, "unknown": 1,
        }  # fmt: skip
    tight = replayed(tmp_path, asked, limits=Limits(requests_per_day=4), config=given)
    assert tight.tally.refusals.turned_away == 1
    assert "requests_per_day: 4" in tight.settings


def test_limits_that_the_log_shows_are_taken_where_none_is_named(tmp_path: Path) -> None:
    """The largest of its headers, which `accel.yaml` then has."""
    log = tmp_path / "log.jsonl"
    lines = [record(Said("a", 1.0)), record(Said("b", 2.0))]
    for line, limit in zip(lines, ("40000", "30000"), strict=True):
        line["headers"] = {"x-ratelimit-limit-tokens": limit, "x-ratelimit-reset-tokens": "6ms"}
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = audit([log], None, Terms())
    assert found.limits == Limits(tokens_per_minute=40_000)
    assert not found.limits_named
    assert "tokens_per_minute: 40000" in found.settings


def test_settings_are_valid_and_hold_what_was_given(tmp_path: Path) -> None:
    """Comments say why; what is in a file that was named stays, without its URLs."""
    given = {
        "namespace": "shop",
        "cache": {
            "ttl": {"base_s": 60},
            "never": {"personal_ttl_s": 5},
            "semantic": {"gates": {"strict": True}},
            "memory": {"max_entries": 2},
            "store": {"kind": "sqlite", "path": "x.db"},
        },
    }
    asked = [Said(f"q{n}", n, tenant="t", temperature=float(n == 1)) for n in range(9)]
    named = Limits(requests_per_minute=600)
    found = replayed(tmp_path, asked, meaning=True, config=config.from_mapping(given), limits=named)
    path = tmp_path / "accel.yaml"
    path.write_text(found.settings)
    made = config.from_yaml(path)
    assert made.namespace == "shop"
    assert made.cache == config.from_mapping(given).cache
    assert made.security.tenant_required
    assert (made.limits.provider, made.limits.requests_per_minute) == ("openai", 600)
    assert "# 1 calls have a higher one" in found.settings
    plain = replayed(tmp_path, asked).settings
    path.write_text(plain)
    assert not config.from_yaml(path).cache.semantic.enabled


def test_what_a_configuration_never_shows_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever field it is; with the variables that are named, the file says the same."""
    url = "redis://:hunter2@host:6379/0"
    given = config.from_mapping(
        {
            "cache": {"store": {"kind": "redis", "url": url, "prefix": "url"}},
            "limits": {"provider": "openai", "shared": {"kind": "redis", "url": f"{url}1"}},
        }
    )
    found = replayed(tmp_path, [Said("a")], config=given)
    assert "hunter2" not in found.settings + json.dumps(found.to_json())
    assert "what is not shown: CACHE_STORE_URL, LIMITS_SHARED_URL" in found.settings
    path = tmp_path / "accel.yaml"
    path.write_text(found.settings)
    monkeypatch.setenv("CACHE_STORE_URL", url)
    monkeypatch.setenv("LIMITS_SHARED_URL", f"{url}1")
    made = config.from_yaml(path)
    assert (made.cache.store, made.limits) == (given.cache.store, given.limits)


def test_mark_and_not_name_says_what_is_secret() -> None:
    """A field that is called otherwise is hidden, one that is called so and not marked is not."""

    @dataclass(frozen=True)
    class Section:
        url: str = "a"
        token: str = field(default="", repr=False)

    secret: list[str] = []
    found = _differing(Section("b", "hunter2"), Section(), "x.", secret)
    assert (found, secret) == ({"url": "b", "token": "${X_TOKEN}"}, ["X_TOKEN"])


def test_a_store_behind_memory_is_left_alone(tmp_path: Path) -> None:
    """No file is written, and no entry leaves before it would have left the store."""
    behind = {"cache": {"memory": {"max_entries": 1}, "store": {"kind": "sqlite", "path": "a.db"}}}
    behind["cache"]["store"]["path"] = str(tmp_path / "never.db")
    asked = [Said(f"q{place % 5}", float(place), took_s=0.1) for place in range(10)]
    found = replayed(tmp_path, asked, config=config.from_mapping(behind))
    assert found.tally.total.calls == 5
    assert not (tmp_path / "never.db").exists()
    alone = config.from_mapping({"cache": {"memory": {"max_entries": 1}}})
    assert replayed(tmp_path, asked, config=alone).tally.total.calls == 0


CALLS = st.lists(
    st.builds(
        Said,
        text=st.sampled_from(["a", "b", "c d"]),
        at_s=st.one_of(st.none(), st.floats(0, 8_000)),
        took_s=st.one_of(st.none(), st.floats(0, 50)),
        tenant=st.sampled_from([None, "t", "u"]),
        answer=st.sampled_from(["yes", "", None]),
        tokens=st.one_of(st.none(), st.integers(0, 1_000)),
        temperature=st.sampled_from([0.0, 1.0]),
        limited=st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(calls=CALLS, limited=st.booleans())
def test_all_sums_add_up(
    tmp_path_factory: pytest.TempPathFactory, calls: list[Said], limited: bool
) -> None:
    """Every call is counted once: saved or missed, by model, over time, known or unknown."""
    limits = Limits(tokens_per_minute=2_000) if limited else None
    found = replayed(tmp_path_factory.mktemp("log"), calls, limits=limits)
    tally = found.tally
    answered = [call for call in calls if not call.limited]
    assert tally.asked.calls == len(answered)
    assert tally.failed == len(calls) - len(answered)
    assert tally.asked.without_tokens == sum(call.tokens is None for call in answered)
    assert tally.asked.without_time == sum(call.took_s is None for call in answered)
    assert tally.asked.input_tokens == sum(call.tokens or 0 for call in answered)
    misses = sum(tally.misses.values())
    assert misses + tally.total.calls + tally.refusals.answered == len(calls)
    refusals = tally.refusals
    parts = refusals.answered + refusals.waited + refusals.turned_away + refusals.unknown
    assert parts == refusals.logged == sum(call.limited for call in calls)
    assert tally.total.seconds <= tally.asked.seconds + 1e-6
    assert tally.total.input_tokens <= tally.asked.input_tokens
    for whole, kind in ((tally.asked, 0), (tally.total, 1)):
        summed = Sum()
        for model in tally.models.values():
            summed = summed.plus(model[kind])
        assert summed.calls == whole.calls
        assert summed.input_tokens == whole.input_tokens
    if found.timed:
        assert sum(bucket.calls for bucket in tally.buckets) == len(answered)
        assert sum(bucket.hits for bucket in tally.buckets) == tally.total.calls
    json.dumps(found.to_json(), allow_nan=False)


def test_a_sum_knows_what_it_leaves_out() -> None:
    """A total is None only where nothing is known of it."""
    assert Sum().cost == Sum().tokens == Sum().time_s == 0.0
    unknown = Sum(calls=2, without_tokens=2, without_time=2)
    assert (unknown.cost, unknown.tokens, unknown.time_s) == (None, None, None)
    partly = unknown.plus(Sum(calls=1, input_tokens=5.0, dollars=2.0, seconds=3.0))
    assert (partly.cost, partly.tokens, partly.time_s) == (2.0, 5.0, 3.0)
