"""Events in the standard log, under the logger ``accel``; no question and no answer is ever logged.

What needs somebody's attention is a warning, once per cause; everything else is at debug level.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from accel_core.events import BackendFailed, ControlIgnored, SemanticUnavailable, WriteDropped

if TYPE_CHECKING:
    from accel_core.events import Event

_MAX_CAUSES = 256
_ATTENTION = frozenset({BackendFailed, ControlIgnored, SemanticUnavailable, WriteDropped})


class LoggingObserver:
    """Writes events to a logger."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("accel")
        self._seen: set[object] = set()

    def __call__(self, event: Event) -> None:
        """Log `event`."""
        if type(event) not in _ATTENTION:
            if self._logger.isEnabledFor(logging.DEBUG):
                self._logger.debug("%r", event)
            return
        cause = _cause(event)
        if cause in self._seen or len(self._seen) >= _MAX_CAUSES:
            self._logger.debug("%r", event)
            return
        self._seen.add(cause)
        if isinstance(event, SemanticUnavailable):
            self._logger.warning("answers are served exactly only: %s", event.remedy)
        else:
            self._logger.warning("%r", event)


def _cause(event: Event) -> object:
    """Return what is warned of once."""
    if isinstance(event, BackendFailed):
        return (event.backend, event.operation)
    return type(event)
