"""Calls for the limiters: open loads at a share of the provider's rate, with seeded dice.

The sizes: prompts around 140 tokens, at most 256 out, around 90 said; in some mixes 4 % of the
prompts are around 2,700. A call is charged 415 tokens on average, 517 with the large ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TOKENS = 256
RATE_PER_S = 1_000.0
"""Tokens per second of the 60k per minute that all loads are a share of."""


class Call(NamedTuple):
    """One call of an application.

    Attributes:
        at_s: the moment it is made.
        prompt_tokens: as a tokenizer counts them.
        output_tokens: what the model would say.
        max_tokens: what it may say.
        large: whether its prompt is one of the large ones.
        tier: of its caller.
    """

    at_s: float
    prompt_tokens: int
    output_tokens: int
    max_tokens: int = MAX_TOKENS
    large: bool = False
    tier: str | None = None


@dataclass(frozen=True, kw_only=True)
class Load:
    """An open load: callers do not wait for one another.

    Attributes:
        share: of the rate that is asked for; above 1 it cannot all be served.
        large_share: of the calls have a large prompt.
        duration_s: of the arrivals.
        burst: calls that arrive together.
    """

    share: float
    large_share: float = 0.0
    duration_s: float = 450.0
    burst: int = 1

    @property
    def mean_tokens(self) -> float:
        """Return what a call is charged on average."""
        small, large = 140 * math.exp(0.5**2 / 2), 2_600 * math.exp(0.25**2 / 2)
        return MAX_TOKENS + (1 - self.large_share) * small + self.large_share * large

    def calls(self, seed: int) -> Iterator[Call]:
        """Yield the calls in the order of their arrival."""
        dice = Random(seed)
        per_s = self.share * RATE_PER_S / self.mean_tokens / self.burst
        at_s = dice.expovariate(per_s)
        while at_s < self.duration_s:
            for _ in range(self.burst):
                yield self._call(at_s, dice)
            at_s += dice.expovariate(per_s)

    def _call(self, at_s: float, dice: Random) -> Call:
        large = dice.random() < self.large_share
        prompt = dice.lognormvariate(math.log(2_600), 0.25) if large else small_prompt(dice)
        output = dice.lognormvariate(math.log(90), 0.6)
        return Call(at_s, max(1, round(prompt)), max(1, round(output)), large=large)


def small_prompt(dice: Random) -> float:
    """Return the tokens of an ordinary prompt."""
    return dice.lognormvariate(math.log(140), 0.5)
