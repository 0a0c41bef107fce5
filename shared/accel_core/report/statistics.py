"""The statistics file as a source: its older part and itself, line by line.

What a process left unfinished, and what is no line of such a file, is counted and left out; a file
that holds no line of it is refused, and so is one of a later version, whose lines may mean
something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from accel_core.errors import FileError
from accel_core.files.statistics_file import older_of
from accel_core.files.statistics_lines import HEAD, VERSION
from accel_core.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from accel_core.config.limits import LimitsConfig
    from accel_core.policy.prices import PriceTable
    from accel_core.report.values import Report

_TOLD_EVERY = 20_000
_REMEDY = "name what observe.file.path wrote"


def read_statistics(
    paths: Sequence[Path],
    *,
    since_s: float | None,
    limits: LimitsConfig,
    prices: PriceTable,
    now_s: float,
    progress: Callable[[float], None],
) -> Report:
    """Return what statistics files tell, together.

    Args:
        paths: of the files; the older part of each is read where it is.
        since_s: what happened before is left out.
        limits: of the application, with the targets of its tiers.
        prices: what tokens cost.
        now_s: seconds since the epoch.
        progress: told how much is read, in [0, 1].

    Raises:
        FileError: one cannot be read, or is no such file.
    """
    reader = _Reader(Tally(since_s=since_s, limits=limits), progress)
    named = (part for path in paths for part in (older_of(path), path) if part.exists())
    # A shell's stats*.jsonl names the older part, too: what is read twice counts twice.
    parts = list(dict.fromkeys(part.resolve() for part in named))
    for path in paths:
        if not path.exists():
            raise FileError(path, None, "is not there", _REMEDY)
    try:
        reader.total_bytes = sum(part.stat().st_size for part in parts) or 1
        for part in parts:
            reader.read(part)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise FileError(error.filename, None, problem, _REMEDY) from error
    source = ", ".join(map(str, paths))
    if not reader.heads:
        raise FileError(source, None, "is not a statistics file, or is empty", _REMEDY)
    lost: dict[str, int] = {}
    for run in reader.lost.values():
        for name, count in run.items():
            lost[name] = lost.get(name, 0) + count
    return reader.tally.report(source, now_s, prices, lost, reader.unreadable)


class _Reader:
    """Reads parts, one after the other."""

    def __init__(self, tally: Tally, progress: Callable[[float], None]) -> None:
        self.tally, self._progress = tally, progress
        self.total_bytes = 1
        self.heads = self.unreadable = 0
        self.lost: dict[str, dict[str, int]] = {}
        self._read_bytes = 0

    def read(self, path: Path) -> None:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                self._read_bytes += len(line)
                if number % _TOLD_EVERY == 0:
                    self._progress(min(1.0, self._read_bytes / self.total_bytes))
                if len(line) < 3:
                    continue
                try:
                    told = orjson.loads(line)
                    if HEAD in told:
                        self._head(told, path, number)
                    else:
                        self.tally.add(told)
                except FileError:
                    raise
                except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                    self.unreadable += 1
        self._progress(min(1.0, self._read_bytes / self.total_bytes))

    def _head(self, told: dict[str, Any], path: Path, number: int) -> None:
        version = told[HEAD]
        if not isinstance(version, int) or version > VERSION:
            problem = f"is of version {version!r}, which is later than {VERSION}"
            raise FileError(path, number, problem, "update llm-accel") from None
        self.heads += 1
        if "lost" in told:
            # Each head has all that its process lost so far.
            self.lost[told["run"]] = {str(name): int(n) for name, n in told["lost"].items()}
        self.tally.begin(str(told.get("run", "")), float(told["at_s"]))
