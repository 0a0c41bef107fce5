"""Which tool calls a stream has written to their ends.

Invariant: a call is sealed when the next one begins, or the stream says that it ends, and never
because its arguments happen to be complete JSON: more of them may come. What belongs to which call
is what LangChain takes it for when it adds the chunks up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from accel_core.policy.trajectory import ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Seals:
    """The calls of one stream."""

    def __init__(self) -> None:
        self._open: list[dict[str, Any]] = []
        """The call being written, if any."""

    def add(self, chunks: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
        """Take note of `chunks` of tool calls; return the calls that they seal."""
        sealed: list[dict[str, Any]] = []
        for chunk in chunks:
            if self._open and _continues(self._open[-1], chunk):
                self._append(chunk)
                continue
            sealed.extend(self._open)
            self._open = [{**chunk, "args": chunk.get("args") or ""}]
            if not _indexed(chunk):  # LangChain adds nothing to it
                sealed.extend(self._open)
                self._open = []
        return _parsed(sealed)

    def end(self) -> list[ToolCall]:
        """Return the calls that the stream's end seals."""
        sealed, self._open = self._open, []
        return _parsed(sealed)

    def _append(self, chunk: Mapping[str, Any]) -> None:
        call = self._open[-1]
        call["args"] += chunk.get("args") or ""
        call["name"] = (call.get("name") or "") + (chunk.get("name") or "")
        call["id"] = call.get("id") or chunk.get("id")


def _indexed(chunk: Mapping[str, Any]) -> bool:
    index = chunk.get("index")
    return isinstance(index, int) or (isinstance(index, str) and index.startswith("lc_"))


def _continues(call: Mapping[str, Any], chunk: Mapping[str, Any]) -> bool:
    """Whether `chunk` is more of `call`."""
    if not _indexed(chunk) or chunk.get("index") != call.get("index"):
        return False
    ids = {call.get("id") or None, chunk.get("id") or None} - {None}
    return len(ids) <= 1


def _parsed(calls: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    found = []
    for call in calls:
        try:
            arguments = json.loads(call["args"]) if call["args"] else {}
        except ValueError:
            continue
        if call.get("name") and isinstance(arguments, dict):
            found.append(ToolCall(call["name"], arguments))
    return found
