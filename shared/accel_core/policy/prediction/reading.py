"""Observations as values at paths: what a later argument may have been copied from.

A path names keys, with ``*`` for a place in a list and for a key that is data (an id, not a name of
a field); ``~`` after it is that key itself. Work is bounded whatever is read: long texts are not
parsed, and only so many nodes are visited, so many values kept per path.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

import orjson

from accel_core.policy.prediction.words import Token, digits, shape, stems, words

Path = tuple[str, ...]
ITEM, KEY = "*", "~"

PARSED_CHARACTERS = 256_000
NODES = 3_000
PER_PATH = 64
_DEPTH = 10
_PATHS = 200
_VALUE_CHARACTERS = 200
_FIELDS = 12


class Value(NamedTuple):
    """A value somewhere in an observation.

    Attributes:
        text: the value, spelled.
        path: where.
        record: number of the record it belongs to, within its reading.
        place: its number among the values of its path.
    """

    text: str
    path: Path
    record: int
    place: int


class Reading(NamedTuple):
    """What an observation holds.

    Attributes:
        values: by path, in order; at most `PER_PATH` each.
        records: of each record, the stems of each of its texts, whose mention points at it.
        tokens: of an observation that is no JSON.
        items: how many values there were at each path.
    """

    values: dict[Path, list[Value]]
    records: list[list[frozenset[str]]]
    tokens: tuple[Token, ...]
    items: dict[Path, int]


def read(observation: str) -> Reading:
    """Read an observation; what is no JSON is read as one value, and as tokens."""
    reading = Reading({}, [[]], (), {})
    stripped = observation[:PARSED_CHARACTERS].strip()
    if stripped[:1] in ("{", "[") and len(observation) <= PARSED_CHARACTERS:
        try:
            _Walk(reading).visit(orjson.loads(observation))
            return reading
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            pass
    found = words(observation).tokens
    if stripped and len(stripped) <= _VALUE_CHARACTERS:
        reading.values[()] = [Value(stripped.strip('"'), (), 0, 0)]
        reading.items[()] = 1
    return reading._replace(tokens=found)


class _Walk:
    def __init__(self, reading: Reading) -> None:
        self._reading, self._left = reading, NODES

    def visit(self, value: Any, path: Path = (), record: int = 0) -> None:
        """Take note of what is in `value`."""
        self._left -= 1
        if self._left < 0 or len(path) > _DEPTH:
            return
        if isinstance(value, dict):
            self._mapping(value, path, record)
        elif isinstance(value, list):
            for item in islice(value, NODES):
                if self._left < 0:
                    break
                self.visit(item, (*path, ITEM), self._record(item, record))
        elif value is not None and not isinstance(value, bool):
            self._keep(str(value), path, record)

    def _mapping(self, value: dict[str, Any], path: Path, record: int) -> None:
        if not _keys_are_data(value):
            for key, item in islice(value.items(), NODES):
                self.visit(item, (*path, key[:_VALUE_CHARACTERS]), record)
            return
        for key, item in islice(value.items(), NODES):
            if self._left < 0:
                break
            number = self._new_record()
            self._keep(key, (*path, ITEM, KEY), number)
            self.visit(item, (*path, ITEM), number)

    def _record(self, item: Any, record: int) -> int:
        return self._new_record() if isinstance(item, (dict, list)) else record

    def _new_record(self) -> int:
        self._reading.records.append([])
        return len(self._reading.records) - 1

    def _keep(self, text: str, path: Path, record: int) -> None:
        values = self._reading.values.get(path)
        if values is None:
            if len(self._reading.values) >= _PATHS:
                return
            values = self._reading.values[path] = []
        seen = self._reading.items.get(path, 0)
        self._reading.items[path] = seen + 1
        if len(text) > _VALUE_CHARACTERS:
            return
        if len(values) < PER_PATH:
            values.append(Value(text, path, record, seen))
        texts = self._reading.records[record]
        if len(texts) < _FIELDS:
            found = stems(text)
            if found:
                texts.append(found)


def _keys_are_data(value: dict[str, Any]) -> bool:
    """Whether keys are ids or names of things, not names of fields."""
    if not value:
        return False
    keys = list(islice(value, 40))
    if sum(digits(key) >= 2 for key in keys) * 2 > len(keys):
        return True
    if len(value) < 3:
        return False
    items = [value[key] for key in keys]
    if all(isinstance(item, dict) for item in items):
        return len({frozenset(item) for item in items}) == 1 and len(items[0]) > 0
    if len(value) < 4 or not all(isinstance(item, str) for item in items):
        return False
    return digits(items[0]) >= 2 and len({(shape(item), len(item)) for item in items}) == 1
