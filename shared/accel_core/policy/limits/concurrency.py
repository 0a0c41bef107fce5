"""How many calls may be under way at a provider that states no limit: found by its slowing down.

A server that batches answers more slowly the more it has to do, first in the time to the first
token (its queue) and then in the time per token (its batch). Both are compared with what they are
when it is idle, since neither alone says enough: a prompt's length moves the first, an answer's
length neither, and a full batch hides behind the second. Additive increase, multiplicative decrease
(Chiu & Jain 1989), with slow start until the first cut. A limit that is not used is not raised:
where a bucket or the application holds calls back, growing would prove nothing.

Gradients on raw latency read a longer answer as congestion, and ignore refusals; see Netflix's
concurrency-limits for the other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW_S: Final = 1.0
"""How often the limit may change."""
_SLOW_FIRST_TOKEN = 4.0
_SLOW_PER_TOKEN = 2.2
"""How many times the idle value counts as congestion."""
_CUT, _CUT_REFUSED = 0.9, 0.85
_USED_ENOUGH = 0.8
_SLOW_START = 1.5
_CAREFUL = 0.1
_EARLY, _LATE = 0.1, 0.9
_FORGET = 0.002
"""Share by which an idle value rises each window: a provider that grew slower is learned."""
_PROMPT_TOKENS = 2_000.0
"""A prompt as long as this doubles the time to the first token of an idle server, roughly."""


class Answered(NamedTuple):
    """What one answer says about its provider's load.

    Attributes:
        first_token_s: from sending to the first token; None where the answer came whole.
        prompt_tokens: that had to be read for it.
        per_token_s: time per token after the first; None where too few were seen.
    """

    first_token_s: float | None
    prompt_tokens: float
    per_token_s: float | None


class Concurrency:
    """The number of calls that may be under way.

    Args:
        start: at first.
        least: never fewer.
        most: never more.
    """

    def __init__(self, start: int = 8, least: int = 1, most: int = 1_000) -> None:
        self._limit, self._least, self._most = float(start), least, most
        self._starting = True
        self._refused = False
        self._peak = 0
        self._answers: list[Answered] = []
        self._window_s: float | None = None
        self._cut_s = float("-inf")
        self._ceiling = float("inf")
        self._idle_first_s = self._idle_token_s = 0.0

    @property
    def limit(self) -> int:
        """How many may be under way."""
        return int(self._limit)

    def under_way(self, count: int) -> None:
        """Note how many are."""
        self._peak = max(self._peak, count)

    def answered(self, one: Answered) -> None:
        """Note an answer."""
        self._answers.append(one)

    def refused(self) -> None:
        """Note a refusal, an overload or a time-out."""
        self._refused = True

    def review(self, now_s: float) -> int:
        """Return the limit from now on; it changes once a window, and only on evidence."""
        if self._window_s is None:
            self._window_s = now_s
        if self._refused and now_s - self._cut_s >= WINDOW_S:
            self._ceiling = min(self._limit, float(self._peak))
            self._cut(_CUT_REFUSED * self._ceiling, now_s)
        elif now_s - self._window_s < WINDOW_S or not self._answers:
            return self.limit
        elif self._congestion() > 1.0:
            self._cut(_CUT * self._limit, now_s)
        elif self._peak >= _USED_ENOUGH * self._limit:
            self._grow()
        self._answers.clear()
        self._refused, self._peak, self._window_s = False, 0, now_s
        return self.limit

    def _cut(self, limit: float, now_s: float) -> None:
        self._limit, self._starting = max(float(self._least), limit), False
        self._cut_s = now_s

    def _grow(self) -> None:
        """Grow at once to near where it was refused last, and from there carefully."""
        step = self._limit * (_SLOW_START - 1.0) if self._starting else max(1.0, 0.03 * self._limit)
        self._ceiling *= 1.0 + _FORGET
        if self._limit + step >= self._ceiling:
            step = _CAREFUL
        self._limit = min(float(self._most), self._limit + step)

    def _congestion(self) -> float:
        """Return how many times slower than it may be the server has become; above 1: too slow."""
        first_s = sorted(
            one.first_token_s / (1.0 + one.prompt_tokens / _PROMPT_TOKENS)
            for one in self._answers
            if one.first_token_s is not None
        )
        per_token_s = sorted(one.per_token_s for one in self._answers if one.per_token_s)
        congestion = 0.0
        if first_s:
            self._idle_first_s = _lowest(self._idle_first_s, _quantile(first_s, _EARLY))
            slowness = _quantile(first_s, _LATE) / self._idle_first_s
            congestion = slowness / _SLOW_FIRST_TOKEN
        if per_token_s:
            self._idle_token_s = _lowest(self._idle_token_s, _quantile(per_token_s, _EARLY))
            slowness = _quantile(per_token_s, 0.5) / self._idle_token_s
            congestion = max(congestion, slowness / _SLOW_PER_TOKEN)
        return congestion


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[int(share * len(ordered))]


def _lowest(known_s: float, seen_s: float) -> float:
    """Return the idle value after a window: the lowest seen, forgotten slowly."""
    return seen_s if not known_s else min(known_s * (1.0 + _FORGET), seen_s)
