"""What finding again costs: an exact hit of each framework's retriever, beside retrieving.

The corpus is this project's own documentation, embedded by all-MiniLM, in LangChain's
`InMemoryVectorStore` and LlamaIndex's `VectorStoreIndex`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.config import from_mapping
from benchmarks.harness import Measured, Row
from benchmarks.timing import ratio, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.encoder.minilm import MiniLMEncoder
    from benchmarks.harness import Context

_ROOT = Path(__file__).resolve().parents[1]
_LEAST_WORDS = 8
_QUESTION = "How does a change of the documents reach another process?"
_CALLS, _BARE_CALLS = 200, 10


def passages() -> list[str]:
    """Return the paragraphs of this project's documentation."""
    pages = [*_ROOT.glob("*.md"), *(_ROOT / "docs").glob("*.md")]
    texts = [page.read_text(encoding="utf-8") for page in sorted(pages)]
    found = [part.strip() for text in texts for part in text.split("\n\n")]
    return [part for part in found if len(part.split()) >= _LEAST_WORDS]


def encoder(_: Context) -> MiniLMEncoder:
    """Load all-MiniLM, once per run."""
    from accel_core.encoder.minilm import MiniLMEncoder

    made = MiniLMEncoder()
    made.encode(["warm"])
    return made


class Pair(NamedTuple):
    """Asks through the cache, and past it."""

    cached: Callable[[], object]
    bare: Callable[[], object]


def langchain(context: Context) -> Pair:
    """Ask LangChain's retriever."""
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_accel import Accel, accelerate

    encode = context.once(encoder).encode

    class MiniLM(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(number) for number in row] for row in encode(texts)]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    store = InMemoryVectorStore.from_texts(passages(), MiniLM())
    retriever = store.as_retriever()
    accel = context.enter(Accel(_config()))
    cached: Any = accelerate(retriever, accel)
    assert cached.invoke(_QUESTION) == retriever.invoke(_QUESTION)
    return Pair(lambda: cached.invoke(_QUESTION), lambda: retriever.invoke(_QUESTION))


def llamaindex(context: Context) -> Pair:
    """Ask LlamaIndex's retriever."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.schema import TextNode

    from llamaindex_accel import Accel, accelerate

    encode = context.once(encoder).encode

    class MiniLM(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return [float(number) for number in encode([text])[0]]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return [[float(number) for number in row] for row in encode(texts)]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    index = VectorStoreIndex(
        [TextNode(text=text) for text in passages()], embed_model=MiniLM(model_name="minilm")
    )
    retriever = index.as_retriever(similarity_top_k=4)
    accel = context.enter(Accel(_config()))
    cached: Any = accelerate(retriever, accel)
    assert len(cached.retrieve(_QUESTION)) == len(retriever.retrieve(_QUESTION))
    return Pair(lambda: cached.retrieve(_QUESTION), lambda: retriever.retrieve(_QUESTION))


def _config() -> Any:
    ttl = {"base_s": 100_000.0}
    return from_mapping({"retrieval": {"freshness": {"near_ttl": ttl, "ttl": ttl}}})


def _measured(context: Context, pair: Callable[[Context], Pair]) -> tuple[float, float, float]:
    """Return seconds of a hit and of retrieving, and the median of the rounds' ratios."""
    cached, bare = context.once(pair)
    slow = timed(bare)

    def few(_: int) -> float:
        return slow(_BARE_CALLS) * _CALLS / _BARE_CALLS

    found = ratio(timed(cached), few, rounds=context.pick(15, 5), calls=_CALLS)
    return found.ours_s, found.peer_s, found.value


def _hit(pair: Callable[[Context], Pair]) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        ours_s, _, _ = _measured(context, pair)
        return Measured(1e3 * ours_s, f"{len(passages())} passages")

    return measure


def _share(pair: Callable[[Context], Pair]) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        ours_s, bare_s, share = _measured(context, pair)
        return Measured(share, f"hit {1e6 * ours_s:.0f} µs, retrieved {1e3 * bare_s:.2f} ms")

    return measure


ROWS = [
    row
    for name, pair in (("langchain", langchain), ("llamaindex", llamaindex))
    for row in (
        Row(
            name=f"{name}-hit-ms",
            what=f"exact retrieval hit in process, {name}, p50 in ms",
            op="<=",
            bound=1,
            measure=_hit(pair),
        ),
        Row(
            name=f"{name}-hit-share",
            what=f"the same ÷ the uncached retriever on this project's documentation, {name}",
            op="<=",
            bound=0.02,
            measure=_share(pair),
        ),
    )
]
