"""`accelerate`: one verb for LlamaIndex's language models, retrievers and indices.

Engines and agents keep the model they were built with, so the model is what is accelerated, before
they are built. What cannot be accelerated is refused with a message that names what works, rather
than returned unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.limiter import Limiter
    from llamaindex_accel._retrieval import Place

T = TypeVar("T")

_WORKS = (
    "accelerate() takes a LlamaIndex LLM, for example OpenAI(...) or a CustomLLM (accelerate it "
    "before engines and agents are built: Settings.llm = accelerate(llm)), a retriever or an index"
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

    An index is no copy: it is watched in place and returned, and its ``as_retriever()`` makes
    accelerated retrievers.

    What retrievers found is kept until their documents change. Changes are noticed that go through
    the live index, vector store, document store or graph store in a retriever, that very object:
    ``insert``, ``delete_ref_doc``, ``update_ref_doc``, ``refresh_ref_docs``, an
    ``IngestionPipeline`` into its vector store. What removes documents drops what held one of them,
    as far as that can be told; an addition or update drops everything, since any question may be
    about it. Other changes (another process, program or object, a remote service) are said by
    ``accel.corpus(name).changed()``; ``changed(ids)`` is the caller's word that only what rests on
    these documents is stale. What nobody says is noticed when its lifetime ends.

    Args:
        value: any LlamaIndex LLM, retriever or index.
        accel: the configured object; None takes this process's default.
        limiter: keeps what is not answered from `accel` within a provider's limits; None takes
            the one that `accel` is configured with, if any. LLMs of OpenAI's clients only.
        corpus: a name for the documents behind retrievers, by which every process that shares a
            store knows them: one name, one index with one embedding model. None: they are the live
            stores, in this process.
        version: of the documents, where the application counts it; what was found in another one
            is not served.

    Raises:
        UnsupportedError: it is none of these, cannot be limited, or holds a store that cannot be
            watched while the corpus has no name.

    Example:
        >>> Settings.llm = accelerate(OpenAI(model="gpt-4o-mini"))  # doctest: +SKIP
        >>> retriever = accelerate(index.as_retriever())  # doctest: +SKIP
    """
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.llms.base import BaseLLM
    from llama_index.core.indices.base import BaseIndex

    from accel_core.accel import default_accel
    from accel_core.errors import UnsupportedError
    from llamaindex_accel._retrieval import Place
    from llamaindex_accel.retriever import accelerate_retriever

    used = accel if accel is not None else default_accel()
    place = Place(used, corpus, version)
    made: Any
    if isinstance(value, BaseLLM):
        made = _accelerated(value, used, limiter if limiter is not None else used.limiter)
    elif isinstance(value, BaseRetriever):
        made = accelerate_retriever(value, place)
    elif isinstance(value, BaseIndex):
        made = _serving(value, place)
    else:
        raise UnsupportedError(f"{_WORKS}; got {_kind(value)}{_advice(value)}")
    accelerated: T = made
    return accelerated


def _accelerated(llm: Any, accel: Accel, limiter: Limiter | None) -> Any:
    from llama_index.core.llms.structured_llm import StructuredLLM

    from llamaindex_accel.llm import accelerate_llm

    if isinstance(llm, StructuredLLM):
        # Its answers hold the parsed object, which no store can; the model inside asks for it.
        inner = accelerate(llm.llm, accel, limiter=limiter)
        return llm if inner is llm.llm else llm.model_copy(update={"llm": inner})
    return accelerate_llm(llm, accel, limiter)


def _serving(index: Any, place: Place) -> Any:
    """Watch `index` in place, and accelerate what is made of it."""
    from accel_core.watching import serve
    from llamaindex_accel._watch import watch
    from llamaindex_accel.retriever import accelerate_retriever

    watch(index, place.accel, place.corpus)
    serve(index, lambda made: accelerate_retriever(made, place))
    return index


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _advice(value: Any) -> str:
    """Say what to do instead, for what people try."""
    if isinstance(value, type):
        return ": give it an instance"
    kinds = {kind.__name__ for kind in type(value).__mro__}
    if "BaseEmbedding" in kinds:
        return ": for embeddings as the cache's encoder use EmbeddingsEncoder(...)"
    if kinds & {"BaseChatModel", "BaseLLM", "Runnable"}:
        return ": for LangChain use langchain_accel.accelerate(...)"
    if "BaseWorkflowAgent" in kinds:
        return ": accelerate the LLM it is built with"
    return ""
