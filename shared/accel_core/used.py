"""What an answer used, in tokens: read from its parts, and kept with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.events.requests import Tokens
from accel_core.policy.limits.token_estimate import text_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from accel_core.policy.limits.charge import Usage

    Reader = Callable[[Any], tuple[Usage | None, str]]
    """As `model_calls.Reader`."""


def read_parts(reader: Reader, parts: Iterable[Any]) -> tuple[Tokens | None, float]:
    """Return what the parts of an answer state, and what of its output is seen in them.

    Args:
        reader: reads one part after the other.
        parts: the whole answer as one, or those of a stream; providers send about a token in each,
            so a part with text counts as one at least.
    """
    usage, seen_tokens = None, 0.0
    for part in parts:
        usage, text = reader(part)
        if text:
            seen_tokens += max(1.0, text_tokens(text))
    return (None if usage is None else Tokens(*usage)), seen_tokens


def spell_tokens(usage: Usage | Tokens | None) -> dict[str, float] | None:
    """Return what a payload keeps of it; None where nothing was stated."""
    return None if usage is None else usage._asdict()
