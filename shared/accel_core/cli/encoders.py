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

_KINDS: tuple[EncoderKind, ...] = ("minilm", "static")

Kind = Annotated[str, typer.Option("--encoder", help="minilm or static")]


def encoder_of(kind: str, configured: EncoderConfig | None = None) -> Encoder:
    """Return the encoder that ``--encoder`` names, or end the command with the remedy.

    Args:
        kind: its name; ``config``: the one that a configuration names.
        configured: which one that is; None: there is no such choice.
    """
    choices: dict[str, EncoderConfig] = {name: EncoderConfig(kind=name) for name in _KINDS}
    if configured is not None:
        choices["config"] = configured
    if kind not in choices:
        fail(f"--encoder: must be one of {', '.join(choices)}, got {kind!r}")
    settings = choices[kind]
    found = build.build_encoder(settings, None)
    if found is None:
        extra = build.extra_of(settings.kind)
        fail(f"the {settings.kind} encoder needs: pip install 'llm-accel[{extra}]'")
    return found
