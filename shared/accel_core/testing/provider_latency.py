"""How long a simulated provider takes: the first token, every further one, and the batch.

A call's whole course is known when it is admitted, so that nothing has to be stepped: it joins
the batch at once, or when enough earlier calls will have ended, and keeps the pace of the batch
it joined.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The law of one deployment.

    Attributes:
        base_s: before anything else.
        prefill_s: of one prompt token that is not cached.
        first_s: median of the rest of the time to the first token.
        first_sigma: its spread, of the logarithm.
        token_s: median of the time per output token of a batch that costs nothing.
        token_sigma: its spread between calls, of the logarithm.
        free_batch: calls that run together at full pace.
        slope: share by which each further one slows all of them down.
        max_num_seqs: calls that run together at most; further ones wait. None: no limit.
    """

    base_s: float = 0.05
    prefill_s: float = 0.00005
    first_s: float = 0.4
    first_sigma: float = 0.5
    token_s: float = 0.012
    token_sigma: float = 0.2
    free_batch: int = 0
    slope: float = 0.0
    max_num_seqs: int | None = None

    def pace_s(self, batch: int) -> float:
        """Return the median time per output token in a batch of so many calls."""
        return self.token_s * (1 + max(0, batch - self.free_batch) * self.slope)


HOSTED = Latency()
SELF_HOSTED = Latency(
    prefill_s=0.0002,
    first_s=0.05,
    first_sigma=0.3,
    token_s=0.01,
    token_sigma=0.05,
    free_batch=16,
    slope=0.04,
    max_num_seqs=64,
)
"""Like vLLM with 64 sequences: 10 ms per token for up to 16 together, 29 ms for 64."""


class Course(NamedTuple):
    """When a call's tokens come, in seconds after its admission.

    Attributes:
        first_s: until its first token.
        token_s: between two tokens.
        end_s: until its last token.
    """

    first_s: float
    token_s: float
    end_s: float


class Batch:
    """The calls of one deployment that run or wait, by the moments at which they will end."""

    def __init__(self, latency: Latency, dice: Random) -> None:
        self._latency, self._dice = latency, dice
        self._ends: list[float] = []

    def join(
        self, prompt_tokens: int, output_tokens: int, now: float, capacity: float = 1.0
    ) -> Course:
        """Return the course of a call that arrives now.

        Args:
            prompt_tokens: that are not cached.
            output_tokens: that it will produce.
            now: the moment.
            capacity: share of the deployment that is there.
        """
        law = self._latency
        del self._ends[: bisect_right(self._ends, now)]
        waiting_s, batch = 0.0, len(self._ends) + 1
        if law.max_num_seqs is not None:
            seats = max(1, round(law.max_num_seqs * capacity))
            if batch > seats:
                waiting_s, batch = self._ends[batch - 1 - seats] - now, seats
        spread = self._dice.lognormvariate
        first_s = law.base_s + law.prefill_s * prompt_tokens
        first_s += waiting_s + law.first_s * spread(0.0, law.first_sigma)
        token_s = law.pace_s(batch) * spread(0.0, law.token_sigma)
        end_s = first_s + token_s * max(0, output_tokens - 1)
        insort(self._ends, now + end_s)
        return Course(first_s, token_s, end_s)

    def leave(self, end: float) -> None:
        """Forget a call that was broken off before its `end`, a moment."""
        place = bisect_right(self._ends, end) - 1
        if place >= 0 and self._ends[place] == end:
            del self._ends[place]
