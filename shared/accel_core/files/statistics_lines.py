"""Lines of the statistics file: JSON objects, one for each event, that later versions add to.

Each batch of lines begins with a head: the format's version, who writes, when, and what never
reached him. An event has its class's name under ``is`` and its fields by name, those left out that
have their default; it happened at its own ``ended_s``, or else at its head's ``at_s``. A reader
skips names and classes that it does not know.

Entries are named by the first digits of their ids, which `ID_DIGITS` makes as good as unique among
a million. No line holds a question unless the file was made to hold them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from accel_core import events
from accel_core.policy.looked import Looked

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = "accel_statistics"
VERSION = 1
ID_DIGITS = 16

KINDS: frozenset[type] = frozenset(
    {
        events.BackendFailed,
        events.CacheEvicted,
        events.CacheExplored,
        events.CacheInvalidated,
        events.CacheRefused,
        events.CacheVerified,
        events.EmbeddingsServed,
        events.HiddenLimitFound,
        events.HitReported,
        events.LimitRefused,
        events.LimitRejected,
        events.LimitWaited,
        events.LimitsAlone,
        events.LimitsShared,
        events.PathsRaced,
        events.RequestEnded,
        events.RetrievalHit,
        events.RetrievalMiss,
        events.RetrievalSkipped,
        events.SpeculationSuspended,
        events.ToolCallAudited,
        events.ToolCallBegun,
        events.ToolCallReused,
        events.ToolCallWasted,
        events.WriteDropped,
    }
)
"""Hits, misses and bypasses of the cache are told by the requests that they belong to."""

_UNWRITTEN = frozenset({"error", "tags", "path"})
"""What may hold words of the application's or of its users."""

_MICROSECONDS = 6


def head(run: str, at_s: float, lost: Mapping[str, int]) -> bytes:
    """Return the line that a batch begins with.

    Args:
        run: tells writers apart.
        at_s: now, seconds since the epoch.
        lost: events that never reached an observer so far, by observer.
    """
    line: dict[str, Any] = {HEAD: VERSION, "run": run, "at_s": round(at_s, 3)}
    if lost:
        line["lost"] = dict(lost)
    # After a new line: what a writer left unfinished ends there.
    return b"\n" + _line(line)


def event_line(event: tuple[Any, ...]) -> bytes:
    """Return the line of an event, a named tuple."""
    return _line({"is": type(event).__name__, **_fields(event)})


def looked_line(looked: Looked, *, texts: bool) -> bytes:
    """Return the line of a lookup by meaning; `texts`: with both questions."""
    line: dict[str, Any] = {"is": Looked.__name__, "id": looked.key.hex()[:ID_DIGITS]}
    if looked.near_key is not None:
        line["near_id"] = looked.near_key.hex()[:ID_DIGITS]
    if looked.tenant:
        line["tenant"] = looked.tenant.hex()
    line["reason"] = looked.reason
    if looked.served:
        line["served"] = True
    for name in ("similarity", "probability"):
        value = getattr(looked, name)
        if value is not None:
            line[name] = round(float(value), _MICROSECONDS)
    if texts:
        line["text"] = looked.text
        if looked.near_text:
            line["near_text"] = looked.near_text
    return _line(line)


def _fields(values: tuple[Any, ...]) -> dict[str, Any]:
    spelled: dict[str, Any] = {}
    names: tuple[str, ...] = values._fields  # type: ignore[attr-defined]
    defaults: dict[str, Any] = values._field_defaults  # type: ignore[attr-defined]
    for name, value in zip(names, values, strict=True):
        if name in _UNWRITTEN or (name in defaults and value == defaults[name]):
            continue
        if type(value) is float:
            spelled[name] = round(value, _MICROSECONDS)
        elif isinstance(value, tuple):
            spelled[name] = _fields(value) if hasattr(value, "_fields") else [*map(_fields, value)]
        else:
            spelled[name] = value[:ID_DIGITS] if name == "entry_id" else value
    return spelled


def _line(line: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # A text may hold halves of characters, which UTF-8 cannot say.
        whole = {name: _whole(value) for name, value in line.items()}
        return orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE, default=str)


def _whole(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
