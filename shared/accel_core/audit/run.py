"""An audit, from files to findings: read, order, replay, add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accel_core.audit.arrivals import Arrivals, arrival_of
from accel_core.audit.fields import TENANT_FIELDS
from accel_core.audit.findings import Findings
from accel_core.audit.formats import Seen, read_calls
from accel_core.audit.limits import LimitReplay, ShownLimits
from accel_core.audit.replay import Replay
from accel_core.audit.settings import settings_text
from accel_core.audit.tally import Tally
from accel_core.config import AccelConfig
from accel_core.observer.prices import load_prices
from accel_core.policy.canonical import Unidentifiable
from accel_core.policy.identity import Identifier
from accel_core.policy.limits.provider_profile import profile_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from accel_core.audit.formats import Format
    from accel_core.policy.limits.account import Limits
    from accel_core.ports import Encoder

    Step = Callable[[str], Callable[[float], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How an audit is made.

    Attributes:
        config: of the caches.
        limits: the provider's, where they are known; None: as the log shows them.
        provider: how it counts (`policy.limits.provider_profile`).
        pinned: the format of the files; None: each is looked at.
        tenant_fields: where a log names whose a call is.
    """

    config: AccelConfig = field(default_factory=AccelConfig)
    limits: Limits | None = None
    provider: str = "openai"
    pinned: Format | None = None
    tenant_fields: tuple[str, ...] = TENANT_FIELDS


def audit(
    paths: Sequence[Path],
    encoder: Encoder | None,
    terms: Terms,
    step: Step = lambda _: lambda _: None,
) -> Findings:
    """Replay the calls of `paths`, and return what would have been saved.

    Args:
        paths: of logs.
        encoder: what compares questions; None: only equal requests are hits.
        terms: how.
        step: begins a step that has a name, and returns what is told its share done.

    Raises:
        FileError: a log cannot be read, or holds no call.
        ConfigError: prices or a setting are wrong.
    """
    profile_named(terms.provider)  # before anything is read
    prices = load_prices(terms.config.observe.prices)
    seen, shown, identifier = Seen(), ShownLimits(), Identifier()
    with Arrivals() as arrivals:
        calls = read_calls(
            paths,
            seen,
            pinned=terms.pinned,
            tenant_fields=terms.tenant_fields,
            report=step("reading"),
        )
        for call in calls:
            shown.add(call.stated.shown)
            try:
                arrivals.add(arrival_of(call, identifier))
            except Unidentifiable:
                seen.broken["has no stable meaning"] += 1
        limits = terms.limits or shown.limits()
        tally = Tally(prices, arrivals.span_s())
        replay = Replay(
            terms.config,
            encoder,
            tally.add,
            limits=None if limits is None else lambda now: LimitReplay(limits, terms.provider, now),
        )
        riskiest = replay.run(arrivals, step(f"replaying {arrivals.count:,} calls"))
        timed = arrivals.timed
    semantic = encoder is not None and terms.config.cache.semantic.enabled
    text = settings_text(
        tally, terms.config, semantic=semantic, limits=limits, provider=terms.provider
    )
    return Findings(
        seen,
        timed,
        tally,
        riskiest,
        limits,
        terms.limits is not None,
        encoder.name if semantic and encoder is not None else None,
        text,
    )
