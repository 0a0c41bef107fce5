"""Counts in tables, the whole memory of a predictor: added to, subtracted, spelled as JSON.

Invariant: tables and their rows are bounded; what comes after the bound is not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

Key = tuple["Hashable", ...]

TABLES = 60_000
ROWS = 10_000

_NONE: Mapping[Hashable, float] = {}


class Tally:
    """Counts by table and row; what is not there has been counted zero times.

    Attributes:
        derived: what has been computed of the counts, by name; forgotten when anything is counted.
    """

    def __init__(self) -> None:
        self._tables: dict[Key, dict[Hashable, float]] = {}
        self.derived: dict[Key, Any] = {}

    def __len__(self) -> int:
        return len(self._tables)

    def add(self, table: Key, row: Hashable, count: float = 1.0) -> None:
        """Count `row` of `table`."""
        if self.derived:
            self.derived.clear()
        rows = self._tables.get(table)
        if rows is None:
            if len(self._tables) >= TABLES:
                return
            rows = self._tables[table] = {}
        have = rows.get(row)
        if have is not None:
            rows[row] = have + count
        elif len(rows) < ROWS:
            rows[row] = count

    def rows(self, table: Key) -> Mapping[Hashable, float]:
        """Return the counts of `table`."""
        return self._tables.get(table, _NONE)

    def count(self, table: Key, row: Hashable) -> float:
        """Return how often `row` of `table` was counted."""
        return self._tables.get(table, _NONE).get(row, 0.0)

    def update(self, other: Tally, sign: float = 1.0) -> None:
        """Add what `other` has counted; with -1, take it away."""
        for table, rows in other._tables.items():
            for row, count in rows.items():
                self.add(table, row, sign * count)
            if sign < 0:
                self._prune(table)

    def _prune(self, table: Key) -> None:
        self.derived.clear()
        left = {row: count for row, count in self._tables[table].items() if count > 0}
        if left:
            self._tables[table] = left
        else:
            del self._tables[table]

    def items(self) -> Iterable[tuple[Key, Mapping[Hashable, float]]]:
        """Return the tables."""
        return self._tables.items()

    def without(self, dropped: Callable[[Key, Hashable, float], bool]) -> Tally:
        """Return a copy that lacks the rows of which `dropped` says so."""
        kept = Tally()
        for table, rows in self._tables.items():
            for row, count in rows.items():
                if not dropped(table, row, count):
                    kept.add(table, row, count)
        return kept

    def to_json(self) -> list[Any]:
        """Return what `from_json` reads."""
        return [[table, list(rows.items())] for table, rows in self._tables.items()]

    @classmethod
    def from_json(cls, spelled: Iterable[Any]) -> Tally:
        """Read counts.

        Raises:
            TypeError, ValueError: they are none.
        """
        tally = cls()
        for table, rows in spelled:
            for row, count in rows:
                if not isinstance(count, (int, float)) or isinstance(count, bool) or not count > 0:
                    raise ValueError(f"{count!r} is no count")
                tally.add(_key(table), _frozen(row), count)
        return tally


def _key(spelled: Any) -> Key:
    if not isinstance(spelled, list) or not spelled:
        raise ValueError(f"{spelled!r} names no table")
    return tuple(_frozen(part) for part in spelled)


def _frozen(value: Any) -> Hashable:
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(part) for part in value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise ValueError(f"{value!r} is no name of a row")
