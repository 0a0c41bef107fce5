"""Entries that leave a store, or come out of a file, a page at a time; what stays is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core.errors import TransferFileError
from accel_core.ports import Entry
from accel_core.transfer import lines
from accel_core.transfer.looking import PAGE, pages
from accel_core.transfer.tally import stays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from accel_core.inspection import InspectableStore, Stored
    from accel_core.policy.seal import Seal
    from accel_core.ports import Selector
    from accel_core.transfer.files import LinesIn, LinesOut
    from accel_core.transfer.looking import Report
    from accel_core.transfer.tally import Tally


def leaving(
    store: InspectableStore,
    selectors: Sequence[Selector],
    tally: Tally,
    *,
    wall_now: Callable[[], float],
    report: Report,
) -> Iterator[list[Entry]]:
    """Yield what may leave `store` of what any of `selectors` means."""
    for page in pages(store, selectors, report):
        now_s = wall_now()
        found = (_free(stored, tally, now_s) for stored in page.values())
        yield [entry for entry in found if entry is not None]


def export(
    leaves: Iterable[Sequence[Entry]], out: LinesOut, seal: Seal, tally: Tally, *, vectors: bool
) -> None:
    """Write what leaves a store into a file, signed where `seal` has a key.

    Args:
        leaves: the entries.
        out: the file.
        seal: signs each line.
        tally: counts them.
        vectors: whether their vectors go with them; without, the file is a third as large.

    Raises:
        TransferFileError: it cannot be written.
    """
    out.write(lines.head())
    for page in leaves:
        for entry in page:
            carried = entry if vectors else replace(entry, encoder="", vector=None)
            out.write(lines.spell(carried, seal))
            tally.written += 1
    out.write(lines.foot(tally.written))


def arriving(
    path: Path,
    written: LinesIn,
    seal: Seal,
    tally: Tally,
    *,
    wall_now: Callable[[], float],
    report: Report,
) -> Iterator[list[Entry]]:
    """Yield the entries that a file of `export` holds; lines that are none are counted.

    Raises:
        TransferFileError: it is no such file, or cannot be read.
    """
    numbered = iter(written)
    _begin(path, next(numbered, (1, b""))[1])
    page: dict[bytes, Entry] = {}
    end: int | None = None
    for number, line in numbered:
        end = lines.counted(line)
        if end is not None:
            continue
        tally.read += 1
        entry = lines.read(line, seal)
        if isinstance(entry, lines.Refused):
            tally.refuse(number, *entry)
        elif reason := stays(entry, wall_now()):
            tally.left[reason] += 1
        else:
            page[entry.key] = entry
        if len(page) == PAGE:
            yield list(page.values())
            page.clear()
            report(written.share)
    yield list(page.values())
    report(1.0)
    tally.cut = written.cut or end != tally.read


def _begin(path: Path, first: bytes) -> None:
    if not first:
        raise TransferFileError(path, None, "holds no line", "export it again")
    wrong = lines.check_head(first)
    if wrong is not None:
        remedy = "name a file that `accel store export` wrote"
        raise TransferFileError(path, 1, wrong, remedy)


def _free(stored: Stored, tally: Tally, now_s: float) -> Entry | None:
    """Return the entry that may leave, or count why there is none."""
    tally.read += 1
    entry = stored.found
    reason = stays(entry, now_s) if isinstance(entry, Entry) else entry
    if isinstance(entry, Entry) and not reason:
        return entry
    tally.left[reason] += 1
    return None
