"""LlamaIndex: answers cached exactly and by meaning, and what was retrieved until it changes.

``Settings.llm = accelerate(OpenAI(...))``: chat, completion and streams, with tools, agents, query
and chat engines built on it. ``accelerate(index)``, or a retriever or engine made of it: what was
found, and what was answered from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.limiter import Limiter
    from llamaindex_accel._accelerate import accelerate
    from llamaindex_accel.encoder import EmbeddingsEncoder
    from llamaindex_accel.judge import LLMJudge

__all__ = ["Accel", "EmbeddingsEncoder", "LLMJudge", "Limiter", "accelerate"]

_PLACES = {
    "Accel": "accel_core.accel",
    "EmbeddingsEncoder": "llamaindex_accel.encoder",
    "LLMJudge": "llamaindex_accel.judge",
    "Limiter": "accel_core.limiter",
    "accelerate": "llamaindex_accel._accelerate",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
