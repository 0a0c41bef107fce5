"""What the requests of one `Accel` are recorded by: it makes their records, when they are needed.

Invariant: a hit that is answered at once has no record while it is under way; its event is made of
what was put down of it, behind its caller's back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.recording import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.events.requests import RequestEnded
    from accel_core.recording import Begun, Put


class Recorder:
    """What the requests of one `Accel` are recorded by.

    Args:
        put: is given each that has ended.
        mono_now: monotonic clock, seconds.

    Attributes:
        tier: returns the service tier of a call that is made now; None: there is no limiter.
    """

    def __init__(self, put: Put, mono_now: Callable[[], float]) -> None:
        self.put, self.mono_now = put, mono_now
        self.tier: Callable[[], str] | None = None

    def record(self, begun: Begun) -> Record:
        """Return the record of a call."""
        operation, began_s, streamed, service_tier, told = begun
        record = Record(operation, self.put, self.mono_now, began_s)
        record.streamed, record.service_tier, record.told = streamed, service_tier, told
        return record

    def as_hit(
        self, begun: Begun, hit: Any, saved: object, now_s: float, ended_s: float
    ) -> RequestEnded:
        """Return the event of a call that was answered at once; as `Ended`."""
        return self.record(begun).as_hit(hit, saved, now_s, ended_s)
