"""`accelerate`: one verb for LlamaIndex's models, embeddings, retrievers, engines and indices.

Agents keep the model they were built with, so the model is what is accelerated, before they are
built. What cannot be accelerated is refused with a message that names what works, rather than
returned unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.limiter import Limiter
    from accel_core.place import Place

T = TypeVar("T")

_WORKS = (
    "accelerate() takes a LlamaIndex LLM, for example OpenAI(...) or a CustomLLM (accelerate it "
    "before agents are built: Settings.llm = accelerate(llm)), an embedding model (BaseEmbedding), "
    "a retriever, a query engine, a chat engine or an index"
)


def accelerate(
    value: T,
    accel: Accel | None = None,
    *,
    limiter: Limiter | None = None,
    corpus: str | None = None,
    version: str = "",
) -> T:
    """Return a copy of `value` that answers from `accel`.

    An index is no copy: it is watched in place and returned, and what its ``as_retriever()``,
    ``as_query_engine()`` and ``as_chat_engine()`` make is accelerated. A chat engine's copy shares
    its memory: its retriever, query engine and LLM are accelerated. The LLM of a query engine is
    left as it is; the engine's answers are kept.

    What retrievers found and engines answered is kept until their documents change. Changes are
    noticed that go through the live index, vector store, document store or graph store inside, that
    very object: ``insert``, ``delete_ref_doc``, ``update_ref_doc``, ``refresh_ref_docs``, an
    ``IngestionPipeline`` into its vector store. What removes documents drops what held one of them,
    as far as that can be told; an addition or update drops everything, since any question may be
    about it. Other changes (another process, program or object, a remote service) are said by
    ``accel.corpus(name).changed()``; ``changed(ids)`` is the caller's word that only what rests on
    these documents is stale. What nobody says is noticed when its lifetime ends.

    Args:
        value: any LlamaIndex LLM, embedding model, retriever, query engine, chat engine or index.
        accel: the configured object; None takes this process's default.
        limiter: keeps what is not answered from `accel` within a provider's limits; None takes
            the one that `accel` is configured with, if any. Limits that headers show are learned
            of models that ask through OpenAI's clients only.
        corpus: a name for the documents behind retrievers, by which every process that shares a
            store knows them: one name, one index with one embedding model. None: they are the live
            stores, in this process.
        version: of the documents, where the application counts it; what was found in another one
            is not served.

    Raises:
        UnsupportedError: it is none of these, cannot be limited, is an index that cannot be
            watched, or holds a store that cannot be watched while the corpus has no name; or it
            retrieves nothing, and `corpus` or `version` was given.

    Example:
        >>> Settings.llm = accelerate(OpenAI(model="gpt-4o-mini"))  # doctest: +SKIP
        >>> engine = accelerate(index.as_query_engine())  # doctest: +SKIP
    """
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.default import chosen_accel
    from accel_core.errors import UnsupportedError
    from accel_core.place import Place

    if (corpus is not None or version) and isinstance(value, (BaseEmbedding, BaseLLM)):
        raise UnsupportedError(
            f"corpus= and version= name documents; {type(value).__name__} retrieves none"
        )
    used = chosen_accel(accel)
    if isinstance(value, BaseEmbedding):
        embedding: T = _embedding(value, used, limiter)
        return embedding
    within = limiter if limiter is not None else used.limiter
    made: T | None = _accelerated(value, Place(used, corpus, version), within)
    if made is None:
        raise UnsupportedError(f"{_WORKS}; got {_kind(value)}{_advice(value)}")
    return made


def _embedding(embedding: Any, accel: Accel, limiter: Limiter | None) -> Any:
    from accel_core.errors import UnsupportedError
    from llamaindex_accel.embeddings import accelerate_embedding

    if limiter is not None:
        raise UnsupportedError(
            f"accelerate(limiter=) limits LLMs; give {type(embedding).__name__} "
            "limiter.limited(client) as its http_client"
        )
    return accelerate_embedding(embedding, accel)


def _accelerated(value: Any, place: Place, limiter: Limiter | None) -> Any:
    """Return the accelerated copy; None where there is none of such a thing."""
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.llms.base import BaseLLM
    from llama_index.core.chat_engine.types import BaseChatEngine
    from llama_index.core.indices.base import BaseIndex

    from llamaindex_accel.engine import accelerate_chat_engine, accelerate_query_engine
    from llamaindex_accel.retriever import accelerate_retriever

    changes: dict[type, Callable[[Any], Any]] = {
        BaseLLM: lambda llm: _llm(llm, place.accel, limiter),
        BaseRetriever: lambda retriever: accelerate_retriever(retriever, place),
        BaseQueryEngine: lambda engine: accelerate_query_engine(engine, place),
    }
    for kind, change in changes.items():
        if isinstance(value, kind):
            return change(value)
    if isinstance(value, BaseChatEngine):
        return accelerate_chat_engine(value, changes)
    return _serving(value, place, limiter) if isinstance(value, BaseIndex) else None


def _llm(llm: Any, accel: Accel, limiter: Limiter | None) -> Any:
    from llama_index.core.llms.structured_llm import StructuredLLM

    from llamaindex_accel.llm import accelerate_llm

    if isinstance(llm, StructuredLLM):
        # Its answers hold the parsed object, which no store can; the model inside asks for it.
        inner = _llm(llm.llm, accel, limiter)
        return llm if inner is llm.llm else llm.model_copy(update={"llm": inner})
    return accelerate_llm(llm, accel, limiter)


def _serving(index: Any, place: Place, limiter: Limiter | None) -> Any:
    """Watch `index` in place, and accelerate what is made of it."""
    from accel_core.watching import serve
    from llamaindex_accel._watch import watch

    def accelerated(made: Any) -> Any:
        found = _accelerated(made, place, limiter)
        return made if found is None else found

    watch(index, place.accel, place.corpus)
    serve(index, accelerated)
    return index


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _advice(value: Any) -> str:
    """Say what to do instead, for what people try."""
    if isinstance(value, type):
        return ": give it an instance"
    kinds = {kind.__name__ for kind in type(value).__mro__}
    if kinds & {"BaseChatModel", "BaseLLM", "Runnable", "Embeddings"}:
        return ": for LangChain use langchain_accel.accelerate(...)"
    if "BaseWorkflowAgent" in kinds:
        return ": accelerate the LLM it is built with"
    return ""
