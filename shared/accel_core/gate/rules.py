"""A gate that knows small talk by heart: microseconds, no encoder, no training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.ports import GateDecision

if TYPE_CHECKING:
    from accel_core.policy.small_talk import SmallTalk


class RulesGate:
    """Skips what `talk` recognises.

    Args:
        talk: the phrases of some languages.
    """

    blocking = False

    def __init__(self, talk: SmallTalk) -> None:
        self._talk = talk

    def needs_retrieval(self, text: str) -> GateDecision:
        """Return whether documents should be searched for `text`."""
        kind = self._talk.kind(text)
        return GateDecision(kind is None, kind or "question")

    def __repr__(self) -> str:
        return f"RulesGate({self._talk!r})"
