"""``accel shadow-report``: what would have been served, and whether it would have been right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from accel_core.cli.terminal import fail, mistakes_told, one_line, shown, told
from accel_core.evaluation.shadow import Tally, reported
from accel_core.evaluation.shadow_labels import read_log

if TYPE_CHECKING:
    from accel_core.evaluation.shadow import ShadowReport


Logs = Annotated[
    list[Path], typer.Argument(help="what cache.semantic.shadow_log wrote, the older one too")
]


def shadow_report(
    logs: Logs,
    max_wrong_hits: Annotated[
        float, typer.Option(help="find the threshold for this share, between 0 and 0.5")
    ] = 0.05,
    confidence: Annotated[float, typer.Option(help="of what is said, in [0.5, 1)")] = 0.95,
    examples: Annotated[int, typer.Option(help="wrong answers to show")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Say what would have been served by meaning, and whether it would have been right."""
    if not 0 < max_wrong_hits <= 0.5:
        fail(f"--max-wrong-hits: must be between 0 and 0.5, got {max_wrong_hits}")
    if not 0.5 <= confidence < 1:
        fail(f"--confidence: must be in [0.5, 1), got {confidence}")
    with mistakes_told():
        lines = [line for path in logs for _, line in read_log(path)]
    found = reported(
        lines, max_wrong_hits=max_wrong_hits, confidence=confidence, examples=max(0, examples)
    )
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _tell(found)


def _tell(found: ShadowReport) -> None:
    told.print(_outcomes(found))
    told.print(_bands(found))
    for line in found.worst:
        said = Text.assemble(
            ("wrong", "red"), f" at {line.score:.3f} (", one_line(line.reason), ")",
            "\n  asked   ", one_line(line.b), "\n  stored  ", one_line(line.a),
        )  # fmt: skip
        told.print(said, highlight=False)
    told.print(_conclusion(found), highlight=False)


def _outcomes(found: ShadowReport) -> Table:
    table = _table(f"{found.compared.times:,} lookups compared", "reason")
    _add(table, "would have served", found.served, bold=True)
    for reason, (served, tally) in found.reasons.items():
        if served:
            _add(table, f"  {reason}", tally)
    refused = (all_ - one for all_, one in zip(found.compared, found.served, strict=True))
    _add(table, "would not have served", Tally(*refused), bold=True)
    for reason, (served, tally) in found.reasons.items():
        if not served:
            _add(table, f"  {reason}", tally)
    return table


def _bands(found: ShadowReport) -> Table:
    table = _table(f"by {found.score}", "from")
    for low, tally in found.bands.items():
        _add(table, f"{low:.2f}", tally)
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in (first, "times", "right", "wrong", "unknown", "wrong share"):
        table.add_column(column, justify="left" if column == first else "right")
    return table


def _add(table: Table, name: str, tally: Tally, *, bold: bool = False) -> None:
    judged = tally.right + tally.wrong
    share = f"{tally.wrong / judged:.1%}" if judged else "-"
    cells = (f"{count:,}" for count in (tally.times, *tally))
    table.add_row(shown(name), *cells, share, style="bold" if bold else None)


def _conclusion(found: ShadowReport) -> str:
    if found.wrong_share is None:
        said = "Nothing would have been served."
    else:
        said = (
            f"Of what would have been served {found.wrong_share:.1%} was wrong; with"
            f" {found.confidence:.0%} confidence at most {found.at_most:.1%}."
        )
    said += f" About {found.missed:,.0f} right answers would not have been served."
    setting = "serve_from" if found.score == "probability" else "min_similarity"
    if found.threshold is None:
        proven = f"No {setting} is proven to stay under {found.max_wrong_hits:.1%} wrong hits yet."
        return f"{said}\n{proven}"
    return (
        f"{said}\n[bold]{setting}: {found.threshold.least:.4g}[/] stays under"
        f" {found.max_wrong_hits:.1%} wrong hits, with {found.confidence:.0%} confidence, and"
        f" serves {found.threshold.kept:.1%} of the right answers."
    )
