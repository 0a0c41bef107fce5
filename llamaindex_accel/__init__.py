"""LlamaIndex: answers cached exactly and by meaning, and what was retrieved until it changes.

``Settings.llm = accelerate(OpenAI(...))``: chat, completion and streams, with tools, agents, query
and chat engines built on it. ``accelerate(index)``, or a retriever or engine made of it: what was
found, and what was answered from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.batched import batched
    from accel_core.limiter import Limiter
    from accel_core.permits import speculatable
    from llamaindex_accel._accelerate import accelerate
    from llamaindex_accel.callback_handler import AccelCallbackHandler
    from llamaindex_accel.encoder import EmbeddingsEncoder
    from llamaindex_accel.handlers import AccelEventHandler, AccelSpanHandler
    from llamaindex_accel.judge import LLMJudge
    from llamaindex_accel.kv_store import AccelKVStore
    from llamaindex_accel.racing import race
    from llamaindex_accel.rate_limiter import TokenRateLimiter
    from llamaindex_accel.speculation import speculate

__all__ = [
    "Accel",
    "AccelCallbackHandler",
    "AccelEventHandler",
    "AccelKVStore",
    "AccelSpanHandler",
    "EmbeddingsEncoder",
    "LLMJudge",
    "Limiter",
    "TokenRateLimiter",
    "accelerate",
    "batched",
    "race",
    "speculatable",
    "speculate",
]

_PLACES = {
    "Accel": "accel_core.accel",
    "AccelCallbackHandler": "llamaindex_accel.callback_handler",
    "AccelEventHandler": "llamaindex_accel.handlers",
    "AccelKVStore": "llamaindex_accel.kv_store",
    "AccelSpanHandler": "llamaindex_accel.handlers",
    "EmbeddingsEncoder": "llamaindex_accel.encoder",
    "LLMJudge": "llamaindex_accel.judge",
    "Limiter": "accel_core.limiter",
    "TokenRateLimiter": "llamaindex_accel.rate_limiter",
    "accelerate": "llamaindex_accel._accelerate",
    "batched": "accel_core.batched",
    "race": "llamaindex_accel.racing",
    "speculatable": "accel_core.permits",
    "speculate": "llamaindex_accel.speculation",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
