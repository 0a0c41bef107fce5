"""``accel train-gate``: learn from labelled messages which of them need no documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accel_core.cli.encoders import Kind, encoder_of
from accel_core.cli.terminal import fail, mistakes_told, progress, told
from accel_core.evaluation import fit, gate_fit, labelled, measure
from accel_core.policy.small_talk import SmallTalk

if TYPE_CHECKING:
    from accel_core.evaluation.gate_fit import Trained


def train_gate(
    examples: Annotated[
        Path, typer.Argument(help="labelled messages (text, needed): .jsonl, .csv or .tsv")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="where to write")] = Path("gate.json"),
    encoder: Kind = "minilm",
    max_skipped: Annotated[
        float, typer.Option(help="share of questions that may be skipped wrongly, between 0 and 1")
    ] = 0.01,
    confidence: Annotated[float, typer.Option(help="of that share, in [0.5, 1)")] = 0.95,
    languages: Annotated[
        str, typer.Option(help="whose small talk is known without training")
    ] = "de,en,es,fr",
) -> None:
    """Train a gate that skips retrieval for small talk, and say what it saves."""
    if not 0 < max_skipped < 1:
        fail(f"--max-skipped: must be between 0 and 1, got {max_skipped}")
    if not 0.5 <= confidence < 1:
        fail(f"--confidence: must be in [0.5, 1), got {confidence}")
    with mistakes_told(fit.TooLittleError), progress() as step:
        talk = SmallTalk(languages=tuple(filter(None, languages.split(","))))
        needs = labelled.read_needs(examples)
        encodes = encoder_of(encoder)
        texts = [need.text for need in needs if encodes.distrust(need.text) is None]
        vectors = measure.encoded(encodes, texts, step(f"encoding {len(texts):,} messages"))
        trained = gate_fit.train(
            encodes.name, needs, vectors, talk,
            max_skipped=max_skipped, confidence=confidence, report=step("training"),
        )  # fmt: skip
    partial = out.with_name(f"{out.name}.part")
    partial.write_text(f"{json.dumps(trained.model.to_json())}\n", encoding="utf-8")
    partial.replace(out)
    _explain(trained, out)


def _explain(trained: Trained, out: Path) -> None:
    model = trained.model
    told.print(f"Written to [bold]{out}[/]. Measured on messages that a fold had not seen:")
    told.print(
        f"  {model.saved:.1%} of {model.small_talk:,} messages of small talk are skipped"
        f" ({trained.saved_by_rules:.1%} by rules alone),\n"
        f"  and {model.skipped:,} of {model.questions:,} questions, wrongly. With"
        f" {model.confidence:.0%} confidence that is at most {model.max_skipped:.2%}\n"
        "  of all questions like these; questions of another kind are not covered.",
        highlight=False,
    )
    told.print(f"  To use it: [bold]retrieval: {{gate: {{kind: trained, path: {out}}}}}[/]")
