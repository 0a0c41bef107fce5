"""The ``agent_latency_optimization`` file of existing deployments, said in our own settings.

Its first level is one entry with us: an entry answers exactly and by meaning, so the larger bounds
and the semantic lifetime apply (with both levels on, the second answers whatever the first has
dropped). Parts that this version does not have are named in a warning and left out.
"""

from __future__ import annotations

import warnings
from typing import Any

from accel_core.errors import ConfigError

_ROOT = "agent_latency_optimization"
_LATER = {"batch_processing": "request batching"}
_SPECULATION = {
    "enabled": "enabled",
    "confidence_threshold": "threshold",
    "max_concurrent_specs": "at_once",
    "speculative_window_ms": "window_s",
}
_LOCAL_MODELS = {"all-minilm-l6-v2", "sentence-transformers/all-minilm-l6-v2"}


PLACES = {
    "cache.memory.max_entries": f"{_ROOT}.cache.*.max_entries",
    "cache.ttl.base_s": f"{_ROOT}.cache.*.ttl_seconds",
    "cache.exact": f"{_ROOT}.cache.l1_exact_cache.enabled",
    "cache.semantic.enabled": f"{_ROOT}.cache.l2_semantic_cache.enabled",
    "cache.semantic.min_similarity": f"{_ROOT}.cache.l2_semantic_cache.similarity_threshold",
    "cache.semantic.encoder.model": f"{_ROOT}.cache.l2_semantic_cache.embedding_model",
    "cache.single_flight.enabled": f"{_ROOT}.deduplication.enabled",
    "speculation.reuse_s": f"{_ROOT}.deduplication.cache_window_ms",
    **{
        f"speculation.{ours}": f"{_ROOT}.spec_execution.{theirs}"
        for theirs, ours in _SPECULATION.items()
    },
}
"""Where a setting of ours came from, for errors that name the place in the file."""


def speaks(data: Any) -> bool:
    """Whether `data` is in the dialect."""
    return isinstance(data, dict) and _ROOT in data


def translate(data: Any) -> Any:
    """Return `data` in our own settings; anything but the dialect is returned as it is.

    Raises:
        ConfigError: the dialect's file has a section or setting that is unknown.
    """
    if not speaks(data):
        return data
    if len(data) > 1:
        others = sorted(str(key) for key in data if key != _ROOT)
        raise ConfigError(others[0], data[others[0]], f"cannot stand beside {_ROOT!r}")
    known = {"cache", "deduplication", "spec_execution", *_LATER}
    sections = _section(data[_ROOT], _ROOT, known)
    for name, feature in _LATER.items():
        if _section(sections.get(name), f"{_ROOT}.{name}", None).get("enabled", False):
            warnings.warn(
                f"{_ROOT}.{name}: {feature} is not in this version; the section has no effect",
                UserWarning,
                stacklevel=2,
            )
    cache = _cache(_section(sections.get("cache"), f"{_ROOT}.cache", {*_LEVELS}))
    place = f"{_ROOT}.deduplication"
    dedup = _section(sections.get("deduplication"), place, {"enabled", "cache_window_ms"})
    cache["single_flight"] = {"enabled": dedup.get("enabled", True)}
    place = f"{_ROOT}.spec_execution"
    speculation = _speculation(_section(sections.get("spec_execution"), place, {*_SPECULATION}))
    if "cache_window_ms" in dedup:
        reuse_ms = dedup["cache_window_ms"]
        speculation["reuse_s"] = _seconds(reuse_ms, PLACES["speculation.reuse_s"])
    return {"cache": cache, "speculation": speculation}


_EXACT_KEYS = {"enabled", "max_entries", "ttl_seconds"}
_LEVELS = {
    "l1_exact_cache": _EXACT_KEYS,
    "l2_semantic_cache": _EXACT_KEYS | {"embedding_model", "similarity_threshold"},
}


def _cache(levels: dict[str, Any]) -> dict[str, Any]:
    """Translate the two levels."""
    exact, semantic = (
        _section(levels.get(name), f"{_ROOT}.cache.{name}", keys) for name, keys in _LEVELS.items()
    )
    exact_on, semantic_on = exact.get("enabled", bool(exact)), semantic.get("enabled", False)
    active = [level for level, on in ((exact, exact_on), (semantic, semantic_on)) if on]
    cache: dict[str, Any] = {"enabled": bool(active), "exact": exact_on}
    entries = [level["max_entries"] for level in active if "max_entries" in level]
    if entries:
        cache["memory"] = {"max_entries": max(entries)}
    lifetimes = [level["ttl_seconds"] for level in active if "ttl_seconds" in level]
    if lifetimes:
        cache["ttl"] = {"base_s": lifetimes[-1]}
    cache["semantic"] = {"enabled": semantic_on}
    if "similarity_threshold" in semantic:
        cache["semantic"]["min_similarity"] = semantic["similarity_threshold"]
    if "embedding_model" in semantic:
        cache["semantic"]["encoder"] = _encoder(semantic["embedding_model"])
    return cache


def _speculation(section: dict[str, Any]) -> dict[str, Any]:
    said = {ours: section[name] for name, ours in _SPECULATION.items() if name in section}
    if "window_s" in said:
        said["window_s"] = _seconds(said["window_s"], PLACES["speculation.window_s"])
    return said


def _seconds(milliseconds: Any, place: str) -> float:
    if not isinstance(milliseconds, (int, float)) or isinstance(milliseconds, bool):
        raise ConfigError(place, milliseconds, "must be a number of milliseconds")
    return milliseconds / 1000


def _encoder(model: Any) -> dict[str, Any]:
    if isinstance(model, str) and model.lower() in _LOCAL_MODELS:
        return {"kind": "minilm"}
    return {"kind": "openai", "model": model}


def _section(data: Any, place: str, known: set[str] | None) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(place, data, "must be a mapping of settings")
    for key, value in data.items():
        if known is not None and key not in known:
            listed = ", ".join(sorted(known))
            raise ConfigError(f"{place}.{key}", value, f"unknown setting; known here: {listed}")
    return data
