"""The settings of tool calls done before they are asked for: the section ``speculation``."""

from __future__ import annotations

from dataclasses import dataclass

from accel_core.policy.speculation import SpeculationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationConfig(SpeculationSettings):
    """How far speculation goes, and with which tools; the other attributes are its settings'.

    Attributes:
        enabled: whether any tool is called unasked, or any result shared.
        tools: names of tools that are free of side effects, beside those marked `speculatable`.
        static: names of those that also return the same for a while, whatever happens.
    """

    enabled: bool = True
    tools: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
