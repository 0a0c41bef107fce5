"""A draft model beside the main one, an agent that walks the web, in virtual time.

At each step the main model names one page to visit next, out of many, and a scripted draft model
has named three, after about a third of the main one's time; the right one is among them as often as
the row says. Both models and the web take lognormal times. Measured is what the agent waits for the
web, beside what it would have waited: pages that come too late count for what they saved, and no
more. Three guesses a step are mostly wasted, so the settings are those of somebody who accepts it.

The way of drafting and its accuracies are those of SpecCache (https://arxiv.org/abs/2510.16276).
"""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

from accel_core.drive import virtual_time
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.policy.trajectory import Guess, Observed, ToolCall
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator
from benchmarks.harness import Measured, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from accel_core.policy.trajectory import Trajectory
    from benchmarks.harness import Context

MODEL_S, DRAFT_S, WEB_S, SIGMA = 6.0, 2.0, 2.0, 0.4
"""Medians of the three times, and the deviation of their logarithms."""
PAGES, STEPS, NAMED = 400, 8, 3
SETTINGS = SpeculationSettings(threshold=0.1, waste_share=1.0, audit_share=0.0)


class _Web:
    """One tool: visits a page."""

    name = identity = "visit"
    free, static = True, False

    def __init__(self, dice: random.Random) -> None:
        self._took_s = [_lognormal(dice, WEB_S) for _ in range(PAGES)]

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return arguments

    async def run(self, arguments: Mapping[str, Any]) -> str:
        await asyncio.sleep(self.took_s(arguments["page"]))
        return f"page {arguments['page']}"

    def copied(self, result: Any) -> Any:
        return result

    def took_s(self, page: int) -> float:
        """Return how long visiting `page` takes."""
        return self._took_s[page]


class _Draft:
    """Names some pages at each step; the next one is among them as often as it is `accurate`."""

    name = "draft"

    def __init__(self, dice: random.Random, path: Sequence[int], accuracy: float) -> None:
        self._dice, self._path, self._accuracy = dice, path, accuracy

    async def draft(self, trajectory: Trajectory, _: Collection[str]) -> Sequence[Guess]:
        await asyncio.sleep(_lognormal(self._dice, DRAFT_S))
        pages = [self._dice.randrange(PAGES) for _ in range(NAMED)]
        if self._dice.random() < self._accuracy:
            pages[self._dice.randrange(NAMED)] = self._path[len(trajectory)]
        return [Guess(ToolCall("visit", {"page": page}), 0.8, self.name) for page in pages]


def _lognormal(dice: random.Random, median_s: float) -> float:
    return median_s * dice.lognormvariate(0.0, SIGMA)


async def _walk(dice: random.Random, accuracy: float) -> tuple[float, float]:
    """Return what one agent waited for the web, and would have waited."""
    web, path = _Web(dice), [dice.randrange(PAGES) for _ in range(STEPS)]
    loop = asyncio.get_running_loop()
    speculator = ToolSpeculator(
        drafters=[_Draft(dice, path, accuracy)],
        settings=SETTINGS,
        colours=(BlockingIo(), AsyncIo()),
        whose=lambda: None,
        emit=lambda _: None,
        mono_now=loop.time,
        lock=threading.RLock,
    )
    session, waited_s = speculator.session(), 0.0
    seen: list[Observed] = []
    for turn, page in enumerate(path):
        call = ToolCall("visit", {"page": page})
        thinking = session.athink(tuple(seen), {"visit": web})
        await asyncio.sleep(_lognormal(dice, MODEL_S))
        thinking.answered([call])
        asked_s = loop.time()
        text = await session.acall(web, call.arguments, _visit(web, call))
        waited_s += loop.time() - asked_s
        seen.append(Observed(call.tool, call.arguments, text, failed=False, turn=turn))
    await session.aclose()
    return waited_s, sum(web.took_s(page) for page in path)


def _visit(web: _Web, call: ToolCall) -> Callable[[], Any]:
    return lambda: web.run(call.arguments)


def _less(accuracy: float) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        dice, walks = random.Random(context.seed), context.pick(200, 40)
        waits = [virtual_time.run(_walk(dice, accuracy)) for _ in range(walks)]
        waited_s, alone_s = (sum(times) for times in zip(*waits, strict=True))
        note = f"{walks} walks of {STEPS} pages: {waited_s / walks:.1f} s instead of"
        return Measured(alone_s / waited_s, f"{note} {alone_s / walks:.1f}")

    return measure


ROWS = [
    Row(
        name=f"draft-{accuracy * 100:.0f}",
        what=f"wait for the web without ÷ with a draft model that is right in {accuracy:.0%}",
        op=">=",
        bound=bound,
        aim=aim,
        measure=_less(accuracy),
    )
    for accuracy, bound, aim in ((0.7, 2.2, 3.2), (0.54, 1.7, None))
]
