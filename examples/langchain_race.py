"""A small model and a large one side by side: the first good answer is taken.

Run it against any OpenAI-compatible server::

    OPENAI_API_KEY=... OPENAI_BASE_URL=https://api.openai.com/v1 python langchain_race.py
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langchain_openai import ChatOpenAI

from langchain_accel import Accel, accelerate, race

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage


def good(message: AIMessage) -> bool:
    return "don't know" not in message.text


async def main() -> None:
    with Accel() as accel:
        answer = race(
            {
                "small": accelerate(ChatOpenAI(model="gpt-4o-mini", temperature=0), accel),
                "large": accelerate(ChatOpenAI(model="gpt-4o", temperature=0), accel),
            },
            accept=good,
            timeout_s=10,
            after_s=(0, 0.5),
            accel=accel,
        )
        for question in ("When is a refund paid?", "Who pays for a return?"):
            print((await answer.ainvoke(question)).text)
        print(accel.stats().raced)


if __name__ == "__main__":
    asyncio.run(main())
