"""What readers of all formats have in common: times, tokens, parameters, refusals, tenants.

Nothing here guesses: what is not stated in a form that is known is None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.events.requests import Tokens
from accel_core.policy.limits.refusal import classify
from accel_core.policy.limits.usage_reader import amount, usage_of

if TYPE_CHECKING:
    from accel_core.audit.logged import Failure
    from accel_core.policy.limits.account import Shown

TENANT_FIELDS = ("tenant", "tenant_id", "accel_tenant")
"""Where a log names whose a call is, unless the user says otherwise."""

_UNSEEN_PARAMS = frozenset({"stream", "stream_options"})
"""As for live calls: how an answer travels, not what it says."""
_LIMITED = re.compile(r"\b429\b|rate.?limit", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""From which number on a stamp cannot be one of a coarser unit (before the year 5000), and the unit
in seconds."""
_EARLIEST_S, _LATEST_S = 1e8, 1e11
_LARGEST = 1e20
"""Beyond it a number is none that an application meant; NaN is not below it, either."""
_LONGEST_S = 7 * 86_400.0


class Refused(NamedTuple):
    """Why a call has no answer, ``""`` where it has one, and the limits that it showed."""

    failure: Failure = ""
    shown: tuple[Shown, ...] = ()


def stamp_s(value: object) -> float | None:
    """Return a moment in seconds since the epoch; None where `value` is none.

    Read are ISO 8601 (UTC where no zone is named) and numbers of seconds, milli-, micro- and
    nanoseconds since the epoch, as numbers or texts.

    >>> stamp_s("2026-01-02T03:04:05Z") == stamp_s(1767323045) == stamp_s("1767323045000000000")
    True
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    found_s = _moment_s(value)
    return found_s if found_s is not None and _EARLIEST_S <= found_s < _LATEST_S else None


def _moment_s(value: object) -> float | None:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return zoned.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST:
        return None
    unit_s = next((unit_s for least, unit_s in _UNITS if value >= least), 1.0)
    return float(value) * unit_s


def between_s(began_s: float | None, ended_s: float | None) -> float | None:
    """Return how long something took; None where that is not known."""
    if began_s is None or ended_s is None:
        return None
    return span_s(ended_s - began_s)


def span_s(took_s: float) -> float | None:
    """Return how long a call took; None where no call can: below 0, or above a week.

    One that ends in a thousand years would keep the replay's clock going till then.
    """
    return took_s if 0 <= took_s <= _LONGEST_S else None


def tokens_of(*stated: object) -> Tokens | None:
    """Return the first of `stated` that is a provider's or a framework's usage."""
    for usage in stated:
        if not isinstance(usage, dict):
            continue
        found = usage_of({"usage": usage})
        if found is None:
            continue
        details = usage.get("input_token_details")  # as LangChain has it
        cached = amount(details.get("cache_read")) if isinstance(details, dict) else None
        return Tokens(*found) if cached is None else Tokens(found[0], found[1], cached)
    return None


def params_of(given: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """Return the parameters that can change an answer."""
    unseen = _UNSEEN_PARAMS.union(without)
    return {name: value for name, value in given.items() if name not in unseen}


def number_of(given: Mapping[str, Any], *names: str) -> float | None:
    """Return the first parameter of `names` that is a number, and a possible one."""
    for name in names:
        value = given.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if abs(value) <= _LARGEST:
            return float(value)
    return None


def max_output_of(given: Mapping[str, Any]) -> float | None:
    """Return what a request allows its answer, in tokens."""
    return number_of(given, "max_completion_tokens", "max_output_tokens", "max_tokens")


def tenant_in(fields: Sequence[str], *places: object) -> str | None:
    """Return whose a call is: the first of `fields` that one of `places` names."""
    named = [place for place in places if isinstance(place, Mapping)]
    for place in named:
        for field in fields:
            value = place.get(field)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
    return None


def parsed(value: Any) -> Any:
    """Return what a text of JSON says, where an exporter spelled an object as one."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def refusal_of(
    error: object, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Refused:
    """Return what an error says: a provider's body, or an exception's text.

    Args:
        error: what was said, a text or an object.
        status: of the response, where it is known.
        headers: of the response.
    """
    text = error if isinstance(error, str) else json.dumps(error, default=str)
    if status is None:
        status = 429 if _LIMITED.search(text) else 500
    refusal = classify(status, headers or {}, text, "openai", 0.0)
    return Refused("limited" if refusal.kind == "limit" else "failed", refusal.shown)
