"""Real agents over a real database and a carrier behind HTTP, with speculation and without."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.policy.trajectory import Observed
from benchmarks import speculation_langchain as bench
from benchmarks.speculation_langchain_fuzz import fuzz
from benchmarks.speculation_shop import Shop, answer, question
from langchain_accel import SpeculativeToolRunnable, SpeculativeTools
from tests.langchain.speculating import WAIT_S, Says, Trace, Wanted
from tests.langchain.test_speculative_runnable import graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.accel import Accel
    from accel_core.policy.trajectory import Trajectory
    from accel_core.testing.model_server import ModelServer
    from accel_core.testing.replies import Reply
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat


@pytest.fixture
def accel(make_accel: MakeAccel) -> Accel:
    return make_accel({"speculation": {"audit_share": 0.0}})


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(2, 0.0) as opened:
        yield opened


def parcels(seen: Trajectory) -> list[Wanted]:
    """Guess that the carrier is asked for each parcel that was found."""
    last = seen[-1]
    if not isinstance(last, Observed) or last.tool != "find_orders":
        return []
    return [("track", {"parcel": order["parcel"]}) for order in json.loads(last.observation)]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["agent", "graph"])
def test_a_shop(
    accel: Accel,
    chat: MakeChat,
    server: ModelServer,
    colour: Colour,
    shop: Shop,
    *,
    kind: str,
    streaming: bool,
) -> None:
    """The carrier is asked while the model still thinks, once for each parcel; what the agent says,
    and what it writes into the database, is the same."""
    asked, waited = threading.Event(), threading.Event()

    def thinking(request: dict[str, Any]) -> Reply:
        reply = answer(request)
        if waited.is_set() and reply.tool_calls and reply.tool_calls[0][0] == "track":
            assert asked.wait(WAIT_S)
        return reply

    class Watched(Shop):
        def track(self, parcel: str) -> str:
            """Ask the carrier where a parcel is."""
            asked.set()
            return super().track(parcel)

    shop.__class__ = Watched
    server._answer = thinking
    model, trace = chat(streaming=streaming), Trace()
    value = {"messages": [("user", question("customer1"))]}
    told = []
    for speculative in (False, True):
        tools = bench.tools_of(shop)
        if speculative:
            waited.set()
            asked.clear()
            shop.asked.clear()
        says = [Says(by=parcels)]
        if kind == "agent":
            middleware = [SpeculativeTools(predictors=says, accel=accel)] if speculative else []
            built = bench.create_agent(model, tools, middleware=middleware)
        else:
            asking: Any = model.bind_tools(tools)
            if speculative:
                asking = SpeculativeToolRunnable(asking, tools, predictors=says, accel=accel)
                tools = asking.tools
            built = graph(colour, asking, tools)
        state = colour.invoke(built, value, {"callbacks": [trace] if speculative else []})
        told.append((bench.told_by(state["messages"]), shop.notes()[-1]))
    assert told[0] == told[1]
    assert sorted(shop.asked) == ["parcel-2", "parcel-3"]
    ids = [c["id"] for m in state["messages"] for c in getattr(m, "tool_calls", ())]
    assert sorted(run[1] for run in trace.tools) == sorted(ids)
    assert [run[3] for run in trace.tools if run[0] == "track"] == [True, True]
    assert {run[2] for run in trace.tools} == {"tools"}


@pytest.mark.slow
def test_random_agents_are_what_they_are_without() -> None:
    """Of random agents nothing differs, nothing is written unasked, and nothing is left."""
    counts = fuzz(48, seed=7)
    assert counts.differences == []
    assert (counts.differing, counts.side_effects, counts.alive) == (0, 0, 0)
    assert counts.adopted
