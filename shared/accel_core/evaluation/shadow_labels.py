"""Read shadow logs: as comparisons for a report, or as labelled pairs for a calibration.

A comparison that nobody could judge is no pair, and neither are comparisons of the same two
questions that came out differently: both are left out, counted, and told by whoever reads.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from accel_core.errors import LabelledFileError
from accel_core.evaluation.labelled import Pair
from accel_core.policy.compared import MARK, Compared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Labels(NamedTuple):
    """Labelled pairs, and how many comparisons are none: not judged, contradicting one another."""

    pairs: list[Pair]
    unknown: int
    contradictory: int


def is_log(path: Path) -> bool:
    """Whether `path` begins as a shadow log does."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            row = json.loads(next(filter(str.strip, lines), ""))
    except (OSError, ValueError):
        return False
    return isinstance(row, dict) and MARK in row


def read_log(path: Path) -> list[tuple[int, Compared]]:
    """Read all comparisons and where they stand.

    Raises:
        LabelledFileError: the file cannot be read or is empty, or a line is no comparison.
    """
    found = list(_lines(path))
    if not found:
        remedy = "set cache.semantic.shadow and shadow_log, and ask repeated questions"
        raise LabelledFileError(path, None, "holds no comparison", remedy)
    return found


def read_labels(path: Path) -> Labels:
    """Read comparisons as pairs for `labelled.halves`.

    Raises:
        LabelledFileError: as `read_log`, and where all pairs have one label.
    """
    found = read_log(path)
    pairs: dict[frozenset[str], Pair] = {}
    torn: set[frozenset[str]] = set()
    for line, one in found:
        if one.same is None:
            continue
        texts = frozenset((one.a, one.b))
        if pairs.setdefault(texts, Pair(one.a, one.b, one.same, line)).same != one.same:
            torn.add(texts)
    kept = [pair for texts, pair in pairs.items() if texts not in torn]
    if len({pair.same for pair in kept}) < 2:
        remedy = "let it grow until it has right and wrong ones, or add labelled pairs"
        raise LabelledFileError(path, None, "holds comparisons of one kind only", remedy)
    unknown = sum(one.same is None for _, one in found)
    contradictory = sum(
        frozenset((one.a, one.b)) in torn for _, one in found if one.same is not None
    )
    return Labels(kept, unknown, contradictory)


def _lines(path: Path) -> Iterator[tuple[int, Compared]]:
    remedy = "drop the line; a shadow log is what cache.semantic.shadow_log wrote"
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise LabelledFileError(path, number, "is not JSON", remedy) from error
                if not isinstance(row, dict):
                    raise LabelledFileError(path, number, "is not a JSON object", remedy)
                try:
                    yield number, Compared.from_json(row)
                except ValueError as error:
                    problem = f"is no comparison: {error}"
                    raise LabelledFileError(path, number, problem, remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelledFileError(path, None, f"cannot be read: {error}", "check the file") from error
