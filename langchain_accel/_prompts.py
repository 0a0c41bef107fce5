"""Where a chain's prompts put what was retrieved: apart from the question, or beside it.

Questions are compared by meaning in their last user message. One that also holds what was retrieved
would be compared with that, and a document that changed by a word could be taken for what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.prompts.chat import (
    ChatPromptTemplate,
    HumanMessagePromptTemplate,
    SystemMessagePromptTemplate,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def ask_alone(prompts: Sequence[Any]) -> bool:
    """Whether every prompt ends with a message of the question and nothing else.

    That is known where the last message has one variable, and an earlier one the others.

    >>> ask_alone([ChatPromptTemplate([("system", "{context}"), ("human", "{question}")])])
    True
    >>> ask_alone([ChatPromptTemplate([("human", "{context} {question}")])])
    False
    """
    return bool(prompts) and all(map(_asks_alone, prompts))


def _asks_alone(prompt: Any) -> bool:
    if not isinstance(prompt, ChatPromptTemplate) or not prompt.messages:
        return False
    *earlier, last = prompt.messages
    told = any(isinstance(each, _TELLING) and each.input_variables for each in earlier)
    asked = isinstance(last, HumanMessagePromptTemplate) and len(last.input_variables) == 1
    return told and asked


_TELLING = (SystemMessagePromptTemplate, HumanMessagePromptTemplate)
