"""The invalidations of all processes, as this one has heard of them.

They are numbered by the server, which refuses to save what was asked for before one that means it
(`redis_flight_scripts`). Here the same is known a little later, and asked without waiting. What is
forgotten, or is no record of ours, may have meant anything.
"""

from __future__ import annotations

from struct import error as StructError  # noqa: N812
from typing import TYPE_CHECKING, NamedTuple

from accel_core.store.redis_flight_scripts import REMEMBERED
from accel_core.store.redis_selection import means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.ports import Entry


class _Heard(NamedTuple):
    """Every record after invalidation `since`, up to the last one."""

    since: int
    last: int
    records: tuple[tuple[int, bytes], ...]


class RedisOutdated:
    """What is remembered of invalidations."""

    def __init__(self) -> None:
        self._heard = _Heard(0, 0, ())

    @property
    def last(self) -> int:
        """The number of the last one; 0: none was heard of."""
        return self._heard.last

    def hear(self, last: int, records: Sequence[bytes]) -> bool:
        """Take over the records after `self.last`; return whether there was another one.

        Args:
            last: the number of the last one.
            records: each its number, a blank and a `redis_selection.meaning`.
        """
        heard = self._heard
        read = [_read(record) for record in records]
        new = tuple(numbered for numbered in read if numbered is not None)
        missed = len(new) < last - heard.last if heard.last else len(new) < len(read)
        if missed or len(read) >= REMEMBERED or last < heard.last:
            self._heard = _Heard(last, last, ())
        else:
            kept = (heard.records + new)[-REMEMBERED:]
            since = kept[0][0] - 1 if len(kept) == REMEMBERED else heard.since
            self._heard = _Heard(since, last, kept)
        return last != heard.last

    def means(self, mark: int, entry: Entry) -> bool:
        """Whether one after number `mark` means `entry`, or may have."""
        since, last, records = self._heard
        if mark >= last:
            return False
        if mark < since:
            return True
        return any(number > mark and _means(record, entry) for number, record in records)


def _read(record: bytes) -> tuple[int, bytes] | None:
    number, _, meaning = record.partition(b" ")
    return (int(number), meaning) if number.isdigit() else None


def _means(meaning: bytes, entry: Entry) -> bool:
    try:
        return means(meaning, entry)
    except (StructError, IndexError):
        return True
