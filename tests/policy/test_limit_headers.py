"""Limits read from headers, in every spelling, and never from nonsense."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.limits.account import DAY_S, MINUTE_S, Shown
from accel_core.policy.limits.limit_headers import duration_s, read_headers, retry_after_s

if TYPE_CHECKING:
    from accel_core.policy.limits.provider_profile import Dialect

REQUESTS, TOKENS, INPUT, OUTPUT = range(4)
NOW_S = 1_790_000_000.0
DIALECTS: list[Dialect] = ["openai", "anthropic", "azure", "none"]

texts = st.one_of(
    st.text("0123456789.,:-+ dhmsuneinfGMTWed\n\u00e9\u0663", max_size=80),
    st.builds(
        "{}{}".format,
        st.integers(-10, 10**15),
        st.sampled_from(["", "ms", "s", "m", "h", "d", "e9"]),
    ),
    st.sampled_from(["inf", "nan", "-1", "1e999", "1_000", "6m0s", " 5 ", "0", "9" * 400]),
)
names = st.sampled_from(
    [
        f"x-ratelimit-{field}-{what}"
        for field in ("limit", "remaining", "reset")
        for what in ("requests", "tokens", "tokens-minute", "req-minute", "requests-day")
    ]
    + [
        f"anthropic-ratelimit-{what}-{field}"
        for field in ("limit", "remaining", "reset")
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
    ]
    + ["retry-after", "retry-after-ms", "X-Whatever"]
)


def openai(limit: str, remaining: str, reset: str, what: str = "requests") -> list[Shown]:
    return read_headers(
        "openai",
        {
            f"x-ratelimit-limit-{what}": limit,
            f"x-ratelimit-remaining-{what}": remaining,
            f"x-ratelimit-reset-{what}": reset,
        },
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("13.554s", 13.554),
        ("12ms", 0.012),
        ("1h2m3s", 3_723.0),
        ("2m59.56s", 179.56),
        ("7.66", 7.66),
        ("0s", 0.0),
        ("1d", DAY_S),
        (" 20 ", 20.0),
        ("", None),
        ("-5s", None),
        ("5 apples", None),
        ("6m0", None),
        ("s", None),
        ("nan", None),
    ],
)
def test_durations_are_read_as_providers_spell_them(text: str, seconds: float | None) -> None:
    """A number of seconds, or one with units; everything else is no duration."""
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))


def test_openais_headers_show_requests_and_tokens_in_any_case() -> None:
    """Names count, not their case (openai-realtime-console#42: 15482 of 20000, 13.554 s)."""
    shown = read_headers(
        "openai",
        {
            "X-RateLimit-Limit-Requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "X-RATELIMIT-LIMIT-TOKENS": "20000",
            "x-ratelimit-remaining-tokens": "15482",
            "x-ratelimit-reset-tokens": "13.554s",
        },
    )
    assert shown == [
        Shown(REQUESTS, 5_000.0, 4_999.0, MINUTE_S),
        Shown(TOKENS, 20_000.0, 15_482.0, MINUTE_S),
    ]


def test_groqs_requests_are_of_a_day_and_its_tokens_of_a_minute() -> None:
    """The example of console.groq.com/docs/rate-limits."""
    shown = read_headers(
        "openai",
        {
            "retry-after": "2",
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-limit-tokens": "18000",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-reset-tokens": "7.66s",
        },
    )
    assert shown == [
        Shown(REQUESTS, 14_400.0, 14_370.0, DAY_S),
        Shown(TOKENS, 18_000.0, 17_997.0, MINUTE_S),
    ]


def test_mistrals_and_cerebras_names_say_the_period() -> None:
    """As in mistralai/client-ts#169; what a query costs is no limit."""
    shown = read_headers(
        "openai",
        {
            "x-ratelimit-limit-tokens-minute": "5000000",
            "x-ratelimit-remaining-tokens-minute": "4999911",
            "x-ratelimit-tokens-query-cost": "52",
            "x-ratelimit-limit-req-minute": "720",
            "x-ratelimit-remaining-req-minute": "717",
            "x-ratelimit-limit-requests-day": "1000",
            "x-ratelimit-remaining-requests-day": "5",
        },
    )
    assert shown == [
        Shown(TOKENS, 5_000_000.0, 4_999_911.0, MINUTE_S),
        Shown(REQUESTS, 720.0, 717.0, MINUTE_S),
        Shown(REQUESTS, 1_000.0, 5.0, DAY_S),
    ]


def test_anthropics_headers_show_four_limits_of_a_minute() -> None:
    """Resets are dates there and not needed: every limit is of a minute."""
    headers = {
        f"anthropic-ratelimit-{what}-{field}": value
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
        for field, value in (
            ("limit", "4000"),
            ("remaining", "3000"),
            ("reset", "2026-11-21T15:58:08Z"),
        )
    }
    assert read_headers("anthropic", headers) == [
        Shown(unit, 4_000.0, 3_000.0, MINUTE_S) for unit in (REQUESTS, TOKENS, INPUT, OUTPUT)
    ]
    assert read_headers("openai", headers) == read_headers("none", headers) == []


def test_azure_may_show_what_remains_without_the_limit() -> None:
    """What remains is kept even so."""
    headers = {"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "900"}
    assert read_headers("azure", headers) == [
        Shown(REQUESTS, None, 9.0, MINUTE_S),
        Shown(TOKENS, None, 900.0, MINUTE_S),
    ]


@pytest.mark.parametrize("limit", [200, 1_000, 10_000, 14_400])
@pytest.mark.parametrize("used", [0.1, 0.5, 1.0])
def test_a_days_limit_is_recognised_by_how_slowly_it_comes_back(limit: int, used: float) -> None:
    """A bucket of a day gives back its limit in 86400 seconds."""
    reset_s = round(used * DAY_S)
    assert openai(str(limit), str(round(limit * (1 - used))), f"{reset_s}s")[0].per_s == DAY_S


@given(st.integers(1, 10**7), st.data(), st.integers(0, 60))
def test_a_minutes_window_is_never_taken_for_a_day(
    limit: int, data: st.DataObject, reset_s: int
) -> None:
    """Whatever was used of it: a window's reset says nothing of what was used."""
    remaining = data.draw(st.integers(0, limit))
    assert openai(str(limit), str(remaining), f"{reset_s}s")[0].per_s == MINUTE_S


def test_a_window_of_a_day_is_recognised_by_its_reset_alone() -> None:
    """Hours until it starts anew, although half of it is left."""
    assert openai("1000", "500", "6h0m0s")[0].per_s == DAY_S
    assert openai("1000", "500", "1790000000")[0].per_s == MINUTE_S


@pytest.mark.parametrize("bad", ["-1", "inf", "nan", "", "unlimited", "1e9", "1" * 13, "٣", "1_0"])
def test_what_is_no_number_is_left_out(bad: str) -> None:
    """A bad limit leaves what remains; two bad values leave nothing."""
    assert openai(bad, "5", "1s") == [Shown(REQUESTS, None, 5.0, MINUTE_S)]
    assert openai("5", bad, "1s") == [Shown(REQUESTS, 5.0, None, MINUTE_S)]
    assert openai(bad, bad, bad) == []


def test_a_limit_of_nothing_is_no_limit() -> None:
    """It would divide by zero where it is used; that nothing remains is kept."""
    assert openai("0", "0", "0s") == [Shown(REQUESTS, None, 0.0, MINUTE_S)]


@given(st.sampled_from(DIALECTS), st.dictionaries(names, texts, max_size=12))
def test_no_header_raises_or_shows_what_cannot_be(
    dialect: Dialect, headers: dict[str, str]
) -> None:
    """Limits are above 0, nothing is negative, endless or absurd."""
    for shown in read_headers(dialect, headers):
        assert shown.limit is None or 0.0 < shown.limit < 1e12
        assert shown.remaining is None or 0.0 <= shown.remaining < 1e12
        assert shown.per_s in (MINUTE_S, DAY_S)
    wait_s = retry_after_s(headers, NOW_S)
    assert wait_s is None or 0.0 <= wait_s <= DAY_S


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"Retry-After": "20"}, 20.0),
        ({"Retry-After": formatdate(NOW_S + 90, usegmt=True)}, 90.0),
        ({"Retry-After": formatdate(NOW_S - 90, usegmt=True)}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "90000"}, None),
        ({"retry-after-ms": "90000000", "retry-after": "7"}, 7.0),
        ({"retry-after": formatdate(NOW_S + 90_000, usegmt=True)}, None),
        ({"retry-after": "Wed, 99 Foo 99999 99:99:99 GMT"}, None),
        ({"x-ratelimit-reset-requests": "12s"}, None),
        ({}, None),
    ],
)
def test_when_to_ask_again_is_milliseconds_seconds_or_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Nonsense and more than a day are no answer; a reset is none either."""
    assert retry_after_s(headers, NOW_S) == (None if seconds is None else pytest.approx(seconds))
