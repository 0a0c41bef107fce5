"""Texts that are not only a question: what of them may be compared by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.schema import Document
from pydantic import BaseModel

from llamaindex_accel import accelerate
from llamaindex_accel._templates import RENDERING
from tests.llamaindex.support import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

OPENS, REORDERED = "When does the office open?", "When does open the office?"
"""The same to an encoder that is blind to order."""

QA = PromptTemplate("Context: {context_str}\nQuery: {query_str}\nAnswer: ")
CHAT_QA = ChatPromptTemplate.from_messages(
    [("system", "Use this: {context_str}"), ("user", "{query_str}")]
)


class Hours(BaseModel):
    """When it opens."""

    hour: int


def semantic_hits(accel: Accel) -> int:
    """Return how many answers were served by meaning."""
    return accel.stats().semantic_hits


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-3.5-turbo-instruct"])
@pytest.mark.parametrize("template", [QA, CHAT_QA], ids=["one text", "chat"])
def test_a_question_is_compared_within_its_context(
    model: str,
    template: Any,
    make_llm: Callable[..., OpenAI],
    accel: Accel,
    server: ModelServer,
) -> None:
    """The same question in other words is served under the same context, and under no other."""
    llm = accelerate(make_llm(model=model, max_tokens=50), accel)
    llm.predict(template, context_str="It opens at 9", query_str=OPENS)
    accel.flush()
    llm.predict(template, context_str="It opens at 9", query_str=REORDERED)
    assert (semantic_hits(accel), server.call_count) == (1, 1)
    llm.predict(template, context_str="9 at opens It", query_str=OPENS)
    llm.predict(template.partial_format(query_str=REORDERED), context_str="At 9 it opens")
    assert (semantic_hits(accel), server.call_count) == (1, 3)
    accel.flush()
    llm.predict(template.partial_format(query_str=OPENS), context_str="At 9 it opens")
    assert (semantic_hits(accel), server.call_count) == (2, 3)


def test_a_template_of_one_variable_is_compared_by_it(llm: OpenAI, accel: Accel) -> None:
    """Of a long template with one value, the value alone decides."""
    template = PromptTemplate("Name one well known city of the country that is called {country}")
    llm.predict(template, country="Upper Volta")
    accel.flush()
    llm.predict(template, country="Lower Volta")
    assert semantic_hits(accel) == 0
    llm.predict(template, country="Volta Upper")
    assert semantic_hits(accel) == 1


@pytest.mark.parametrize(
    "values",
    [{"a": "one two", "b": "three"}, {"query_str": ""}, {"query_str": 5}],
    ids=["several", "empty", "not a text"],
)
def test_other_templates_are_served_exactly(
    values: dict[str, Any], llm: OpenAI, accel: Accel, server: ModelServer
) -> None:
    """Where nobody can tell the question, nothing is compared."""
    names = " ".join(f"{{{name}}}" for name in values)
    for words in ("say it now", "now say it", "say it now"):
        llm.predict(PromptTemplate(f"{words}: {names}"), **values)
        accel.flush()
    assert semantic_hits(accel) == 0
    assert server.call_count == 2


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-3.5-turbo"])
def test_structured_prediction_is_served_exactly(
    model: str, make_llm: Callable[..., OpenAI], accel: Accel, server: ModelServer
) -> None:
    """What is extracted from a text is never served for another that looks alike."""
    llm = accelerate(make_llm(model=model), accel)
    for text in ("from 9 to 10", "from 10 to 9", "from 9 to 10"):
        llm.structured_predict(Hours, PromptTemplate("Opening hours: {text}"), text=text)
        accel.flush()
    assert semantic_hits(accel) == 0
    assert server.call_count == 2


def test_a_tool_result_in_a_users_words_is_served_exactly(
    llm: OpenAI, accel: Accel, ask: Caller, server: ModelServer
) -> None:
    """A ReAct observation is a tool's result: only the very same one is the same."""
    thought = ChatMessage(role="assistant", content="Thought: look.\nAction: f\nAction Input: {}")
    for seen in ("12 before 21", "21 before 12", "12 before 21"):
        messages = [
            ChatMessage(role="user", content="Which is first?"),
            thought,
            ChatMessage(role="user", content=f"Observation: {seen}"),
        ]
        ask(llm, "chat", messages)
        accel.flush()
    assert semantic_hits(accel) == 0
    assert server.call_count == 2


@pytest.mark.slow
def test_changed_documents_are_asked_about_again(
    make_accel: Callable[..., Accel], make_llm: Callable[..., OpenAI], server: ModelServer
) -> None:
    """With the real encoder, a question about a changed document is never answered from before."""
    accel = make_accel(encoder=None)
    llm = accelerate(make_llm(), accel)

    def query(text: str, question: str) -> None:
        documents = [Document(text=text)]
        index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=2))
        index.as_query_engine(llm=llm).query(question)
        accel.flush()

    query("The office in Paris opens at 9.", "When does the Paris office open?")
    query("The office in Paris opens at 11.", "When does the Paris office open?")
    assert (semantic_hits(accel), server.call_count) == (0, 2)
    query("The office in Paris opens at 9.", "When does the Paris office open up?")
    assert (semantic_hits(accel), server.call_count) == (1, 2)


def test_direct_questions_are_compared_whole(llm: OpenAI, accel: Accel, ask: Caller) -> None:
    """What the application asks itself is compared as before, after any template."""
    llm.predict(QA, context_str="c", query_str="q")
    ask(llm, "chat", OPENS)
    accel.flush()
    assert origin(ask(llm, "achat", REORDERED)[0]) == "semantic"


def test_copied_messages_are_recognised(llm: OpenAI, accel: Accel, ask: Caller) -> None:
    """Some integrations copy the list of rendered messages before they ask."""
    for context in ("It opens at 9", "9 at opens It"):
        messages = llm._get_messages(QA, context_str=context, query_str=OPENS)
        ask(llm, "chat", list(messages))
        accel.flush()
    assert semantic_hits(accel) == 0


def test_the_rendering_methods_exist() -> None:
    """What is listened to is private to LlamaIndex: this notices when it is gone."""
    assert set(RENDERING) <= set(dir(LLM))
