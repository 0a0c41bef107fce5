"""Random agents, with speculation and without: a part of `python -m benchmarks speculation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.epochs import Epochs
from benchmarks import speculation_fuzz, speculation_world

if TYPE_CHECKING:
    import pytest

RUNS = 240
TELLING = 6
"""A seed whose first runs, in virtual time, meet what the second test breaks."""


def test_random_agents_see_what_they_see_without_speculation() -> None:
    """In both colours; no tool with side effects is begun unasked, and nothing is left over."""
    counts = speculation_fuzz.fuzz(RUNS, seed=7)
    assert counts.runs >= RUNS
    assert counts.adopted > RUNS / 2
    assert (counts.differing, counts.side_effects, counts.alive) == (0, 0, 0)


def test_the_comparison_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that cannot fail is none: without epochs, and without copies."""
    with monkeypatch.context() as broken:
        broken.setattr(Epochs, "holds", lambda *_: True)
        assert speculation_fuzz.fuzz(1, seed=TELLING).differing > 0
    with monkeypatch.context() as broken:
        broken.setattr(speculation_world.Tool, "copied", lambda _, result: result)
        assert speculation_fuzz.fuzz(1, seed=TELLING).differing > 0
