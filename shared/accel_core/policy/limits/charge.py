"""What a call asks for, what it is charged, and what it turned out to use.

The four fields of a `Charge` are the units in which providers state limits; a limit names its unit
by the field's position, so charging and refunding never look anything up by name.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Charge(NamedTuple):
    """Amounts taken from a provider's limits, all at once."""

    requests: float = 1.0
    tokens: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0


Amounts = tuple[float, float, float, float]
"""Sums by unit."""

UNITS: Final = Charge._fields
NOTHING: Final = Charge(0.0, 0.0, 0.0, 0.0)


class Demand(NamedTuple):
    """What a call asks of a provider, as far as it is known before the call.

    Attributes:
        input_tokens: of the prompt, estimated.
        max_output_tokens: what the call allows itself; None where it does not say.
        expected_output_tokens: what such a call tends to produce, for providers that count output
            as it is produced.
        streamed: whether the answer comes token by token, so that its first one is seen.
    """

    input_tokens: float
    max_output_tokens: float | None = None
    expected_output_tokens: float = 0.0
    streamed: bool = False


class Usage(NamedTuple):
    """What a call used, as its provider says."""

    input_tokens: float
    output_tokens: float
    cached_input_tokens: float = 0.0
