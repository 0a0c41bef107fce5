"""Requests added up: how they ended, what they used and saved, and how long they took.

Invariant: memory is bounded whatever models and tiers are named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from accel_core.events.requests import GENERATING, MODEL_OPERATIONS, Tokens
from accel_core.policy.histogram import Histogram
from accel_core.policy.labels import Labels
from accel_core.policy.limits.tiers import Attainment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from accel_core.events.requests import RequestEnded
    from accel_core.policy.histogram import Quantiles
    from accel_core.policy.prices import PriceTable

_NOTHING = Tokens(0.0, 0.0)
_MOST_TIERS = 32
_FATES = ("kept", "late", "rejected")
_PARTS = (
    "lookup_s", "encode_s", "shared_s", "verify_s", "queue_s", "backoff_s", "model_s",
    "first_token_s", "embed_s", "retrieval_s", "tool_s",
)  # fmt: skip


class ModelTotals(NamedTuple):
    """What the requests for one model came to.

    Attributes:
        requests: how many there were.
        hits: of them, how many the cache answered.
        attempts: how often the provider was asked.
        used: tokens, as the provider stated them.
        saved: tokens that hits would have used; those whose answers stated theirs.
        saved_s: the time that hits would have taken, less what they took.
        unstated: answers, whole or in part, whose usage nobody stated.
        seen_tokens: of those, what of their output was seen.
        cost: of what was used, in US dollars; None: the model has no price.
        saved_cost: of what was saved, likewise.
    """

    requests: int = 0
    hits: int = 0
    attempts: int = 0
    used: Tokens = _NOTHING
    saved: Tokens = _NOTHING
    saved_s: float = 0.0
    unstated: int = 0
    seen_tokens: float = 0.0
    cost: float | None = None
    saved_cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """A snapshot of requests, since the start.

    Attributes:
        endings: requests by operation, outcome and ending, as ``chat.hit.answered``.
        models: what those of models came to, by model; beyond `observe.max_models` under ``other``.
        took: how long they took, by operation and outcome, as ``chat.hit``.
        saved_s: the time that hits would have taken, less what they took, by operation.
        tiers: how long calls of language models took until their first token, or their end where
            they were not streamed, by the limiter's tier; queues included.
        attained: what became of calls of language models that a limiter let through or turned
            away, by its tier: whether their first token, or their answer where it was not streamed,
            was there by the tier's target, the queue included.
        parts: how long their parts took, of those that had that part and were no hits.
        token_s: the time for each token of a stream after its first (`RequestEnded.token_s`).
    """

    endings: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, ModelTotals] = field(default_factory=dict)
    took: Mapping[str, Quantiles] = field(default_factory=dict)
    saved_s: Mapping[str, float] = field(default_factory=dict)
    tiers: Mapping[str, Quantiles] = field(default_factory=dict)
    attained: Mapping[str, Attainment] = field(default_factory=dict)
    parts: Mapping[str, Quantiles] = field(default_factory=dict)
    token_s: Quantiles | None = None

    @property
    def total(self) -> ModelTotals:
        """Of all models, those of embeddings too; costs are None where one used has no price."""
        return _sum(self.models.values())


class _Model:
    """What is added up for a model, in place: a hit adds to it."""

    __slots__ = ("attempts", "hits", "requests", "saved", "saved_s", "seen_tokens", "unstated",
                 "used")  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.hits = self.attempts = self.unstated = 0
        self.used, self.saved = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        self.saved_s = self.seen_tokens = 0.0


class RequestTotals:
    """Adds requests up; one owner at a time.

    Args:
        max_models: models that are told apart.
        prices: returns what tokens cost; asked when somebody looks.
    """

    def __init__(self, max_models: int, prices: Callable[[], PriceTable]) -> None:
        self._prices, self._labels = prices, Labels(max_models)
        self._tier_labels = Labels(_MOST_TIERS)
        self._endings: Counter[tuple[str, str, str]] = Counter()
        self._models: dict[str, _Model] = {}
        self._took: dict[tuple[str, str], Histogram] = {}
        self._saved_s: dict[str, float] = {}
        self._tiers: dict[str, Histogram] = {}
        self._attained: Counter[tuple[str, str]] = Counter()
        self._parts = {name: Histogram() for name in _PARTS}
        self._token = Histogram()

    def add(self, ended: RequestEnded) -> None:
        """Add a request."""
        self._endings[ended.operation, ended.outcome, ended.ending] += 1
        kind = (ended.operation, ended.outcome)
        took = self._took.get(kind)
        if took is None:
            took = self._took[kind] = Histogram()
        took.add(ended.total_s)
        if ended.operation in MODEL_OPERATIONS:
            self._add_model(ended)
        if ended.outcome != "hit":
            self._add_parts(ended)
        elif ended.saved_s is not None:
            before_s = self._saved_s.get(ended.operation, 0.0)
            self._saved_s[ended.operation] = before_s + ended.saved_s - ended.total_s
        if ended.service_tier and ended.operation in GENERATING:
            self._add_tier(ended)

    def _add_model(self, ended: RequestEnded) -> None:
        model = self._models.get(ended.model)
        if model is None:
            model = self._models.setdefault(self._labels.of(ended.model), _Model())
        model.requests += 1
        if ended.outcome == "hit":
            model.hits += 1
            if ended.saved is not None:
                _add(model.saved, ended.saved)
            if ended.saved_s is not None:
                model.saved_s += ended.saved_s - ended.total_s
            return
        model.attempts += ended.attempts
        if ended.used is not None:
            _add(model.used, ended.used)
        elif ended.ending == "answered" or ended.seen_tokens:
            model.unstated += 1
            model.seen_tokens += ended.seen_tokens

    def _add_parts(self, ended: RequestEnded) -> None:
        parts = ended.parts
        for name, histogram in self._parts.items():
            spent_s = getattr(parts, name)
            if spent_s:
                histogram.add(spent_s)
        token_s = ended.token_s
        if token_s is not None:
            self._token.add(token_s)

    def _add_tier(self, ended: RequestEnded) -> None:
        tier = self._tier_labels.of(ended.service_tier)
        if tier not in self._tiers:
            self._tiers[tier] = Histogram()
        self._tiers[tier].add(ended.total_s - (ended.parts.stream_s or 0.0))
        if ended.attained:
            self._attained[tier, ended.attained] += 1

    def snapshot(self) -> Requests:
        """Return what was added up so far."""
        prices = self._prices() if self._models else None
        return Requests(
            endings={".".join(key): count for key, count in self._endings.items()},
            models={name: _totals(name, model, prices) for name, model in self._models.items()},
            took={".".join(key): took.quantiles() for key, took in self._took.items()},
            saved_s=dict(self._saved_s),
            tiers={tier: took.quantiles() for tier, took in self._tiers.items()},
            attained={
                tier: Attainment(*(self._attained[tier, fate] for fate in _FATES))
                for tier in dict.fromkeys(tier for tier, _ in self._attained)
            },
            parts={
                name: found
                for name, took in self._parts.items()
                if (found := took.quantiles()).samples
            },
            token_s=self._token.quantiles(),
        )


def _add(total: list[float], tokens: Tokens) -> None:
    total[0] += tokens.input_tokens
    total[1] += tokens.output_tokens
    total[2] += tokens.cached_input_tokens


def _totals(name: str, model: _Model, prices: PriceTable | None) -> ModelTotals:
    used, saved = Tokens(*model.used), Tokens(*model.saved)
    return ModelTotals(
        model.requests,
        model.hits,
        model.attempts,
        used,
        saved,
        model.saved_s,
        model.unstated,
        model.seen_tokens,
        None if prices is None else prices.cost(name, used),
        None if prices is None else prices.cost(name, saved),
    )


def _sum(models: Iterable[ModelTotals]) -> ModelTotals:
    total = ModelTotals(cost=0.0, saved_cost=0.0)
    for one in models:
        total = ModelTotals(
            total.requests + one.requests,
            total.hits + one.hits,
            total.attempts + one.attempts,
            Tokens(*map(sum, zip(total.used, one.used, strict=True))),
            Tokens(*map(sum, zip(total.saved, one.saved, strict=True))),
            total.saved_s + one.saved_s,
            total.unstated + one.unstated,
            total.seen_tokens + one.seen_tokens,
            _both(total.cost, one.cost, one.used),
            _both(total.saved_cost, one.saved_cost, one.saved),
        )
    return total


def _both(total: float | None, cost: float | None, tokens: Tokens) -> float | None:
    if tokens == _NOTHING:
        return total
    return None if total is None or cost is None else total + cost
