"""Rows of the group ``speculation``: real agents of LlamaIndex, by the clock.

``FunctionAgent`` and ``ReActAgent`` with a real OpenAI client against a local server, over a
database and a carrier that takes its time (`speculation_shop`). Their predictors are the default
ones, which have seen some other customers.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from typing import TYPE_CHECKING, Any

from llama_index.core.agent.workflow import FunctionAgent, ReActAgent, ToolCallResult
from llama_index.llms.openai import OpenAI

from accel_core.accel import Accel
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply
from benchmarks.harness import Context, Measured, Row
from benchmarks.speculation_shop import Shop, answer, question
from llamaindex_accel.speculation import speculate

if TYPE_CHECKING:
    from collections.abc import Callable

_MODEL_S = _CARRIER_S = 0.2
_LEARNED = 12
"""Customers that the predictors have seen."""
_OBSERVATION = "Observation: "
_READING = ("find_orders", "track")


def answer_in_order(request: dict[str, Any]) -> Reply:
    """Answer as `speculation_shop.answer` does, whichever of a turn's results came first."""
    groups = itertools.groupby(request["messages"], key=lambda message: message["role"] == "tool")
    messages = [
        message
        for tools, group in groups
        for message in (sorted(group, key=lambda m: str(m["content"])) if tools else group)
    ]
    return answer({"messages": messages})


def reason(request: dict[str, Any]) -> Reply:
    """Answer as `speculation_shop.answer` does, in ReAct's form: one call at a time."""
    texts = [str(message["content"]) for message in request["messages"]]
    told = [text.removeprefix(_OBSERVATION) for text in texts if text.startswith(_OBSERVATION)]
    asked = texts[1]
    orders = json.loads(told[0]) if told else []
    found = [{"role": "tool", "content": text} for text in told]
    if 0 < len(told) <= len(orders):
        parcel = {"parcel": orders[len(told) - 1]["parcel"]}
        return _reasoned("track", parcel)
    reply = answer({"messages": [{"role": "user", "content": asked}, *found]})
    if not reply.tool_calls:
        return Reply(content=f"Thought: I know.\nAnswer: {reply.content}")
    return _reasoned(*reply.tool_calls[0])


def _reasoned(tool: str, arguments: dict[str, Any]) -> Reply:
    spelled = json.dumps(arguments)
    return Reply(content=f"Thought: I look.\nAction: {tool}\nAction Input: {spelled}")


async def told_by(agent: Any, customer: str) -> tuple[Any, float]:
    """Run `agent`; return all that it tells, and the seconds it took."""
    began_s = time.perf_counter()
    handler = agent.run(user_msg=question(customer))
    results = [
        (event.tool_name, event.tool_kwargs, event.tool_output.model_dump())
        async for event in handler.stream_events()
        if isinstance(event, ToolCallResult)
    ]
    told = str(await handler)
    return (told, sorted(results, key=repr)), time.perf_counter() - began_s


async def timed(rounds: int, *, react: bool) -> tuple[float, float, int]:
    """Return seconds per run without and with speculation, and how many runs told otherwise."""
    took: dict[bool, list[float]] = {False: [], True: []}
    differing, customers = 0, _LEARNED + rounds
    says = reason if react else answer_in_order
    with ModelServer(says, latency_s=_MODEL_S) as server, Shop(customers, _CARRIER_S) as shop:
        llm = OpenAI(model="gpt-4o-mini", api_base=server.url, api_key="any", max_retries=0)
        accel = Accel.from_mapping({"speculation": {"audit_share": 0.0}}, encoder=HashEncoder())
        functions = [shop.find_orders, shop.track, shop.note]
        tools, speculative = speculate(functions, llm, accel, allowed=_READING)
        kind: Any = ReActAgent if react else FunctionAgent
        agents = {
            False: kind(tools=functions, llm=llm),
            True: kind(tools=tools, llm=speculative),
        }
        learned = (told_by(agents[True], f"customer{n}") for n in range(_LEARNED))
        await asyncio.gather(*learned)
        for n in range(_LEARNED, customers):
            told = []
            for on, agent in agents.items():
                seen, run_s = await told_by(agent, f"customer{n}")
                took[on].append(run_s)
                told.append(seen)
            differing += told[0] != told[1]
        accel.close()
    return statistics.median(took[False]), statistics.median(took[True]), differing


def _function(context: Context) -> tuple[float, float, int]:
    return asyncio.run(timed(context.pick(15, 5), react=False))


def _react(context: Context) -> tuple[float, float, int]:
    return asyncio.run(timed(context.pick(15, 5), react=True))


def _shorter(run: Callable[[Context], tuple[float, float, int]]) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        without_s, with_s, differing = context.once(run)
        note = f"{without_s:.2f} s without, {with_s:.2f} s with; {differing} runs told otherwise"
        return Measured(with_s / without_s if not differing else float("inf"), note)

    return measure


ROWS = [
    Row(
        name="llamaindex-function-agent",
        what="FunctionAgent over a database and a carrier, a model and a carrier of 0.2 s: time of "
        "a run with speculation ÷ without",
        op="<=",
        bound=0.9,
        measure=_shorter(_function),
    ),
    Row(
        name="llamaindex-react-agent",
        what="the same with a ReActAgent, which asks for one call at a time",
        op="<=",
        bound=0.9,
        measure=_shorter(_react),
    ),
]
