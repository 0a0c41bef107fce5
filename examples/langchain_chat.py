"""A chat model that answers from memory: the same question, the same in other words, and a stream.

Run it against any OpenAI-compatible server::

    OPENAI_API_KEY=... OPENAI_BASE_URL=https://api.openai.com/v1 python langchain_chat.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_openai import ChatOpenAI

from langchain_accel import Accel, accelerate

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage


def show(message: AIMessage) -> None:
    told = message.response_metadata["accel"]
    fresh = told["cache"] in ("miss", "bypass")
    origin = "model" if fresh else f"{told['cache']}, {told['similarity']:.3f}"
    tokens = (message.usage_metadata or {}).get("total_tokens")
    print(f"{message.text}  [{origin}; {tokens} tokens]")


def main() -> None:
    with Accel() as accel:
        llm = accelerate(ChatOpenAI(model="gpt-4o-mini", temperature=0), accel)
        show(llm.invoke("How do I reset my password?"))
        show(llm.invoke("How do I reset my password?"))

        accel.flush()  # a meaning is indexed in the background; an application need not wait
        show(llm.invoke("How can I reset my password?"))

        for chunk in llm.stream("How do I reset my password?"):
            print(chunk.text, end="", flush=True)
        print("  [streamed]")

        with accel.tenant("another customer"):
            show(llm.invoke("How do I reset my password?"))

        print(accel.stats())


if __name__ == "__main__":
    main()
