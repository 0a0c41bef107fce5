"""Calls begun before they are asked for, in both colours."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.clocks import Clocks
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.events import ToolCallReused
from accel_core.policy.trajectory import Guess, Said, ToolCall
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from accel_core.policy.trajectory import Trajectory

ASKED = (Said("user", "where is my order?"),)


class Lookup:
    """A tool in one colour that counts its calls, and waits until it is let go."""

    name, identity, static = "lookup", "lookup", False

    def __init__(self, *, free: bool = True, coloured: bool) -> None:
        self.free, self.coloured = free, coloured
        self.calls: list[Mapping[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return arguments if "id" in arguments else None

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        self.calls.append(arguments)
        if self.coloured:
            while not self.gate.is_set():
                await asyncio.sleep(0)
        else:
            self.gate.wait()
        return [arguments["id"], len(self.calls)]

    def copied(self, result: Any) -> Any:
        return list(result)


class Says:
    name = "says"

    def __init__(self, *guesses: Guess) -> None:
        self.guesses = guesses

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        return self.guesses

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        pass


def guess(id_: int, confidence: float = 0.9) -> Guess:
    return Guess(ToolCall("lookup", {"id": id_}), confidence, "says")


def speculator(*guesses: Guess) -> tuple[ToolSpeculator, list[Any]]:
    seen: list[Any] = []
    return ToolSpeculator(
        [Says(*guesses)],
        settings=SpeculationSettings(),
        colours=(BlockingIo(), AsyncIo()),
        whose=lambda: None,
        emit=seen.append,
        mono_now=Clocks().mono_now,
        lock=threading.RLock,
    ), seen


def test_a_guess_answers_the_call_that_it_guessed_sync() -> None:
    tool = Lookup(coloured=False)
    it, seen = speculator(guess(7))
    session = it.session()
    session.think(ASKED, {"lookup": tool})
    assert session.call(tool, {"id": 7}, lambda: tool.run({"id": 7})) == [7, 1]
    assert session.call(tool, {"id": 8}, lambda: tool.run({"id": 8})) == [8, 2]
    assert [event.predictor for event in seen if isinstance(event, ToolCallReused)] == ["says"]
    session.close()


@pytest.mark.asyncio
async def test_a_guess_answers_the_call_that_it_guessed_async() -> None:
    tool = Lookup(coloured=True)
    it, seen = speculator(guess(7))
    session = it.session()
    session.athink(ASKED, {"lookup": tool})
    assert await session.acall(tool, {"id": 7}, lambda: tool.run({"id": 7})) == [7, 1]
    assert await session.acall(tool, {"id": 8}, lambda: tool.run({"id": 8})) == [8, 2]
    assert [event.predictor for event in seen if isinstance(event, ToolCallReused)] == ["says"]
    session.close()


def test_a_change_makes_what_was_found_before_it_worthless() -> None:
    tool, change = Lookup(coloured=False), Lookup(coloured=False, free=False)
    it, _ = speculator(guess(7))
    session = it.session()
    session.think(ASKED, {"lookup": tool})
    session.call(change, {"id": 1}, lambda: change.run({"id": 1}))
    assert session.call(tool, {"id": 7}, lambda: tool.run({"id": 7})) == [7, 2]
    session.close()
