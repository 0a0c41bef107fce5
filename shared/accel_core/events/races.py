"""What became of a race, as events are told: without what was asked or answered."""

from __future__ import annotations

from typing import Literal, NamedTuple

PathOutcome = Literal["won", "refused", "failed", "timed_out", "cancelled", "unstarted"]


class PathRun(NamedTuple):
    """What became of one path of a race.

    ``outcome``: ``won``; ``refused`` (its answer was not accepted); ``failed`` (it raised `error`,
    or accepting did); ``timed_out``; ``cancelled`` (another had won, or the caller left);
    ``unstarted`` (it cost nothing). ``began_s``: since the race began. ``running``: it could not be
    stopped, and went on when the answer was returned.
    """

    name: str
    outcome: PathOutcome
    began_s: float = 0.0
    took_s: float = 0.0
    error: str = ""
    running: bool = False


class PathsRaced(NamedTuple):
    """A race was over after `took_s` seconds; `winner` is ``""`` where it ended in an error."""

    winner: str
    took_s: float
    paths: tuple[PathRun, ...]
