"""A chain that retrieves and answers: asked twice it costs once, and a changed document is noticed.

Run it against any OpenAI-compatible server::

    OPENAI_API_KEY=... OPENAI_BASE_URL=https://api.openai.com/v1 python langchain_rag.py
"""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI

from langchain_accel import Accel, accelerate

QUESTION = "When is a refund paid?"
PROMPT = ChatPromptTemplate([("system", "Answer from this:\n{context}"), ("human", "{question}")])


def joined(documents: list[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


def main() -> None:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))  # yours: Chroma, FAISS, ...
    store.add_documents([Document("A refund is paid within 14 days.", id="refunds")])
    retrieved = {"context": store.as_retriever() | joined, "question": RunnablePassthrough()}
    chain = retrieved | PROMPT | ChatOpenAI(model="gpt-4o-mini", temperature=0) | StrOutputParser()

    with Accel() as accel:
        fast = accelerate(chain, accel)
        print(fast.invoke(QUESTION))
        print("".join(fast.stream(QUESTION)), " [neither searched nor asked]")
        print(accel.stats().exact_hits, "answer and", accel.stats().retrieval_hits, "retrieval")

        store.add_documents([Document("A refund is paid within 7 days.", id="refunds")])
        print(fast.invoke(QUESTION), " [searched and asked again]")
        print(accel.stats().exact_hits, "answer and", accel.stats().retrieval_hits, "retrieval")


if __name__ == "__main__":
    main()
