"""An agent whose tools are called before it asks for them.

A model on this machine stands in for a provider, so that the times can be compared: it thinks for
0.2 s, and so do the tools. After two customers it is known how such questions go on.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply, last_user_text
from langchain_accel import Accel, SpeculativeTools, speculatable

THINKING_S = CALLING_S = 0.2

database = sqlite3.connect(":memory:", check_same_thread=False)
database.execute("create table orders (id text, customer text, place text)")
database.executemany(
    "insert into orders values (?, ?, ?)",
    [(f"order-{n}", f"customer{n}", ["Paris", "Rome", "Oslo"][n % 3]) for n in range(9)],
)


@tool
@speculatable
def find_order(customer: str) -> str:
    """Find a customer's order."""
    time.sleep(CALLING_S)
    row = database.execute("select id from orders where customer = ?", (customer,)).fetchone()
    return json.dumps({"order": row[0]})


@tool
@speculatable
def where_is(order: str) -> str:
    """Tell where an order is."""
    time.sleep(CALLING_S)
    return str(database.execute("select place from orders where id = ?", (order,)).fetchone()[0])


@tool
def note(order: str, text: str) -> str:
    """Write something down; never called before the agent asks for it."""
    return f"written on {order}: {text}"


def model(request: dict[str, Any]) -> Reply:
    """Stand in for a model: find the order, look where it is, tell the customer."""
    results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
    if not results:
        customer = last_user_text(request).split()[-1]
        return Reply(tool_calls=(("find_order", {"customer": customer}),))
    if len(results) == 1:
        return Reply(tool_calls=(("where_is", json.loads(results[0])),))
    return Reply(content=f"It is in {results[1]}.")


def main() -> None:
    with ModelServer(model, latency_s=THINKING_S) as server, Accel() as accel:
        agent = create_agent(
            ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key="none"),
            tools=[find_order, where_is, note],
            middleware=[SpeculativeTools(accel=accel)],
        )
        for n in range(5):
            began = time.perf_counter()
            asked = {"messages": [("user", f"Where is the order of customer{n}")]}
            state = agent.invoke(asked)
            took_s = time.perf_counter() - began
            print(f"customer{n}: {state['messages'][-1].text}  ({took_s:.2f} s)")
        told = accel.stats()
        print(f"{told.tool_calls_reused} calls begun before they were asked for")


if __name__ == "__main__":
    main()
