"""A LlamaIndex chat whose repeated questions cost nothing.

Set ``OPENAI_API_KEY``, and ``OPENAI_API_BASE`` for a compatible server, then run it.
"""

from __future__ import annotations

import os

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI

from llamaindex_accel import Accel, accelerate

QUESTIONS = (
    "How do I reset my password?",
    "How do I reset my password?",
    "How can I reset my password?",
    "Where is my parcel?",
)


def main() -> None:
    base_url = os.environ.get("OPENAI_API_BASE", "https://api.openai.com/v1")
    with Accel() as accel:
        llm = accelerate(OpenAI(model="gpt-4o-mini", api_base=base_url, temperature=0), accel)
        for question in QUESTIONS:
            response = llm.chat([ChatMessage(role="user", content=question)])
            origin = response.additional_kwargs.get("accel", {}).get("cache", "model")
            print(f"{question}\n  {response.message.content}  [{origin}]")
            # What was stored is found by meaning a moment later; a script waits for it.
            accel.flush()

        print("Streamed from the cache: ", end="")
        for chunk in llm.stream_chat([ChatMessage(role="user", content=QUESTIONS[0])]):
            print(chunk.delta, end="", flush=True)

        stats = accel.stats()
        print(f"\n{stats}\nModel calls saved: {stats.hits} of {stats.lookups}")


if __name__ == "__main__":
    main()
