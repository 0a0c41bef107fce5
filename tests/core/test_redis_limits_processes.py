"""Real processes on one limiter over a real server."""

from __future__ import annotations

from benchmarks.redis_limits import run


def test_processes_use_the_whole_limit_and_no_more() -> None:
    """Each has its part of it, and asks little more than twice for each call that it lets through.

    Over the limit for a moment only, by how exactly processes wake.
    """
    found = run(2.0, processes=3)
    assert 0.9 <= found.used <= 1.0
    assert found.worst_s < 0.1
    assert all(one.calls and not one.alone for one in found.seen)
    assert found.commands is not None
    assert found.commands <= 3 * len(found.calls) + 30
