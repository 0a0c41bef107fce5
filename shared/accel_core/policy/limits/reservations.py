"""Whose turn it is: charges taken from every limit at once, in order of deadline.

What must have room are the levels of the known limits and the layers beside them. Where the levels
are shared with other processes, nobody is granted anything here before `heard` says that the
shared store took it; our own levels then only tell how long that will be. Slots that are stated are
divided by the processes that the store counts, not pooled: one that a process held would have to
be told of when its call ends, and renewed until then.

`ask` grants at once where nothing waits and everything fits; else a `Place` in the queue comes
back, and `advance` grants places from the front as the layers allow. Nobody overtakes the front,
for a request that needs much would never get it; only where what is not used is lost (a `Window`)
may others use it up, and go before the front for a moment if together they use it better.

Invariants: a charge is taken from all of them or from none; every place ends exactly once, and what
it holds is then settled or given back; `advance` leaves nothing grantable at the front.

One owner at a time; stamps are the caller's.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from accel_core.policy.limits.charge import NOTHING
from accel_core.policy.limits.layers import Window
from accel_core.policy.limits.levels import Levels
from accel_core.policy.limits.packing import fullest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from accel_core.policy.limits.charge import Amounts, Charge
    from accel_core.policy.limits.layers import Layer
    from accel_core.policy.limits.limit_store import LimitStore, Reserved

_REMEMBERED = 200
_NEVER_S = float("inf")
_LAST = (_NEVER_S, 0)
_HOLD_S = 5.0
_HOLD_WEIGHT = 0.1
_PATIENCE_S = 2.0
"""How long the front may be passed over by others that fill a window better with each other."""


class State(Enum):
    """Where a place stands."""

    WAITING = "waiting"
    GRANTED = "granted"
    EXPIRED = "expired"
    LEFT = "left"
    ENDED = "ended"


class Place:
    """One call's place: in the queue, then holding what it reserved.

    Args:
        charge: what it takes.
        asked_s: when it asks.

    Attributes:
        order: deadline and number of arrival; the lowest goes first.
        expires_s: when it stops waiting.
        granted_s: when it was let through; later than now where it was promised for then.
        shared: whether the shared store holds its charge.
        unexplained: whether it was sent and refused without a visible reason.
        total: everything granted up to and including this one, by unit.
        woken: the owner's, to wake whoever waits.
    """

    __slots__ = (
        "asked_s",
        "charge",
        "expires_s",
        "granted_s",
        "order",
        "shared",
        "state",
        "total",
        "unexplained",
        "woken",
    )

    def __init__(self, charge: Charge, asked_s: float) -> None:
        self.charge, self.asked_s = charge, asked_s
        self.order = _LAST
        self.expires_s = _NEVER_S
        self.granted_s = 0.0
        self.unexplained = self.shared = False
        self.state = State.WAITING
        self.total: Amounts = NOTHING
        self.woken: Any = None


class Reservations:
    """The queue before a key's limits, and what is held of them.

    Args:
        layers: what must have room beside the levels.
        slots: calls that may be under way at once, in all processes; None: any number.
        levels: of the limits that are known; None: none are.
        shared: where those are shared with other processes; None: they are not.
    """

    def __init__(
        self,
        layers: Iterable[Layer] = (),
        slots: int | None = None,
        *,
        levels: Levels | None = None,
        shared: LimitStore | None = None,
    ) -> None:
        self.layers: list[Layer] = list(layers)
        self.slots = self._own_slots = self._all_slots = slots
        """Calls that may be under way at once in this process."""
        self.levels, self._shared = levels or Levels(), shared
        self.in_use = 0
        """Calls under way."""
        self.total: Amounts = NOTHING
        self.sent: deque[Place] = deque(maxlen=_REMEMBERED)
        self.queue: list[Place] = []
        """Who waits, in order; only to be looked at."""
        self.on_grant: Callable[[Place, float], None] | None = None
        """Told of each place that is let through."""
        self.closed_untold = False
        """Whether the shared store has yet to be told that the provider takes no calls."""
        self._arrivals = 0
        self._found_slots: int | None = None
        self._hold_s = _HOLD_S
        self._front: Place | None = None
        self._front_s = float("-inf")

    def ask(self, place: Place, now_s: float, after: Place | None = None) -> bool:
        """Grant `place` if nothing waits and it fits, else queue it (where `after` stood).

        Returns:
            Whether it was granted.
        """
        if after is None:
            self._arrivals += 1
            place.order = (place.order[0], self._arrivals)
        else:
            place.order, place.asked_s, place.expires_s = (
                after.order,
                after.asked_s,
                after.expires_s,
            )
        if not self.queue and self._take(place.charge, now_s):
            self._grant(place, now_s)
            return True
        insort(self.queue, place, key=_ORDER)
        return False

    def eta_s(self, charge: Charge, now_s: float, order: tuple[float, float]) -> float:
        """Return how long `charge` would wait at `order`, if those before it took their turns."""
        ahead = [place.charge for place in self.queue if place.order < order]
        wait_s = max(0.0, self.levels.closed_until_s - now_s)
        for layer in self._all_layers():
            unit = layer.unit
            if ahead:
                amount = charge[unit] + sum([taken[unit] for taken in ahead])
                wait_s = max(wait_s, layer.backlog_s(amount, now_s))
            else:
                wait_s = max(wait_s, layer.wait_s(charge, now_s))
        if self.slots is not None:
            over = self.in_use + len(ahead) + 1 - self.slots
            if over > 0:
                wait_s = max(wait_s, over * self._hold_s / self.slots)
        return wait_s

    def displaced(self, newcomer: Place, now_s: float) -> Place | None:
        """Return whom `newcomer`, who waits, leaves no time for: itself, another, or None: nobody.

        Where it would make others late, the largest up to the first of those gives way, which
        keeps most of them in time (Moore 1968, "An n job, one machine sequencing algorithm").
        """
        largest, passed = newcomer, False
        layers = self._all_layers()
        layer = max(layers, key=lambda one: one.wait_s(newcomer.charge, now_s), default=None)
        if layer is None:
            return None
        unit, ahead = layer.unit, 0.0
        for place in self.queue:
            ahead += place.charge[unit]
            passed = passed or place is newcomer
            if place.charge[unit] > largest.charge[unit]:
                largest = place
            if passed and now_s + layer.backlog_s(ahead, now_s) > place.expires_s:
                return newcomer if place is newcomer else largest
        return None

    def advance(self, now_s: float) -> list[Place]:
        """Let through whoever's turn it is; return all who stopped waiting, expired ones too."""
        stopped: list[Place] = []
        while self.queue:
            front = self.queue[0]
            if front is not self._front:
                self._front, self._front_s = front, now_s
            if now_s >= front.expires_s:
                front.state = State.EXPIRED
            elif self._is_passed_over(now_s) or not self._take(front.charge, now_s):
                break
            else:
                self._grant(front, now_s)
            del self.queue[0]
            stopped.append(front)
        if self.queue:
            stopped += self._fill(now_s)
        return stopped

    def let_through(self, place: Place, now_s: float) -> None:
        """Grant a waiting `place` out of turn; what is missing is a debt."""
        self.queue.remove(place)
        self.levels.settle(NOTHING, place.charge)
        if self._shared is not None:
            self._shared.settle(NOTHING, place.charge)
            place.shared = True
        self._grant(place, now_s)

    def heard(self, place: Place, answer: Reserved, now_s: float, *, took: bool) -> None:
        """Take over what the shared store says; grant a waiting `place` what it `took` for it."""
        self.levels.assume(answer.levels, now_s, answer.share or 1.0)
        if self._all_slots is not None:
            self._own_slots = max(1, self._all_slots // answer.processes)
            self.limit_slots(self._found_slots)
        if took:
            if not answer.levels:
                self.levels.settle(NOTHING, place.charge)
            self.queue.remove(place)
            place.shared = True
            waits_s = [layer.wait_s(place.charge, now_s) for layer in self.layers]
            self._grant(place, now_s + max([answer.wait_s, *waits_s]))

    def decide_alone(self, place: Place, now_s: float) -> float:
        """Grant a waiting `place` if our own levels allow it, for the shared store cannot be asked.

        Returns:
            The seconds after which to try again; 0: it was granted.
        """
        wait_s = self._wait_s(place.charge, now_s)
        if wait_s > 0.0:
            return wait_s
        self.queue.remove(place)
        self.levels.settle(NOTHING, place.charge)
        self._grant(place, now_s)
        return 0.0

    def turn_s(self, place: Place, now_s: float) -> float:
        """Return how long a waiting `place` should sleep: until its turn if first, or its end.

        Where levels are shared, its turn is to ask for them.
        """
        until_end_s = max(0.0, place.expires_s - now_s)
        if self.queue and self.queue[0] is place:
            return min(self._wait_s(place.charge, now_s), until_end_s)
        return until_end_s

    def leave(self, place: Place, now_s: float) -> None:
        """End a place that was not used: nothing of it stays taken."""
        if place.state is State.WAITING:
            self.queue.remove(place)
        elif place.state is State.GRANTED:
            self.settle(place, NOTHING, now_s)
        place.state = State.LEFT

    def settle(self, place: Place, charged: Charge, now_s: float) -> None:
        """End a place that was used; `charged` is what it took in the end. Again does nothing."""
        if place.state is not State.GRANTED:
            return
        place.state = State.ENDED
        self.in_use -= 1
        self._hold_s += _HOLD_WEIGHT * (now_s - place.granted_s - self._hold_s)
        held = place.charge
        self.levels.settle(held, charged)
        if place.shared and self._shared is not None:
            self._shared.settle(held, charged)
        for layer in self.layers:
            given = held[layer.unit] - charged[layer.unit]
            if given:
                layer.give(given)

    def close_until(self, until_s: float, now_s: float) -> None:
        """Let nobody through before `until_s`, in no process."""
        self.levels.hold_off(until_s, now_s)
        if self._shared is not None:
            self._shared.hold_off(until_s, now_s)
            self.closed_untold = True

    def limit_slots(self, found: int | None) -> None:
        """Let no more calls be under way here than were `found` to help; None: nothing was."""
        self._found_slots = found
        bounds = [slots for slots in (found, self._own_slots) if slots is not None]
        self.slots = min(bounds, default=None)

    def held_back_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` may be taken from all but the levels.

        Without end where slots are short.
        """
        if self.slots is not None and self.in_use >= self.slots:
            return _NEVER_S
        wait_s = self.levels.closed_until_s - now_s
        for layer in self.layers:
            if (layer_s := layer.wait_s(charge, now_s)) > wait_s:
                wait_s = layer_s
        return wait_s

    @property
    def first(self) -> Place | None:
        """Who is first in the queue."""
        return self.queue[0] if self.queue else None

    def _all_layers(self) -> list[Layer]:
        return [*self.levels.buckets, *self.layers]

    def _take(self, charge: Charge, now_s: float) -> bool:
        """Take `charge` from the levels if they and everything else have room."""
        if self._shared is not None or self.held_back_s(charge, now_s) > 0.0:
            return False
        return not self.levels.reserve(charge, now_s, 0.0).wait_s

    def _wait_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` fits; without end where slots are short."""
        wait_s = self.held_back_s(charge, now_s)
        return max([wait_s, *(bucket.wait_s(charge, now_s) for bucket in self.levels.buckets)])

    def _grant(self, place: Place, now_s: float) -> None:
        charge = place.charge
        for layer in self.layers:
            layer.take(charge)
        total = self.total
        self.total = place.total = (
            total[0] + charge[0],
            total[1] + charge[1],
            total[2] + charge[2],
            total[3] + charge[3],
        )
        self.in_use += 1
        self.sent.append(place)
        place.granted_s = now_s
        place.state = State.GRANTED
        if self.on_grant is not None:
            self.on_grant(place, now_s)

    def _is_passed_over(self, now_s: float) -> bool:
        """Whether others may go before the front, which fits, to fill a window better."""
        return self._window() is not None and now_s - self._front_s < _PATIENCE_S

    def _window(self) -> Window | None:
        return next((layer for layer in self.layers if isinstance(layer, Window)), None)

    def _fill(self, now_s: float) -> list[Place]:
        """Let through those that together use up best what a window has left."""
        window = self._window()
        if window is None or self._shared is not None:
            return []
        unit, room = window.unit, window.room(now_s)
        fitting = [place for place in self.queue if place.charge[unit] <= room]
        if room >= window.amount and self.queue[0] not in fitting:
            chosen = [self.queue[0]]  # larger than a window: it needs one of its own
        else:
            chosen = [fitting[at] for at in fullest([one.charge[unit] for one in fitting], room)]
        let_through: list[Place] = []
        for place in chosen:
            if now_s < place.expires_s and self._take(place.charge, now_s):
                self._grant(place, now_s)
                self.queue.remove(place)
                let_through.append(place)
        return let_through


_ORDER = attrgetter("order")
