"""Language models of OpenAI's clients kept within a provider's limits.

The copy's own clients are replaced by limited ones, and neither they nor the model retry anything
themselves: attempts of several layers multiply. The user's model and its clients stay untouched.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from accel_core.errors import UnsupportedError

if TYPE_CHECKING:
    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.limiter import Limiter

_CLIENTS = (("_client", "_get_client"), ("_aclient", "_get_aclient"))
_LIMITER = "_accel_limiter"
"""Where a model that makes its clients anew for each call keeps what limits them."""


def limit(llm: BaseLLM, limiter: Limiter) -> None:
    """Let `llm`, a copy of the user's, ask through `limiter`.

    Raises:
        UnsupportedError: it has no clients of OpenAI's library.
    """
    private = llm.__pydantic_private__
    if private is None or any(name not in private for name, _ in _CLIENTS):
        raise UnsupportedError(
            "a limiter works for LLMs that ask through clients of the openai library (OpenAI, "
            "OpenAIResponses, OpenAILike); give the SDK of others limiter.limited(httpx.Client())"
            f"; got {type(llm).__name__}"
        )
    made: Any = llm
    vars(made)["max_retries"] = 0
    if not getattr(made, "reuse_client", True):
        private[_LIMITER] = limiter
        return
    for name, getter in _CLIENTS:
        private[name] = limiter.limited(private[name] or getattr(made, getter)())


def limited_getters(base: type[Any]) -> dict[str, Any]:
    """Return what replaces the methods in which `base` makes its clients."""
    return {name: _limited(getattr(base, name)) for _, name in _CLIENTS if hasattr(base, name)}


def _limited(getter: Any) -> Any:
    @functools.wraps(getter)
    def get(self: Any) -> Any:
        limiter = self.__pydantic_private__.get(_LIMITER)
        return getter(self) if limiter is None else limiter.limited(getter(self))

    return get
