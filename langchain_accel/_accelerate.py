"""`accelerate`: one verb for everything of LangChain's that asks a chat model, and for embeddings.

A chat model is replaced by its accelerated copy wherever it sits: alone, bound to tools or
arguments, in a structured-output chain, behind fallbacks, retries or configurable fields. Anything
else is refused with a message that names what works, rather than returned unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.limiter import Limiter

T = TypeVar("T")

_WORKS = (
    "accelerate() takes a chat model (BaseChatModel), a chat model bound with bind(), bind_tools() "
    "or with_config(), a with_structured_output() chain, with_fallbacks(), with_retry(), "
    "configurable_fields() or configurable_alternatives() of one, a chain that holds one, or "
    "embeddings (Embeddings)"
)


def accelerate(runnable: T, accel: Accel | None = None, *, limiter: Limiter | None = None) -> T:
    """Return a copy of `runnable` that answers from `accel`.

    Args:
        runnable: a chat model, a runnable around one, or embeddings; it is left untouched.
        accel: the configured object; None takes this process's default.
        limiter: keeps what is not answered from `accel` within a provider's limits; None takes
            the one that `accel` is configured with, if any. Limits that headers show are learned
            of models that ask through OpenAI's clients only.

    Raises:
        UnsupportedError: there is nothing in it that can be accelerated, or limited.

    Example:
        >>> llm = accelerate(ChatOpenAI(model="gpt-4o-mini"))  # doctest: +SKIP
    """
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models.chat_models import BaseChatModel

    from accel_core.accel import default_accel
    from accel_core.errors import UnsupportedError
    from langchain_accel.chat_model import accelerate_chat_model

    used = accel if accel is not None else default_accel()
    if isinstance(runnable, Embeddings):
        accelerated: T = _embeddings(runnable, used, limiter)
        return accelerated
    within = limiter if limiter is not None else used.limiter
    made: T | None = with_models(
        runnable, BaseChatModel, lambda model: accelerate_chat_model(model, used, within)
    )
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


def with_models(runnable: Any, kind: type[Any], change: Callable[[Any], Any]) -> Any:
    """Return a copy whose models of that kind are changed, or None where there is none inside."""
    from langchain_core.runnables import Runnable

    if isinstance(runnable, kind):
        return change(runnable)
    if not isinstance(runnable, Runnable) or not hasattr(runnable, "model_copy"):
        return None
    changed = {
        name: made
        for name in _HOLDERS
        if (held := vars(runnable).get(name)) is not None
        and (made := _inside(held, lambda inner: with_models(inner, kind, change))) is not None
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
    return ""
