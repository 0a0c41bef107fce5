"""Who waits for room, in order of deadline, and who asks for it where levels are shared.

Whoever is first sleeps until its turn, in its own thread or task, and the others until they are
woken or expire, so nothing polls and no thread is kept for it. Where several processes share the
levels, each has a queue of its own, and its first alone asks the store: for a moment in the near
future, and the further ahead the longer it has waited, so that a large call is not starved by small
ones of other processes, and an urgent one is delayed by what was promised no longer than that.

A store that cannot ask for its levels says so with its answer, which is then of its share of them;
one that fails altogether rests for a moment, and our own levels decide.

Invariants: a caller that is cancelled, or fails, holds nothing; nobody sleeps or asks under the
lock. This module imports neither threads nor loops nor clocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from accel_core import events
from accel_core.drive import work
from accel_core.errors import in_words
from accel_core.policy.breaker import store_breaker
from accel_core.policy.limits.charge import NOTHING
from accel_core.policy.limits.reservations import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from accel_core.policy.limits.charge import Charge
    from accel_core.policy.limits.limit_store import LimitStore, Reserved
    from accel_core.policy.limits.reservations import Place, Reservations
    from accel_core.ports import Io, Observer

_AWAKE: Final = float("-inf")
"""The sleep of who is about to look for itself."""
_REARM_S: Final = 0.001
"""How much sooner a turn must come than expected for its caller to be woken for it."""
_ALONE_S: Final = 1.0
"""How often whoever waits has a store asked that could not ask for the whole levels."""
_AHEAD_S: Final = 0.25
"""How far ahead a call that has not waited yet has its room promised by a shared store."""


class LimitQueue:
    """The callers that wait before a key's reservations.

    Args:
        reservations: what they wait for.
        lock: guards that and this.
        shared: where the levels are shared with other processes; None: they are not.
        emit: receives every event.
        mono_now: monotonic clock, seconds.
    """

    def __init__(
        self,
        reservations: Reservations,
        lock: AbstractContextManager[Any],
        shared: LimitStore | None,
        *,
        emit: Observer,
        mono_now: Callable[[], float],
    ) -> None:
        self._reservations, self._lock, self._shared = reservations, lock, shared
        self._emit, self._now = emit, mono_now
        self._breaker, self._alone = store_breaker(), False
        self._armed: Place | None = None
        self._wakes_s = _AWAKE
        self._told: tuple[Place | None, float] = (None, 0.0)
        """Who was told to ask again, and how far ahead it had asked."""
        self._asks_s = float("inf")
        """When the first asks again though its turn has not come: whether the store is back."""

    def line_up(self, io: Io, place: Place, now_s: float) -> float:
        """Let a queued `place` wait where there is time for it; return how long that will take.

        Called under the lock. A caller that may not wait is let through at once.
        """
        reservations = self._reservations
        eta_s = reservations.eta_s(place.charge, now_s, place.order)
        if not io.may_wait():
            reservations.let_through(place, now_s)
        elif now_s + eta_s > place.expires_s:
            reservations.leave(place, now_s)
        else:
            try:
                place.woken = io.signal()
            except BaseException:  # a loop that is not asyncio's
                reservations.leave(place, now_s)
                raise
            self._make_way(place, now_s)
            self._arm(place, now_s, _AWAKE)
            if self._shared is None or reservations.first is not place:
                self.advance(now_s)  # else it is asked first whether there is room
        return eta_s

    async def wait(self, io: Io, place: Place) -> None:
        """Return when `place`, which was lined up, no longer waits: it may go, or has expired.

        Raises:
            Unwanted: nobody waits for its call any more (`drive.work`).
        """
        try:
            with work.waking(place.woken.set):
                await self._sleep(io, place)
        except BaseException:
            self.leave(place)
            raise

    async def _sleep(self, io: Io, place: Place) -> None:
        if self._shared is not None and self._reservations.first is place:
            await self._ask(io, place)
        while (sleep_s := self._sleep_s(place)) is not None:
            work.check()
            if sleep_s > 0.0 or self._shared is None:
                await place.woken.wait(sleep_s)
            else:
                await self._ask(io, place)
        while (early_s := place.granted_s - self._now()) > 0.0:
            work.check()
            await place.woken.wait(early_s)

    def leave(self, place: Place) -> None:
        """End a place that was not used."""
        with self._lock:
            now_s = self._now()
            self._reservations.leave(place, now_s)
            self.advance(now_s)

    def advance(self, now_s: float) -> None:
        """Wake all who stopped waiting, and the first if its turn comes sooner than it expects.

        Called under the lock.
        """
        reservations = self._reservations
        if not reservations.queue:
            return
        for place in reservations.advance(now_s):
            place.woken.set()
        first = reservations.first
        if first is None:
            return
        turns_s = now_s + self._turn_s(first, now_s)
        if first is not self._armed or turns_s < self._wakes_s - _REARM_S:
            first.woken.set()

    def _make_way(self, newcomer: Place, now_s: float) -> None:
        """Turn away whoever a newcomer leaves no time for."""
        reservations = self._reservations
        while (late := reservations.displaced(newcomer, now_s)) is not None:
            reservations.leave(late, now_s)
            if late is newcomer:
                return
            late.state = State.EXPIRED
            late.woken.set()

    def _sleep_s(self, place: Place) -> float | None:
        """Let through whoever's turn it is; return how long `place` sleeps, None: it need not."""
        with self._lock:
            now_s = self._now()
            self.advance(now_s)
            if place.state is not State.WAITING:
                return None
            return self._arm(place, now_s, self._turn_s(place, now_s))

    def _turn_s(self, place: Place, now_s: float) -> float:
        """Return the seconds until `place`'s turn: to go, or to ask the shared store."""
        turn_s = self._reservations.turn_s(place, now_s)
        if self._shared is None or self._reservations.first is not place:
            return turn_s
        # As far ahead as it asked, or each wake would have it ask a little sooner than it was told.
        told, told_ahead_s = self._told
        early_s = turn_s - (told_ahead_s if told is place else _ahead_s(place, now_s))
        if self._alone:
            early_s = min(early_s, self._asks_s - now_s)
        return early_s if early_s > _REARM_S else 0.0

    def _arm(self, place: Place, now_s: float, sleep_s: float) -> float:
        """Note when `place` wakes by itself, if it is first; return `sleep_s`."""
        if self._reservations.first is place:
            self._armed, self._wakes_s = place, now_s + sleep_s
        return sleep_s

    async def _ask(self, io: Io, place: Place) -> None:
        """Ask the shared store for `place`; sleep where it should be asked again later."""
        again_s = await io.call(self._book, place)
        if again_s > 0.0:
            await place.woken.wait(again_s)

    def _book(self, place: Place) -> float:
        """Take what `place` needs from the shared store; return after how long to ask again.

        Runs where it may block. Whoever asked may be gone when the answer comes, cancelled or
        expired: then what was taken is given back here.
        """
        with self._lock:
            now_s = self._now()
            until_end_s = max(0.0, place.expires_s - now_s)
            ahead_s = min(_ahead_s(place, now_s), until_end_s)
            held_back_s = self._reservations.held_back_s(place.charge, now_s)
            if held_back_s > ahead_s:
                sleep_s = self._arm(place, now_s, min(held_back_s - ahead_s, until_end_s))
                if not self._reservations.closed_untold:
                    return sleep_s
            self._reservations.closed_untold = False
        if held_back_s > ahead_s:  # the other processes are to hold off as well
            self._reserve(NOTHING, now_s, 0.0)
            return sleep_s
        answer = self._reserve(place.charge, now_s, ahead_s)
        with self._lock:
            return self._answered(place, answer, ahead_s)

    def _answered(self, place: Place, answer: Reserved | None, ahead_s: float) -> float:
        """Take over what the shared store answered; return after how long to ask again."""
        now_s, reservations = self._now(), self._reservations
        took = answer is not None and answer.wait_s <= ahead_s
        if place.state is not State.WAITING:
            if took and self._shared is not None:
                self._shared.settle(place.charge, NOTHING)
            return 0.0
        if answer is None:
            again_s = reservations.decide_alone(place, now_s)
        else:
            again_s = max(0.0, answer.wait_s - ahead_s)
            reservations.heard(place, answer, now_s, took=took)
            self._told = (None if took else place, ahead_s)
            if answer.share is not None:
                self._asks_s = now_s + _ALONE_S
                again_s = min(again_s, _ALONE_S)
        if again_s <= 0.0:
            self.advance(now_s)
            return 0.0
        until_end_s = max(0.0, place.expires_s - now_s)
        return self._arm(place, now_s, min(max(again_s, _REARM_S), until_end_s))

    def _reserve(self, charge: Charge, now_s: float, ahead_s: float) -> Reserved | None:
        """Return the shared store's answer; None: it failed, or rests."""
        if self._shared is None or not self._breaker.allows(now_s):
            return None
        try:
            answer = self._shared.reserve(charge, now_s, ahead_s)
        except Exception as error:
            self._breaker.failed(now_s)
            self._emit(events.BackendFailed("limits", "reserve", in_words(error)))
            return None
        self._breaker.succeeded()
        self._tell(answer)
        return answer

    def _tell(self, answer: Reserved) -> None:
        """Tell of a store that could not ask, and of its being back."""
        if answer.problem:
            self._emit(events.BackendFailed("limits", "reserve", answer.problem))
        if (answer.share is not None) is self._alone:
            return
        self._alone = answer.share is not None
        if answer.share is None:
            self._emit(events.LimitsShared(answer.processes))
        else:
            self._emit(events.LimitsAlone(answer.processes, answer.share))


def _ahead_s(place: Place, now_s: float) -> float:
    return _AHEAD_S + max(0.0, now_s - place.asked_s)
