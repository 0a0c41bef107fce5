"""What became of tool calls that were begun before they were asked for."""

from __future__ import annotations

from typing import NamedTuple


class ToolCallBegun(NamedTuple):
    """A tool was called unasked, because `predictor` guessed that it would be asked for."""

    tool: str
    predictor: str
    confidence: float


class ToolCallReused(NamedTuple):
    """A tool call was answered by one that had been begun before, and `saved_s` seconds sooner.

    ``predictor``: who had guessed it; ``""``: an earlier call of an agent. ``saved_s``: how long
    that one had been under way when it ended, or was asked for; never more.
    """

    tool: str
    predictor: str
    saved_s: float


class ToolCallWasted(NamedTuple):
    """A tool was called unasked, and in vain.

    Reasons: ``unasked`` (the model asked for something else, and nothing came within the window),
    ``changed`` (something may have changed since), ``expired``, ``evicted``, ``failed``,
    ``timeout``, ``closed`` (the run ended).
    """

    tool: str
    predictor: str
    reason: str


class ToolCallAudited(NamedTuple):
    """A result was not adopted but compared with the real call's, which was; ``same``: by value."""

    tool: str
    predictor: str
    same: bool


class SpeculationSuspended(NamedTuple):
    """A tool is called unasked no more.

    Reasons: ``different`` (a result differed from the real call's: it is never called unasked
    again, its results are shared no more, and its calls count as changes), ``uncopyable`` (its
    results cannot be copied), ``wasteful`` (most of its guesses were wasted: for a while).
    """

    tool: str
    reason: str


class ToolsUnknown(NamedTuple):
    """An argument, ``allowed`` or ``never``, names tools that the agent does not have.

    Attributes:
        argument: which one.
        names: those that no tool has.
        tools: those that there are.
    """

    argument: str
    names: tuple[str, ...]
    tools: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """What is wrong, and what there is."""
        return f"{self.argument}= names {list(self.names)}; there are {list(self.tools)}"


class PredictorFailed(NamedTuple):
    """Somebody who guesses calls failed; the run went on without. Said once for each cause.

    Reasons: ``predict``, ``learn``, ``draft`` (it raised), ``slow`` (it rests), ``late`` (a drafter
    had not answered when the model had), ``not_a_guess``, ``confidence`` (none in [0, 1]),
    ``unknown_tool`` (none that may be guessed). What a tool, asked about itself, raises is under
    ``tool``.
    """

    predictor: str
    reason: str
    detail: str
