"""Predictors and drafters asked for guesses, whatever they do: what they break, a run never sees.

Invariants: nothing that is not a guess at a call of a tool that is there leaves this module; who
raises, takes too long or talks nonsense again and again rests; each cause is an event once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from accel_core import events
from accel_core.errors import in_words
from accel_core.policy.breaker import Breaker
from accel_core.policy.trajectory import Guess, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from accel_core.policy.trajectory import Trajectory
    from accel_core.ports import Observer
    from accel_core.speculating import Drafter, Predictor

_MOST_GUESSES = 64
"""Looked at of one predictor's, most confident first; the rest is noise."""
_SLOW_S = 0.05
"""A predictor is asked while nobody waits for the model yet, so it holds up the call by that."""
_TRIES, _REST_S = 3, 300.0
_MOST_CAUSES = 256


class Grievances:
    """What went wrong with somebody's code, told once for each cause.

    Args:
        emit: receives `PredictorFailed`.
    """

    def __init__(self, emit: Observer) -> None:
        self._emit = emit
        self._told: set[tuple[str, str, str]] = set()

    def tell(self, who: str, reason: str, detail: str = "", *, cause: str = "") -> None:
        """Emit an event unless one of the same `cause` (`detail`, where not given) was."""
        told = (who, reason, cause or detail)
        if told not in self._told and len(self._told) < _MOST_CAUSES:
            self._told.add(told)
            self._emit(events.PredictorFailed(who, reason, detail))

    def raised(self, who: str, reason: str, error: BaseException) -> None:
        """Emit an event for an exception, once for each type of them."""
        self.tell(who, reason, in_words(error), cause=type(error).__name__)


class Asked:
    """One who is asked, and when he is left alone."""

    def __init__(self, one: Any, grievances: Grievances, mono_now: Callable[[], float]) -> None:
        self.one = one
        self.name = str(getattr(one, "name", "") or type(one).__name__)
        self._grievances, self._mono_now = grievances, mono_now
        self._breaker = Breaker(_TRIES, _REST_S)

    def allowed(self) -> bool:
        """Whether it should be asked now, and told how it went."""
        return self._breaker.allows(self._mono_now())

    def done(self, asked_s: float, *, slow_s: float = _SLOW_S) -> None:
        """Note that it answered; more than `slow_s` since `asked_s` is a failure."""
        took_s = self._mono_now() - asked_s
        if took_s <= slow_s:
            self._breaker.succeeded()
        elif self._breaker.failed(self._mono_now()):
            self._grievances.tell(self.name, "slow", f"took {took_s:.3f} s", cause="slow")

    def raised(self, reason: str, error: BaseException) -> None:
        """Note that it raised."""
        self._grievances.raised(self.name, reason, error)
        self._breaker.failed(self._mono_now())

    def late(self) -> None:
        """Note that it had not answered when the model had."""
        self._grievances.tell(self.name, "late")
        self._breaker.failed(self._mono_now())

    def checked(self, found: Any, free: Collection[str]) -> list[Guess]:
        """Return the guesses in `found`; the rest is an event."""
        kept: list[Guess] = []
        for guess in islice(found, _MOST_GUESSES):
            problem = _problem(guess, free)
            if problem:
                self._grievances.tell(self.name, problem)
            else:
                kept.append(guess if guess.predictor else guess._replace(predictor=self.name))
        return kept


class Guessers:
    """All who guess for one speculator.

    Args:
        predictors: asked at once.
        drafters: asked beside the model.
        emit: receives events.
        mono_now: monotonic clock, seconds.
    """

    def __init__(
        self,
        predictors: Iterable[Predictor],
        drafters: Iterable[Drafter],
        *,
        emit: Observer,
        mono_now: Callable[[], float],
    ) -> None:
        self.grievances = Grievances(emit)
        self._mono_now = mono_now
        self._predictors = [Asked(one, self.grievances, mono_now) for one in predictors]
        self.drafters = [Asked(one, self.grievances, mono_now) for one in drafters]

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> list[Guess]:
        """Return what all predictors guess of the tools named `free`, most confident first."""
        found: list[Guess] = []
        for asked in self._predictors:
            if not asked.allowed():
                continue
            asked_s = self._mono_now()
            try:
                found += asked.checked(asked.one.predict(trajectory, free), free)
            except Exception as error:  # somebody's code: the run goes on without its guesses
                asked.raised("predict", error)
            else:
                asked.done(asked_s)
        return sorted(found, key=lambda guess: -guess.confidence)

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        """Let all predictors take note of a run that has ended."""
        for asked in self._predictors:
            try:
                asked.one.learn(trajectory, free)
            except Exception as error:  # somebody's code: the run is over, and was right
                asked.raised("learn", error)

    async def draft(
        self, asked: Asked, trajectory: Trajectory, free: Collection[str]
    ) -> list[Guess]:
        """Return what one drafter guesses."""
        try:
            found = asked.checked(await asked.one.draft(trajectory, free), free)
        except Exception as error:  # somebody's code, or the network
            asked.raised("draft", error)
            return []
        asked.done(self._mono_now(), slow_s=float("inf"))
        return found


def _problem(guess: Any, free: Collection[str]) -> str:
    """Say what is wrong with a guess, in the vocabulary of `PredictorFailed`; ``""``: nothing."""
    if not (isinstance(guess, Guess) and isinstance(guess.call, ToolCall)):
        return "not_a_guess"
    call: Any = guess.call
    confidence: Any = guess.confidence
    if not (isinstance(call.tool, str) and isinstance(call.arguments, Mapping)):
        return "not_a_guess"
    # What is no number in [0, 1], NaN included, is not between them.
    if not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1:
        return "confidence"
    return "" if call.tool in free else "unknown_tool"
