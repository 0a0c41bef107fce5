"""What is known of one key's limits, and how answers and refusals change it.

Stated limits make buckets of a minute's (a day's) capacity. Each response's headers set a view
beside them; limits that nobody stated are taken from the first header. A refusal without a visible
reason is evidence for a limit that headers do not show; one with a reason corrects the view that
promised too much. No refusal ever changes a stated rate: where headers or a hidden limit explain
what happens, slowing down as well would only lose throughput.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from math import exp, isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from accel_core.errors import ConfigError
from accel_core.policy.limits.charge import UNITS
from accel_core.policy.limits.header_view import HeaderView
from accel_core.policy.limits.hidden_limit import Sent, infer, restrain
from accel_core.policy.limits.layers import UnseenBucket
from accel_core.policy.limits.levels import Levels
from accel_core.policy.limits.limit_store import Limit
from accel_core.policy.limits.reservations import Reservations, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from accel_core.policy.limits.charge import Charge
    from accel_core.policy.limits.hidden_limit import Form
    from accel_core.policy.limits.layers import Layer
    from accel_core.policy.limits.limit_store import LimitStore
    from accel_core.policy.limits.reservations import Place

MINUTE_S: Final = 60.0
DAY_S: Final = 86_400.0
_EVIDENCE_S = 120.0
_SEARCH_EVERY_S = 0.25
_SEVERAL = 3
_TOLD = 8
_ROOM = 1.2
"""How many times a charge must have remained for its refusal to have no visible reason."""
_DOUBT, _DOUBT_STEP, _MOST_DOUBT = 0.03, 0.01, 0.15
_DOUBT_MEMORY_S = 300.0
_AGAIN, _AMONG = 4, 100
"""Refusals among so many calls that a hidden limit in force should have prevented."""
_SETTLING_S = 30.0
"""How long a form must have been in force: too early, the limit of another form is slowed down."""
_MOST_OF_OTHERS, _OTHERS_MEMORY_S = 0.6, 120.0
"""Others' share of a hidden limit: the most believed in, and for how long without a refusal."""
_Name = tuple[int, float]
"""A limit: its unit, and the seconds it is for."""
_UNBOUNDED: Final[Mapping[_Name, float]] = {}
_SLOWEST, _SLOWER, _RECOVERY_PER_S = 0.2, 0.9, 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A provider's limits for one key and model family. None: no limit, or none known.

    Raises:
        ConfigError: a limit is not a finite number above 0.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    requests_per_day: float | None = None
    tokens_per_day: float | None = None
    concurrent_requests: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not (isfinite(value) and value > 0):
                raise ConfigError(f"limits.{field.name}", value, "a number above 0")

    def stated(self) -> Iterator[tuple[int, float, float]]:
        """Yield each limit on an amount: its unit, the amount, and the seconds it is for."""
        for unit, name in enumerate(UNITS):
            for per, per_s in (("minute", MINUTE_S), ("day", DAY_S)):
                amount = getattr(self, f"{name}_per_{per}", None)
                if amount is not None:
                    yield unit, float(amount), per_s


class Shown(NamedTuple):
    """One limit as a response's headers show it."""

    unit: int
    limit: float | None
    remaining: float | None
    per_s: float = MINUTE_S


class Account:
    """The state of one key's limits.

    Args:
        limits: what is stated; the rest is learned.
        now_s: when it starts.
        shared: where its levels are shared with other processes; None: they are this one's.
    """

    def __init__(self, limits: Limits, now_s: float, shared: LimitStore | None = None) -> None:
        self._stated = {(unit, per_s): amount for unit, amount, per_s in limits.stated()}
        self._ceilings = [(unit, amount) for (unit, _), amount in self._stated.items()]
        self._limits: dict[_Name, Limit] = {}
        self._views: dict[_Name, HeaderView] = {}
        self._hidden: Layer | None = None
        self._form: Form | None = None
        self._of_others = 0.0
        self._of_others_s = self._judged_s = float("-inf")
        self._told_s: deque[float] = deque(maxlen=_TOLD)
        self._doubt = self._slowed_to = 1.0
        self._doubt_s = self._slowed_s = self._searched_s = float("-inf")
        self.levels, self._shared = Levels(), shared
        self.reservations = Reservations(
            slots=limits.concurrent_requests, levels=self.levels, shared=shared
        )
        for (unit, per_s), amount in self._stated.items():
            self._limits[unit, per_s] = Limit(unit, per_s, amount, amount / per_s)
        self._shape(now_s)

    @property
    def hidden(self) -> Form | None:
        """The limit in force that headers do not show, if any."""
        return self._form

    @property
    def share_of_others(self) -> float:
        """The largest share of a limit that others seem to use, in [0, 1]."""
        return max((view.share_of_others for view in self._views.values()), default=0.0)

    def too_large(self, charge: Charge) -> tuple[str, float] | None:
        """Return the limit that can never take `charge`, as unit and amount, if any.

        Only what was stated, or said in so many words, counts: a header may be wrong.
        """
        for unit, amount in self._ceilings:
            if charge[unit] > amount:
                return UNITS[unit], amount
        return None

    def take_over(self, limits: Sequence[Shown]) -> None:
        """Take limits over that a provider named when it refused a call as too large."""
        for one in limits:
            if one.limit is not None and one.limit > 0.0:
                name = one.unit, one.per_s
                self._stated[name] = min(one.limit, self._stated.get(name, one.limit))
        self._ceilings = [(unit, amount) for (unit, _), amount in self._stated.items()]

    def look(self, place: Place, shown: Sequence[Shown], now_s: float) -> None:
        """Learn from the headers of a response; its body may still be on its way."""
        self._recover(now_s)
        for one in shown:
            limit = self._stated.get((one.unit, one.per_s)) if one.limit is None else one.limit
            if limit is None or not _credible(limit, one.unit, place):
                continue
            self._learn_limit(one, limit, now_s)
            if one.remaining is not None:
                self._views[one.unit, one.per_s].see(
                    place.granted_s, place.total, one.remaining, self.reservations.total, now_s
                )

    def refused(
        self,
        place: Place,
        charged: Charge,
        shown: Sequence[Shown],
        now_s: float,
        retry_after_s: float | None = None,
    ) -> None:
        """Settle `place`, which was refused for a limit, and learn from that."""
        short = {one.unit for one in shown if _is_short(one, place.charge)}
        place.unexplained = not short
        if place.unexplained and retry_after_s is not None:
            self._told_s.append(now_s + retry_after_s)
        # First, for what is learned below is how much there is, with everything given back.
        self.reservations.settle(place, charged, now_s)
        self.look(place, shown, now_s)
        if short:
            for view in self._views.values():
                if view.unit in short:
                    view.refused(place.charge, now_s)
        elif not self._explain(now_s) and not shown:
            self._slow_down(place.charge, now_s)
        self.close_for(retry_after_s or 0.0, now_s)

    def close_for(self, retry_after_s: float, now_s: float) -> None:
        """Let nobody through for as long as a provider asks for; 0: it does not."""
        if retry_after_s > 0.0:
            # At most a minute: what was said once, by whoever, must not close a key for a day.
            self.reservations.close_until(now_s + min(retry_after_s, MINUTE_S), now_s)

    def _learn_limit(self, one: Shown, limit: float, now_s: float) -> None:
        """Take over a limit nobody stated, or one that is lower than was stated."""
        name = one.unit, one.per_s
        own, view = self._limits.get(name), self._views.get(name)
        amount = min(limit, self._stated.get(name, limit))
        is_new = view is None or view.capacity != limit
        if own is not None and own.amount == amount and not is_new:
            return
        if one.per_s == DAY_S and (one.unit, MINUTE_S) not in self._stated:
            # Before some of a day was used, its header looked like a minute's.
            self._limits.pop((one.unit, MINUTE_S), None)
            self._views.pop((one.unit, MINUTE_S), None)
        left = limit if one.remaining is None else one.remaining
        rate_per_s = amount / one.per_s * self._slowed_to
        self._limits[name] = Limit(one.unit, one.per_s, amount, rate_per_s)
        if is_new:
            self._views[name] = HeaderView(one.unit, limit / one.per_s, limit, now_s)
        self._shape(now_s, {name: left} if own is None else _UNBOUNDED)
        self._relayer()

    def _explain(self, now_s: float) -> bool:
        """Find the hidden limit behind a refusal, or correct it; False where there is none.

        One that is in force is left only for another that explains several refusals better: now and
        then what is charged adds up to more than was counted, which is no other limit.
        """
        if now_s - self._searched_s >= _SEARCH_EVERY_S:
            self._searched_s = now_s
            sent = self._evidence(now_s)
            # Others' use of the key counts towards what is hidden too.
            left = 1.0 - round(self.share_of_others, 1)
            rates = [(limit.unit, limit.rate_per_s * left) for limit in self._limits.values()]
            several = sum(one.refused for one in sent) >= _SEVERAL
            form = infer(sent, rates, self._told_s)
            if form is None and several and self._form is None:
                form = restrain(sent, rates)
            if form is not None and form != self._form and (several or self._form is None):
                self._form, self._doubt, self._doubt_s = form, _DOUBT - _DOUBT_STEP, now_s
                self._of_others, self._judged_s = 0.0, now_s + _SETTLING_S
        if self._form is None:
            return False
        self._doubt = min(_MOST_DOUBT, self._doubt_at(now_s) + _DOUBT_STEP)
        self._doubt_s = now_s
        self._note_others(now_s)
        self._hidden = self._form.layer(now_s, self._doubt)
        self._leave_to_others(now_s)
        self._relayer()
        return True

    def _note_others(self, now_s: float) -> None:
        """Raise others' share of a hidden limit by the share of calls that it did not prevent.

        No header shows who else uses what is hidden, as long as what is visible is full.
        """
        since = [one for one in self.reservations.sent if one.granted_s > self._judged_s]
        recent = [one.unexplained for one in since[-_AMONG:]]
        if sum(recent) >= _AGAIN:
            share = self._of_others_at(now_s)
            share += (1.0 - share) * sum(recent) / len(recent)
            self._of_others = min(_MOST_OF_OTHERS, share)
            self._of_others_s = self._judged_s = now_s

    def _of_others_at(self, now_s: float) -> float:
        return self._of_others * exp(min(0.0, self._of_others_s - now_s) / _OTHERS_MEMORY_S)

    def _leave_to_others(self, now_s: float) -> None:
        """Let a hidden bucket refill by what others leave; of windows no share says enough."""
        if self._form is not None and isinstance(self._hidden, UnseenBucket):
            rate_per_s = self._form.amount / self._form.length_s
            left = 1.0 - self._of_others_at(now_s)
            self._hidden.reshape(rate_per_s * left, self._hidden.capacity, now_s)

    def _evidence(self, now_s: float) -> list[Sent]:
        return [
            Sent(place.granted_s, place.charge, place.unexplained)
            for place in self.reservations.sent
            if place.state is not State.LEFT and now_s - place.granted_s <= _EVIDENCE_S
        ]

    def _doubt_at(self, now_s: float) -> float:
        return _DOUBT + (self._doubt - _DOUBT) * exp((self._doubt_s - now_s) / _DOUBT_MEMORY_S)

    def _slow_down(self, charge: Charge, now_s: float) -> None:
        """Use less of limits that nothing is known about: no header, and no form explains it."""
        self._slowed_to = max(_SLOWEST, self._slowed_to * _SLOWER)
        self._pace(now_s, {name: charge[name[0]] / 2 for name in self._limits})

    def _recover(self, now_s: float) -> None:
        if self._of_others:
            self._leave_to_others(now_s)
        if self._slowed_to < 1.0:
            passed_s = max(0.0, now_s - self._slowed_s)
            self._slowed_to = min(1.0, self._slowed_to + passed_s * _RECOVERY_PER_S)
            self._pace(now_s)

    def _pace(self, now_s: float, at_most: Mapping[_Name, float] = _UNBOUNDED) -> None:
        self._slowed_s = now_s
        for name, limit in self._limits.items():
            rate_per_s = limit.amount / limit.per_s * self._slowed_to
            self._limits[name] = limit._replace(rate_per_s=rate_per_s)
        self._shape(now_s, at_most)

    def _shape(self, now_s: float, at_most: Mapping[_Name, float] = _UNBOUNDED) -> None:
        """Tell whoever keeps the levels which limits there are, and which are at most how high."""
        limits = [
            limit._replace(at_most=at_most[name]) if name in at_most else limit
            for name, limit in self._limits.items()
        ]
        self.levels.shape(limits, now_s)
        if self._shared is not None:
            self._shared.shape(limits, now_s)

    def _relayer(self) -> None:
        layers: list[Layer] = [*self._views.values()]
        self.reservations.layers = layers if self._hidden is None else [*layers, self._hidden]


def _is_short(one: Shown, charge: Charge) -> bool:
    return one.remaining is not None and one.remaining < _ROOM * charge[one.unit]


def _credible(limit: float, unit: int, place: Place) -> bool:
    """Whether a header can be true: what was let through cannot be more than its limit."""
    return 0.0 < limit < float("inf") and (place.unexplained or limit >= place.charge[unit])
