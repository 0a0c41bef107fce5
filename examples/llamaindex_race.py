"""A quick query engine and a thorough one side by side: the first good answer is taken.

Run it against any OpenAI-compatible server::

    OPENAI_API_KEY=... OPENAI_API_BASE=https://api.openai.com/v1 python llamaindex_race.py
"""

from __future__ import annotations

import asyncio

from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.llms.openai import OpenAI

from llamaindex_accel import Accel, race


async def main() -> None:
    Settings.tokenizer = str.split
    index = VectorStoreIndex.from_documents(
        [Document(text="A refund is paid within 14 days.")],
        embed_model=MockEmbedding(embed_dim=8),  # yours, in your application
    )
    with Accel() as accel:
        engine = race(
            {
                "quick": index.as_query_engine(llm=OpenAI(model="gpt-4o-mini"), similarity_top_k=1),
                "thorough": index.as_query_engine(llm=OpenAI(model="gpt-4o"), similarity_top_k=5),
            },
            accept=lambda response: "don't know" not in str(response),
            accel=accel,
        ).as_query_engine()
        print(await engine.aquery("When is a refund paid?"))
        print(engine.query("Who pays for a return?"))
        print(accel.stats().raced)


if __name__ == "__main__":
    asyncio.run(main())
