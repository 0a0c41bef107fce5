"""How long an entry lives.

TTLs are jittered downwards, so that entries written together do not expire together and the load
does not come back in one wave, and so that no entry outlives what was asked for. Expiry is fixed
at storing: a hit never prolongs it (a wrong or stale entry that is popular would never leave).
"""

from __future__ import annotations

from dataclasses import dataclass

from accel_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TtlPolicy:
    """Lifetime of entries.

    Attributes:
        base_s: longest lifetime, seconds, > 0.
        jitter: share of it that chance may take away, in [0, 1).
    """

    base_s: float = 3600.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not self.base_s > 0:
            raise ConfigError("base_s", self.base_s, "must be a number of seconds above 0")
        if not 0 <= self.jitter < 1:
            raise ConfigError("jitter", self.jitter, "must be in [0, 1)")

    def lifetime_s(self, chance: float, at_most_s: float | None = None) -> float:
        """Return a lifetime in ``(base_s * (1 - jitter), base_s]``, capped by `at_most_s`.

        Args:
            chance: uniform in [0, 1).
            at_most_s: a call's own limit; it can only shorten.

        >>> TtlPolicy(base_s=100, jitter=0.1).lifetime_s(0.5)
        95.0
        """
        longest = self.base_s if at_most_s is None else min(self.base_s, at_most_s)
        return longest * (1.0 - self.jitter * chance)
