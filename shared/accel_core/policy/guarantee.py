"""Serve by meaning only while the share of wrong hits is under a bound, with stated confidence.

**Thresholds.** A candidate comes with a score, the calibrated probability that it is right; its
risk is one minus that. A fixed grid of risks is tried: from an eighth of `max_wrong_hits` upwards,
two steps to the doubling. Each keeps two numbers: outcomes at that risk or less, and how many of
them were wrong. `confidence.Doubt` turns them into evidence that the share is under the bound.

**Which are tested.** Thresholds are walked from strict to loose and the walk ends at the first one
that is not proven, so only the first bad one could be served by error and no union bound over the
grid is due (fixed-sequence testing: Angelopoulos et al., "Learn then Test", arXiv 2110.01052). The
strictest may never see enough outcomes; the walk therefore starts anew at every fourth threshold,
and the error is divided by the number of starts (their multi-start variant).

**Exploring.** Outcomes exist only for what is explored. Would-be hits are explored by the caller's
dice with a known probability that falls as 1 / outcomes once there are ``1 / max_wrong_hits``, so
that outcomes grow as the root of the hits; whatever is not served is a call to the model anyway
and is explored always. A `Decision` carries the weight that evens this out: the least exploring
probability over its own.

**Entries.** An entry's own outcomes shift its candidates' scores before the grid sees them, as
ratings do in chess (Elo): ``log-odds += 2 x (outcome - probability)``. One wrong outcome of a good
candidate multiplies its odds of being wrong by seven, so it needs a better score to be served
again; right outcomes win it back. The shift is known before the outcome and needs no proof.

**Where the bound holds.** Say that, given the past, the next candidate at threshold k or below is
wrong with probability q_k, that q_k is above the bound, and that dice are fair. Then `Doubt`'s
capital for k is a supermartingale, and the probability that k is *ever* served is at most
1 - `confidence` (Ville), over all k and all times, per scope; over served ones it is the same,
since the dice do not know the outcome. A run's share then differs from q_k by chance only.

**Restoring.** Capital is two sums per threshold, and an export holds them: stopping and starting is
a pause in the same bets. Outcomes that are lost on the way (a crash, two processes writing at once)
must be lost whatever they were; what is left are bets of the same kind. Sums do not know an order,
so processes may put their outcomes together as long as one's do not depend on another's; each then
looks at its own course of the capital, and the statement is about each process.

**Where it does not.**

- *Warm start*: with ``trust="calibrated"`` outcomes from calibration and from other scopes count as
  up to ``pooled / max_wrong_hits`` own ones, and the statement needs that they are no better than
  the scope's. Calibration watches a cache that stores every question; one that serves does not
  store what it serves wrongly and meets it again, so it *is* somewhat better. Nothing is served,
  therefore, before ``1 / max_wrong_hits`` outcomes of this cache, and own outcomes replace the
  others one for one; from `pooled` on, or with ``trust="earned"``, the reservation falls.
- *Drift*: a share that moves across the bound is met by forgetting: at most ``memory`` in the same
  unit is remembered, and beyond it the bound holds at each time, not at all times at once.
- *Judging*: whoever compares answers leniently moves the bound along.
- *Reports* name wrong hits only, so they may only tighten. A report counts as the outcome that
  exploring would have found with the hit's probability, and an `Alarm` counts all hits without one
  as right: when even so they are more wrong than allowed, the scope's evidence, own and pooled, is
  void, and it must earn everything anew.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from math import exp, inf, log
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from accel_core.errors import ConfigError
from accel_core.policy.confidence import Alarm, Counts, Doubt, risks_of, upper_bound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from accel_core.policy.promise import GuaranteeSettings

Action = Literal["serve", "explore", "refuse"]

_START_EVERY: Final = 4  # thresholds, so that walks start a factor of four apart
_PACE: Final = 2.0  # log-odds that an entry moves when it fails where it was sure to be right
_SHIFT: Final = (-6.0, 2.0)  # a rating's ends: lost until proven, and never much better than others
_EPOCH: Final = 32  # outcomes elsewhere after which a scope thinks anew; at once if one is wrong
_FORGOTTEN: Final = 0.05  # log-odds: a rating so near to none is not worth its memory


class Decision(NamedTuple):
    """What to do with a candidate.

    Attributes:
        action: serve it; or ask the model and tell `observe` how the answers compare; or ask only.
        reason: ``proven``, ``sampled``, ``unproven``, ``demoted``, ``shadow``, ``hopeless``.
        weight: to be handed back in the `Outcome`, in (0, 1].
        share: of such candidates that are explored, in (0, 1].
    """

    action: Action
    reason: str
    weight: float = 1.0
    share: float = 1.0


class Outcome(NamedTuple):
    """What exploring a candidate has shown.

    Attributes:
        score: as `decide` was told, in [0, 1].
        scope: likewise.
        entry: likewise.
        right: whether the stored answer would have been right.
        weight: of the `Decision`. One is on the safe side where low scores are wrong more often.
    """

    score: float
    scope: bytes
    entry: bytes
    right: bool
    weight: float = 1.0


class Standing(NamedTuple):
    """A threshold's least score, the bound on its share of wrong hits, and whether it is on."""

    min_score: float
    upper_bound: float
    served: bool


class _Scope:
    """One scope's evidence, and what follows from it."""

    __slots__ = ("alarm", "counts", "explore", "pools", "served", "settled")

    def __init__(self, counts: Counts, *, pools: bool, alarm: float = 0.0) -> None:
        self.counts, self.pools, self.alarm = counts, pools, alarm
        self.served, self.explore = 0, 1.0  # thresholds proven; exploring of would-be hits
        self.settled = -1  # the pool's epoch then


class Guarantee:
    """Decides, and learns from outcomes; one owner at a time may call it.

    >>> from accel_core.policy.promise import GuaranteeSettings
    >>> mode = Guarantee(GuaranteeSettings(max_wrong_hits=0.02))
    >>> mode.decide(0.99, b"scope", b"entry", chance=0.5)
    Decision(action='explore', reason='shadow', weight=1.0, share=1.0)
    """

    def __init__(self, settings: GuaranteeSettings) -> None:
        self.settings = settings
        bound = settings.max_wrong_hits
        self._risks = risks_of(bound)
        starts = -(-len(self._risks) // _START_EVERY)
        self._alpha = (1 - settings.confidence) / starts
        self._needed = -log(self._alpha)
        self._doubt = Doubt(bound)
        self._memory, self._pool = settings.memory / bound, settings.pooled / bound
        self._alarm = Alarm(bound, -log((1 - settings.confidence) * bound))
        self._calibration, self._global = self._nothing(), self._nothing()
        self._observed = self._epoch = 0
        self._scopes: dict[bytes, _Scope] = {}
        self._shifts: dict[bytes, float] = {}

    def warm(self, outcomes: Iterable[tuple[float, bool]]) -> None:
        """Count calibration's outcomes: score and right, as of nearest candidates of a stream."""
        for score, right in outcomes:
            level = self._level(score, 0.0)
            self._calibration.add(level, 1.0, right=right, memory=inf)
        self._epoch += 1

    def decide(self, score: float, scope: bytes, entry: bytes, chance: float) -> Decision:
        """Decide about the candidate `entry`.

        Args:
            score: calibrated probability that its answer is right, in [0, 1].
            scope: whose evidence counts.
            entry: whose answer it is.
            chance: fresh dice, even in [0, 1).
        """
        state = self._scope(scope)
        decision = self._decision(state, score, entry)
        if decision.action == "serve":
            if chance < state.explore:
                return Decision("explore", "sampled", share=state.explore)
            state.alarm = self._alarm.right(state.alarm)
        return decision

    def would(self, score: float, scope: bytes, entry: bytes) -> Decision:
        """Return what `decide` says where its dice do not explore, taking no note of anything."""
        state = self._scopes.get(scope) or self._new_scope()
        self._refresh(state)
        return self._decision(state, score, entry)

    def served(self, scope: bytes, times: int) -> None:
        """Take note of hits that `decide` has let through elsewhere."""
        state = self._scope(scope)
        state.alarm = self._alarm.right(state.alarm, times)

    def observe(self, outcome: Outcome) -> None:
        """Learn from an explored candidate."""
        state = self._scope(outcome.scope)
        level = self._level(outcome.score, self._shifts.get(outcome.entry, 0.0))
        weight = min(1.0, max(0.0, outcome.weight))
        for counts in (state.counts, self._global):
            counts.add(level, weight, right=outcome.right, memory=self._memory)
        self._observed += 1
        if not outcome.right or self._observed % _EPOCH == 0:
            self._epoch += 1
        self._rate(outcome.entry, outcome.score, right=outcome.right)
        self._settle(state)

    def report_wrong(self, score: float, scope: bytes, entry: bytes) -> None:
        """Take somebody's word that a served hit was wrong; `score` as `decide` was told.

        It demotes the entry and tightens its own scope. Who may report, and how often, is the
        caller's to decide.
        """
        state = self._scope(scope)
        level = self._level(score, self._shifts.get(entry, 0.0))
        state.counts.add(level, state.explore, right=False, memory=self._memory)
        self._rate(entry, score, right=False)
        state.alarm = self._alarm.wrong(state.alarm)
        if state.alarm == inf:
            state.counts, state.pools, state.alarm = self._nothing(), False, 0.0
        self._settle(state)

    def forget(self, entries: Collection[bytes]) -> None:
        """Forget the ratings of `entries`; what they showed of a scope stays, as counts."""
        for entry in entries:
            self._shifts.pop(entry, None)

    def bounds(self, scope: bytes) -> list[Standing]:
        """Return how each threshold stands, the strictest first."""
        state = self._scope(scope)
        self._settle(state)
        return [
            Standing(
                1 - risk, upper_bound(*self._evidence(state, at), self._alpha), at < state.served
            )
            for at, risk in enumerate(self._risks)
        ]

    def export(self) -> dict[str, Any]:
        """Return all that was learned, as JSON has it."""
        return {
            "version": 1,
            "max_wrong_hits": self.settings.max_wrong_hits,
            "calibration": self._calibration.export(),
            "global": self._global.export(),
            "scopes": {
                key.hex(): {
                    **state.counts.export(),
                    "pools": state.pools,
                    "alarm": state.alarm,
                }
                for key, state in self._scopes.items()
            },
            "entries": {key.hex(): shift for key, shift in self._shifts.items()},
        }

    @classmethod
    def restored(cls, settings: GuaranteeSettings, state: Mapping[str, Any]) -> Guarantee:
        """Return what `export` has described, under `settings`.

        Raises:
            ConfigError: `state` is damaged, or was learned for another `max_wrong_hits`, whose
                thresholds are others.
        """
        made = cls(settings)
        if state.get("version") != 1 or state.get("max_wrong_hits") != settings.max_wrong_hits:
            raise ConfigError(
                "guarantee.state",
                state.get("max_wrong_hits"),
                f"a state of version 1, learned for {settings.max_wrong_hits}; start without it",
            )
        try:
            made._take_over(state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError("guarantee.state", str(error), "an undamaged export") from error
        return made

    def _take_over(self, state: Mapping[str, Any]) -> None:
        self._calibration = self._imported(state["calibration"])
        self._global = self._imported(state["global"])
        scopes = state["scopes"].items()
        for key, one in islice(scopes, max(0, len(scopes) - self.settings.max_scopes), None):
            pools = bool(one["pools"]) and self.settings.trust == "calibrated"
            taken = _Scope(self._imported(one), pools=pools, alarm=float(one["alarm"]))
            self._scopes[bytes.fromhex(key)] = taken
            self._settle(taken)
            if not 0 <= taken.alarm < inf:
                raise ValueError("an alarm that cannot be")
        shifts = state["entries"].items()
        low, high = _SHIFT
        for key, shift in islice(shifts, max(0, len(shifts) - self.settings.max_entries), None):
            if not low <= shift <= high:
                raise ValueError("a shift that cannot be")
            self._shifts[bytes.fromhex(key)] = float(shift)

    def _decision(self, state: _Scope, score: float, entry: bytes) -> Decision:
        shift = self._shifts.get(entry, 0.0)
        level = self._level(score, shift)
        if level < state.served:
            return Decision("serve", "proven")
        if shift >= 0 and level == len(self._risks):
            return Decision("refuse", "hopeless")
        if not state.served:
            return Decision("explore", "shadow")
        demoted = shift < 0 and self._level(score, 0.0) < state.served
        return Decision("explore", "demoted" if demoted else "unproven", state.explore)

    def _imported(self, state: Mapping[str, Any]) -> Counts:
        return Counts.imported(state, len(self._risks))

    def _nothing(self) -> Counts:
        return Counts.none(len(self._risks))

    def _scope(self, scope: bytes) -> _Scope:
        state = self._scopes.pop(scope, None)
        if state is None:
            state = self._new_scope()
            if len(self._scopes) >= self.settings.max_scopes:
                del self._scopes[next(iter(self._scopes))]
        self._scopes[scope] = state
        self._refresh(state)
        return state

    def _new_scope(self) -> _Scope:
        return _Scope(self._nothing(), pools=self.settings.trust == "calibrated")

    def _refresh(self, state: _Scope) -> None:
        """Let what other scopes have shown since count for `state`, where they count."""
        if state.settled != self._epoch and state.pools:
            self._settle(state)

    def _level(self, score: float, shift: float) -> int:
        """Return the strictest threshold that `score` reaches, or their number for none."""
        risks = self._risks
        risk = 1 - score
        if not 0 <= risk <= 1:
            return len(risks)
        if shift:
            risk = max(risk, risks[0])  # beyond the grid's end no score is above being demoted
            risk /= risk + (1 - risk) * exp(shift)
        return bisect_left(risks, risk)

    def _rate(self, entry: bytes, score: float, *, right: bool) -> None:
        """Move the entry's log-odds by what was not expected of it."""
        shift = self._shifts.pop(entry, 0.0)
        odds = min(score, 1 - self._risks[0]) * exp(shift)
        expected = odds / (odds + max(1 - score, self._risks[0]))
        low, high = _SHIFT
        shift = min(high, max(low, shift + _PACE * (right - expected)))
        if abs(shift) < _FORGOTTEN:
            return
        if len(self._shifts) >= self.settings.max_entries:
            del self._shifts[next(iter(self._shifts))]
        self._shifts[entry] = shift

    def _evidence(self, state: _Scope, at: int) -> tuple[float, float]:
        """Return outcomes and wrong ones at a threshold: own, others', calibration's.

        Own outcomes take the room of the others, and those of calibration's: nearer is better.
        """
        seen, wrong = own, own_wrong = state.counts.seen[at], state.counts.wrong[at]
        if not state.pools:
            return own, own_wrong
        others = max(0.0, self._global.seen[at] - own)
        others_wrong = min(others, max(0.0, self._global.wrong[at] - own_wrong))
        learned = self._calibration.seen[at], self._calibration.wrong[at]
        for more, bad in ((others, others_wrong), learned):
            if more > 0:
                share = min(1.0, max(0.0, self._pool - seen) / more)
                seen, wrong = seen + share * more, wrong + share * bad
        return seen, wrong

    def _right(self, state: _Scope, at: int) -> float:
        """Return all right outcomes at a threshold, whatever they count for."""
        all_ = [state.counts, self._global, self._calibration][: 3 if state.pools else 1]
        return sum([counts.seen[at] - counts.wrong[at] for counts in all_])

    def _settle(self, state: _Scope) -> None:
        """Walk the thresholds, and choose how much to explore."""
        state.settled = self._epoch
        served, walking, known, least = 0, False, 0.0, 1 / self.settings.max_wrong_hits
        for at in range(len(self._risks)):
            walking = walking or at % _START_EVERY == 0
            if not walking:
                continue
            walking = self._doubt.refuted(*self._evidence(state, at), self._needed)
            # A looser threshold at which nothing more was right would be proven by the stricter.
            if walking and (right := self._right(state, at)) > known:
                known = right
                served = at + 1 if not state.pools or self._global.seen[at] >= least else served
        state.served, state.explore = served, 1.0
        if served:
            own = max(state.counts.seen[served - 1], least)
            most = self.settings.explore_max
            state.explore = max(self.settings.explore_min, most * least / own)
