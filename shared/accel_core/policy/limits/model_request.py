"""What a call asks of a model whose requests nobody sees, as its charge is estimated from it.

Its prompt is spelled about as large as the provider is sent it; a file is spelled as a file, whose
tokens have nothing to do with its bytes.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from accel_core.policy.limits.usage_reader import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from accel_core.policy.identity import Turn

_MAXIMA: Final = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "maxTokens",
    "num_predict",
)
"""What models call the output that they allow themselves."""


class ModelRequest(NamedTuple):
    """What a call asks.

    Attributes:
        fields: those of its JSON that `token_estimate` reads.
        prompt: its bytes.
    """

    fields: dict[str, Any]
    prompt: bytes


def model_request(
    model: str, turns: Iterable[Turn], *parameters: Mapping[str, Any]
) -> ModelRequest:
    """Return what a call asks.

    Args:
        model: its name.
        turns: its prompt.
        *parameters: the call's own, then the model's: the first that says something is believed.

    >>> model_request("m", [], {"max_output_tokens": None}, {"num_predict": 9}).fields
    {'model': 'm', 'max_tokens': 9.0}
    """
    fields: dict[str, Any] = {"model": model}
    for known in parameters:
        maxima = [found for key in _MAXIMA if (found := amount(known.get(key))) is not None]
        if maxima:
            fields.setdefault("max_tokens", max(maxima))
        if known.get("n") is not None:
            fields.setdefault("n", known["n"])
    tools = next((known["tools"] for known in parameters if known.get("tools")), None)
    said = [(turn.role, turn.texts, turn.rest) for turn in turns]
    return ModelRequest(fields, _spelled([said, tools]))


def _spelled(value: object) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):  # such as half a pair of surrogates
        return repr(value).encode("utf-8", "replace")


def _plain(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return {"data": b64encode(value).decode()}
    return str(value)
