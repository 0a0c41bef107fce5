"""Chains that retrieve and answer: nothing is asked twice, and no answer outlives its documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableParallel, RunnablePassthrough

from accel_core.errors import UnsupportedError
from langchain_accel import accelerate
from tests.langchain.retrieving import QUESTION, asked, documents, filled

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeChat

APART = ChatPromptTemplate([("system", "Answer from this:\n{context}"), ("human", "{question}")])
TOGETHER = ChatPromptTemplate.from_template("From {context} answer {question}")
REWORDED = "When is a refund paid?"


def joined(found: list[Document]) -> str:
    return "\n".join(document.page_content for document in found)


def chain(retriever: BaseRetriever, llm: Any, prompt: Any = APART) -> Runnable[Any, Any]:
    """Return the chain of LangChain's own guides: what is retrieved, formatted, asked, read."""
    retrieved = {"context": retriever | joined, "question": RunnablePassthrough()}
    return retrieved | prompt | llm | StrOutputParser()


def with_sources(retriever: BaseRetriever, llm: Any, prompt: Any = APART) -> Runnable[Any, Any]:
    """Return a chain whose answer comes with the documents it was made from."""
    answer = (
        RunnablePassthrough.assign(context=lambda found: joined(found["context"]))
        | prompt
        | llm
        | StrOutputParser()
    )
    return RunnableParallel(context=retriever, question=RunnablePassthrough()).assign(answer=answer)


@pytest.fixture(autouse=True)
def _quoting(server: ModelServer) -> None:
    """The server answers with the prompt, so that an answer shows what it was made from."""
    server._answer = lambda body: " / ".join(str(each["content"]) for each in body["messages"])


class TestChains:
    """`accelerate` on a chain as a whole."""

    @pytest.mark.parametrize("prompt", [APART, TOGETHER], ids=["apart", "together"])
    def test_second_time(
        self, accel: Accel, colour: Colour, chat: MakeChat, server: ModelServer, *, prompt: Any
    ) -> None:
        """Neither the store nor the model is asked the second time."""
        store = filled()
        plain = chain(store.as_retriever(), chat(), prompt)
        fast = accelerate(plain, accel)
        assert colour.invoke(fast, QUESTION) == colour.invoke(fast, QUESTION)
        assert (asked(store), server.call_count) == ([QUESTION], 1)

    def test_streamed(
        self, accel: Accel, colour: Colour, chat: MakeChat, server: ModelServer
    ) -> None:
        """A stream is answered from what was said before, as a stream, and the other way round."""
        store = filled()
        fast = accelerate(chain(store.as_retriever(), chat()), accel)
        first = colour.stream(fast, QUESTION)
        assert "".join(colour.stream(fast, QUESTION)) == "".join(first)
        assert colour.invoke(fast, QUESTION) == "".join(first)
        assert (asked(store), server.call_count) == ([QUESTION], 1)

    def test_with_sources(
        self, accel: Accel, colour: Colour, chat: MakeChat, server: ModelServer
    ) -> None:
        """Answer and sources come without a call."""
        store = filled()
        fast = accelerate(with_sources(store.as_retriever(), chat()), accel)
        first = colour.invoke(fast, QUESTION)
        assert first["context"] == store.as_retriever().invoke(QUESTION)
        assert colour.invoke(fast, QUESTION) == first
        streamed = colour.stream(fast, QUESTION)
        assert "".join(part.get("answer", "") for part in streamed) == first["answer"]
        assert [part["context"] for part in streamed if "context" in part] == [first["context"]]
        assert server.call_count == 1

    @pytest.mark.parametrize("how", ["invoke", "stream"])
    @pytest.mark.parametrize("prompt", [APART, TOGETHER], ids=["apart", "together"])
    def test_changed_documents(
        self, accel: Accel, colour: Colour, chat: MakeChat, *, prompt: Any, how: str
    ) -> None:
        """After a change of a document the answer is made from what it says now."""
        store = filled(refund="A refund is paid by Ann.")
        fast = accelerate(chain(store.as_retriever(), chat(), prompt), accel)

        def ask() -> str:
            accel.flush()
            return "".join(getattr(colour, how)(fast, QUESTION))

        assert "Ann" in ask()
        store.add_documents(documents(refund="A refund is paid by Bob."))
        assert "Bob" in ask()
        assert "Ann" not in ask()
        store.delete(["refund"])
        assert "Bob" not in ask()

    @pytest.mark.parametrize("before", [False, True], ids=["plain model", "accelerated model"])
    @pytest.mark.parametrize(
        ("prompt", "calls"), [(APART, 1), (TOGETHER, 2)], ids=["apart", "together"]
    )
    def test_other_wording(
        self,
        accel: Accel,
        colour: Colour,
        chat: MakeChat,
        server: ModelServer,
        *,
        prompt: Any,
        calls: int,
        before: bool,
    ) -> None:
        """Other words of a question are answered without any call, but not where what was
        retrieved stands beside it and would be compared, too."""
        store = filled()
        llm = accelerate(chat(), accel) if before else chat()
        fast = accelerate(chain(store.as_retriever(), llm, prompt), accel)
        for question in (QUESTION, REWORDED):
            colour.invoke(fast, question)
            accel.flush()
        assert (asked(store), server.call_count) == ([QUESTION], calls)

    def test_named_corpus(self, accel: Accel, colour: Colour, chat: MakeChat) -> None:
        """The corpus that is named is that of the retrievers in the chain."""
        store = filled()
        fast = accelerate(chain(store.as_retriever(), chat()), accel, corpus="handbook")
        for _ in range(2):
            colour.invoke(fast, QUESTION)
            accel.corpus("handbook").changed()
        assert len(asked(store)) == 2

    @pytest.mark.parametrize("named", [{"corpus": "handbook"}, {"version": "2"}], ids=str)
    def test_names_of_nothing(self, accel: Accel, chat: MakeChat, *, named: Any) -> None:
        """Documents are not named where none are retrieved."""
        with pytest.raises(UnsupportedError, match="retrieves none"):
            accelerate(APART | chat(), accel, **named)

    def test_left_untouched(self, accel: Accel, chat: MakeChat) -> None:
        """The chain that was given asks as before."""
        store = filled()
        plain = chain(store.as_retriever(), chat())
        accelerate(plain, accel)
        assert [plain.invoke(QUESTION) for _ in range(2)]
        assert len(asked(store)) == 2


class TestClassic:
    """The chains and retrievers of `langchain_classic`."""

    def test_retrieval_chain(
        self, accel: Accel, colour: Colour, chat: MakeChat, server: ModelServer
    ) -> None:
        """`create_retrieval_chain`: answer and context without a call, until the index changes."""
        from langchain_classic.chains import create_retrieval_chain
        from langchain_classic.chains.combine_documents import create_stuff_documents_chain

        store = filled()
        prompt = ChatPromptTemplate([("system", "{context}"), ("human", "{input}")])
        plain = create_retrieval_chain(
            store.as_retriever(), create_stuff_documents_chain(chat(), prompt)
        )
        fast: Any = accelerate(plain, accel)
        first = colour.invoke(fast, {"input": QUESTION})
        assert colour.invoke(fast, {"input": QUESTION}) == first
        assert (len(asked(store)), server.call_count) == (1, 1)
        store.delete(["refund"])
        after = colour.invoke(fast, {"input": QUESTION})
        assert "14 days" in first["answer"]
        assert "14 days" not in after["answer"]

    def test_history_aware(
        self, accel: Accel, colour: Colour, chat: MakeChat, server: ModelServer
    ) -> None:
        """`create_history_aware_retriever`: the rewriting of a question is not asked for again."""
        from langchain_classic.chains import create_history_aware_retriever

        prompt = ChatPromptTemplate([MessagesPlaceholder("chat_history"), ("human", "{input}")])
        store = filled()
        fast: Any = accelerate(
            create_history_aware_retriever(chat(), store.as_retriever(), prompt), accel
        )
        for history in ([], [("human", "tell me about delivery times")]):
            asks = {"input": QUESTION, "chat_history": history}
            assert colour.invoke(fast, asks) == colour.invoke(fast, asks)
        assert (len(asked(store)), server.call_count) == (2, 1)
