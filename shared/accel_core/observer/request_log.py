"""A line of JSON for each request, in the standard log.

No line holds a question or an answer, nor who asked: a tenant is a digest, an error its class. The
call's tags were chosen by the application or by its client, so they are left out unless asked for.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from accel_core.events.requests import RequestEnded

if TYPE_CHECKING:
    from accel_core.events import Event

_DIGITS = 6
"""Of seconds: a microsecond."""


class RequestLog:
    """Writes requests to a logger; handlers find the same as a mapping in the record's ``accel``.

    Args:
        logger: its name.
        tags: whether to write the call's tags.
    """

    kinds = frozenset({RequestEnded})

    def __init__(self, logger: str = "accel.requests", *, tags: bool = False) -> None:
        self._logger, self._tags = logging.getLogger(logger), tags

    def __call__(self, event: Event, /) -> None:
        """Write a request."""
        if isinstance(event, RequestEnded) and self._logger.isEnabledFor(logging.INFO):
            line = spelled(event)
            if not self._tags:
                line.pop("tags", None)
            self._logger.info("%s", json.dumps(line), extra={"accel": line})


def spelled(ended: RequestEnded) -> dict[str, Any]:
    """Return a request as JSON has it: what is not known, or not so, is left out."""
    line = {**ended._asdict(), "parts": ended.parts._asdict()}
    for name in ("used", "saved"):
        tokens = getattr(ended, name)
        line[name] = None if tokens is None else tokens._asdict()
    return _short(line)


def _short(values: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in values.items():
        known = _short(value) if isinstance(value, dict) else value
        if isinstance(known, float):
            known = round(known, _DIGITS)
        if known:
            kept[name] = known
    return kept
