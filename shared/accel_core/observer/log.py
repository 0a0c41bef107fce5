"""What needs somebody's attention, in the standard log under the logger ``accel``.

A warning once per cause, at debug level after that. No question and no answer is ever logged.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from accel_core.events import (
    BackendFailed,
    ControlIgnored,
    LearnedIgnored,
    LimitsAlone,
    PredictorFailed,
    SearchUnavailable,
    SemanticUnavailable,
    SpeculationSuspended,
    ToolsUnknown,
    WriteDropped,
)

if TYPE_CHECKING:
    from accel_core.events import Event

_MAX_CAUSES = 256


class LoggingObserver:
    """Writes events to a logger."""

    kinds = frozenset(
        {
            BackendFailed,
            ControlIgnored,
            LearnedIgnored,
            SearchUnavailable,
            LimitsAlone,
            PredictorFailed,
            SemanticUnavailable,
            SpeculationSuspended,
            ToolsUnknown,
            WriteDropped,
        }
    )

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("accel")
        self._seen: set[object] = set()

    def __call__(self, event: Event, /) -> None:
        """Log `event`."""
        cause: object = type(event)
        if isinstance(event, BackendFailed):
            cause = (event.backend, event.operation)
        elif isinstance(event, (PredictorFailed, SpeculationSuspended)):
            cause = (event[0], event.reason)
        elif isinstance(event, ToolsUnknown):
            cause = event
        if cause in self._seen or len(self._seen) >= _MAX_CAUSES:
            self._logger.debug("%r", event)
            return
        self._seen.add(cause)
        if isinstance(event, SemanticUnavailable):
            self._logger.warning("answers are served exactly only: %s", event.remedy)
        elif isinstance(event, ToolsUnknown):
            self._logger.warning("no tool has such a name: %s", event.remedy)
        else:
            self._logger.warning("%r", event)
