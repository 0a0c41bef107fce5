"""Amounts of a report in words, and their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.events.requests import Tokens
from accel_core.observer.requests import ModelTotals
from accel_core.page.scales import spell_count

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPANS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0))


def spell_share(share: float) -> str:
    """Return a share in per cent."""
    return f"{share:.1%}"


def spell_dollars(amount: float) -> str:
    """Return US dollars, with cents where they matter.

    >>> spell_dollars(1234.5), spell_dollars(2.5), spell_dollars(0.00123)
    ('$1,234', '$2.50', '$0.0012')
    """
    if amount >= 1000:
        return f"${amount:,.0f}"
    return f"${amount:.2f}" if amount >= 0.1 or not amount else f"${amount:.4f}"


def spell_span(span_s: float) -> str:
    """Return a long time in its largest unit.

    >>> spell_span(5400), spell_span(12)
    ('1.5 h', '12 s')
    """
    for unit, length_s in _SPANS:
        if span_s >= length_s:
            return f"{spell_count(span_s / length_s)} {unit}"
    return f"{spell_count(span_s)} s"


def spell_bytes(size: float) -> str:
    """Return bytes in their largest unit.

    >>> spell_bytes(1536), spell_bytes(10)
    ('1.5 KiB', '10 B')
    """
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**power:
            return f"{spell_count(size / 1024**power)} {unit}"
    return f"{spell_count(size)} B"


def total_of(models: Mapping[str, ModelTotals]) -> ModelTotals:
    """Return the sum over models; without costs, which not every model has."""
    ones = models.values()
    return ModelTotals(
        requests=sum(one.requests for one in ones),
        hits=sum(one.hits for one in ones),
        attempts=sum(one.attempts for one in ones),
        used=Tokens(*(sum(one.used[place] for one in ones) for place in range(3))),
        saved=Tokens(*(sum(one.saved[place] for one in ones) for place in range(3))),
        saved_s=sum(one.saved_s for one in ones),
        unstated=sum(one.unstated for one in ones),
        seen_tokens=sum(one.seen_tokens for one in ones),
    )
