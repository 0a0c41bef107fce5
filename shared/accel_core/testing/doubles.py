"""Stand-ins for time, dice and observers, so that tests wait for nothing and see everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from accel_core.clocks import Clocks

if TYPE_CHECKING:
    from accel_core.events import Event

E = TypeVar("E")


class ManualClock:
    """Wall clock, monotonic clock and dice that move only when told.

    Args:
        now_s: both clocks' first reading, seconds.
        chance: what every throw of the dice gives, in [0, 1).
    """

    def __init__(self, now_s: float = 1_000_000.0, chance: float = 0.0) -> None:
        self.now_s, self.chance = now_s, chance

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.now_s += seconds

    def clocks(self) -> Clocks:
        """Return what `Accel(clocks=...)` and `Limiter(clocks=...)` take."""
        return Clocks(
            wall_now=lambda: self.now_s, mono_now=lambda: self.now_s, chance=lambda: self.chance
        )


class RecordingObserver:
    """Keeps every event, oldest first, when it happens."""

    inline = True

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event, /) -> None:
        """Keep `event`."""
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]
