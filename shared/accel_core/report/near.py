"""Near misses of a statistics file: the nearest ones, and what each lower threshold would serve."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from accel_core.report.values import Neared, NearMisses

if TYPE_CHECKING:
    from collections.abc import Mapping

_THRESHOLD = frozenset({"improbable", "below_threshold", "grey", "unproven", "hopeless"})
"""Reasons that a lower threshold would have overruled; what a gate refused stays refused."""

_MOST_TEXTS, _MOST_PAIRS, _SHOWN = 100_000, 4_000, 20


class NearTally:
    """Adds lookups by meaning up; one owner at a time.

    Attributes:
        texts: of questions, by the ids of their entries, where they were written.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._counts: dict[str, Counter[int]] = {"probability": Counter(), "similarity": Counter()}
        self._pairs: dict[tuple[str, str], list[Any]] = {}

    def add(self, told: dict[str, Any]) -> None:
        """Add a lookup."""
        for id_, text in (("id", "text"), ("near_id", "near_text")):
            if text in told and id_ in told and len(self.texts) < _MOST_TEXTS:
                self.texts[told[id_]] = told[text]
        if told.get("served") or "near_id" not in told or told["reason"] not in _THRESHOLD:
            return
        for score, counts in self._counts.items():
            if (value := told.get(score)) is not None:
                counts[int(value / NearMisses.STEP + 1e-9)] += 1
        pair = (told["id"], told["near_id"])
        known = self._pairs.get(pair)
        if known is not None:
            known[0] += 1
            known[1:] = _score(told), told
            return
        self._pairs[pair] = [1, _score(told), told]
        if len(self._pairs) > 2 * _MOST_PAIRS:
            best = sorted(self._pairs.items(), key=lambda one: one[1][1], reverse=True)
            self._pairs = dict(best[:_MOST_PAIRS])

    def found(self) -> NearMisses:
        """Return what was near."""
        by = "probability" if self._counts["probability"] else "similarity"
        best = sorted(self._pairs.values(), key=lambda one: one[1], reverse=True)[:_SHOWN]
        return NearMisses(
            score=by,
            pairs=tuple(_neared(times, told, self.texts) for times, _, told in best),
            counts={
                round(place * NearMisses.STEP, 2): count
                for place, count in sorted(self._counts[by].items())
            },
        )


def _score(told: dict[str, Any]) -> tuple[bool, float]:
    probability = told.get("probability")
    if probability is not None:
        return True, probability
    return False, told.get("similarity", 0.0)


def _neared(times: int, told: dict[str, Any], texts: Mapping[str, str]) -> Neared:
    return Neared(
        id=told["id"],
        nearest_id=told["near_id"],
        reason=told["reason"],
        similarity=told.get("similarity"),
        probability=told.get("probability"),
        times=times,
        question=texts.get(told["id"]),
        nearest=texts.get(told["near_id"]),
    )
