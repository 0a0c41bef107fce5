"""What a response tells of its call: model, usage, finish reasons, refusal.

Integrations tell it in ``raw`` (an SDK's object or a dict), in the response's ``additional_kwargs``
and, through adapters between chat and completion, in those of the message. Usage is never part of a
request's identity, and a replay's is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import BaseModel

from accel_core.payload import zeroed

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

_WHOLE = ("usage", "usage_metadata", "token_usage")
_ENDINGS = ("_tokens", "_token_count", "_tokens_details")
_REASONS = ("finish_reason", "stop_reason", "done_reason")
_CHOICES = ("choices", "candidates")


def is_usage(name: str) -> bool:
    """Whether an entry of ``additional_kwargs`` tells what a call cost."""
    return name in _WHOLE or name.endswith(_ENDINGS)


def free(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `kwargs` with every usage in it zero, keys and shape as they were."""
    return {key: zeroed(value) if is_usage(key) else value for key, value in kwargs.items()}


class Told:
    """What the responses of one call tell; of a stream's chunks, the last word counts.

    Attributes:
        usage: what the call cost, as the provider names it; None where it says nothing.
        reasons: why it finished, of each choice.
        refused: whether the provider marked it as a refusal.
    """

    def __init__(self) -> None:
        self.usage: dict[str, Any] | None = None
        self.reasons: list[str] = []
        self.refused = False
        self._model: str | None = None
        self._place = ""

    def note(self, response: ChatResponse | CompletionResponse) -> Told:
        """Take note of what `response` tells."""
        raw = response.raw
        model = _get(raw, "model")
        if isinstance(model, str):
            self._model = model
        self._note_usage(raw, response.additional_kwargs)
        choices = [one for name in _CHOICES for one in _get(raw, name) or ()]
        self.refused = self.refused or any(_refuses(choice) for choice in choices)
        self.reasons = _reasons([raw, *choices]) or self.reasons
        return self

    def _note_usage(self, raw: Any, kwargs: Mapping[str, Any]) -> None:
        for place in _WHOLE:
            usage = _dict(_get(raw, place))
            if usage:
                self.usage, self._place = usage, place
                return
        counts = {key: value for key, value in kwargs.items() if is_usage(key)}
        if counts and not self._place:
            self.usage = counts

    def raw(self) -> dict[str, Any] | None:
        """Return what a replay keeps of ``raw``; None where nothing was told."""
        kept: dict[str, Any] = {}
        if self._model is not None:
            kept["model"] = self._model
        if self._place:
            kept[self._place] = zeroed(self.usage)
        if self.reasons:
            kept["choices"] = [{"finish_reason": reason} for reason in self.reasons]
        return kept or None


def _get(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, BaseModel):
        # Asking a Pydantic object for what it has not costs ten times as much.
        found = vars(value).get(name)
        return found if found is not None else (value.__pydantic_extra__ or {}).get(name)
    return getattr(value, name, None)


def _dict(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(value, "model_dump", None)
    dumped = dump(mode="json") if dump is not None else None
    return dumped if isinstance(dumped, dict) else None


def _reasons(places: list[Any]) -> list[str]:
    found = [_get(place, name) for place in places for name in _REASONS]
    named = [getattr(reason, "value", reason) for reason in found]
    return [reason for reason in named if isinstance(reason, str)]


def _refuses(choice: Any) -> bool:
    return any(_get(_get(choice, part), "refusal") for part in ("message", "delta"))
