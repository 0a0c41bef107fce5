"""`speculate`: an agent's tools called before it asks for them, where that changes nothing.

::

    tools, llm = speculate([list_tables, describe_table, run_query], OpenAI("gpt-4o"))
    agent = FunctionAgent(tools=tools, llm=llm)

What comes back are copies, to be given to the agent together; so may several agents be, with
tools of one `Accel`, that hand work to one another. The agent's messages, outputs, errors and spans
are what they would be without.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.accel import default_accel
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.permits import Permits
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator
from llamaindex_accel._speculative_llm import speculative_llm
from llamaindex_accel._speculative_runs import Runs
from llamaindex_accel._speculative_state import Speculation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from llama_index.core.llms import LLM
    from llama_index.core.tools.types import BaseTool

    from accel_core.accel import Accel
    from accel_core.speculating import Predictor

L = TypeVar("L", bound="LLM")


def speculate(
    tools: Sequence[BaseTool | Callable[..., Any]],
    llm: L,
    accel: Accel | None = None,
    *,
    allow: Collection[str] = (),
    static: Collection[str] = (),
    predictors: Sequence[Predictor] = (),
) -> tuple[list[BaseTool], L]:
    """Return copies of `tools` and `llm` whose agent finds likely calls done when it makes them."""
    used = accel if accel is not None else default_accel()
    speculation = Speculation(_runs_of(used, predictors))
    permits = Permits(allow, static)
    copies = [speculation.add(tool, permits) for tool in tools]
    return copies, speculative_llm(llm, speculation)  # type: ignore[return-value]


_all_runs: weakref.WeakKeyDictionary[Accel, Runs] = weakref.WeakKeyDictionary()


def _runs_of(accel: Accel, predictors: Sequence[Predictor]) -> Runs:
    found = _all_runs.get(accel)
    if found is None:
        speculator = ToolSpeculator(
            predictors,
            settings=SpeculationSettings(),
            colours=(BlockingIo(), AsyncIo()),
            whose=accel.current_tenant,
            emit=accel._emit,
            mono_now=time.monotonic,
            lock=threading.RLock,
        )
        found = _all_runs[accel] = Runs(speculator)
    return found
