"""The core of llm-accel: everything but the frameworks.

`Accel` is what applications configure; the adapters (``langchain_accel``, ``llamaindex_accel``) put
it to work. Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.batched import batched
    from accel_core.config import AccelConfig
    from accel_core.limited_call import Retries
    from accel_core.limiter import Limiter
    from accel_core.observer.statistics import Statistics
    from accel_core.policy.limits.retry import RetryPolicy
    from accel_core.store.redis_levels import RedisLevels
    from accel_core.verifier.cross_encoder import CrossEncoderVerifier, NLIVerifier
    from accel_core.warming.run import awarm, warm

__all__ = [
    "Accel",
    "AccelConfig",
    "CrossEncoderVerifier",
    "Limiter",
    "NLIVerifier",
    "Receipt",
    "RedisLevels",
    "Retries",
    "RetryPolicy",
    "Statistics",
    "awarm",
    "batched",
    "warm",
]

_PLACES = {
    "Accel": "accel_core.accel",
    "AccelConfig": "accel_core.config",
    "CrossEncoderVerifier": "accel_core.verifier.cross_encoder",
    "Limiter": "accel_core.limiter",
    "NLIVerifier": "accel_core.verifier.cross_encoder",
    "Receipt": "accel_core.forgetting",
    "RedisLevels": "accel_core.store.redis_levels",
    "Retries": "accel_core.limited_call",
    "RetryPolicy": "accel_core.policy.limits.retry",
    "Statistics": "accel_core.observer.statistics",
    "awarm": "accel_core.warming.run",
    "warm": "accel_core.warming.run",
    "batched": "accel_core.batched",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
