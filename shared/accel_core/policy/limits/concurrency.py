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

from typing import Final, NamedTuple

WINDOW_S: Final = 1.0
"""How often the limit may change."""
_SLOW_FIRST_TOKEN = 3.0
_SLOW_PER_TOKEN = 2.0
"""How many times the idle value counts as congestion."""
_CUT, _CUT_REFUSED = 0.9, 0.85
_USED_ENOUGH = 0.8
_SLOW_START = 1.5
_FORGET = 0.002
"""Share by which an idle value rises each window: a provider that grew slower is learned."""
_LATE_QUANTILE = 0.9
_PROMPT_WEIGHT = 0.05


class Answered(NamedTuple):
    """What one answer says about its provider's load.

    Attributes:
        first_token_s: from sending to the first token.
        prompt_tokens: that had to be read for it.
        per_token_s: time per token after the first; None where too few were seen.
    """

    first_token_s: float
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
        self._idle_first_s = self._idle_token_s = 0.0
        self._per_prompt_token_s = 0.0

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
        if now_s - self._window_s < WINDOW_S or not (self._answers or self._refused):
            return self.limit
        if self._refused:
            self._cut(_CUT_REFUSED)
        elif self._is_congested():
            self._cut(_CUT)
        elif self._peak >= _USED_ENOUGH * self._limit:
            grown = self._limit * _SLOW_START if self._starting else self._limit + 1.0
            self._limit = min(float(self._most), grown)
        self._answers.clear()
        self._refused, self._peak, self._window_s = False, 0, now_s
        return self.limit

    def _cut(self, factor: float) -> None:
        self._limit, self._starting = max(float(self._least), self._limit * factor), False

    def _is_congested(self) -> bool:
        first_s = sorted(self._without_prompt(one) for one in self._answers)
        late_s = first_s[min(len(first_s) - 1, int(_LATE_QUANTILE * len(first_s)))]
        tokens_s = sorted(one.per_token_s for one in self._answers if one.per_token_s is not None)
        self._idle_first_s = _lowest(self._idle_first_s, first_s[0])
        congested = late_s > _SLOW_FIRST_TOKEN * self._idle_first_s
        if tokens_s:
            self._idle_token_s = _lowest(self._idle_token_s, tokens_s[0])
            usual_s = tokens_s[len(tokens_s) // 2]
            congested = congested or usual_s > _SLOW_PER_TOKEN * self._idle_token_s
        return congested

    def _without_prompt(self, one: Answered) -> float:
        """Return the time to the first token less what reading the prompt usually takes."""
        surplus_s = one.first_token_s - self._idle_first_s
        if self._idle_first_s and one.prompt_tokens > 0 and surplus_s > 0:
            each_s = surplus_s / one.prompt_tokens
            known_s = self._per_prompt_token_s or each_s
            if each_s < 2.0 * known_s:
                self._per_prompt_token_s = known_s + _PROMPT_WEIGHT * (each_s - known_s)
        read_s = self._per_prompt_token_s * one.prompt_tokens
        return max(one.first_token_s - read_s, one.first_token_s / 4)


def _lowest(known_s: float, seen_s: float) -> float:
    """Return the idle value after a window: the lowest seen, forgotten slowly."""
    return seen_s if not known_s else min(known_s * (1.0 + _FORGET), seen_s)
