"""One event, several observers; an observer that raises is reported once and left out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accel_core.events import Event
    from accel_core.ports import Observer

_log = logging.getLogger("accel")


class Fanout:
    """Hands each event to every observer, in order."""

    __slots__ = ("_observers",)

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)

    def __call__(self, event: Event) -> None:
        """Hand `event` on."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                _log.exception("observer %r failed and is left out from now on", observer)
                self._observers = tuple(o for o in self._observers if o is not observer)
