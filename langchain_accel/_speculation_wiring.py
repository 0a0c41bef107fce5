"""What speculation is made of, by the application's configuration."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool

from accel_core.accel import default_accel
from accel_core.clocks import Clocks
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.permits import Permits
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator
from langchain_accel._speculation import Speculation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accel_core.accel import Accel
    from accel_core.speculating import Predictor


def speculation_of(
    tools: Iterable[BaseTool | str],
    predictors: Iterable[Predictor] | None,
    accel: Accel | None,
) -> Speculation:
    """Return speculation over a set of tools.

    Args:
        tools: which are free of side effects, beside those that were declared so.
        predictors: who guesses; None takes the default ones.
        accel: the configured object; None takes this process's default.
    """
    used = accel if accel is not None else default_accel()
    names = [tool.name if isinstance(tool, BaseTool) else tool for tool in tools]
    speculator = ToolSpeculator(
        predictors or (),
        settings=SpeculationSettings(),
        colours=(BlockingIo(), AsyncIo()),
        whose=used.current_tenant,
        emit=used._emit,
        mono_now=Clocks().mono_now,
        lock=threading.RLock,
    )
    return Speculation(speculator, Permits(names))
