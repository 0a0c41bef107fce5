"""An agent whose second run asks the model nothing, although it runs its tools again.

Run it against any OpenAI-compatible server::

    OPENAI_API_KEY=... OPENAI_BASE_URL=https://api.openai.com/v1 python langchain_agent.py
"""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from langchain_accel import Accel, accelerate


@tool
def order_status(order: str) -> str:
    """Tell where an order is."""
    return f"Order {order} is on its way."


def main() -> None:
    with Accel() as accel:
        agent = create_agent(
            accelerate(ChatOpenAI(model="gpt-4o-mini", temperature=0), accel),
            tools=[order_status],
            system_prompt="You help customers of a shop.",
            checkpointer=InMemorySaver(),
        )
        for thread in ("monday", "tuesday"):
            state = agent.invoke(
                {"messages": [("user", "Where is order 17?")]},
                {"configurable": {"thread_id": thread}, "metadata": {"accel_tags": ["orders"]}},
            )
            print(f"{thread}:")
            for message in state["messages"]:
                if isinstance(message, AIMessage):
                    told = message.response_metadata.get("accel", {})
                    said = message.text or f"asks for {[c['name'] for c in message.tool_calls]}"
                    print(f"    {said}  ({told.get('cache', 'the model')})")

        print(f"removed by tag: {len(accel.invalidate(tag='orders'))}")
        print(accel.stats())


if __name__ == "__main__":
    main()
