"""The calls of a log in the order of their times, as a replay wants them.

Exports are in any order, and larger than memory: what a replay needs of each call is sorted in a
private database of SQLite, which goes to disk by itself when it grows and is gone when closed.

Calls without a time follow the one that the log has before them.
"""

from __future__ import annotations

import marshal
import sqlite3
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from accel_core.audit.logged import LoggedCall, Stated
from accel_core.events.requests import Tokens
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Request
from accel_core.policy.limits.account import Shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.policy.identity import Identifier

_AT_ONCE = 1_000


class Arrival(NamedTuple):
    """A call that is to be replayed.

    Attributes:
        request: its name, as a cache knows it.
        answer: what the log says was answered; None: nothing.
        text: of that answer.
        stated: what else the log says.
        at_s: when it comes, in seconds since the epoch; 0 where no call of the log has a time.
    """

    request: Request
    answer: Answer | None
    text: str
    stated: Stated
    at_s: float = 0.0


def arrival_of(call: LoggedCall, identifier: Identifier) -> Arrival:
    """Return `call` as a replay wants it.

    Raises:
        Unidentifiable: it holds something without a stable meaning.
    """
    return Arrival(identifier.identify(call.prompt), call.answer, call.text, call.stated)


class Arrivals:
    """Calls, sorted by time. Use as a context manager, in one thread."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")
        self._rows.execute("CREATE TABLE calls (at REAL NOT NULL, call BLOB NOT NULL)")
        self._pending: list[tuple[float, bytes]] = []
        self._last_s: float | None = None
        self._early: list[bytes] = []
        self.count = self.timed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def add(self, arrival: Arrival) -> None:
        """Add a call."""
        self.count += 1
        spelled = marshal.dumps(_plain(arrival))
        began_s = arrival.stated.began_s
        if began_s is None and self._last_s is None:
            self._early.append(spelled)
            return
        if began_s is not None:
            self.timed += 1
            self._last_s = began_s
        self._pending += [(self._last_s or 0.0, early) for early in self._early]
        self._early = []
        self._pending.append((self._last_s or 0.0, spelled))
        if len(self._pending) >= _AT_ONCE:
            self._write()

    def span_s(self) -> tuple[float, float] | None:
        """Return the first and the last moment; None where no call has a time."""
        if not self.timed:
            return None
        self._write()
        first_s, last_s = self._rows.execute("SELECT min(at), max(at) FROM calls").fetchone()
        return first_s, last_s

    def in_order(self, at_once: int) -> Iterator[list[Arrival]]:
        """Yield all calls by time, those of one time as they were added, in lists of `at_once`."""
        self._pending += [(0.0, early) for early in self._early]
        self._early = []
        self._write()
        self._rows.execute("CREATE INDEX IF NOT EXISTS by_time ON calls (at)")
        rows = self._rows.execute("SELECT at, call FROM calls ORDER BY at, rowid")
        while block := [_read(at_s, spelled) for at_s, spelled in islice(rows, at_once)]:
            yield block

    def _write(self) -> None:
        self._rows.executemany("INSERT INTO calls VALUES (?, ?)", self._pending)
        self._pending = []


def _plain(arrival: Arrival) -> tuple[Any, ...]:
    request, answer, text, stated, _ = arrival
    tokens = None if stated.tokens is None else tuple(stated.tokens)
    shown = tuple(map(tuple, stated.shown))
    plain = tuple(stated._replace(tokens=None, shown=()))
    return tuple(request), None if answer is None else tuple(answer), text, plain, tokens, shown


def _read(at_s: float, spelled: bytes) -> Arrival:
    request, answer, text, plain, tokens, shown = marshal.loads(  # noqa: S302 - our own, of a moment ago
        spelled
    )
    stated = Stated(*plain)._replace(
        tokens=None if tokens is None else Tokens(*tokens),
        shown=tuple(Shown(*one) for one in shown),
    )
    said = None if answer is None else Answer(*answer)
    return Arrival(Request(*request), said, text, stated, at_s)
