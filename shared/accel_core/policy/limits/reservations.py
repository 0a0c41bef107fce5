"""Whose turn it is: charges taken from every layer at once, in order of deadline.

`ask` grants at once where nothing waits and everything fits; else a `Place` in the queue comes
back, and `advance` grants places from the front as the layers allow. Nobody overtakes the front,
for a request that needs much would never get it; only where what is left is lost anyway (a
`Window`) may later ones use it up.

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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accel_core.policy.limits.charge import Amounts, Charge
    from accel_core.policy.limits.layers import Layer

_REMEMBERED = 200
_HOLD_S = 5.0
_HOLD_WEIGHT = 0.1


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
        deadline_s: by when it wants to be let through; the earliest goes first.
        asked_s: when it asks.
        expires_s: when it stops waiting.

    Attributes:
        order: deadline and number of arrival; the lowest goes first.
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

    def __init__(self, charge: Charge, deadline_s: float, asked_s: float, expires_s: float) -> None:
        self.charge, self.asked_s, self.expires_s = charge, asked_s, expires_s
        self.order = (deadline_s, 0)
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
        self.total: Amounts = NOTHING
        self.sent: deque[Place] = deque(maxlen=_REMEMBERED)
        self._queue: list[Place] = []
        self._arrivals = 0
        self._closed_until_s = float("-inf")
        self._hold_s = _HOLD_S

    def ask(self, place: Place, now_s: float, after: Place | None = None) -> None:
        """Grant `place` if nothing waits and it fits, else queue it (where `after` stood)."""
        if after is None:
            self._arrivals += 1
            place.order = (place.order[0], self._arrivals)
        else:
            place.order = after.order
        if not self._queue and self._wait_s(place.charge, now_s) <= 0.0:
            self._grant(place, now_s)
        else:
            insort(self._queue, place, key=_ORDER)

    def eta_s(self, charge: Charge, now_s: float, order: tuple[float, float]) -> float:
        """Return how long `charge` would wait at `order`, if those before it took their turns."""
        ahead = [place.charge for place in self._queue if place.order < order]
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
        while self._queue:
            front = self._queue[0]
            if now_s >= front.expires_s:
                front.state = State.EXPIRED
            elif self._wait_s(front.charge, now_s) <= 0.0:
                self._grant(front, now_s)
            else:
                break
            del self._queue[0]
            stopped.append(front)
        if self._queue and (fitting := self._beside(now_s)):
            stopped += fitting
        return stopped

    def let_through(self, place: Place, now_s: float) -> None:
        """Grant a waiting `place` out of turn; what is missing is a debt."""
        self._queue.remove(place)
        self._grant(place, now_s)

    def turn_s(self, place: Place, now_s: float) -> float:
        """Return how long a waiting `place` should sleep: until its turn if first, or its end."""
        until_end_s = max(0.0, place.expires_s - now_s)
        if self._queue and self._queue[0] is place:
            return min(self._wait_s(place.charge, now_s), until_end_s)
        return until_end_s

    def leave(self, place: Place, now_s: float) -> None:
        """End a place that was not used: nothing of it stays taken."""
        if place.state is State.WAITING:
            self._queue.remove(place)
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
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def first(self) -> Place | None:
        """Who is first in the queue."""
        return self._queue[0] if self._queue else None

    def _wait_s(self, charge: Charge, now_s: float) -> float:
        """Return the seconds until `charge` fits every layer; without end where slots are short."""
        if self.slots is not None and self.in_use >= self.slots:
            return float("inf")
        wait_s = self._closed_until_s - now_s
        for layer in self.layers:
            layer_s = layer.wait_s(charge, now_s)
            if layer_s > wait_s:  # noqa: PLR1730 - this is the hot path: a call less
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

    def _beside(self, now_s: float) -> list[Place]:
        """Let through the largest that fit beside a front for which a window has no room left."""
        front = self._queue[0]
        closing = [layer for layer in self.layers if layer.wait_s(front.charge, now_s) > 0.0]
        if not closing or not all(isinstance(layer, Window) for layer in closing):
            return []
        unit = closing[0].unit
        let_through: list[Place] = []
        for place in sorted(self._queue[1:], key=lambda place: -place.charge[unit]):
            if now_s < place.expires_s and self._wait_s(place.charge, now_s) <= 0.0:
                self._grant(place, now_s)
                self._queue.remove(place)
                let_through.append(place)
        return let_through


_ORDER = attrgetter("order")
