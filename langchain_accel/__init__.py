"""LangChain: answers cached exactly and by meaning, embeddings, and documents until they change.

``set_llm_cache(AccelCache())`` accelerates every chat model and language model of the process;
``accelerate(model)`` one model, streaming included; ``accelerate(retriever)`` and
``accelerate(chain)`` what retrieves, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.batched import batched
    from accel_core.limiter import Limiter
    from accel_core.permits import speculatable
    from langchain_accel._accelerate import accelerate
    from langchain_accel.byte_store import AccelByteStore
    from langchain_accel.cache import AccelCache
    from langchain_accel.callback_handler import AccelCallbackHandler
    from langchain_accel.encoder import EmbeddingsEncoder
    from langchain_accel.judge import LLMJudge
    from langchain_accel.racing import race
    from langchain_accel.rate_limiter import TokenRateLimiter
    from langchain_accel.speculative_runnable import SpeculativeToolRunnable
    from langchain_accel.speculative_tools import SpeculativeTools
    from langchain_accel.trusted_mcp import trust_mcp

__all__ = [
    "Accel",
    "AccelByteStore",
    "AccelCache",
    "AccelCallbackHandler",
    "EmbeddingsEncoder",
    "LLMJudge",
    "Limiter",
    "SpeculativeToolRunnable",
    "SpeculativeTools",
    "TokenRateLimiter",
    "accelerate",
    "batched",
    "race",
    "speculatable",
    "trust_mcp",
]

_PLACES = {
    "Accel": "accel_core.accel",
    "AccelByteStore": "langchain_accel.byte_store",
    "AccelCache": "langchain_accel.cache",
    "AccelCallbackHandler": "langchain_accel.callback_handler",
    "EmbeddingsEncoder": "langchain_accel.encoder",
    "LLMJudge": "langchain_accel.judge",
    "Limiter": "accel_core.limiter",
    "SpeculativeToolRunnable": "langchain_accel.speculative_runnable",
    "SpeculativeTools": "langchain_accel.speculative_tools",
    "TokenRateLimiter": "langchain_accel.rate_limiter",
    "accelerate": "langchain_accel._accelerate",
    "batched": "accel_core.batched",
    "race": "langchain_accel.racing",
    "speculatable": "accel_core.permits",
    "trust_mcp": "langchain_accel.trusted_mcp",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
