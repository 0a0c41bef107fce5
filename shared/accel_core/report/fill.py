"""How full a provider's limits were: what went through them in each minute, or day, up to a moment.

A limit is looked at between requests, too: a minute that was full stays so until its calls are a
minute ago. Calls count when they were sent, by what they turned out to use, as the provider counts
it (`policy.limits.provider_profile`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from accel_core.policy.limits.account import MINUTE_S, Limits
from accel_core.policy.limits.charge import UNITS, Demand, Usage
from accel_core.policy.limits.provider_profile import profile_named
from accel_core.report.values import Fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.report.values import History

_SLOT_S = 10.0
_NO_TOKENS: dict[str, float] = {}


class FillTally:
    """Adds up what calls were charged; one owner at a time.

    Args:
        limits: the provider's, as they are configured; of those that are not, amounts are told.
        provider: how it counts.
    """

    def __init__(self, limits: Limits, provider: str) -> None:
        self._limits, self._profile = limits, profile_named(provider)
        self._slots: dict[int, list[float]] = {}

    def add(self, told: dict[str, Any], at_s: float) -> None:
        """Add a request that ended at `at_s`, seconds since the epoch."""
        attempts = told.get("attempts", 0)
        if not attempts:
            return
        sent_s = at_s - told.get("parts", _NO_TOKENS).get("model_s", 0.0)
        slot = self._slots.setdefault(int(sent_s // _SLOT_S), [0.0] * len(UNITS))
        slot[0] += attempts
        used = told.get("used")
        if used is None:
            return
        usage = Usage(
            used.get("input_tokens", 0.0),
            used.get("output_tokens", 0.0),
            used.get("cached_input_tokens", 0.0),
        )
        charged = self._profile.charged(Demand(usage.input_tokens), usage)
        for unit in range(1, len(UNITS)):
            slot[unit] += charged[unit]

    def found(self, history: History | None) -> tuple[Fill, ...]:
        """Return how full each limit was; of none that is configured, calls and tokens a minute."""
        if not self._slots or history is None:
            return ()
        count = len(next(iter(history.counts.values())))
        edges = ((history.start_s + np.arange(count) * history.step_s) // _SLOT_S).astype(np.int64)
        places = np.array(sorted(self._slots), dtype=np.int64)
        amounts = np.array([self._slots[place] for place in places.tolist()])
        return tuple(
            Fill(
                limit=f"{UNITS[unit]}_per_{'minute' if per_s == MINUTE_S else 'day'}",
                amount=amount,
                peaks=tuple(_peaks(places, amounts[:, unit], edges, int(per_s // _SLOT_S))),
            )
            for unit, amount, per_s in self._looked_at()
        )

    def _looked_at(self) -> Iterator[tuple[int, float | None, float]]:
        stated: list[tuple[int, float | None, float]] = [*self._limits.stated()]
        yield from stated or [(0, None, MINUTE_S), (1, None, MINUTE_S)]


def _peaks(places: Any, amounts: Any, edges: Any, window: int) -> list[float]:
    """Return the most that any `window` of slots up to one in each column held.

    Args:
        places: of slots that hold something, rising.
        amounts: what they hold.
        edges: the first slot of each column, rising.
        window: how many slots a limit is for.
    """
    sums = np.concatenate([[0.0], np.cumsum(amounts)])

    def up_to(slots: Any) -> Any:
        return sums[np.searchsorted(places, slots, "right")]

    # Between two slots that hold something a window only loses: so these, and columns' beginnings.
    peaks = up_to(edges) - up_to(edges - window)
    columns = np.searchsorted(edges, places, "right") - 1
    inside = columns >= 0
    np.maximum.at(peaks, columns[inside], (up_to(places) - up_to(places - window))[inside])
    return [float(peak) for peak in peaks]
