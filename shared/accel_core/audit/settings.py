"""An ``accel.yaml`` for the application whose log was audited, with reasons beside the settings.

Invariants: what is written is a valid configuration (`config.from_yaml`); it holds all that the
replayed one holds; what a configuration never shows (fields with ``repr=False``) is not written: a
variable of the environment stands for it, named by its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from accel_core.audit.tally import GAPS_S
from accel_core.config import AccelConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.audit.tally import Tally
    from accel_core.policy.limits.account import Limits

_ROOM = 1.5
"""Entries for each different request of the log: there will be others."""
_GAPS = ("5 minutes", "an hour", "a day", "a week")


def settings_text(
    tally: Tally, config: AccelConfig, *, semantic: bool, limits: Limits | None, provider: str
) -> str:
    """Return the text of a configuration.

    Args:
        tally: what the replay came to.
        config: as it was given.
        semantic: whether questions were compared by meaning.
        limits: the provider's, where they are known.
        provider: whose they are.
    """
    secret: list[str] = []
    written = _Settings(
        _differing(config, AccelConfig(), "", secret),
        [
            'Written by accel audit. To use it: Accel.from_yaml("accel.yaml").',
            f"Replayed under it, {tally.total.calls:,} of {tally.asked.calls:,} calls were answered"
            " without the model.",
            *([f"Set in the environment what is not shown: {', '.join(secret)}."] * bool(secret)),
        ],
    )
    written.put("version", 1)
    _put_cache(written, tally, config, semantic=semantic)
    _put_security(written, tally)
    _put_limits(written, limits, provider, tally)
    written.put(
        "observe.enabled",
        config.observe.enabled,
        "accel.stats() tells hits, tokens, dollars and seconds.",
    )
    return "\n".join(written.lines()) + "\n"


@dataclass(slots=True)
class _Settings:
    """Nested settings, with comments by place; the first ones are the file's."""

    values: dict[str, Any]
    head: list[str]
    comments: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def put(self, place: str, value: object, *comments: str) -> None:
        """Set what `place`, as ``cache.ttl.base_s``, holds, and say why."""
        *sections, name = place.split(".")
        section = self.values
        for one in sections:
            section = section.setdefault(one, {})
        section[name] = value
        self.comments[place] = comments

    def lines(self) -> Iterator[str]:
        """Yield the lines of YAML."""
        yield from (f"# {comment}" for comment in self.head)
        yield from self._section(self.values, "", "")

    def _section(self, values: dict[str, Any], before: str, indent: str) -> Iterator[str]:
        for name, value in values.items():
            place = f"{before}{name}"
            yield from (f"{indent}# {comment}" for comment in self.comments.get(place, ()))
            if isinstance(value, dict):
                yield f"{indent}{name}:"
                yield from self._section(value, f"{place}.", f"{indent}  ")
            else:
                yield f"{indent}{name}: {_spelled(value)}"


def _spelled(value: object) -> str:
    import yaml

    if isinstance(value, float) and value.is_integer():
        value = int(value)

    def dumped(*, letters: bool) -> str:
        spelled: str = yaml.safe_dump(
            value, default_flow_style=True, allow_unicode=letters, width=1_000_000
        )
        return spelled.removesuffix("\n").removesuffix("\n...")

    # What is not seen, or turns a line round, is spelled.
    return read if (read := dumped(letters=True)).isprintable() else dumped(letters=False)


def _differing(config: Any, usual: Any, before: str, secret: list[str]) -> dict[str, Any]:
    """Return the settings of `config` that are not as `usual`.

    Args:
        config: or one of its sections.
        usual: the same, as it is by default.
        before: the section's place, with a point behind it.
        secret: is told the variables that stand for what is never shown.
    """
    found: dict[str, Any] = {}
    for one in fields(config):
        value, other = getattr(config, one.name), getattr(usual, one.name)
        if not one.init:
            continue
        if is_dataclass(value):
            inner = _differing(value, other, f"{before}{one.name}.", secret)
            if inner:
                found[one.name] = inner
        elif value != other:
            if not one.repr:
                secret.append(f"{before}{one.name}".replace(".", "_").upper())
                value = f"${{{secret[-1]}}}"
            found[one.name] = list(value) if isinstance(value, tuple | frozenset) else value
    return found


def _put_cache(written: _Settings, tally: Tally, config: AccelConfig, *, semantic: bool) -> None:
    cache = config.cache
    written.put("cache.ttl.base_s", cache.ttl.base_s, *_why_ttl(tally))
    most, passed = cache.admission.max_temperature, tally.misses["temperature"]
    if passed:
        written.put(
            "cache.admission.max_temperature",
            most,
            f"{passed:,} calls have a higher one and are never answered twice: raise it only where",
            "the same answer again is welcome.",
        )
    served = tally.saved["semantic"].calls
    why = f"{served:,} answers to the same question in other words." if semantic else ""
    written.put(
        "cache.semantic.enabled",
        semantic,
        why or "The audit compared nothing by meaning: see accel audit --encoder.",
        *(["With gates: {strict: true} more is refused: see the riskiest hits."] * bool(served)),
    )
    if tally.distinct > cache.memory.max_entries and cache.store.kind == "none":
        wanted = ceil(tally.distinct * _ROOM / 1_000) * 1_000
        written.put(
            "cache.memory.max_entries",
            cache.memory.max_entries,
            f"The log has {tally.distinct:,} different requests. A store holds more, also over a",
            "restart and for other processes:",
            f"store: {{kind: sqlite, path: .accel/cache.db, max_entries: {wanted}}}",
        )


def _why_ttl(tally: Tally) -> Iterator[str]:
    yield "Seconds that an answer may be served. A longer life serves more repeats, and older"
    yield "answers: only you know how soon yours go out of date."
    repeats = sum(tally.gaps)
    if tally.span_s is not None and repeats:
        counts = [sum(tally.gaps[: place + 1]) for place in range(len(GAPS_S))]
        named = zip(counts, _GAPS, strict=True)
        yield f"Of {repeats:,} requests that repeat an earlier one exactly, it was at most so old:"
        yield ", ".join(f"{name} {count:,}" for count, name in named) + "."


def _put_security(written: _Settings, tally: Tally) -> None:
    tenants = len(tally.tenants - {b""})
    if tenants:
        every = b"" not in tally.tenants
        written.put(
            "security.tenant_required",
            every,
            f"{'All calls name' if every else 'Not all calls name'} one of {tenants:,} tenants;"
            " nothing is shared between them.",
            "In the application: with accel.tenant(id): ...",
        )


def _put_limits(written: _Settings, limits: Limits | None, provider: str, tally: Tally) -> None:
    if limits is None:
        refused = tally.refusals.logged
        if refused:
            written.head.append(
                f"{refused:,} calls were refused for a limit: name it under limits, as"
                f" {{provider: {provider}, tokens_per_minute: …}}."
            )
        return
    written.put("limits.provider", provider, "Calls wait for room instead of being refused.")
    for one in fields(limits):
        amount = getattr(limits, one.name)
        if amount is not None:
            written.put(f"limits.{one.name}", amount)
