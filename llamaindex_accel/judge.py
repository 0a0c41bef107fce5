"""A LlamaIndex model as a verifier: is this stored answer also an answer to that question?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage

from accel_core.errors import UnsupportedError
from accel_core.verifier.judge import INSTRUCTIONS, Judge
from llamaindex_accel.llm import original

if TYPE_CHECKING:
    from collections.abc import Sequence


class LLMJudge(Judge):
    """Asks an LLM for YES or NO.

    It is asked past every cache, an accelerated model's own included. Give it temperature 0, so
    that the same case gets the same verdict, and few output tokens; a model that thinks aloud in
    its reply gives no verdict.

    Args:
        llm: what is asked; it is left untouched.
        **options: ``name``, ``max_chars``, ``max_concurrency``; see `Judge`.

    Raises:
        UnsupportedError: it is not a LlamaIndex LLM.

    Example:
        >>> judge = LLMJudge(OpenAI(model="gpt-4o-mini", temperature=0))  # doctest: +SKIP
    """

    def __init__(self, llm: BaseLLM, **options: Any) -> None:
        if not isinstance(llm, BaseLLM):
            raise UnsupportedError(
                f"LLMJudge() takes a LlamaIndex LLM; got {type(llm).__name__}:"
                " for anything else give Accel(verifier=...) a function"
            )
        super().__init__(**options)
        self._llm = original(llm)

    def ask(self, questions: Sequence[str]) -> list[str | Exception]:
        """Ask about each question, several at once.

        In threads: an async client belongs to a loop, and the application's is not ours to use.
        """
        if len(questions) == 1:
            return [self._reply(questions[0])]
        with ThreadPoolExecutor(min(self._max_concurrency, len(questions))) as pool:
            asked = [
                pool.submit(copy_context().run, self._reply, question) for question in questions
            ]
            return [one.result() for one in asked]

    def _reply(self, question: str) -> str | Exception:
        messages = [
            ChatMessage(role="system", content=INSTRUCTIONS),
            ChatMessage(role="user", content=question),
        ]
        try:
            return self._llm.chat(messages).message.content or ""
        except Exception as error:  # a provider's client raises what it likes
            return error

    def __repr__(self) -> str:
        return f"LLMJudge({type(self._llm).__name__}, name={self.name!r})"
