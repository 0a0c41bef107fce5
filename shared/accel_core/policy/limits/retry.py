"""Whether a call that failed is tried again, and how long before.

A refusal for a limit is the limiter's to wait out: it is closed for as long as the provider says,
so such a call goes back to the queue at once, and only its deadline ends it.
Everything else costs the provider work when it has least to spare, and three layers that retry
three times make 27 calls of one. Retries of errors are therefore paid from a budget that calls
fill: a share of them, as in Finagle (``RetryBudget``: 20 %,
https://twitter.github.io/finagle/guide/Clients.html#retries) and gRPC (A6, "Throttling Retry
Attempts and Hedged RPCs").

Pauses grow by doubling and are drawn from nothing up to that ("full jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that those who failed
together do not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accel_core.errors import ConfigError

if TYPE_CHECKING:
    from accel_core.policy.limits.refusal import Kind

_MOST_DOUBLINGS = 30
_STORED = 10.0
"""How many allowances can be saved up: after long quiet, this many retries at once."""
_ALLOWANCE_PER_S = 1.0 / 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and when a call is tried again.

    Attributes:
        max_attempts: the first one included, at least 1; those refused for a limit are bounded by
            the deadline alone.
        base_s: the longest first pause.
        cap_s: the longest of all, not below `base_s`.
        deadline_s: from the first attempt to the start of the last.

    Raises:
        ConfigError: a number is out of its range.
    """

    max_attempts: int = 4
    base_s: float = 0.5
    cap_s: float = 20.0
    deadline_s: float = 120.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ConfigError("limits.retry.max_attempts", self.max_attempts, "1 or more")
        if not 0.0 < self.base_s <= self.cap_s < float("inf"):
            raise ConfigError("limits.retry.base_s", self.base_s, "above 0, up to cap_s")
        if not self.deadline_s >= 0.0:
            raise ConfigError("limits.retry.deadline_s", self.deadline_s, "0 or more")

    def pause_s(self, attempts: int, dice: float) -> float:
        """Return how long to pause after so many attempts, by `dice` in [0, 1)."""
        doublings = min(max(0, attempts - 1), _MOST_DOUBLINGS)
        return float(min(self.cap_s, self.base_s * 2**doublings) * min(max(dice, 0.0), 1.0))


class RetryBudget:
    """What may be spent on retries: a share of the calls, and a small allowance beside it.

    Over any time the retries are at most what is stored when it starts (the allowance, later up to
    ten of it), `share` of its calls, and one allowance a minute, without which a caller of a few
    calls could never retry. One owner at a time; a clock that jumps back earns nothing.

    Args:
        share: retries per call, in [0, 1].
        allowance: retries that are there at first, and that come back each minute.
        now_s: when it starts.

    Raises:
        ConfigError: a number is out of its range.
    """

    __slots__ = ("_allowance", "_at_s", "_share", "balance")

    def __init__(self, share: float = 0.2, allowance: float = 10.0, *, now_s: float) -> None:
        if not 0.0 <= share <= 1.0:
            raise ConfigError("limits.retry.share", share, "between 0 and 1")
        if not 0.0 <= allowance < float("inf"):
            raise ConfigError("limits.retry.allowance", allowance, "0 or more")
        self._share, self._allowance = share, allowance
        self.balance, self._at_s = allowance, now_s

    def call(self, now_s: float) -> None:
        """Note a call, not a retry of one."""
        self._earn(now_s)
        self.balance = min(self.balance + self._share, self._most)

    def spend(self, now_s: float) -> bool:
        """Take one retry and return True, or return False where none is left."""
        self._earn(now_s)
        if self.balance < 1.0:
            return False
        self.balance -= 1.0
        return True

    @property
    def _most(self) -> float:
        return _STORED * max(1.0, self._allowance)

    def _earn(self, now_s: float) -> None:
        """Let the allowance come back, up to itself: what is stored beyond comes from calls."""
        earned = max(0.0, now_s - self._at_s) * self._allowance * _ALLOWANCE_PER_S
        self._at_s = now_s
        if self.balance < self._allowance:
            self.balance = min(self._allowance, self.balance + earned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An attempt that failed, and those before it.

    Attributes:
        kind: what its refusal means; ``overloaded`` where no response came.
        attempts: how many were made, this one included.
        started_s: when the first was made.
        now_s: when this one failed.
        retry_after_s: when its provider wants to be asked again; None: it does not say.
        ends_s: when the call's own time is up.
    """

    kind: Kind
    attempts: int
    started_s: float
    now_s: float
    retry_after_s: float | None = None
    ends_s: float = float("inf")


def next_attempt(
    failed: Failed, policy: RetryPolicy, budget: RetryBudget, dice: float
) -> float | None:
    """Return the seconds until the next attempt, or None: give up.

    After a refusal for a limit that says when to come back these are 0, for the limiter is told the
    same and waits in everybody's place; where it does not say, the limiter may know nothing, and
    the call pauses as after an error. A retry is taken from `budget` only where one is made.

    Args:
        failed: the attempt.
        policy: bounds it.
        budget: pays for it, unless it was refused for a limit.
        dice: in [0, 1), for the pause.
    """
    if failed.kind not in ("limit", "overloaded"):
        return None
    if failed.kind == "overloaded" and failed.attempts >= policy.max_attempts:
        return None
    asked_s = failed.retry_after_s or 0.0
    waited_out = failed.kind == "limit" and asked_s > 0.0
    wait_s = 0.0 if waited_out else asked_s + policy.pause_s(failed.attempts, dice)
    starts_s = failed.now_s + max(wait_s, asked_s)
    if not starts_s <= failed.started_s + policy.deadline_s or starts_s >= failed.ends_s:
        return None
    if failed.kind == "overloaded" and not budget.spend(failed.now_s):
        return None
    return wait_s
