"""What the commands of ``accel store`` say, to people and to machines.

What was stored is somebody's text: nothing in it may move a terminal's cursor.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from accel_core.cli.terminal import asides, one_line, shown, told
from accel_core.transfer import lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accel_core.inspection import Stored
    from accel_core.ports import Entry
    from accel_core.transfer.looking import Census
    from accel_core.transfer.tally import Tally

COLUMNS = (
    "id", "age", "expires", "namespace", "tenant", "source", "encoder", "tags", "bytes", "text",
)  # fmt: skip
DEFAULT_COLUMNS = "id,age,expires,namespace,source,text"

_ID_DIGITS = 12
_UNITS_S = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_WHY = {
    "expired": "are past their time",
    "resting": "rest on documents, whose changes this store alone numbers",
    "there": "were there already; --replace overwrites them",
    "seal": "are not sealed with a key that is set",
    "format": "are damaged",
    "version": "are of another version",
    "key": "lie under another entry's name",
    "malformed": "are lines that hold no entry",
}


def tell_json(data: Mapping[str, Any]) -> None:
    """Print a machine's answer."""
    typer.echo(json.dumps(data, indent=2))


def span(seconds: float) -> str:
    """Return how long `seconds` are, in their largest unit.

    >>> span(7200), span(0), span(-60)
    ('2 h', '0 s', '-1 min')
    """
    sign, seconds = "-" if seconds < 0 else "", abs(seconds)
    unit, length_s = next((u for u in _UNITS_S if seconds >= u[1]), _UNITS_S[-1])
    return f"{sign}{seconds / length_s:,.0f} {unit}" if seconds != float("inf") else "never"


def row_json(entry: Entry, stored: Stored, now_s: float) -> dict[str, Any]:
    """Return what a list tells a machine of an entry: everything but answer and vector."""
    row = lines.row_of(entry)
    full = {"tenant": "", "namespace": "", "text": "", "tags": [], "semantic": True, "source": ""}
    kept = {name: row.get(name, default) for name, default in full.items()}
    return {
        "id": row["id"],
        "scope": row["scope"],
        **kept,
        "encoder": entry.encoder,
        "created_s": row["created_s"],
        "expires_s": row["expires_s"],
        "expired": entry.expires_s <= now_s,
        "resting": bool(entry.bases),
        "sealed": stored.sealed,
        "bytes": stored.size_bytes,
    }


def entry_json(entry: Entry, stored: Stored, now_s: float) -> dict[str, Any]:
    """Return what a machine is told of one entry: everything but its vector."""
    row = {name: value for name, value in lines.row_of(entry).items() if name != "vector"}
    bases = [
        {
            "corpus": basis.corpus.hex(),
            "revision": basis.revision,
            "documents": None if basis.documents is None else len(basis.documents),
        }
        for basis in entry.bases
    ]
    return {**row, **row_json(entry, stored, now_s), "bases": bases}


def tell_list(
    found: Sequence[tuple[Entry, Stored]], columns: Sequence[str], now_s: float, *, more: bool
) -> None:
    """Print entries as a table."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        if column == "text":
            table.add_column(column, overflow="ellipsis", no_wrap=True, ratio=1)
        else:
            table.add_column(column, no_wrap=True, overflow="ellipsis")
    for entry, stored in found:
        cells = _cells(entry, stored, now_s)
        table.add_row(*(cells[column] for column in columns))
    told.print(table)
    if more:
        asides.print(f"the first {len(found):,}; --limit 0 shows all", highlight=False)


def _cells(entry: Entry, stored: Stored, now_s: float) -> dict[str, Text]:
    left_s = entry.expires_s - now_s
    return {
        "id": Text(entry.id[:_ID_DIGITS]),
        "age": Text(span(now_s - entry.created_s)),
        "expires": Text("expired" if left_s <= 0 else span(left_s)),
        "namespace": one_line(entry.namespace),
        "tenant": Text(entry.tenant.hex()[:_ID_DIGITS]),
        "source": one_line(entry.source),
        "encoder": one_line(entry.encoder),
        "tags": one_line(", ".join(entry.tags)),
        "bytes": Text(f"{stored.size_bytes:,}"),
        "text": one_line(entry.text),
    }


def tell_entry(entry: Entry, stored: Stored, now_s: float) -> None:
    """Print an entry with its question and its answer."""
    cells = _cells(entry, stored, now_s)
    cells |= {"id": Text(entry.id), "tenant": Text(entry.tenant.hex()), "text": shown(entry.text)}
    cells["scope"] = Text(entry.scope.hex())
    cells["served to"] = Text("other wordings too" if entry.semantic else "its own question only")
    if entry.bases:
        cells["rests on"] = Text(f"documents of {len(entry.bases)} corpora")
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, cell in cells.items():
        if cell.plain:
            table.add_row(name, cell)
    told.print(table)
    told.print(_answer(entry.payload), highlight=False)


def _answer(payload: bytes) -> Text:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return Text(f"{len(payload):,} bytes, which are no text; --json has them")
    try:
        return shown(json.dumps(json.loads(text), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return shown(text)


def tell_census(place: str, census: Census, file_bytes: int | None) -> None:
    """Print what a store holds."""
    told.print(shown(place), style="bold")
    size = f"{census.bytes:,} bytes"
    if file_bytes is not None:
        size += f" in a file of {file_bytes:,}"
    told.print(f"{census.entries:,} entries, {size}", highlight=False)
    if census.oldest_s is not None and census.newest_s is not None:
        ages = (span(census.now_s - moment_s) for moment_s in (census.oldest_s, census.newest_s))
        told.print("stored {} to {} ago".format(*ages), highlight=False)
    told.print(
        f"{census.semantic:,} are served to other wordings too, {census.resting:,} rest on"
        f" documents, {census.expired:,} are expired, {census.sealed:,} are sealed",
        highlight=False,
    )
    for reason, count in census.unreadable.items():
        told.print(f"[red]{count:,} are not readable:[/] they {_WHY[reason]}", highlight=False)
    for name, counts in census.by.items():
        _tell_counts(name, counts.most_common())


_SHOWN_COUNTS = 10


def _tell_counts(name: str, counts: Sequence[tuple[str, int]]) -> None:
    if not counts:
        return
    table = Table(name, "entries", box=None, pad_edge=False)
    for value, count in counts[:_SHOWN_COUNTS]:
        table.add_row(one_line(value or "-"), f"{count:,}")
    if len(counts) > _SHOWN_COUNTS:
        table.add_row(f"{len(counts) - _SHOWN_COUNTS:,} more", "")
    told.print()
    told.print(table)


def tell_tally(tally: Tally, done: str, file: str = "") -> None:
    """Print what became of entries, and what is wrong with those that were refused.

    Args:
        tally: the counts.
        done: what was done with those that were written.
        file: whose lines were refused.
    """
    told.print(shown(f"{tally.written:,} entries {done}"), highlight=False)
    if tally.same:
        told.print(f"  {tally.same:,} were there as they are", highlight=False)
    if tally.encoded or tally.plain:
        plain = f", {tally.plain:,} are served to their own question only" if tally.plain else ""
        told.print(f"  {tally.encoded:,} vectors made{plain}", highlight=False)
    for reason, count in sorted(tally.left.items()):
        told.print(f"  {count:,} left out: they {_WHY[reason]}", highlight=False)
    if tally.full:
        remedy = "raise cache.store.max_entries"
        asides.print(f"the store is full, so its oldest entries leave: {remedy}", highlight=False)
    for line, problem in tally.refusals:
        asides.print(shown(f"{file}, line {line} {problem}"), highlight=False)
    if tally.cut:
        asides.print(shown(f"{file} is cut short: export it again"), highlight=False)
