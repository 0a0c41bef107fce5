"""Rows of the group ``speculation`` for LangChain: random agents, and real ones by the clock.

The real ones are ``create_agent`` and a hand-built graph of a `ToolNode`, with a real OpenAI client
against a local server, over a database and a carrier that takes its time (`speculation_shop`).
Their predictors are the default ones, which have seen some other customers.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import SecretStr

from accel_core.accel import Accel
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer
from benchmarks.harness import Context, Measured, Row
from benchmarks.speculation_langchain_fuzz import Counts, fuzz
from benchmarks.speculation_shop import Shop, answer, question
from langchain_accel import SpeculativeToolRunnable, SpeculativeTools, speculatable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool

    Make = Callable[[ChatOpenAI, list[BaseTool], Accel | None], Any]

_MODEL_S = _CARRIER_S = 0.2
_LEARNED = 12
"""Customers that the predictors have seen."""


def tools_of(shop: Shop) -> list[BaseTool]:
    """Return a shop's tools; two of them change nothing."""
    reading = [StructuredTool.from_function(one) for one in (shop.find_orders, shop.track)]
    return [*map(speculatable, reading), StructuredTool.from_function(shop.note)]


def agent_of(model: ChatOpenAI, tools: list[BaseTool], accel: Accel | None) -> Any:
    """Return LangChain's agent; with speculation, where an `Accel` is given."""
    return create_agent(
        model, tools, middleware=[] if accel is None else [SpeculativeTools(accel=accel)]
    )


def graph_of(model: ChatOpenAI, tools: list[BaseTool], accel: Accel | None) -> Any:
    """Return a graph that is built by hand; with speculation, where an `Accel` is given."""
    asking: Any = model.bind_tools(tools)
    if accel is not None:
        asking = SpeculativeToolRunnable(asking, tools, accel=accel)
        tools = asking.tools

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await asking.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", ask)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile()


def told_by(messages: Sequence[BaseMessage]) -> list[Any]:
    """Return a conversation without its ids."""
    return [
        (m.type, m.content, [(c["name"], c["args"]) for c in getattr(m, "tool_calls", ())])
        for m in messages
    ]


async def _timed(make: Make, rounds: int) -> tuple[float, float, int]:
    """Return seconds per run without and with speculation, and how many runs told otherwise."""
    took: dict[bool, list[float]] = {False: [], True: []}
    differing = 0
    customers = _LEARNED + rounds
    with ModelServer(answer, latency_s=_MODEL_S) as server, Shop(customers, _CARRIER_S) as shop:
        model = ChatOpenAI(
            model="gpt-4o-mini", base_url=server.url, api_key=SecretStr("any"), max_retries=0
        )
        accel = Accel.from_mapping({"speculation": {"audit_share": 0.0}}, encoder=HashEncoder())
        agents = {on: make(model, tools_of(shop), accel if on else None) for on in (False, True)}
        learned = [_asked(f"customer{n}") for n in range(_LEARNED)]
        await asyncio.gather(*(agents[True].ainvoke(asked) for asked in learned))
        for n in range(_LEARNED, customers):
            told = []
            for on, agent in agents.items():
                began_s = time.perf_counter()
                state = await agent.ainvoke(_asked(f"customer{n}"))
                took[on].append(time.perf_counter() - began_s)
                told.append(told_by(state["messages"]))
            differing += told[0] != told[1]
        accel.close()
    return statistics.median(took[False]), statistics.median(took[True]), differing


def _asked(customer: str) -> dict[str, Any]:
    return {"messages": [("user", question(customer))]}


def _agent(context: Context) -> tuple[float, float, int]:
    return asyncio.run(_timed(agent_of, context.pick(15, 5)))


def _graph(context: Context) -> tuple[float, float, int]:
    return asyncio.run(_timed(graph_of, context.pick(15, 5)))


def _shorter(run: Callable[[Context], tuple[float, float, int]]) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        without_s, with_s, differing = context.once(run)
        note = f"{without_s:.2f} s without, {with_s:.2f} s with; {differing} runs told otherwise"
        return Measured(with_s / without_s if not differing else float("inf"), note)

    return measure


def _fuzzed(context: Context) -> Counts:
    return fuzz(context.pick(10_000, 300), context.seed, context.report)


def _counted(name: str) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        counts = context.once(_fuzzed)
        note = (
            f"{counts.runs:,} runs, {counts.timed_out:,} out of time, {counts.observations:,} "
            f"observations, {counts.guesses:,} guesses, {counts.adopted:,} calls answered by "
            "another"
        )
        return Measured(getattr(counts, name), note)

    return measure


ROWS = [
    Row(
        name="langchain-agent",
        what="create_agent over a database and a carrier, a model and a carrier of 0.2 s: time of "
        "a run with speculation ÷ without",
        op="<=",
        bound=0.9,
        measure=_shorter(_agent),
    ),
    Row(
        name="langchain-graph",
        what="the same in a graph of a ToolNode that is built by hand",
        op="<=",
        bound=0.9,
        measure=_shorter(_graph),
    ),
    Row(
        name="langchain-differing",
        what="create_agent, random agents: messages, artifacts, errors or numbers written that "
        "differ from the run without speculation",
        op="==",
        bound=0,
        measure=_counted("differing"),
    ),
    Row(
        name="langchain-side-effects",
        what="tools with side effects that were begun unasked, same runs",
        op="==",
        bound=0,
        measure=_counted("side_effects"),
    ),
    Row(
        name="langchain-alive",
        what="tasks, threads and guesses left after those runs",
        op="==",
        bound=0,
        measure=_counted("alive"),
    ),
]
