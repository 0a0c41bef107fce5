"""An agent whose look-ups are done before it asks for them; what changes something is not.

Run it against any OpenAI-compatible server::

    OPENAI_API_KEY=... OPENAI_API_BASE=https://api.openai.com/v1 python llamaindex_agent.py
"""

from __future__ import annotations

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI

from llamaindex_accel import Accel, speculatable, speculate

ORDERS = {"17": "sent on Monday", "18": "paid"}


@speculatable
def orders_of(customer: str) -> list[str]:
    """List a customer's orders."""
    return list(ORDERS) if customer == "ada" else []


@speculatable
async def status_of(order: str) -> str:
    """Say where an order is."""
    return ORDERS.get(order, "unknown")


def cancel(order: str) -> str:
    """Cancel an order."""
    ORDERS[order] = "cancelled"
    return f"order {order} is cancelled"


async def main() -> None:
    with Accel() as accel:
        tools, llm = speculate(
            [orders_of, status_of, cancel],
            OpenAI(model="gpt-4o"),
            accel,
            draft=OpenAI(model="gpt-4o-mini"),  # optional: guesses from the first run on
        )
        agent = FunctionAgent(tools=tools, llm=llm, system_prompt="You help with orders.")
        for question in ("Where are the orders of ada?", "Cancel those that are not sent."):
            print(await agent.run(user_msg=question))


if __name__ == "__main__":
    asyncio.run(main())
