"""What may enter the cache, and what of it may be served by meaning.

A refusal is a reason in a fixed vocabulary, counted by it. Defaults refuse whatever would be wrong
to say twice: an answer that was cut off, refused, empty or failed; and a request whose temperature
asks for variety.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from accel_core.errors import ConfigError

_TRUNCATED = frozenset(
    {"length", "max_tokens", "max_output_tokens", "incomplete", "model_context_window_exceeded"}
    | {"pause_turn"}
)
_REFUSED = frozenset({"content_filter", "refusal", "safety", "blocklist", "prohibited_content"})
_FAILED = frozenset({"error", "malformed_function_call", "cancelled", "other"})


class Answer(NamedTuple):
    """An answer as an adapter hands it over.

    Attributes:
        payload: UTF-8 JSON that the adapter can turn back into its framework's objects.
        text: all text of the answer, only to see whether it is empty.
        tool_calls: whether it asks for tools; such an answer is only ever served exactly.
        finish_reasons: as the provider named them, of each choice.
        refused: whether the provider marked it as a refusal.
        cost_s: how long the model took, in seconds; 0: not known.
    """

    payload: bytes
    text: str
    tool_calls: bool = False
    finish_reasons: tuple[str, ...] = ()
    refused: bool = False
    cost_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What is admitted.

    Attributes:
        max_temperature: requests above it are neither looked up nor stored; unset is admissible.
        max_entry_bytes: answers larger than this, question included, are not stored.
    """

    max_temperature: float = 0.3
    max_entry_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if not self.max_temperature >= 0:
            raise ConfigError("max_temperature", self.max_temperature, "must be >= 0")
        if not self.max_entry_bytes > 0:
            raise ConfigError("max_entry_bytes", self.max_entry_bytes, "must be above 0")

    def refuses_request(self, temperature: float | None) -> str | None:
        """Return why a request must bypass the cache, or None."""
        if temperature is not None and not temperature <= self.max_temperature:
            return "temperature"
        return None

    def refuses_answer(self, answer: Answer, question: str) -> str | None:
        """Return why `answer` must not be stored, or None."""
        reasons = {reason.lower() for reason in answer.finish_reasons}
        if answer.refused or reasons & _REFUSED:
            return "refused"
        if reasons & _TRUNCATED:
            return "truncated"
        if reasons & _FAILED:
            return "error"
        if not answer.tool_calls and not answer.text.strip():
            return "empty"
        if len(answer.payload) + len(question) > self.max_entry_bytes:
            return "too_large"
        return None
