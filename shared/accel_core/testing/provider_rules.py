"""What a simulated provider enforces: limits, windows, charges, neighbours, and ready-made rules.

Plain data. `openai`, `anthropic`, `azure`, `bedrock`, `groq` and `self_hosted` are what the
providers say of themselves or what public logs show; `dataclasses.replace` makes variants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from accel_core.testing.provider_dialects import (
    Anthropic,
    Azure,
    Bedrock,
    Dialect,
    Groq,
    OpenAI,
    Silent,
)
from accel_core.testing.provider_latency import HOSTED, SELF_HOSTED, Latency

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = Literal["bucket", "window"]
Charge = Literal["sum", "larger", "input"]
"""What a call is charged at admission: prompt + max_tokens; the larger of max_tokens and a quarter
of the characters; the uncached input alone, the output while it is produced."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One call, as the provider comes to know it.

    Attributes:
        prompt_tokens: as a tokenizer counts them; the provider's admission counts a little wrong.
        output_tokens: what the model would say if nothing stopped it.
        max_tokens: None where the call names none.
        cached_tokens: of the prompt, in the provider's prefix cache.
        chars: of the prompt; None means four per token.
    """

    prompt_tokens: int
    output_tokens: int = 100
    max_tokens: int | None = None
    cached_tokens: int = 0
    chars: int | None = None


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """A second, shorter allowance of the same rate, which headers do not show.

    What is larger than it holds is let through when it is unused, and leaves a debt.

    Attributes:
        shape: a bucket, or windows whose phase is thrown.
        length_s: what it holds, in seconds of the rate.
        dimensions: that have one; None means all.
    """

    shape: Shape = "bucket"
    length_s: float = 1.0
    dimensions: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """Somebody else who uses the same key.

    Attributes:
        share: of the rate that it takes.
        every_s: mean time between two of its calls; a small one is like a slower refill.
        present_s: it stays for so long, then is away for as long, and comes again.
    """

    share: float
    every_s: float = 0.05
    present_s: float = math.inf

    def there(self, now: float) -> bool:
        """Return whether it is present."""
        return (now // self.present_s) % 2 == 0


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which every call fails.

    Attributes:
        from_s: its beginning, in seconds since the provider's first call.
        to_s: its end.
        status: 529 or 503 means overloaded.
    """

    from_s: float
    to_s: float
    status: int = 529


@dataclass(frozen=True, kw_only=True)
class ProviderRules:
    """What one deployment enforces and how it speaks.

    Attributes:
        minute_s: length of a minute; see `faster`.
        limits: per minute: ``requests``, and ``tokens`` or ``input_tokens``, ``output_tokens``.
        shape: of the allowance that headers show, a minute long.
        hidden: the one they do not show.
        charge: what a call is charged at admission.
        refunds: the charge is corrected to what was used when the call ends.
        default_max_tokens: charged where a call names no maximum.
        failed_count: refused and failed calls count as requests.
        count_sigma: spread of the admission's own count of the prompt, a share of it.
        tells_retry: refusals say when to come back.
        max_concurrency: calls in flight; None: no limit.
        spend_cap_tokens: what may be charged in all; later calls are refused for good.
        neighbour: somebody else on the key.
        outages: times in which every call fails.
        error_share: of the calls fail with 500.
        cut_share: of the streams break off with the event of an overload.
        refuses_in_stream: streamed calls are refused by the first event of a 200.
        shrunk_s: from and to when only half of the concurrency is there, as `Outage` counts.
        latency: how long calls take.
        dialect: headers and bodies.
    """

    limits: Mapping[str, float]
    minute_s: float = 60.0
    shape: Shape = "bucket"
    hidden: Hidden | None = None
    charge: Charge = "sum"
    refunds: bool = False
    default_max_tokens: int = 16
    failed_count: bool = True
    count_sigma: float = 0.03
    tells_retry: bool = True
    max_concurrency: int | None = None
    spend_cap_tokens: float = math.inf
    neighbour: Neighbour | None = None
    outages: tuple[Outage, ...] = ()
    error_share: float = 0.0
    cut_share: float = 0.0
    refuses_in_stream: bool = False
    shrunk_s: tuple[float, float] | None = None
    latency: Latency = HOSTED
    dialect: Dialect = field(default_factory=OpenAI)

    def __post_init__(self) -> None:
        if any(limit <= 0 for limit in self.limits.values()):
            msg = f"every limit must be over 0, got {dict(self.limits)}"
            raise ValueError(msg)
        needed = {"input_tokens", "output_tokens"} if self.charge == "input" else {"tokens"}
        unknown = self.limits.keys() - needed - {"requests"}
        if unknown:
            msg = f"the charge {self.charge!r} knows no limit of {sorted(unknown)}"
            raise ValueError(msg)

    def amounts(self, ask: Ask, counted: float) -> dict[str, float]:
        """Return what `ask` is charged at admission, whose prompt was `counted`."""
        most = self.default_max_tokens if ask.max_tokens is None else ask.max_tokens
        fresh = counted * (1 - ask.cached_tokens / max(1, ask.prompt_tokens))
        if self.charge == "larger":
            chars = 4 * ask.prompt_tokens if ask.chars is None else ask.chars
            found = {"requests": 1.0, "tokens": float(max(most, math.ceil(chars / 4)))}
        elif self.charge == "sum":
            found = {"requests": 1.0, "tokens": counted + most}
        else:
            # What was produced is charged as it comes; a call needs room for one token.
            found = {"requests": 1.0, "input_tokens": fresh, "output_tokens": 1.0}
        return {name: found[name] for name in self.limits}


def faster(rules: ProviderRules, speed: float) -> ProviderRules:
    """Return rules by which everything takes a `speed`-th of its time, for tests on a real clock.

    Limits are per minute of the faster time: to a client they are `speed` times as high.
    """
    hidden, neighbour, law = rules.hidden, rules.neighbour, rules.latency
    return replace(
        rules,
        minute_s=rules.minute_s / speed,
        hidden=hidden and replace(hidden, length_s=hidden.length_s / speed),
        neighbour=neighbour
        and replace(
            neighbour, every_s=neighbour.every_s / speed, present_s=neighbour.present_s / speed
        ),
        outages=tuple(
            replace(one, from_s=one.from_s / speed, to_s=one.to_s / speed) for one in rules.outages
        ),
        shrunk_s=rules.shrunk_s and (rules.shrunk_s[0] / speed, rules.shrunk_s[1] / speed),
        latency=replace(
            law,
            base_s=law.base_s / speed,
            prefill_s=law.prefill_s / speed,
            first_s=law.first_s / speed,
            token_s=law.token_s / speed,
        ),
    )


def openai(requests: float = 1_200, tokens: float = 60_000) -> ProviderRules:
    """Return OpenAI's: a bucket of a minute; prompt + max_tokens, kept."""
    return ProviderRules(limits={"requests": requests, "tokens": tokens})


def groq(requests: float = 1_200, tokens: float = 60_000) -> ProviderRules:
    """Return Groq's: as OpenAI's in other words; what never fits is told to come again."""
    return ProviderRules(limits={"requests": requests, "tokens": tokens}, dialect=Groq())


def azure(requests: float = 1_200, tokens: float = 60_000) -> ProviderRules:
    """Return Azure's: requests over windows of ten seconds, tokens over a minute."""
    hidden = Hidden(shape="window", length_s=10.0, dimensions=frozenset({"requests"}))
    limits = {"requests": requests, "tokens": tokens}
    return ProviderRules(limits=limits, shape="window", hidden=hidden, dialect=Azure())


def anthropic(
    requests: float = 1_200, input_tokens: float = 60_000, output_tokens: float = 12_000
) -> ProviderRules:
    """Return Anthropic's: uncached input at admission, output as it is produced."""
    limits = {
        "requests": requests,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
    return ProviderRules(limits=limits, charge="input", refunds=True, dialect=Anthropic())


def bedrock(requests: float = 1_200, tokens: float = 60_000) -> ProviderRules:
    """Return Bedrock's: input + maxTokens, corrected at the end; a huge maximum where none is."""
    return ProviderRules(
        limits={"requests": requests, "tokens": tokens},
        refunds=True,
        default_max_tokens=64_000,
        tells_retry=False,
        dialect=Bedrock(),
    )


def self_hosted() -> ProviderRules:
    """Return vLLM's: no limit, no headers; a batch that slows down and a queue behind it."""
    return ProviderRules(limits={}, latency=SELF_HOSTED, dialect=Silent())
