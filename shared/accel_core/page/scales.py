"""Scales of charts: where a value stands, which values are written beside it, and how."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_SPANS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600,
    86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400, 91 * 86400, 182 * 86400, 364 * 86400,
)  # fmt: skip
_DAY_S, _NAMED_BY_DAY_S = 86400.0, 3 * 86400.0
_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class Scale(NamedTuple):
    """Values from `low` to `high` on pixels from `start` to `end`; by their logarithms if `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where `value` stands; what is beyond the scale stands at its end."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def round_ticks(high: float, most: int = 5) -> Sequence[float]:
    """Return round values from 0 to the first that is not below `high`, at most about `most`.

    >>> round_ticks(87)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    if not 0 < high < math.inf:
        return [0.0, 1.0]
    least = high / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * one for one in _STEPS if power * one >= least * (1 - 1e-9))
    return [step * number for number in range(math.ceil(high / step - 1e-9) + 1)]


def powers(low: float, high: float) -> Sequence[float]:
    """Return the powers of ten from the last that is not above `low` to the first not below `high`.

    >>> powers(0.002, 3)
    [0.001, 0.01, 0.1, 1.0, 10.0]
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return [10.0**power for power in range(first, max(first + 1, last) + 1)]


def moments(start_s: float, end_s: float, most: int) -> Sequence[float]:
    """Return round moments, UTC, between two, at most `most`."""
    span_s = max(1.0, end_s - start_s)
    least_s = _DAY_S if span_s > _NAMED_BY_DAY_S else 0.0  # else two would have one name
    steps = (one for one in _SPANS_S if one >= least_s and span_s / one <= most)
    step_s = next(steps, _SPANS_S[-1])
    first = math.ceil(start_s / step_s)
    return [step_s * n for n in range(first, int(end_s // step_s) + 1)][:most]


def spell_moment(moment_s: float, span_s: float) -> str:
    """Return a moment, UTC, as precisely as a span of `span_s` seconds needs.

    >>> spell_moment(1_760_000_000, 3600), spell_moment(1_760_000_000, 30 * 86400)
    ('08:53', '9 Oct')
    """
    moment = time.gmtime(moment_s)
    if span_s > 400 * 86400:
        return time.strftime("%b %Y", moment)
    if span_s > _NAMED_BY_DAY_S:
        return f"{moment.tm_mday} {time.strftime('%b', moment)}"
    if span_s > _DAY_S:
        return f"{moment.tm_mday} {time.strftime('%b %H:%M', moment)}"
    return time.strftime("%H:%M:%S" if span_s < 300 else "%H:%M", moment)


def spell_duration(duration_s: float) -> str:
    """Return a duration with three digits, in its own unit.

    >>> spell_duration(0.0000421), spell_duration(0.25), spell_duration(7.5), spell_duration(90)
    ('42.1 µs', '250 ms', '7.5 s', '90 s')
    """
    for unit, length_s in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if duration_s >= length_s or unit == "µs":
            return f"{_digits(duration_s / length_s)} {unit}"
    raise AssertionError("unreachable")


def spell_count(count: float) -> str:
    """Return a number in three digits.

    >>> spell_count(7), spell_count(12_345), spell_count(2_000_000), spell_count(0.25)
    ('7', '12.3k', '2M', '0.25')
    """
    for size, suffix in _SUFFIXES:
        if abs(count) >= size:
            return f"{_digits(count / size)}{suffix}"
    return _digits(count)


def _digits(value: float) -> str:
    whole = len(str(int(abs(value))))
    text = f"{value:.{max(0, 3 - whole)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
