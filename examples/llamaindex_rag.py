"""A query engine asked twice costs once, and a changed document is noticed.

Set ``OPENAI_API_KEY``, and ``OPENAI_API_BASE`` for a compatible server, then run it.
"""

from __future__ import annotations

import os

from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.llms.openai import OpenAI

from llamaindex_accel import Accel, accelerate

QUESTION = "When is a refund paid?"


def main() -> None:
    base_url = os.environ.get("OPENAI_API_BASE", "https://api.openai.com/v1")
    Settings.llm = OpenAI(model="gpt-4o-mini", api_base=base_url, temperature=0)
    Settings.embed_model = MockEmbedding(embed_dim=8)  # yours
    Settings.tokenizer = str.split  # counts tokens without a download; leave it out in earnest
    refunds = Document(text="A refund is paid within 14 days.", id_="refunds")
    index = VectorStoreIndex.from_documents([refunds])

    with Accel() as accel:
        accelerate(index, accel)
        print(index.as_query_engine().query(QUESTION))
        streamed = index.as_query_engine(streaming=True).query(QUESTION)
        print("".join(streamed.response_gen), " [neither searched nor asked]")
        print(accel.stats().retrieval_hits, "hits")

        index.update_ref_doc(Document(text="A refund is paid within 7 days.", id_="refunds"))
        print(index.as_query_engine().query(QUESTION), " [searched and asked again]")
        print(accel.stats().retrieval_hits, "hits")


if __name__ == "__main__":
    main()
