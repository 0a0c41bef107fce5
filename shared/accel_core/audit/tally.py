"""What a replay came to, added up while it runs.

Invariants: every call is in exactly one tier of every sum; what a log does not state is counted as
unknown beside the sum of what it does, so that no total is smaller than it says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accel_core.audit.arrivals import Arrival
    from accel_core.audit.replay import Outcome
    from accel_core.policy.prices import PriceTable

TIERS = ("exact", "shared", "semantic")
GAPS_S = (300.0, 3_600.0, 86_400.0, 604_800.0)
"""Bounds of the time between a request and the very same one."""

_BUCKETS = 48


@dataclass(slots=True)
class Sum:
    """Calls, and what they used.

    Attributes:
        calls: how many.
        input_tokens: of their prompts, as far as stated.
        output_tokens: of their answers.
        cached_input_tokens: of the prompts, what the provider read from its cache.
        without_tokens: calls whose usage the log does not state.
        dollars: what the stated tokens of models with a price cost.
        without_price: calls with usage whose model has no price.
        seconds: how long they took, less what was waited for them.
        without_time: calls whose duration the log does not state.
    """

    calls: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cached_input_tokens: float = 0.0
    without_tokens: int = 0
    dollars: float = 0.0
    without_price: int = 0
    seconds: float = 0.0
    without_time: int = 0

    def add(self, arrival: Arrival, waited_s: float, prices: PriceTable) -> None:
        """Add a call."""
        self.calls += 1
        tokens, took_s = arrival.stated.tokens, arrival.stated.took_s
        if tokens is None:
            self.without_tokens += 1
        else:
            self.input_tokens += tokens.input_tokens
            self.output_tokens += tokens.output_tokens
            self.cached_input_tokens += tokens.cached_input_tokens
            cost = prices.cost(arrival.request.source, tokens)
            self.without_price += cost is None
            self.dollars += cost or 0.0
        if took_s is None:
            self.without_time += 1
        else:
            self.seconds += max(0.0, took_s - waited_s)

    @property
    def tokens(self) -> float | None:
        """Tokens in and out; None where no call states any."""
        known = self.calls > self.without_tokens or not self.calls
        return self.input_tokens + self.output_tokens if known else None

    @property
    def cost(self) -> float | None:
        """US dollars; None where no call has a known cost."""
        known = self.calls > self.without_tokens + self.without_price or not self.calls
        return self.dollars if known else None

    @property
    def time_s(self) -> float | None:
        """Seconds; None where no call states any."""
        return self.seconds if self.calls > self.without_time or not self.calls else None

    def plus(self, other: Sum) -> Sum:
        """Return both together."""
        pairs = asdict(other)
        return Sum(**{name: value + pairs[name] for name, value in asdict(self).items()})

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; what is not known is None."""
        tokens = self.tokens is not None
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens if tokens else None,
            "output_tokens": self.output_tokens if tokens else None,
            "cached_input_tokens": self.cached_input_tokens if tokens else None,
            "dollars": self.cost,
            "seconds": self.time_s,
            "unknown": {
                "tokens": self.without_tokens,
                "price": self.without_price,
                "seconds": self.without_time,
            },
        }


@dataclass(slots=True)
class Refusals:
    """What became of calls that a limit refused.

    Attributes:
        logged: that the log holds.
        answered: that a cache would have answered.
        waited: explained by a known limit, that would have found room by waiting.
        turned_away: explained, and not let through in time.
        unknown: that no known limit explains.
    """

    logged: int = 0
    answered: int = 0
    waited: int = 0
    turned_away: int = 0
    unknown: int = 0


@dataclass(slots=True)
class Bucket:
    """A stretch of the log's time: its calls, and those that a cache would have answered."""

    from_s: float
    calls: int = 0
    hits: int = 0


@dataclass(slots=True)
class Tally:
    """What calls came to.

    Attributes:
        prices: of models.
        span_s: the first moment and the last; None: not known.
        asked: all calls that were answered, as the log has them.
        failed: calls without an answer, refusals included.
        saved: by tier.
        models: by model: all, and those saved.
        misses: by reason, bypasses included.
        refusals: of limits.
        waited_s: that calls would have waited for room, all together.
        longest_wait_s: the longest of those waits.
        turned_away: calls that would have found no room in time.
        same_words: hits by meaning to which the log's own answer has the same words.
        buckets: the log's time, in equal parts; none where that is not known.
        gaps: exact repeats by the time since the last, up to each of `GAPS_S`, and beyond them.
        tenants: digests of those that were named, ``b""`` for nobody's.
    """

    prices: PriceTable
    span_s: tuple[float, float] | None
    asked: Sum = field(default_factory=Sum)
    failed: int = 0
    saved: dict[str, Sum] = field(default_factory=lambda: {tier: Sum() for tier in TIERS})
    models: dict[str, tuple[Sum, Sum]] = field(default_factory=dict)
    misses: Counter[str] = field(default_factory=Counter)
    refusals: Refusals = field(default_factory=Refusals)
    waited_s: float = 0.0
    longest_wait_s: float = 0.0
    turned_away: int = 0
    same_words: int = 0
    buckets: list[Bucket] = field(default_factory=list)
    gaps: list[int] = field(default_factory=lambda: [0] * (len(GAPS_S) + 1))
    tenants: set[bytes] = field(default_factory=set)
    _last_s: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.span_s is not None:
            first_s, last_s = self.span_s
            step_s = (last_s - first_s) / _BUCKETS
            self.buckets = [Bucket(first_s + place * step_s) for place in range(_BUCKETS)]

    @property
    def total(self) -> Sum:
        """What all tiers would have saved."""
        total = Sum()
        for one in self.saved.values():
            total = total.plus(one)
        return total

    @property
    def distinct(self) -> int:
        """Different requests."""
        return len(self._last_s)

    def add(self, arrival: Arrival, outcome: Outcome) -> None:
        """Add a call and what became of it."""
        self.tenants.add(arrival.request.tenant)
        self._note_gap(arrival)
        if arrival.stated.failure == "limited":
            self._add_refused(outcome)
        if arrival.stated.failure:
            self.failed += 1
        else:
            self._add_answered(arrival, outcome)
        if not outcome.tier:
            self.misses[outcome.reason] += 1
            self.turned_away += outcome.turned_away
            self.waited_s += outcome.waited_s
            self.longest_wait_s = max(self.longest_wait_s, outcome.waited_s)
        self.same_words += outcome.same_words

    def _add_answered(self, arrival: Arrival, outcome: Outcome) -> None:
        source = arrival.request.source
        asked, saved = self.models.setdefault(source, (Sum(), Sum()))
        for one in (self.asked, asked):
            one.add(arrival, 0.0, self.prices)
        if outcome.tier:
            for one in (self.saved[outcome.tier], saved):
                one.add(arrival, outcome.waited_s, self.prices)
        if self.span_s is not None:
            first_s, last_s = self.span_s
            share = (arrival.at_s - first_s) / ((last_s - first_s) or 1.0)
            bucket = self.buckets[min(_BUCKETS - 1, int(share * _BUCKETS))]
            bucket.calls += 1
            bucket.hits += bool(outcome.tier)

    def _add_refused(self, outcome: Outcome) -> None:
        refusals = self.refusals
        refusals.logged += 1
        if outcome.tier:
            refusals.answered += 1
        elif not outcome.explained:
            refusals.unknown += 1
        elif outcome.turned_away:
            refusals.turned_away += 1
        else:
            refusals.waited += 1

    def _note_gap(self, arrival: Arrival) -> None:
        known = int.from_bytes(arrival.request.key[:8], "big")
        last_s = self._last_s.get(known)
        self._last_s[known] = arrival.at_s
        if last_s is not None:
            gap_s = arrival.at_s - last_s
            self.gaps[sum(gap_s > bound for bound in GAPS_S)] += 1
