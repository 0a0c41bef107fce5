"""An ``accel.yaml`` for the application whose log was audited, with the reasons beside each line.

Invariant: what is written is a valid configuration (`config.from_yaml`), and serves what the replay
served.
"""

from __future__ import annotations

from dataclasses import fields
from math import ceil
from typing import TYPE_CHECKING

from accel_core.audit.tally import GAPS_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.audit.tally import Tally
    from accel_core.config import AccelConfig
    from accel_core.policy.limits.account import Limits

_LEAST_ENTRIES = 1_000
_ROOM = 1.5


def settings_text(
    tally: Tally, config: AccelConfig, *, semantic: bool, limits: Limits | None, provider: str
) -> str:
    """Return the text of a configuration.

    Args:
        tally: what the replay came to.
        config: under which it was replayed.
        semantic: whether questions were compared by meaning.
        limits: the provider's, where they are known.
        provider: whose they are.
    """
    lines = [
        '# Written by accel audit. To use it: Accel.from_yaml("accel.yaml").',
        f"# Replayed under it, {tally.total.calls:,} of {tally.asked.calls:,} calls were answered"
        " without the model.",
        "version: 1",
        "cache:",
        *_ttl(tally, config),
        *_admission(tally, config),
        *_semantic(tally, config, semantic=semantic),
        *_memory(tally, config),
        *_security(tally),
        *_limits(limits, provider, tally),
        "observe:",
        "  enabled: true            # accel.stats() tells hits, tokens, dollars and seconds",
    ]
    return "\n".join(lines) + "\n"


def _ttl(tally: Tally, config: AccelConfig) -> Iterator[str]:
    base_s = config.cache.ttl.base_s
    yield f"  ttl: {{base_s: {base_s:g}, jitter: {config.cache.ttl.jitter:g}}}"
    yield "  # Seconds that an answer may be served. A longer life serves more repeats, and older"
    yield "  # answers: only you know how soon yours go out of date."
    repeats = sum(tally.gaps)
    if tally.span_s is not None and repeats:
        names = ("5 minutes", "an hour", "a day", "a week")
        counts = [sum(tally.gaps[: place + 1]) for place in range(len(GAPS_S))]
        told = ", ".join(
            f"{count:,} within {name}" for count, name in zip(counts, names, strict=True)
        )
        yield f"  # Of {repeats:,} requests that repeat an earlier one exactly, {told}."


def _admission(tally: Tally, config: AccelConfig) -> Iterator[str]:
    most = config.cache.admission.max_temperature
    yield f"  admission: {{max_temperature: {most:g}}}"
    passed = tally.misses["temperature"]
    if passed:
        yield f"  # {passed:,} calls have a higher one and are never answered twice. Raise it only"
        yield "  # where the same answer again is welcome."


def _semantic(tally: Tally, config: AccelConfig, *, semantic: bool) -> Iterator[str]:
    settings = config.cache.semantic
    yield "  semantic:"
    if not semantic:
        yield "    enabled: false         # the audit compared nothing by meaning"
        return
    served = tally.saved["semantic"].calls
    yield f"    enabled: true          # {served:,} answers to questions in other words"
    for name in ("min_similarity", "serve_from", "max_wrong_hits", "calibration"):
        value = getattr(settings, name)
        if value is not None:
            yield f"    {name}: {value}"
    if settings.encoder.kind != "minilm" or settings.encoder.model:
        model = f", model: {settings.encoder.model}" if settings.encoder.model else ""
        yield f"    encoder: {{kind: {settings.encoder.kind}{model}}}"
    if settings.gates.strict:
        yield "    gates: {strict: true}"
    else:
        yield "    # gates: {strict: true}  # refuses more: see which of the riskiest hits it would"


def _memory(tally: Tally, config: AccelConfig) -> Iterator[str]:
    most = config.cache.memory.max_entries
    wanted = max(_LEAST_ENTRIES, ceil(tally.distinct * _ROOM / 1_000) * 1_000)
    yield f"  memory: {{max_entries: {most}}}"
    if tally.distinct > most:
        yield f"  # The log has {tally.distinct:,} different requests. {wanted:,} entries hold"
        yield "  # all of them; a store keeps them over a restart, and for other processes:"
        yield f"  # store: {{kind: sqlite, path: .accel/cache.db, max_entries: {wanted}}}"


def _security(tally: Tally) -> Iterator[str]:
    tenants = len(tally.tenants - {b""})
    if tenants and b"" not in tally.tenants:
        yield "security:"
        yield f"  tenant_required: true    # all calls name one of {tenants:,} tenants: nothing is"
        yield "                           # shared between them. Set it: with accel.tenant(id): ..."
    elif tenants:
        yield f"# {tenants:,} tenants are named, and not by all calls. With all calls inside"
        yield "# accel.tenant(id), require it:  security: {tenant_required: true}"


def _limits(limits: Limits | None, provider: str, tally: Tally) -> Iterator[str]:
    if limits is None:
        refused = f"  # {tally.refusals.logged:,} calls were refused" * bool(tally.refusals.logged)
        yield f"# limits: {{provider: {provider}, tokens_per_minute: …}}{refused}"
        return
    yield "limits:"
    yield f"  provider: {provider}         # calls wait for room instead of being refused"
    for field in fields(limits):
        amount = getattr(limits, field.name)
        if amount is not None:
            yield f"  {field.name}: {amount:g}" if amount < 1e6 else f"  {field.name}: {amount:.0f}"
