"""What each provider charges for a call before it runs, and what it gives back afterwards.

Documented rules, with the public refusals that confirm them, are cited at each profile. Where a
provider's rule is not known, more is charged rather than less: what its headers then show corrects
it, and a call that waited a little is better than one that was refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from accel_core.errors import ConfigError
from accel_core.policy.limits.charge import Charge, Demand, Usage

Reserved = Literal["maximum", "larger", "output", "input"]
Dialect = Literal["openai", "anthropic", "azure", "none"]

_REFUSED_COSTS_REQUEST: Final = Charge(1.0, 0.0, 0.0, 0.0)
_REFUSED_COSTS_NOTHING: Final = Charge(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one provider counts.

    Attributes:
        name: as in ``limits.provider``.
        reserved: what is taken from a limit on tokens before the call runs: the prompt and the
            ``maximum`` of output that it allows itself, the ``larger`` of the two, the prompt and
            the ``output`` to be expected, or the ``input`` alone.
        gives_back: whether reserved output that was not produced is given back afterwards.
        counts_cached: whether prompt tokens read from the provider's own cache count as input.
        refusals_count: whether a refused call counts as a request.
        usual_output_tokens: the output reserved where a call sets no maximum.
        dialect: how its headers are spelled.
    """

    name: str
    reserved: Reserved = "maximum"
    gives_back: bool = False
    counts_cached: bool = True
    refusals_count: bool = True
    usual_output_tokens: float = 256.0
    dialect: Dialect = "openai"

    def charge(self, demand: Demand) -> Charge:
        """Return what a call is charged when it is admitted."""
        read, maximum, expected, _ = demand
        produced = allowed = expected or self.usual_output_tokens
        if maximum is not None:
            produced, allowed = maximum if maximum < produced else produced, maximum
        return Charge(1.0, self._tokens(read, allowed, produced), read, produced)

    def charged(self, demand: Demand, usage: Usage) -> Charge:
        """Return what a call was charged in the end."""
        counted, used, cached = usage
        if not self.counts_cached:
            counted = max(0.0, counted - cached)
        maximum = demand.max_output_tokens
        allowed = used if maximum is None or self.gives_back or maximum < used else maximum
        return Charge(1.0, self._tokens(counted, allowed, used), counted, used)

    @property
    def charged_when_refused(self) -> Charge:
        """What a call is charged that was refused for a limit."""
        return _REFUSED_COSTS_REQUEST if self.refusals_count else _REFUSED_COSTS_NOTHING

    def _tokens(self, read: float, allowed: float, produced: float) -> float:
        if self.reserved == "maximum":
            return read + allowed
        if self.reserved == "larger":
            return max(read, allowed)
        return read + produced if self.reserved == "output" else read


PROFILES: Final = {
    profile.name: profile
    for profile in (
        # "Limit 30000, Used 14567, Requested 24754": the prompt and its maximum, and failed
        # requests count: https://help.openai.com/en/articles/6891753
        Profile(name="openai"),
        # Input is counted without what was read from the prompt cache, output as it is produced,
        # and max_tokens not at all: https://platform.claude.com/docs/en/api/rate-limits
        Profile(
            name="anthropic",
            reserved="output",
            gives_back=True,
            counts_cached=False,
            dialect="anthropic",
        ),
        # The estimate includes max_tokens and is held until the call ends:
        # https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/quota
        Profile(name="azure", gives_back=True, dialect="azure"),
        # Input, cache reads and maxTokens at admission; the rest is given back at settlement:
        # https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html
        Profile(name="bedrock", gives_back=True, refusals_count=False, dialect="none"),
        # Cached tokens do not count: https://console.groq.com/docs/rate-limits
        Profile(name="groq", counts_cached=False),
        Profile(name="mistral", reserved="output", gives_back=True),
        # A server of one's own states no limits; what it can take is found by its concurrency.
        Profile(name="vllm", reserved="output", gives_back=True, dialect="none"),
        Profile(name="generic"),
    )
}


def profile_named(name: str) -> Profile:
    """Return a profile.

    Raises:
        ConfigError: there is none of this name.
    """
    profile = PROFILES.get(name)
    if profile is None:
        raise ConfigError("limits.provider", name, f"one of {sorted(PROFILES)}")
    return profile
