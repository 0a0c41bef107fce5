"""Requests of a statistics file, added up: outcomes over time, tokens by model, latency.

It is fed dictionaries as they stand in the file, a million of them: no object is made of each.

Invariant: memory is bounded whatever models, tiers, reasons and entries are named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from accel_core.events.requests import Tokens
from accel_core.observer.requests import ModelTotals
from accel_core.policy.labels import Labels
from accel_core.report.spread import Spread
from accel_core.report.values import OUTCOMES, Durations, Question, Tier, attained_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.policy.prices import PriceTable

    Told = dict[str, Any]
    """A line of the file."""

_MOST_MODELS, _MOST_REASONS, _MOST_TIERS = 1_000, 200, 32
_MOST_ENTRIES = 200_000
_TOP = 25
_PARTS = (
    "lookup_s", "encode_s", "shared_s", "verify_s", "queue_s", "backoff_s", "model_s",
    "first_token_s", "token_s", "embed_s", "retrieval_s", "tool_s",
)  # fmt: skip
_ELSEWHERE = ("embed_s", "retrieval_s", "tool_s")
"""What stands for a model's time in requests that ask none."""
_NOTHING: Told = {}


class _Model:
    __slots__ = ("attempts", "hits", "requests", "saved", "saved_s", "seen", "unstated", "used")

    def __init__(self) -> None:
        self.requests = self.hits = self.attempts = self.unstated = 0
        self.used, self.saved = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        self.saved_s = self.seen = 0.0


class RequestTally:
    """Adds requests up; one owner at a time.

    Args:
        targets_s: of the limiter's tiers, to the first token.
    """

    def __init__(self, targets_s: Mapping[str, float | None]) -> None:
        self._targets_s = targets_s
        self.outcomes: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self.bypasses: Counter[str] = Counter()
        self._models: dict[str, _Model] = {}
        self._model_labels, self._reasons = Labels(_MOST_MODELS), Labels(_MOST_REASONS)
        self._tier_labels = Labels(_MOST_TIERS)
        self._took: defaultdict[str, Spread] = defaultdict(Spread)
        self._tiers: defaultdict[str, Spread] = defaultdict(Spread)
        self._attained: Counter[str] = Counter()
        self._fates: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._parts: defaultdict[str, Spread] = defaultdict(Spread)
        self._asked: dict[str, list[int]] = {}

    def add(self, told: Told) -> tuple[str, float, float]:
        """Add a request.

        Returns:
            Its outcome as of `OUTCOMES`, and the tokens that it used and saved.
        """
        outcome, total_s = told["outcome"], told["total_s"]
        model = self._models.get(name := told.get("model", ""))
        if model is None:
            model = self._models.setdefault(self._model_labels.of(name), _Model())
        model.requests += 1
        self.endings[told["ending"]] += 1
        self._took["with"].add(total_s)
        self._took[outcome].add(total_s)
        if outcome == "hit":
            kind = told.get("tier", "exact")
            used, saved = 0.0, self._add_hit(told, model, total_s)
        else:
            kind, saved = outcome, 0.0
            used = self._add_asked(told, model, total_s)
            reason = self._reasons.of(told.get("reason", ""))
            (self.misses if outcome == "miss" else self.bypasses)[reason] += 1
        self.outcomes[kind] += 1
        if (tier := told.get("service_tier")) is not None:
            self._add_tier(told, tier, total_s)
        if (entry := told.get("entry_id")) is not None:
            self._add_entry(entry, hit=outcome == "hit")
        return kind, used, saved

    def add_beside(self, told: Told) -> None:
        """Add the time of a request that asks no language model: of vectors, documents, tools."""
        parts = told.get("parts", _NOTHING)
        for part in _ELSEWHERE:
            if spent_s := parts.get(part):
                self._parts[part].add(spent_s)

    def _add_hit(self, told: Told, model: _Model, total_s: float) -> float:
        model.hits += 1
        saved_s = told.get("saved_s")
        if saved_s is not None:
            model.saved_s += saved_s - total_s
            self._took["without"].add(saved_s)
        saved = told.get("saved")
        return 0.0 if saved is None else _add(model.saved, saved)

    def _add_asked(self, told: Told, model: _Model, total_s: float) -> float:
        self._took["without"].add(total_s)
        model.attempts += told.get("attempts", 0)
        parts, used = told.get("parts", _NOTHING), told.get("used")
        for part, spent_s in parts.items():
            if part in _PARTS and spent_s:
                self._parts[part].add(spent_s)
        if used is not None:
            stream_s, made = parts.get("stream_s"), used.get("output_tokens", 0.0)
            if stream_s and made > 1:
                self._parts["token_s"].add(stream_s / (made - 1))
            return _add(model.used, used)
        seen = told.get("seen_tokens", 0.0)
        if told["ending"] == "answered" or seen:
            model.unstated += 1
            model.seen += seen
        return 0.0

    def _add_tier(self, told: Told, tier: str, total_s: float) -> None:
        waited_s = total_s - (told.get("parts", _NOTHING).get("stream_s") or 0.0)
        tier = self._tier_labels.of(tier)
        self._tiers[tier].add(waited_s)
        target_s = self._targets_s.get(tier)
        if target_s is not None and waited_s <= target_s:
            self._attained[tier] += 1
        if (fate := told.get("attained")) is not None:
            self._fates[tier][fate] += 1

    def _add_entry(self, entry: str, *, hit: bool) -> None:
        counts = self._asked.get(entry)
        if counts is None:
            if len(self._asked) >= _MOST_ENTRIES:
                # Who was asked for once only is not among the most asked.
                self._asked = {id_: found for id_, found in self._asked.items() if found[0] > 1}
                if len(self._asked) >= _MOST_ENTRIES:
                    return
            counts = self._asked[entry] = [0, 0]
        counts[0] += 1
        counts[1] += hit

    def fold(self) -> None:
        """Count durations that were added, so that they take no room."""
        for spreads in (self._took, self._tiers, self._parts):
            for spread in spreads.values():
                spread.fold()

    def models(self, prices: PriceTable) -> dict[str, ModelTotals]:
        """Return what requests came to, by model."""
        return {name: _totals(name, model, prices) for name, model in self._models.items()}

    def latency(self) -> dict[str, Durations]:
        """Return how long they took, as of `Report.latency`."""
        return _known(self._took)

    def parts(self) -> dict[str, Durations]:
        """Return how long their parts took, of those that had them."""
        return _known({name: self._parts[name] for name in _PARTS if name in self._parts})

    def tiers(self) -> dict[str, Tier]:
        """Return how long they waited, by tier."""
        return {
            name: Tier(
                durations=durations,
                target_s=(target_s := self._targets_s.get(name)),
                attained=self._attained_share(name, target_s, durations.samples),
            )
            for name, durations in _known(self._tiers).items()
        }

    def _attained_share(
        self, tier: str, target_s: float | None, samples: int
    ) -> float | None:  # fmt: skip
        # The limiter's own word knows of targets that calls were given; older files have none.
        told = attained_share(self._fates[tier])
        if told is not None or target_s is None:
            return told
        return self._attained[tier] / samples

    def questions(self, texts: Mapping[str, str]) -> tuple[Question, ...]:
        """Return the most asked, with their texts where they are known."""
        most = sorted(self._asked.items(), key=lambda one: (-one[1][0], one[0]))[:_TOP]
        return tuple(
            Question(id=id_, asked=asked, hits=hits, text=texts.get(id_))
            for id_, (asked, hits) in most
        )

    def all_outcomes(self) -> dict[str, int]:
        """Return how many came to what."""
        return {name: self.outcomes[name] for name in OUTCOMES}


def _add(total: list[float], tokens: Told) -> float:
    given, got = tokens.get("input_tokens", 0.0), tokens.get("output_tokens", 0.0)
    total[0] += given
    total[1] += got
    total[2] += tokens.get("cached_input_tokens", 0.0)
    return float(given + got)


def _known(spreads: Mapping[str, Spread]) -> dict[str, Durations]:
    found = {name: spread.durations() for name, spread in spreads.items()}
    return {name: durations for name, durations in found.items() if durations is not None}


def _totals(name: str, model: _Model, prices: PriceTable) -> ModelTotals:
    used, saved = Tokens(*model.used), Tokens(*model.saved)
    return ModelTotals(
        requests=model.requests,
        hits=model.hits,
        attempts=model.attempts,
        used=used,
        saved=saved,
        saved_s=model.saved_s,
        unstated=model.unstated,
        seen_tokens=model.seen,
        cost=prices.cost(name, used),
        saved_cost=prices.cost(name, saved),
    )
