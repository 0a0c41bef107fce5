"""How many calls may be under way at a provider that states no limit: as many as help.

Two questions are asked of a server that batches, and each alone is not enough. Do calls wait for
their turn? Those that have been sent and have said nothing for several times as long as an idle
server takes are counted while they wait: what waits would do better to wait here, in order of
deadline, so the limit falls by as many at once. Does working on more at once still do more? That is
what the time per token says (`BatchScaling`), which is known only when answers end: so the limit
never goes far from where the last answers were seen. Refusals, overloads and time-outs cut it as
well (multiplicative decrease; Chiu & Jain 1989).

After a cut it returns to where it was cut, stays there for a while and then tries more and more,
the curve being CUBIC's (Ha, Rhee & Xu 2008): a limit that was found is touched seldom, one that has
gone is soon left behind. A limit that is not used is not raised: where a bucket or the application
holds calls back, growing would prove nothing.

Gradients on raw latency read a longer answer as congestion, and ignore refusals; see Netflix's
concurrency-limits for the other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accel_core.policy.limits.batch_scaling import BatchScaling

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from accel_core.policy.limits.charge import Demand

WINDOW_S: Final = 1.0
"""How often the limit may change."""
_OVERDUE = 4.0
"""Times what an idle server takes to its first token after which a call counts as waiting."""
_MAY_WAIT = 0.03
"""Share of the calls under way that may wait: by Little's law, of their time spent waiting."""
_WORTH = 0.1
"""Per cent more tokens that one per cent more calls must bring."""
_CUT, _CUT_REFUSED = 0.93, 0.85
_MOST_CUT = 0.5
_PLATEAU_S = 30.0
"""After a cut, until the limit is where it was cut; as long again, until it is as far beyond."""
_STARTING, _BEYOND = 1.5, 1.25
"""Times the calls under way that answers were seen at: what may be tried next."""
_AT_HAND, _FEWEST = 0.5, 4.0
"""Answers that say how many were under way of late: for each of those, and at least."""
_USED_ENOUGH = 0.8
_TOKENS_TO_TELL = 5.0
_EARLY = 0.1
_FORGET = 0.002
"""Share by which an idle value rises each window: a provider that grew slower is learned."""
_PROMPT_TOKENS = 2_000.0
"""A prompt as long as this doubles the time to the first token of an idle server, roughly."""


class _Call:
    """A call under way.

    Attributes:
        began_s: when its first token came, or it was sent where that is not seen.
        area_s: the area under the number of calls until it was sent.
        prompt: times by which its prompt prolongs the time to its first token.
        silent: whether its first token is still to be seen.
    """

    __slots__ = ("area_s", "began_s", "prompt", "sent_s", "silent")

    def __init__(self, demand: Demand, sent_s: float, area_s: float) -> None:
        self.sent_s = self.began_s = sent_s
        self.area_s, self.silent = area_s, demand.streamed
        self.prompt = 1.0 + demand.input_tokens / _PROMPT_TOKENS


class Concurrency:
    """The number of calls that may be under way.

    Args:
        start: at first.
        least: never fewer.
        most: never more.
    """

    def __init__(self, start: int = 8, least: int = 1, most: int = 1_000) -> None:
        self._limit, self._least, self._most = float(start), float(least), float(most)
        self._calls: dict[Hashable, _Call] = {}
        self._area_s = self._area_at_s = 0.0
        self._peak, self._refused, self._floor = 0, False, 0.0
        self._window_s: float | None = None
        self._starting = True
        self._cut_s, self._ceiling = float("-inf"), self._limit
        self._first_s: list[float] = []
        self._idle_first_s = 0.0
        self._scaling = BatchScaling()
        self._seen_at = 0.0

    @property
    def limit(self) -> int:
        """How many may be under way."""
        return int(self._limit)

    def sent(self, call: Hashable, demand: Demand, now_s: float) -> None:
        """Note that `call` is under way; only one that is streamed tells when it is served."""
        self._pass(now_s)
        self._calls[call] = _Call(demand, now_s, self._area_s)
        self._peak = max(self._peak, len(self._calls))

    def first_token(self, call: Hashable, now_s: float) -> None:
        """Note that a call's answer has begun."""
        one = self._calls.get(call)
        if one is not None and one.silent:
            one.silent, one.began_s = False, now_s
            self._first_s.append((now_s - one.sent_s) / one.prompt)

    def ended(self, call: Hashable, now_s: float, tokens: float | None = None) -> None:
        """Note that a call is no longer under way; `tokens`: of its answer, None: it has none."""
        self._pass(now_s)
        one = self._calls.pop(call, None)
        if one is None or tokens is None or now_s <= one.sent_s:
            return
        shared = max(1.0, (self._area_s - one.area_s) / (now_s - one.sent_s))
        fresh = 1.0 / max(_FEWEST, _AT_HAND * shared)
        self._seen_at += (shared - self._seen_at) * (fresh if self._seen_at else 1.0)
        if tokens >= _TOKENS_TO_TELL and now_s > one.began_s:
            self._scaling.saw(shared, (now_s - one.began_s) / tokens)

    def forget_calls(self) -> None:
        """Forget what is under way: nobody will say how it ended."""
        self._calls.clear()

    def refused(self, call: Hashable, now_s: float) -> None:
        """Note a refusal, an overload or a time-out: one call too many was under way."""
        self._pass(now_s)
        one = self._calls.pop(call, None)
        if not self._refused and (one is None or one.sent_s >= self._cut_s):
            self._refused, self._floor = True, _MOST_CUT * (len(self._calls) + 1)
            self._ceiling = self._limit
        # Those that are refused together with it lower the limit once, to what is left of them.
        served = max(self._floor, float(len(self._calls)))
        if served < self._ceiling:
            self._ceiling = served
            if not self._refused:
                self._cut(_CUT_REFUSED * served, served, self._cut_s)

    def review(self, now_s: float) -> int:
        """Return the limit from now on; it changes once a window, and only on evidence."""
        if self._window_s is None:
            self._window_s = now_s
        if self._refused and now_s - self._cut_s >= WINDOW_S:
            self._cut(_CUT_REFUSED * self._ceiling, self._ceiling, now_s)
        elif now_s - self._window_s < WINDOW_S:
            return self.limit
        elif len(self._calls) <= self._limit:  # else the last cut has not yet been felt
            self._judge(now_s)
        self._refused, self._peak, self._window_s = False, len(self._calls), now_s
        self._first_s.clear()
        return self.limit

    def _judge(self, now_s: float) -> None:
        waiting, seen_at = self._waiting(now_s), self._seen_at
        if waiting > max(1.0, _MAY_WAIT * self._limit):
            limit = max(self._limit - waiting, _MOST_CUT * self._limit)
            self._cut(limit, limit, now_s)
        elif seen_at and self._scaling.gain(min(self._limit, seen_at)) < _WORTH:
            limit = min(self._limit, max(_CUT * self._limit, seen_at / _BEYOND))
            self._cut(limit, limit, now_s)
        elif self._peak >= _USED_ENOUGH * self._limit:
            self._grow(now_s)

    def _cut(self, limit: float, ceiling: float, now_s: float) -> None:
        self._limit, self._starting = max(self._least, limit), False
        self._ceiling, self._cut_s = max(self._least, ceiling), now_s

    def _grow(self, now_s: float) -> None:
        tried = max(1.0, self._seen_at)
        if self._starting:
            limit = _STARTING * tried
        else:
            turn = (now_s - self._cut_s) / _PLATEAU_S - 1.0
            curve = self._ceiling * (1.0 + (1.0 - _CUT_REFUSED) * turn**3)
            limit = min(curve, max(tried + 1.0, _BEYOND * tried))
        self._limit = min(self._most, max(self._limit, limit))

    def _waiting(self, now_s: float) -> float:
        """Return how many calls wait to be served, as far as is known."""
        if self._first_s:
            lowest_s = _quantile(sorted(self._first_s), _EARLY)
            known_s = self._idle_first_s * (1.0 + _FORGET)
            self._idle_first_s = min(known_s, lowest_s) if known_s else lowest_s
        if not self._idle_first_s:
            return 0.0
        patience_s = _OVERDUE * self._idle_first_s
        return sum(
            one.silent and now_s - one.sent_s > patience_s * one.prompt
            for one in self._calls.values()
        )

    def _pass(self, now_s: float) -> None:
        """Let time pass, and the area under the number of calls grow by it."""
        self._area_s += max(0.0, now_s - self._area_at_s) * len(self._calls)
        self._area_at_s = now_s


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[int(share * len(ordered))]
