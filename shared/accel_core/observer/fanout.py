"""One event, several observers; an observer that raises is reported once and left out.

An observer may say which kinds of events it wants (``kinds``), so that a hit costs it nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accel_core.events import Event
    from accel_core.ports import Observer

_log = logging.getLogger("accel")


class Fanout:
    """Hands each event to every observer that wants it, in order."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)
        self._wanting: dict[type, tuple[Observer, ...]] = {}

    def __call__(self, event: Event, /) -> None:
        """Hand `event` on."""
        wanting = self._wanting.get(type(event))
        if wanting is None:
            wanting = self._wanting[type(event)] = self._who_wants(type(event))
        for observer in wanting:
            try:
                observer(event)
            except Exception:
                _log.exception("observer %r failed and is left out from now on", observer)
                self._observers = tuple(o for o in self._observers if o is not observer)
                self._wanting = {}

    def _who_wants(self, kind: type) -> tuple[Observer, ...]:
        return tuple(o for o in self._observers if kind in getattr(o, "kinds", (kind,)))
