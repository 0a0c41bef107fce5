"""A second opinion: what is near, and not near enough, is served only where another model says so.

Run it against any OpenAI-compatible server::

    OPENAI_API_KEY=... OPENAI_BASE_URL=https://api.openai.com/v1 python langchain_judge.py
"""

from __future__ import annotations

from langchain_openai import ChatOpenAI

from langchain_accel import Accel, LLMJudge, accelerate

# From a fifth of certainty upwards; a lookup waits a second for the verdict, then asks the model.
SETTINGS = {"cache": {"semantic": {"verifier": {"grey_from": 0.2, "timeout_s": 1}}}}


def main() -> None:
    judge = LLMJudge(ChatOpenAI(model="gpt-4o-mini", temperature=0, max_tokens=5))
    with Accel.from_mapping(SETTINGS, verifier=judge) as accel:
        llm = accelerate(ChatOpenAI(model="gpt-4o-mini", temperature=0), accel)
        llm.invoke("How do I reset my password?")
        accel.flush()  # a meaning is indexed in the background; an application need not wait
        for question in (
            "I forgot my password, how can I reset it?",
            "How do I reset my phone?",
            "What should I do to set a new password?",
        ):
            told = llm.invoke(question).response_metadata["accel"]
            print(f"{question}  [{told['cache']}]")

        found = accel.stats()
        print(f"judged {found.verified}, of which refused {found.disapproved}")
        print(f"misses: {dict(found.misses)}")


if __name__ == "__main__":
    main()
