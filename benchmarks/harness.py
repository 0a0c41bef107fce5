"""Groups of rows: what is measured, what it must be, and how the outcome is told.

A group is a list of rows; a row measures one figure and knows the bound that it must keep. A run
shows progress on standard error, prints a table, and ends in one line of JSON::

    {"benchmark": …, "versions": {…},
     "must": [{"row": …, "value": …, "op": …, "bound": …, "aim": …, "holds": …}]}

A row that cannot be measured here has the value null and does not hold; it never ends the run.
Nothing in this module knows what is measured.
"""

from __future__ import annotations

import importlib.metadata
import json
import operator
import platform
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

T = TypeVar("T")

Op = Literal["<=", ">=", "=="]
_HOLDS: dict[Op, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}


class UnavailableError(Exception):
    """A row cannot be measured here; the message names the remedy."""


class Measured(NamedTuple):
    """A row's figure, and the raw ones behind it in words."""

    value: float
    note: str = ""


class Context:
    """What rows are given: the options of the run, and what they share.

    Args:
        quick: take fewer rounds.
        questions: a file of questions to measure with; None means the package's own.
        pairs: a file of labelled pairs, for rows that need one.
        prompts: a file of prompts that repeat nothing, likewise.
        traces: a file of an agent's runs, whose calls are to be known before.
        frugal_traces: the same of an agent on whom little may be wasted.
        seed: of all dice.
        report: told the share of the current row that is done, in [0, 1].
    """

    def __init__(
        self,
        *,
        quick: bool = False,
        questions: Path | None = None,
        pairs: Path | None = None,
        prompts: Path | None = None,
        traces: Path | None = None,
        frugal_traces: Path | None = None,
        seed: int = 1,
        report: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.quick, self.seed, self.report = quick, seed, report
        self.questions, self.pairs, self.prompts = questions, pairs, prompts
        self.traces, self.frugal_traces = traces, frugal_traces
        self.versions: dict[str, str] = {}
        """Of what is not installed in this environment; rows add to it."""
        self._made: dict[Callable[[Context], object], object] = {}
        self._open = ExitStack()

    def pick(self, full: int, quick: int) -> int:
        """Return the one number in a full run, the other in a quick one."""
        return quick if self.quick else full

    def once(self, make: Callable[[Context], T]) -> T:
        """Return what `make` makes of this context, made once per run; it fails once, too."""
        if make not in self._made:
            try:
                self._made[make] = make(self)
            except Exception as error:
                self._made[make] = error
        made = self._made[make]
        if isinstance(made, Exception):
            raise made
        return made  # type: ignore[return-value]  # what was stored under `make` is its own

    def enter(self, manager: AbstractContextManager[T]) -> T:
        """Enter `manager`; it is left when the run ends."""
        return self._open.enter_context(manager)

    def at_end(self, call: Callable[[], object]) -> None:
        """Call `call` when the run ends."""
        self._open.callback(call)

    def close(self) -> None:
        """Leave what was entered, the last first."""
        self._made.clear()
        self._open.close()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure and its bound.

    Attributes:
        name: as the command line and the JSON have it.
        what: what is measured, in words.
        op: how the figure must stand to `bound`.
        bound: what it must keep.
        aim: what is aimed for, where that is more.
        measure: takes the figure.
        quick: whether a quick run has it.
    """

    name: str
    what: str
    op: Op
    bound: float
    measure: Callable[[Context], Measured]
    aim: float | None = None
    quick: bool = True


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows that are run together.

    Attributes:
        name: as the command line and the JSON have it.
        rows: in the order of running.
        packages: distributions whose versions matter.
    """

    name: str
    rows: Sequence[Row]
    packages: Collection[str] = field(default=())

    def chosen(self, patterns: Collection[str], *, quick: bool) -> list[Row]:
        """Return the rows that a pattern names, all without one; fewer in a quick run.

        Raises:
            ValueError: a pattern names no row.
        """
        for pattern in patterns:
            if not any(fnmatchcase(row.name, pattern) for row in self.rows):
                raise ValueError(f"group {self.name!r} has no row {pattern!r}; see --list")
        if patterns:
            return [r for r in self.rows if any(fnmatchcase(r.name, p) for p in patterns)]
        return [row for row in self.rows if row.quick or not quick]


@dataclass(frozen=True)
class Result:
    """A row's outcome; `value` is None where it could not be measured."""

    row: Row
    value: float | None
    note: str

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its bound."""
        return self.value is not None and _HOLDS[self.row.op](self.value, self.row.bound)

    def as_json(self) -> dict[str, object]:
        """Return it as the last line of output has it."""
        return {
            "row": self.row.name,
            "value": None if self.value is None else float(f"{self.value:.6g}"),
            "op": self.row.op,
            "bound": self.row.bound,
            "aim": self.row.aim,
            "holds": self.holds,
        }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those `packages` that are installed."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def run(group: Group, rows: Sequence[Row], context: Context) -> list[Result]:
    """Measure `rows`, showing progress on standard error."""
    results: list[Result] = []
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(group.name, total=len(rows))
        context.report = lambda share: progress.update(task, completed=len(results) + share)
        try:
            for row in rows:
                progress.update(task, description=f"{group.name}: {row.name}")
                results.append(_measured(row, context))
                progress.update(task, completed=len(results))
        finally:
            context.close()
    return results


def _measured(row: Row, context: Context) -> Result:
    try:
        value, note = row.measure(context)
    except UnavailableError as error:
        return Result(row, None, str(error))
    except Exception as error:  # a row that fails is a finding; the others are still wanted
        traceback.print_exc()
        return Result(row, None, f"failed: {type(error).__name__}: {error}")
    return Result(row, float(value), note)  # numpy's numbers are no JSON


def tell(group: Group, results: Sequence[Result], context: Context) -> None:
    """Print the table and, last of all, the line of JSON."""
    table = Table(title=f"python -m benchmarks {group.name}", title_justify="left")
    for heading in ("row", "what", "value", "must", "aim", "holds", "raw figures"):
        table.add_column(heading, overflow="fold")
    for result in results:
        row = result.row
        table.add_row(
            row.name,
            row.what,
            "-" if result.value is None else f"{result.value:.4g}",
            f"{row.op} {row.bound:g}",
            "" if row.aim is None else f"{row.aim:g}",
            "[green]yes" if result.holds else "[red]NO",
            result.note,
        )
    console = Console()
    # A pipe has no width of its own, and 80 columns would fold every cell.
    console.width = console.width if console.is_terminal else 200
    console.print(table)
    line = {
        "benchmark": group.name,
        "versions": versions(group.packages) | context.versions,
        "must": [result.as_json() for result in results],
    }
    print(json.dumps(line), flush=True)
