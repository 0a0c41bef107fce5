"""Random agents are told what they are told without speculation, and leave nothing behind."""

from __future__ import annotations

import logging

import pytest

from benchmarks.speculation_llamaindex import fuzz


@pytest.mark.slow
def test_random_agents_are_what_they_are_without(caplog: pytest.LogCaptureFixture) -> None:
    """Function agents, ReAct agents, workflows and threads; cancelled, failing, writing."""
    caplog.set_level(logging.CRITICAL, logger="accel")
    counts = fuzz(100, seed=11)
    assert (counts.differing, counts.side_effects, counts.alive) == (0, 0, 0)
    assert counts.guesses > 100
    assert counts.adopted > 30
