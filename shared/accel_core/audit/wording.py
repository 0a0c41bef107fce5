"""Figures of an audit in words, as terminal and page show them; what is not known is None."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accel_core.audit.findings import Findings
    from accel_core.audit.tally import Sum

TIER_NAMES = {
    "exact": "the very same request",
    "shared": "asked at the same time",
    "semantic": "the same in other words",
}


def tokens(one: Sum) -> str | None:
    """Return a sum's tokens; None: not known."""
    return None if one.tokens is None else _at_least(f"{one.tokens:,.0f}", one.without_tokens)


def dollars(one: Sum) -> str | None:
    """Return what a sum costs; None: not known."""
    if one.cost is None:
        return None
    return _at_least(f"${one.cost:,.2f}", one.without_tokens + one.without_price)


def duration(seconds: float | None) -> str | None:
    """Return a time in its largest fitting unit; None: not known."""
    if seconds is None:
        return None
    for unit, unit_s in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def refusals_told(found: Findings) -> list[str]:
    """Say what would have become of calls that a limit refused."""
    refusals, tally = found.tally.refusals, found.tally
    lines = []
    if refusals.logged:
        lines.append(
            f"{refusals.logged:,} calls were refused for a limit; a cache would have answered"
            f" {refusals.answered:,} of them."
        )
    if found.limits is None:
        return lines
    if refusals.logged:
        lines.append(
            f"Within the limits {'named' if found.limits_named else 'that the log shows'},"
            f" {refusals.waited:,} more would have waited for room instead,"
            f" {refusals.turned_away:,} would have found none in time."
        )
    lines.append(
        f"Calls would have waited {duration(tally.waited_s)} for room, all together, and the"
        f" longest {duration(tally.longest_wait_s)}; {tally.turned_away:,} would have found none."
    )
    return lines


def _at_least(text: str, unknown: int) -> str:
    return f"at least {text}" if unknown else text
