"""Whose turn it is: charges taken from every layer at once, in order of deadline.

`ask` grants at once where nothing waits and everything fits; else a `Place` in the queue comes
back, and `advance` grants places from the front as the layers allow. Nobody overtakes the front,
for a request that needs much would never get it; only where what is not used is lost (a `Window`)
may others use it up, and go before the front for a moment if together they use it better.

Invariants: a charge is taken from all layers or from none; every place ends exactly once, and what
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
from accel_core.policy.limits.packing import fullest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accel_core.policy.limits.charge import Amounts, Charge
    from accel_core.policy.limits.layers import Layer

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
        granted_s: when it was let through.
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
        self.unexplained = False
        self.state = State.WAITING
        self.total: Amounts = NOTHING
        self.woken: Any = None


class Reservations:
    """The queue before a set of layers, and what is held of them.

    Args:
        layers: what must all have room.
        slots: calls that may be under way at once; None: any number.
    """

    def __init__(self, layers: Iterable[Layer] = (), slots: int | None = None) -> None:
        self.layers: list[Layer] = list(layers)
        self.slots = slots
        self.in_use = 0
        """Calls under way."""
        self.total: Amounts = NOTHING
        self.sent: deque[Place] = deque(maxlen=_REMEMBERED)
        self.queue: list[Place] = []
        """Who waits, in order; only to be looked at."""
        self._arrivals = 0
        self._closed_until_s = float("-inf")
        self._hold_s = _HOLD_S
        self._front: Place | None = None
        self._front_s = float("-inf")

    def ask(self, place: Place, now_s: float, after: Place | None = None) -> None:
        """Grant `place` if nothing waits and it fits, else queue it (where `after` stood)."""
        if after is None:
            self._arrivals += 1
            place.order = (place.order[0], self._arrivals)
        else:
            place.order, place.asked_s, place.expires_s = (
                after.order,
                after.asked_s,
                after.expires_s,
            )
        if not self.queue and self._wait_s(place.charge, now_s) <= 0.0:
            self._grant(place, now_s)
        else:
            insort(self.queue, place, key=_ORDER)

    def eta_s(self, charge: Charge, now_s: float, order: tuple[float, float]) -> float:
        """Return how long `charge` would wait at `order`, if those before it took their turns."""
        ahead = [place.charge for place in self.queue if place.order < order]
        wait_s = max(0.0, self._closed_until_s - now_s)
        for layer in self.layers:
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

    def advance(self, now_s: float) -> list[Place]:
        """Let through whoever's turn it is; return all who stopped waiting, expired ones too."""
        stopped: list[Place] = []
        while self.queue:
            front = self.queue[0]
            if front is not self._front:
                self._front, self._front_s = front, now_s
            if now_s >= front.expires_s:
                front.state = State.EXPIRED
            elif self._wait_s(front.charge, now_s) > 0.0 or self._is_passed_over(now_s):
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
        self._grant(place, now_s)

    def turn_s(self, place: Place, now_s: float) -> float:
        """Return how long a waiting `place` should sleep: until its turn if first, or its end."""
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
        for layer in self.layers:
            given = held[layer.unit] - charged[layer.unit]
            if given:
                layer.give(given)

    def close_until(self, until_s: float) -> None:
        """Let nobody through before `until_s`."""
        self._closed_until_s = max(self._closed_until_s, until_s)

    @property
    def first(self) -> Place | None:
        """Who is first in the queue."""
        return self.queue[0] if self.queue else None

    def _wait_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` fits every layer; without end where slots are short."""
        if self.slots is not None and self.in_use >= self.slots:
            return _NEVER_S
        wait_s = self._closed_until_s - now_s
        for layer in self.layers:
            if (layer_s := layer.wait_s(charge, now_s)) > wait_s:
                wait_s = layer_s
        return wait_s

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

    def _is_passed_over(self, now_s: float) -> bool:
        """Whether others may go before the front, which fits, to fill a window better."""
        return self._window() is not None and now_s - self._front_s < _PATIENCE_S

    def _window(self) -> Window | None:
        return next((layer for layer in self.layers if isinstance(layer, Window)), None)

    def _fill(self, now_s: float) -> list[Place]:
        """Let through those that together use up best what a window has left."""
        window = self._window()
        if window is None:
            return []
        unit, room = window.unit, window.room(now_s)
        fitting = [place for place in self.queue if place.charge[unit] <= room]
        if room >= window.amount and self.queue[0] not in fitting:
            chosen = [self.queue[0]]  # larger than a window: it needs one of its own
        else:
            chosen = [fitting[at] for at in fullest([one.charge[unit] for one in fitting], room)]
        let_through: list[Place] = []
        for place in chosen:
            if now_s < place.expires_s and self._wait_s(place.charge, now_s) <= 0.0:
                self._grant(place, now_s)
                self.queue.remove(place)
                let_through.append(place)
        return let_through


_ORDER = attrgetter("order")
