"""LangChain: answers cached exactly and by meaning, and what was retrieved until it changes.

``set_llm_cache(AccelCache())`` accelerates every chat model and language model of the process;
``accelerate(model)`` one model, streaming included; ``accelerate(retriever)`` and
``accelerate(chain)`` what retrieves, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.limiter import Limiter
    from langchain_accel._accelerate import accelerate
    from langchain_accel.cache import AccelCache
    from langchain_accel.encoder import EmbeddingsEncoder
    from langchain_accel.judge import LLMJudge

__all__ = ["Accel", "AccelCache", "EmbeddingsEncoder", "LLMJudge", "Limiter", "accelerate"]

_PLACES = {
    "Accel": "accel_core.accel",
    "AccelCache": "langchain_accel.cache",
    "EmbeddingsEncoder": "langchain_accel.encoder",
    "LLMJudge": "langchain_accel.judge",
    "Limiter": "accel_core.limiter",
    "accelerate": "langchain_accel._accelerate",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
