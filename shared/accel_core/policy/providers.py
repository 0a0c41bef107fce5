"""Whose integration a model's class is: frameworks name their packages after providers.

What is asked through OpenAI's classes at another address is told as OpenAI's, as the frameworks do.
"""

from __future__ import annotations

import functools

_NO_PROVIDERS = frozenset({"core", "community", "classic", "accel", "experimental"})


@functools.lru_cache(maxsize=1024)
def provider_of(kind: type) -> str:
    """Return the provider of a model's class, or of what it derives from; ``""``: not known.

    ``langchain_openai…`` and ``llama_index.llms.openai…`` are ``openai``; of Azure's classes, which
    stand beside OpenAI's, it is ``azure``.
    """
    for base in kind.__mro__:
        match base.__module__.split("."):
            case ["llama_index", "llms" | "embeddings", named, *_]:
                found = named
            case [package, *_] if package.startswith("langchain_"):
                found = package.removeprefix("langchain_")
            case _:
                continue
        if found not in _NO_PROVIDERS:
            return "azure" if base.__name__.startswith("Azure") and found == "openai" else found
    return ""
