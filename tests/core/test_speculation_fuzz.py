"""Random agents, with speculation and without: a part of `python -m benchmarks speculation`."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

from accel_core import tenancy
from accel_core.drive import virtual_time
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator
from benchmarks import speculation_fuzz, speculation_world
from tests.speculation_breaks import changed_meanwhile

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """A proof that cannot fail is none: without copies, and without a change's end."""
    with monkeypatch.context() as broken:
        broken.setattr(speculation_world.Tool, "copied", lambda _, result: result)
        assert speculation_fuzz.fuzz(1, seed=TELLING).differing > 0
    with monkeypatch.context() as broken:
        changed_meanwhile(broken)
        broken.setattr(speculation_world, "_KEYS", 1)  # many write and read at the same time
        broken.setattr(speculation_world, "_TENANTS", ("north",))
        assert speculation_fuzz.fuzz(1, seed=0).differing > 0


class Steady(random.Random):
    """Dice that always show the same: no guess fails, and models take equally long."""

    def random(self) -> float:
        return 0.5


class SteadyDesk(speculation_world.Desk):
    """Tools each of whose calls takes as long as it does in every run."""

    async def carry_out(self, name: str, arguments: Mapping[str, Any]) -> Any:
        took_s = random.Random(f"{name} {sorted(arguments.items())}").uniform(0.0, 3.0)
        await self.pace.spend(took_s / 2)
        result = await self._result(name, arguments)
        await self.pace.spend(took_s / 2)
        return result

    async def _nested(self) -> None:
        """Nothing: the same call would take longer where it is not itself inside another."""


def test_no_run_takes_longer_than_without_speculation() -> None:
    """Wrong guesses and all, of 60 agents none is slower, and together they are faster."""

    async def took_s(number: int, *, speculates: bool) -> tuple[float, object]:
        loop = asyncio.get_running_loop()
        speculator = ToolSpeculator(
            [speculation_world.Oracle(random.Random(number))],
            settings=SpeculationSettings(threshold=0.6),
            colours=(BlockingIo(), AsyncIo()),
            whose=tenancy.current,
            emit=lambda _: None,
            mono_now=loop.time,
            lock=threading.RLock,
        )
        used = speculator if speculates else None
        pace = speculation_world.Pace(coloured=True, spend=asyncio.sleep, hang=asyncio.Event().wait)
        counts = speculation_world.Counts()
        desk = SteadyDesk(speculation_world.World(0), used, pace, Steady(), counts)
        agent = speculation_world.Agent(number)
        agent.cancelled = None
        one = speculation_fuzz.Run(agent, desk, used)
        began_s = loop.time()
        await one.go()
        return loop.time() - began_s, one.observed

    without_s = with_s = 0.0
    for number in range(60):
        plain_s, plain = virtual_time.run(took_s(number, speculates=False))
        sooner_s, seen = virtual_time.run(took_s(number, speculates=True))
        assert seen == plain
        assert sooner_s <= plain_s + 1e-3
        without_s, with_s = without_s + plain_s, with_s + sooner_s
    assert with_s < 0.95 * without_s
