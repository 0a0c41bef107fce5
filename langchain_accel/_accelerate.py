"""`accelerate`: one verb for what asks a chat model, retrieves or embeds with LangChain.

Each is replaced by its accelerated copy wherever it sits: alone, bound to tools or arguments, in a
structured-output or retrieval chain, behind fallbacks, retries or configurable fields. What holds
none is refused with a message that names what works, rather than returned unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core.accel import Accel
    from accel_core.limiter import Limiter

T = TypeVar("T")

_WORKS = (
    "accelerate() takes a chat model (BaseChatModel), a retriever (BaseRetriever), a vector store, "
    "a chat model bound with bind(), bind_tools() or with_config(), a with_structured_output() "
    "chain, with_fallbacks(), with_retry(), configurable_fields() or configurable_alternatives() "
    "of one, a chain that holds one, or embeddings (Embeddings)"
)


def accelerate(
    runnable: T,
    accel: Accel | None = None,
    *,
    limiter: Limiter | None = None,
    corpus: str | None = None,
    version: str = "",
) -> T:
    """Return a copy of `runnable` whose chat models and retrievers answer from `accel`.

    A vector store is no copy: it is watched in place and returned, and its ``as_retriever()`` makes
    accelerated retrievers.

    What retrievers found is kept until their documents change. Changes are noticed that go through
    the live vector store (and document store) in a retriever, that very object: ``add_documents``,
    ``delete``, ``index()``, and the like. ``delete(ids)`` drops what held one of them, as far as
    that can be told; an addition or update drops everything, since any question may be about it.
    Other changes (another process, program or object, a remote service) are said by
    ``accel.corpus(name).changed()``; ``changed(ids)`` is the caller's word that only what rests on
    these documents is stale. What nobody says is noticed when its lifetime ends.

    In a chain that retrieves, an answer is kept by its prompt, and so by what was retrieved. It is
    given to other wordings of a question only where the prompt ends with a message of the question
    alone, after one with what was retrieved.

    Args:
        runnable: a chat model, a retriever, a vector store, embeddings, or a runnable around some;
            all but vector stores are left untouched.
        accel: the configured object; None takes this process's default.
        limiter: keeps what is not answered from `accel` within a provider's limits; None takes
            the one that `accel` is configured with, if any. Limits that headers show are learned
            of models that ask through OpenAI's clients only.
        corpus: a name for the documents behind the retrievers, by which every process that shares
            a store knows them: one name, one index with one embedding model. None: they are the
            live stores, in this process.
        version: of the documents, where the application counts it; what was found in another one
            is not served.

    Raises:
        UnsupportedError: there is nothing in it that can be accelerated, or limited; or nothing
            that retrieves, and `corpus` or `version` was given; or it is a vector store that cannot
            be watched, or holds one while the corpus has no name.

    Example:
        >>> llm = accelerate(ChatOpenAI(model="gpt-4o-mini"))  # doctest: +SKIP
        >>> retriever = accelerate(vectorstore.as_retriever())  # doctest: +SKIP
    """
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.prompts import BasePromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore

    from accel_core.default import chosen_accel
    from accel_core.errors import UnsupportedError
    from accel_core.place import Place
    from langchain_accel._prompts import ask_alone
    from langchain_accel.chat_model import accelerate_chat_model
    from langchain_accel.retriever import accelerate_retriever, accelerate_store

    used = chosen_accel(accel)
    if isinstance(runnable, Embeddings):
        accelerated: T = _embeddings(runnable, used, limiter)
        return accelerated
    within = limiter if limiter is not None else used.limiter
    retrieving = _parts(runnable, BaseRetriever, VectorStore)
    if (corpus is not None or version) and not retrieving:
        raise UnsupportedError(
            f"corpus= and version= name documents; {type(runnable).__name__} retrieves none"
        )
    # What is retrieved may stand beside the question, and would be compared with it.
    exact = bool(retrieving) and not ask_alone(_parts(runnable, BasePromptTemplate))
    place = Place(used, corpus, version)
    changes: dict[type, Callable[[Any], Any]] = {
        BaseChatModel: lambda model: accelerate_chat_model(model, used, within, exact=exact),
        BaseRetriever: lambda found: accelerate_retriever(found, place),
        VectorStore: lambda store: accelerate_store(store, place),
    }
    made: T | None = replaced(runnable, changes)
    if made is None:
        raise UnsupportedError(f"{_WORKS}; got {type(runnable).__name__}{_advice(runnable)}")
    return made


def _embeddings(embeddings: Any, accel: Accel, limiter: Limiter | None) -> Any:
    from accel_core.errors import UnsupportedError
    from langchain_accel.embeddings import accelerate_embeddings

    if limiter is not None:
        raise UnsupportedError(
            f"accelerate(limiter=) limits chat models; give {type(embeddings).__name__} "
            "limiter.limited(client) as its client"
        )
    return accelerate_embeddings(embeddings, accel)


def _parts(runnable: Any, *kinds: type) -> list[Any]:
    """Return what is of one of the kinds, wherever it sits."""
    found: list[Any] = []
    # `append` returns None, so nothing is changed.
    replaced(runnable, dict.fromkeys(kinds, found.append))
    return found


def replaced(runnable: Any, changes: Mapping[type, Callable[[Any], Any]]) -> Any:
    """Return a copy in which what is of one of the kinds is changed; None where nothing is."""
    from langchain_core.runnables import Runnable

    for kind, change in changes.items():
        if isinstance(runnable, kind):
            return change(runnable)
    if not isinstance(runnable, Runnable) or not hasattr(runnable, "model_copy"):
        return None
    changed = {
        name: made
        for name in _HOLDERS
        if (held := vars(runnable).get(name)) is not None
        and (made := _inside(held, lambda inner: replaced(inner, changes))) is not None
    }
    return runnable.model_copy(update=changed) if changed else None


_HOLDERS = (
    "bound",  # RunnableBinding, RunnableRetry, RunnableEach
    "first",  # RunnableSequence
    "middle",
    "last",
    "steps__",  # RunnableParallel
    "mapper",  # RunnableAssign
    "default",  # configurable fields and alternatives
    "alternatives",
    "runnable",  # RunnableWithFallbacks
    "fallbacks",
    "branches",  # RunnableBranch
    "runnables",  # RouterRunnable
    "paths",  # RunnableRace
)
"""Fields in which LangChain's runnables hold others."""


def _inside(held: Any, change: Callable[[Any], Any]) -> Any:
    """Return a copy of `held` with what could be changed changed; None where nothing could."""
    if isinstance(held, dict):
        made = {key: _inside(item, change) for key, item in held.items()}
        if all(item is None for item in made.values()):
            return None
        return {key: held[key] if item is None else item for key, item in made.items()}
    if isinstance(held, (list, tuple)):
        items = [_inside(item, change) for item in held]
        if all(item is None for item in items):
            return None
        return type(held)(
            old if item is None else item for old, item in zip(held, items, strict=True)
        )
    return change(held)


def _advice(runnable: Any) -> str:
    """Say what to do instead, for what people try."""
    kinds = {kind.__name__ for kind in type(runnable).__mro__}
    if "_ConfigurableModel" in kinds:
        return ": give init_chat_model() a model and accelerate what it returns"
    if "BaseLLM" in kinds:
        return ": for plain language models use set_llm_cache(AccelCache())"
    if "BaseTool" in kinds:
        return ": accelerate the retriever, and make the tool of what that returns"
    return ""
