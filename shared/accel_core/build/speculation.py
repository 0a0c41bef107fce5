"""Tool calls done before they are asked for: `ToolSpeculator`, wired."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.permits import Permits
from accel_core.tool_speculator import ToolSpeculator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from accel_core.clocks import Clocks
    from accel_core.config import SpeculationConfig
    from accel_core.ports import Observer
    from accel_core.speculating import Drafter, Predictor
    from accel_core.steps import Begin
    from accel_core.tenancy import Tenant


def build_permits(config: SpeculationConfig) -> Permits:
    """Return who may be called unasked."""
    return Permits(config.tools, config.static, enabled=config.enabled)


def build_speculator(
    config: SpeculationConfig,
    predictors: Iterable[Predictor],
    drafters: Iterable[Drafter],
    *,
    whose: Callable[[], Tenant | None],
    emit: Observer,
    begin: Begin,
    clocks: Clocks,
) -> ToolSpeculator:
    """Wire a speculator.

    Args:
        config: how far it goes; switched off, it guesses nothing.
        predictors: who guesses, at once.
        drafters: who guesses by asking somebody.
        whose: returns who is asking.
        emit: receives every event.
        begin: begins to record a real call.
        clocks: time and dice.
    """
    return ToolSpeculator(
        predictors if config.enabled else (),
        drafters=drafters if config.enabled else (),
        settings=config,
        colours=(BlockingIo(), AsyncIo()),
        whose=whose,
        emit=emit,
        mono_now=clocks.mono_now,
        lock=threading.RLock,
        chance=clocks.chance,
        begin=begin,
    )
