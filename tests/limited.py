"""What tests of limits share: a quick provider, and what a limiter let through or holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core.testing.provider import SimulatedProvider
from accel_core.testing.provider_answers import ProviderAnswers
from accel_core.testing.provider_rules import faster, openai

if TYPE_CHECKING:
    from accel_core import Limiter
    from accel_core.testing.provider_rules import ProviderRules

LIMIT = 600_000
"""Tokens a minute: 10,000 come back each second."""
TPM = 60_000
"""Tokens a minute of limiters that are looked at, and not waited for."""


def quick_rules(tokens: int) -> ProviderRules:
    """Return OpenAI's rules, answered in a hundredth of the time and counted exactly."""
    return replace(openai(tokens=tokens), latency=faster(openai(), 100).latency, count_sigma=0.0)


def quick_answers(tokens: int) -> ProviderAnswers:
    """Return what a provider of `tokens` a minute answers, or refuses."""
    return ProviderAnswers(SimulatedProvider(quick_rules(tokens), seed=1))


def served(limiter: Limiter) -> int:
    """Return how many calls it let through to an answer; none may hold anything."""
    state = limiter.state()
    assert state.under_way == state.waiting == 0
    return sum(one.kept + one.late for one in state.attained.values())


def taken(limiter: Limiter) -> float:
    """Return how many tokens are missing from its bucket of `TPM`; no call may hold anything."""
    state = limiter.state()
    assert state.under_way == state.waiting == 0
    free = next(size for size in range(TPM, 0, -50) if limiter.eta_s(0, size) == 0.0)
    return TPM - free
