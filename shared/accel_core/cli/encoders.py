"""Which encoder a command of ``accel`` works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from accel_core import build
from accel_core.cli.terminal import fail
from accel_core.config import EncoderConfig

if TYPE_CHECKING:
    from accel_core.config import EncoderKind
    from accel_core.ports import Encoder

Kind = Annotated[str, typer.Option("--encoder", help="minilm or static")]


def encoder_of(kind: str) -> Encoder:
    """Return the encoder that ``--encoder`` names, or end the command with the remedy."""
    kinds: dict[str, EncoderKind] = {"minilm": "minilm", "static": "static"}
    if kind not in kinds:
        fail(f"--encoder: must be one of {', '.join(kinds)}, got {kind!r}")
    found = build.build_encoder(EncoderConfig(kind=kinds[kind]), None)
    if found is None:
        fail(f"the {kind} encoder needs: pip install 'llm-accel[{build.extra_of(kind)}]'")
    return found
