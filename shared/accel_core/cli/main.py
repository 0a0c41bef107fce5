"""``accel``: audit logs, measure and calibrate on questions of your own, fill and look into caches.

Thin: every command reads its files, shows progress, calls `accel_core.evaluation` and tells what
came out. Errors of the files end a command with their message and code 2; nothing is written then.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

try:
    import typer
    from rich.table import Table
except ImportError as error:
    raise SystemExit(f"the accel command needs: pip install 'llm-accel[cli]' ({error})") from error

from accel_core import build
from accel_core.cli.audit import audit_logs
from accel_core.cli.encoders import Kind, encoder_of
from accel_core.cli.gate import train_gate
from accel_core.cli.report import report
from accel_core.cli.shadow import shadow_report
from accel_core.cli.store import store
from accel_core.cli.terminal import asides, fail, mistakes_told, progress, told
from accel_core.cli.tools import learn_tools
from accel_core.cli.warm import warm_up
from accel_core.config import SemanticConfig
from accel_core.evaluation import fit, labelled, measure, shadow_labels
from accel_core.evaluation.page import page
from accel_core.policy.calibration import EVERYTHING

if TYPE_CHECKING:
    from accel_core.cli.terminal import Step
    from accel_core.ports import Encoder, Vector

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Say what a log's calls would have saved; measure and calibrate what a cache serves, fill"
    " it before users come, look into it.",
)
app.command("shadow-report")(shadow_report)
app.command("train-gate")(train_gate)
app.command("learn-tools")(learn_tools)
app.command("audit")(audit_logs)
app.command("warm")(warm_up)
app.command("report")(report)
app.add_typer(store, name="store")

Questions = Annotated[
    Path,
    typer.Argument(
        help="labelled pairs (a, b, same) or questions (text, intent): .jsonl, .csv or .tsv;"
        " or a shadow log"
    ),
]
CalibrationFile = Annotated[
    Path | None, typer.Option("--calibration", help="what accel calibrate wrote")
]


@app.command("eval")
def evaluate(
    questions: Questions,
    encoder: Kind = "minilm",
    calibration: CalibrationFile = None,
    cosine: Annotated[float, typer.Option(help="the plain threshold shown beside it")] = 0.92,
    seed: Annotated[int, typer.Option(help="of the order in which questions arrive")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
    html: Annotated[Path | None, typer.Option(help="also write a page with the curves")] = None,
) -> None:
    """Say how often a hit is wrong, and how many repeats are served, on your questions."""
    with mistakes_told(fit.TooLittleError), progress() as step:
        clusters = _clusters(questions)
        encodes = encoder_of(encoder)
        settings = SemanticConfig(calibration=str(calibration) if calibration else None)
        decision = build.build_similarity(settings, encodes)
        opened = build.build_similarity(replace(settings, serve_from=EVERYTHING), encodes)
        if decision is None or opened is None:
            fail(f"encoder {encodes.name!r} is not calibrated; run: accel calibrate {questions}")
        vectors = _vectors(encodes, labelled.texts_of(clusters), step)
        found = measure.evaluate(
            clusters, vectors, decision, cosine,
            opened=opened, seed=seed, report=step("deciding"),
        )  # fmt: skip
    if html is not None:
        html.write_text(page(f"accel eval {questions.name}", found), encoding="utf-8")
    if as_json:
        told.print_json(json.dumps(found.to_json()))
    else:
        _tell(found)


@app.command()
def calibrate(
    questions: Questions,
    out: Annotated[Path, typer.Option("--out", "-o", help="where to write")] = Path(
        "calibration.json"
    ),
    encoder: Kind = "minilm",
    max_wrong: Annotated[
        float, typer.Option(help="share of wrong hits to stay under, between 0 and 1")
    ] = 0.05,
) -> None:
    """Fit the decision to an encoder and your labelled pairs, and say what will change."""
    if not 0 < max_wrong < 1:
        fail(f"--max-wrong: must be between 0 and 1, got {max_wrong}")
    with mistakes_told(fit.TooLittleError), progress() as step:
        halves = labelled.halves(_pairs(questions))
        encodes = encoder_of(encoder)
        texts = [text for half in halves for text in labelled.texts_of(half)]
        vectors = _vectors(encodes, texts, step)
        decision = build.shipped_decision()
        fitted = fit.calibrate(
            encodes.name, halves, vectors, decision, max_wrong=max_wrong, report=step("fitting")
        )
    written = json.dumps(fitted.calibration.to_json(), indent=2)
    partial = out.with_name(f"{out.name}.part")
    partial.write_text(f"{written}\n", encoding="utf-8")
    partial.replace(out)
    _explain(fitted, out, max_wrong)


def _pairs(path: Path) -> list[labelled.Pair]:
    if not shadow_labels.is_log(path):
        return labelled.read_pairs(path)
    found = shadow_labels.read_labels(path)
    if found.unknown or found.contradictory:
        asides.print(
            f"left out: {found.unknown:,} comparisons that nobody could judge,"
            f" {found.contradictory:,} that contradict one another"
        )
    return found.pairs


def _clusters(path: Path) -> list[labelled.Cluster]:
    log = shadow_labels.is_log(path)
    return labelled.clusters_of(_pairs(path)) if log else labelled.read_clusters(path)


def _explain(fitted: fit.Fitted, out: Path, max_wrong: float) -> None:
    """Say in plain words what a calibration does."""
    threshold = fitted.calibration.serve_from
    told.print(f"Written to [bold]{out}[/]. Measured on the half that was not fitted to:")
    if fitted.at is None or not fitted.at.hit_ratio:
        told.print(f"  No answer is served by meaning: none can be at {max_wrong:.1%} wrong hits.")
        return
    at, plain = fitted.at, fitted.plain
    told.print(
        f"  From a probability of {threshold:.3f} up, {at.recall:.1%} of the repeated questions are"
        f" served,\n  and {at.wrong_share:.1%} of what is served is wrong."
    )
    if plain is not None:
        told.print(
            f"  A plain cosine with as few wrong hits would be {plain.threshold:.3f}, and serve"
            f" {plain.recall:.1%}."
        )
    told.print(f"  To use it: [bold]cache: {{semantic: {{calibration: {out}}}}}[/]")


def _tell(found: measure.Evaluation) -> None:
    table = Table(title=f"{found.arrivals:,} questions, {found.repeats:,} repeats")
    for column in ("", "wrong among hits", "recall", "hit ratio", "area"):
        table.add_column(column, justify="left" if not column else "right")
    for name, one, area in (
        ("this decision", found.decided, found.curve.area),
        (f"plain cosine {found.threshold:g}", found.plain, found.plain_curve.area),
    ):
        shares = (f"{share:.1%}" for share in (one.wrong_share, one.recall, one.hit_ratio))
        table.add_row(name, *shares, f"{area:.3f}")
    told.print(table)
    refused = Table(title=f"refused at a cosine of {found.threshold:g} and more")
    for column in ("reason", "times", "the answer was wrong"):
        refused.add_column(column, justify="left" if column == "reason" else "right")
    for reason, refusals in found.refusals.items():
        refused.add_row(reason, f"{refusals.count:,}", f"{refusals.wrong / refusals.count:.0%}")
    told.print(refused)


def _vectors(encoder: Encoder, texts: list[str], step: Step) -> dict[str, Vector]:
    return measure.encoded(encoder, texts, step(f"encoding {len(texts):,} questions"))


if __name__ == "__main__":
    app()
