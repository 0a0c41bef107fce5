"""What lost a race holds up nobody's end, in either framework."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda

import langchain_accel
import llamaindex_accel
from accel_core.accel import Accel

if TYPE_CHECKING:
    from collections.abc import Callable

    Asks = Callable[[list[Any], Accel], Any]


async def _langchain(paths: list[Any], accel: Accel) -> Any:
    race = langchain_accel.race(paths, accept=lambda answer: answer == "good", accel=accel)
    return await race.ainvoke("when?")


async def _llamaindex(paths: list[Any], accel: Accel) -> Any:
    race = llamaindex_accel.race(paths, accept=lambda answer: answer == "good", accel=accel)
    return await race.arun("when?")


@pytest.mark.parametrize("asks", [_langchain, _llamaindex])
def test_a_loop_ends_though_a_path_that_lost_still_blocks(asks: Asks) -> None:
    """`asyncio.run` waits for the loop's own threads; a race uses none of them."""
    begun, let, ended = threading.Event(), threading.Event(), threading.Event()

    async def fast(_: str) -> str:
        while not begun.is_set():
            await asyncio.sleep(0)
        return "good"

    def blocking(_: str) -> str:
        begun.set()
        let.wait(10)
        ended.set()
        return "late"

    with Accel() as accel:
        assert asyncio.run(asks([fast, blocking], accel)) == "good"
    assert not ended.is_set()
    let.set()


def test_a_function_that_blocks_is_given_what_langchain_gives_it() -> None:
    """Its configuration, and the runs inside it are the race's."""
    seen: list[Any] = []

    def blocking(asked: str, config: RunnableConfig) -> Any:
        seen.append((threading.current_thread().name, config["tags"], config["callbacks"]))
        return RunnableLambda(lambda text: f"<{text}>")

    async def refused(_: str) -> str:
        return "no"

    with Accel() as accel:
        race = langchain_accel.race([refused, blocking], accept=lambda _: False, accel=accel)
        assert asyncio.run(race.ainvoke("when?", {"tags": ["mine"]})) == "<when?>"
    ((thread, tags, callbacks),) = seen
    assert thread == "accel-spawned"
    assert "mine" in tags
    assert callbacks.parent_run_id is not None
