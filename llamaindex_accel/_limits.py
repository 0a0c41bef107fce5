"""Language models kept within a provider's limits.

Where a model asks through clients of OpenAI's library, the copy's own clients are replaced by
limited ones, which see requests and headers. Any other model's calls are limited around the eight
methods, by what LlamaIndex's messages and responses say (`accel_core.model_calls`).

Either way neither clients nor the model retry anything themselves where that can be switched off:
attempts of several layers multiply. The user's model and its clients stay untouched.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from accel_core.errors import UnsupportedError
from accel_core.model_calls import switch_off_retries
from accel_core.policy.limits.model_request import model_request
from accel_core.policy.limits.usage_reader import usage_of
from llamaindex_accel._identity import seen
from llamaindex_accel._turns import from_messages, from_prompt
from llamaindex_accel._usage import Told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.limiter import Limiter
    from accel_core.model_calls import ModelCalls
    from accel_core.policy.limits.charge import Usage
    from accel_core.policy.limits.model_request import ModelRequest

_CLIENTS = (("_client", "_get_client"), ("_aclient", "_get_aclient"))
_LIMITER = "_accel_limiter"
"""Where a model that makes its clients anew for each call keeps what limits them."""
_CALLS = "_accel_calls_limiter"
"""Where any other model keeps what carries its calls out."""


def limit(llm: BaseLLM, limiter: Limiter) -> None:
    """Let `llm`, a copy of the user's, ask through `limiter`."""
    private = llm.__pydantic_private__
    if private is None:
        private = {}
        object.__setattr__(llm, "__pydantic_private__", private)
    made: Any = llm
    if not getattr(made, "reuse_client", True) and hasattr(made, _CLIENTS[0][1]):
        vars(made)["max_retries"] = 0
        private[_LIMITER] = limiter
        return
    try:
        limited = {
            name: limiter.limited(private.get(name) or getattr(made, getter, _no_client)())
            for name, getter in _CLIENTS
        }
    except UnsupportedError:
        once = not switch_off_retries(vars(made), private.values())
        private[_CALLS] = limiter.model_calls(UsageReader, once=once)
    else:
        vars(made)["max_retries"] = 0
        private.update(limited)


def _no_client() -> None:
    """Stand for a method that a model does not have."""


def calls_of(llm: BaseLLM) -> ModelCalls | None:
    """Return what the calls of `llm` are carried out by; None: they need nothing around them."""
    found: ModelCalls | None = (llm.__pydantic_private__ or {}).get(_CALLS)
    return found


def call_request(llm: BaseLLM, asked: Any, arguments: Mapping[str, Any]) -> ModelRequest:
    """Return what a call asks: `asked` is its messages or its prompt."""
    turns = from_prompt(asked) if isinstance(asked, str) else from_messages(asked)
    fields = vars(llm)
    model = arguments.get("model") or fields.get("model") or fields.get("model_name") or ""
    nested = fields.get("additional_kwargs")
    more = nested if isinstance(nested, dict) else {}
    return model_request(str(model), turns, seen(arguments), more, fields)


class UsageReader:
    """Reads responses; of a stream's, the last word counts."""

    def __init__(self) -> None:
        self._told, self._text = Told(), ""

    def __call__(self, part: Any) -> tuple[Usage | None, str]:
        """Return the usage so far, and what `part` adds to the text."""
        if not isinstance(part, (ChatResponse, CompletionResponse)):
            return None, ""
        usage = usage_of({"usage": self._told.note(part).usage})
        if part.delta is not None:
            return usage, part.delta
        text = (part.text if isinstance(part, CompletionResponse) else part.message.content) or ""
        added, self._text = text[len(self._text) :], text
        return usage, added


def limited_getters(base: type[Any]) -> dict[str, Any]:
    """Return what replaces the methods in which `base` makes its clients."""
    return {name: _limited(getattr(base, name)) for _, name in _CLIENTS if hasattr(base, name)}


def _limited(getter: Any) -> Any:
    @functools.wraps(getter)
    def get(self: Any) -> Any:
        limiter = self.__pydantic_private__.get(_LIMITER)
        return getter(self) if limiter is None else limiter.limited(getter(self))

    return get
