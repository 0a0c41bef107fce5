"""A LangChain model as a verifier: is this stored answer also an answer to that question?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from accel_core.errors import UnsupportedError
from accel_core.verifier.judge import INSTRUCTIONS, Judge
from langchain_accel._accelerate import replaced
from langchain_accel.chat_model import original

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.runnables import Runnable


class LLMJudge(Judge):
    """Asks a chat model or language model, or a chain around one, for YES or NO.

    It is asked past every cache: a global one, the model's own, and an accelerated model's. Give it
    temperature 0, so that the same case gets the same verdict, and few output tokens; a model that
    thinks aloud in its reply gives no verdict.

    Args:
        model: what is asked; it is left untouched.
        **options: ``name``, ``max_chars``, ``max_concurrency``; see `Judge`.

    Raises:
        UnsupportedError: there is no model in it.

    Example:
        >>> judge = LLMJudge(ChatOpenAI(model="gpt-4o-mini", temperature=0))  # doctest: +SKIP
    """

    def __init__(self, model: Runnable[Any, Any], **options: Any) -> None:
        super().__init__(**options)
        self._model: Runnable[Any, Any] | None = replaced(model, {BaseLanguageModel: _uncached})
        if self._model is None:
            raise UnsupportedError(
                f"LLMJudge() takes a model of LangChain's; got {type(model).__name__}:"
                " for anything else give Accel(verifier=...) a function"
            )

    def ask(self, questions: Sequence[str]) -> list[str | Exception]:
        """Ask about each question, several at once."""
        assert self._model is not None
        config: Any = {"tags": ["accel:no-cache"], "max_concurrency": self._max_concurrency}
        replies: list[Any] = self._model.batch(
            [[SystemMessage(INSTRUCTIONS), HumanMessage(question)] for question in questions],
            config,
            return_exceptions=True,
        )
        return [_text(reply) for reply in replies]

    def __repr__(self) -> str:
        return f"LLMJudge({type(self._model).__name__}, name={self.name!r})"


def _uncached(model: BaseLanguageModel[Any]) -> BaseLanguageModel[Any]:
    """Return a copy that answers from no cache."""
    made = original(model) if isinstance(model, BaseChatModel) else model.model_copy()
    made.cache = False
    return made


def _text(reply: Any) -> str | Exception:
    return reply if isinstance(reply, (str, Exception)) else str(getattr(reply, "text", ""))
