"""What a response's headers show of its provider's limits.

Spellings: OpenAI's ``x-ratelimit-limit-requests`` (https://platform.openai.com/docs/guides/rate-limits),
which Groq and Azure share; Mistral's and Cerebras' with a period in the name
(``x-ratelimit-limit-req-minute``, mistralai/client-ts#169); Anthropic's
``anthropic-ratelimit-input-tokens-limit``, always of a minute
(https://platform.claude.com/docs/en/api/rate-limits).

Where no name says it, the period follows from how long what was used takes to come back. Whoever
takes a minute's limit for a day's lets almost nothing through and never learns better, so a day is
believed only where a minute cannot be: in resets longer than one.

Nothing is believed that is no number: what is malformed, negative or absurd is left out.
"""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Final

from accel_core.policy.limits.account import DAY_S, MINUTE_S, Shown
from accel_core.policy.limits.charge import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accel_core.policy.limits.provider_profile import Dialect

_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,12})?")
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS: Final = {
    "d": DAY_S,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
_LONGEST_TEXT = 64
_NEAR = 0.05
"""How far from a day a period may seem: resets are rounded, and a little comes back meanwhile."""
_SURELY_A_DAY_S = 7_200.0
"""No limit of a minute or an hour takes longer to start anew."""
_SPELLINGS: Final = (
    ("requests", "requests", None),
    ("tokens", "tokens", None),
    ("requests-minute", "requests", MINUTE_S),
    ("req-minute", "requests", MINUTE_S),
    ("tokens-minute", "tokens", MINUTE_S),
    ("requests-day", "requests", DAY_S),
    ("req-day", "requests", DAY_S),
    ("tokens-day", "tokens", DAY_S),
)
_LIMIT, _REMAINING, _RESET = range(3)
_FIELDS: Final = ("limit", "remaining", "reset")

_Key = tuple[int, float | None]
"""A limit: its unit, and the seconds it is for where its name says."""


def _of_openai() -> Iterator[tuple[str, tuple[_Key, int]]]:
    for spelling, unit, per_s in _SPELLINGS:
        for place, field in enumerate(_FIELDS):
            yield f"x-ratelimit-{field}-{spelling}", ((UNITS.index(unit), per_s), place)


def _of_anthropic() -> Iterator[tuple[str, tuple[_Key, int]]]:
    for index, unit in enumerate(UNITS):
        for place, field in enumerate(_FIELDS):
            name = f"anthropic-ratelimit-{unit.replace('_', '-')}-{field}"
            yield name, ((index, MINUTE_S), place)


_NAMES: Final[Mapping[str, Mapping[str, tuple[_Key, int]]]] = {
    "openai": dict(_of_openai()),
    "azure": dict(_of_openai()),
    "anthropic": dict(_of_anthropic()),
    "none": {},
}


def read_headers(dialect: Dialect, headers: Mapping[str, str]) -> list[Shown]:
    """Return the limits that `headers` show, whatever the case of their names.

    Anthropic rounds what remains to thousands; Azure often leaves out the limit.
    """
    names = _NAMES[dialect]
    if not names:
        return []
    found: dict[_Key, list[str | None]] = {}
    for name, value in headers.items():
        known = names.get(name.lower())
        if known is not None:
            found.setdefault(known[0], [None, None, None])[known[1]] = value
    return [
        shown
        for (unit, per_s), values in found.items()
        if (shown := _shown(unit, per_s, values)) is not None
    ]


def retry_after_s(headers: Mapping[str, str], wall_now_s: float) -> float | None:
    """Return the seconds after which a provider wants to be asked again; None: it does not say.

    Args:
        headers: of its response.
        wall_now_s: seconds since 1970, which a date is compared with.
    """
    asked: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in ("retry-after-ms", "retry-after"):
            asked[lower] = value
    milliseconds = number(asked.get("retry-after-ms"))
    if milliseconds is not None and milliseconds <= DAY_S * 1e3:
        return milliseconds / 1e3
    value = asked.get("retry-after", "")
    wait_s = duration_s(value)
    if wait_s is None:
        wait_s = _until_s(value, wall_now_s)
    return wait_s if wait_s is not None and wait_s <= DAY_S else None


def duration_s(text: str | None) -> float | None:
    """Return the seconds of ``6m0s``, ``1h2m3.5s``, ``12ms`` or plain seconds; None: it is neither.

    >>> duration_s("6m0s"), duration_s("12ms"), duration_s("13.554"), duration_s("soon")
    (360.0, 0.012, 13.554, None)
    """
    plain_s = number(text)
    if plain_s is not None or text is None or len(text) > _LONGEST_TEXT:
        return plain_s
    text, total_s, at = text.strip(), 0.0, 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            return None
        total_s += float(part[1]) * _SECONDS[part[2]]
        at = part.end()
    return total_s if at else None


def number(text: str | None) -> float | None:
    """Return the number that `text` is, unless it is negative, absurd or none."""
    if text is None or len(text) > _LONGEST_TEXT:
        return None
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _shown(unit: int, per_s: float | None, values: list[str | None]) -> Shown | None:
    limit, remaining = number(values[_LIMIT]), number(values[_REMAINING])
    if limit == 0.0:
        limit = None
    if limit is None and remaining is None:
        return None
    if per_s is None:
        per_s = _period_s(limit, remaining, duration_s(values[_RESET]))
    return Shown(unit, limit, remaining, per_s)


def _period_s(limit: float | None, remaining: float | None, reset_s: float | None) -> float:
    """Return a day where a minute is impossible: a full limit comes back within its period."""
    if reset_s is None or not MINUTE_S < reset_s <= DAY_S * (1.0 + _NEAR):
        return MINUTE_S
    if reset_s > _SURELY_A_DAY_S:
        return DAY_S
    if limit is None or remaining is None or remaining >= limit:
        return MINUTE_S
    period_s = limit * reset_s / (limit - remaining)
    return DAY_S if abs(period_s - DAY_S) <= _NEAR * DAY_S else MINUTE_S


def _until_s(text: str, wall_now_s: float) -> float | None:
    """Return the seconds until an HTTP date (RFC 9110, 10.2.3), 0 where it has passed."""
    if not 0 < len(text) <= _LONGEST_TEXT:
        return None
    try:
        parsed = parsedate_tz(text)
        if parsed is None:
            return None
        # A date without a zone is in GMT, as all dates of HTTP are.
        wait_s = mktime_tz((*parsed[:9], parsed[9] or 0)) - wall_now_s
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    # A clock that is far off says nothing of how long to wait.
    return max(0.0, wait_s) if wait_s >= -DAY_S else None
