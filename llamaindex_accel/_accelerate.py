"""`accelerate`: one verb for LlamaIndex's language and embedding models.

Engines and agents keep the model they were built with, so the model is what is accelerated, before
they are built. Anything else is refused with a message that names what works, rather than returned
unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.limiter import Limiter

T = TypeVar("T")

_WORKS = (
    "accelerate() takes a LlamaIndex LLM, for example OpenAI(...) or a CustomLLM, or an embedding "
    "model (BaseEmbedding); accelerate it before engines and agents are built: Settings.llm = "
    "accelerate(llm)"
)


def accelerate(llm: T, accel: Accel | None = None, *, limiter: Limiter | None = None) -> T:
    """Return a copy of `llm` that answers from `accel`.

    Args:
        llm: any LlamaIndex LLM or embedding model; it is left untouched.
        accel: the configured object; None takes this process's default.
        limiter: keeps what is not answered from `accel` within a provider's limits; None takes
            the one that `accel` is configured with, if any. Limits that headers show are learned
            of models that ask through OpenAI's clients only.

    Raises:
        UnsupportedError: it is not a LlamaIndex LLM.

    Example:
        >>> Settings.llm = accelerate(OpenAI(model="gpt-4o-mini"))  # doctest: +SKIP
    """
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.accel import default_accel
    from accel_core.errors import UnsupportedError

    if isinstance(llm, BaseEmbedding):
        embedding: T = _embedding(llm, accel or default_accel(), limiter)
        return embedding
    if not isinstance(llm, BaseLLM):
        raise UnsupportedError(f"{_WORKS}; got {_kind(llm)}{_advice(llm)}")
    used = accel if accel is not None else default_accel()
    made: Any = _accelerated(llm, used, limiter if limiter is not None else used.limiter)
    accelerated: T = made
    return accelerated


def _embedding(embedding: Any, accel: Accel, limiter: Limiter | None) -> Any:
    from accel_core.errors import UnsupportedError
    from llamaindex_accel.embeddings import accelerate_embedding

    if limiter is not None:
        raise UnsupportedError(
            f"accelerate(limiter=) limits LLMs; give {type(embedding).__name__} "
            "limiter.limited(client) as its http_client"
        )
    return accelerate_embedding(embedding, accel)


def _accelerated(llm: Any, accel: Accel, limiter: Limiter | None) -> Any:
    from llama_index.core.llms.structured_llm import StructuredLLM

    from llamaindex_accel.llm import accelerate_llm

    if isinstance(llm, StructuredLLM):
        # Its answers hold the parsed object, which no store can; the model inside asks for it.
        inner = accelerate(llm.llm, accel, limiter=limiter)
        return llm if inner is llm.llm else llm.model_copy(update={"llm": inner})
    return accelerate_llm(llm, accel, limiter)


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _advice(value: Any) -> str:
    """Say what to do instead, for what people try."""
    if isinstance(value, type):
        return ": give it an instance"
    kinds = {kind.__name__ for kind in type(value).__mro__}
    if kinds & {"BaseChatModel", "BaseLLM", "Runnable", "Embeddings"}:
        return ": for LangChain use langchain_accel.accelerate(...)"
    if kinds & {"BaseQueryEngine", "BaseChatEngine", "BaseRetriever", "BaseWorkflowAgent"}:
        return ": accelerate the LLM it is built with"
    return ""
