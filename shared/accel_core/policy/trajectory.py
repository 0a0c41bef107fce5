"""What an agent has done so far, as predictors see it, and what it may ask for next.

A trajectory is what was known when a model was asked: texts, calls, and what came back, in order,
without the text that a model writes beside a call. Its values are what JSON can hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Said(NamedTuple):
    """A text of the conversation; the assistant's are answers that asked for no tool."""

    role: Literal["user", "assistant"]
    text: str


class Observed(NamedTuple):
    """A call that the agent made, and what came back.

    Attributes:
        tool: the tool's name.
        arguments: by name, as the tool validated them.
        observation: what the model read of the result.
        failed: whether it is an error.
        turn: which of the model's answers asked for it, from 0; calls of one answer share it.
    """

    tool: str
    arguments: Mapping[str, Any]
    observation: str
    failed: bool
    turn: int


Trajectory = tuple[Said | Observed, ...]
"""What was known at one moment, oldest first."""


class ToolCall(NamedTuple):
    """A tool by its name, and the arguments it is called with, by theirs."""

    tool: str
    arguments: Mapping[str, Any]


class Guess(NamedTuple):
    """A call that the agent may make.

    Attributes:
        call: which one.
        confidence: the probability, in [0, 1], that it is made before the next call that may
            change something, and so uses what it found.
        predictor: who guessed.
    """

    call: ToolCall
    confidence: float
    predictor: str
