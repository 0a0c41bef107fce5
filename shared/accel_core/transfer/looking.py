"""What is in a store: all of it counted, or what fits some conditions, page by page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accel_core.ports import Entry, Selector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from accel_core.inspection import InspectableStore, Stored

    Report = Callable[[float], None]
    """Told how much is done, in [0, 1]."""

PAGE = 64
"""Entries read or stored at a time: as many as one script of a server stores, so that a page is
whole there, too."""


def pages(
    store: InspectableStore, selectors: Sequence[Selector], report: Report
) -> Iterator[dict[bytes, Stored]]:
    """Yield what `store` keeps of what any of `selectors` means, each once.

    What is stored or removed meanwhile may be among it or not.
    """
    keys = list(dict.fromkeys(key for one in selectors for key in store.select(one)))
    for start in range(0, len(keys), PAGE):
        yield store.inspect(keys[start : start + PAGE])
        report(min(1.0, (start + PAGE) / len(keys)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries are meant, beyond what a `Selector` can say: all conditions given must hold.

    Attributes:
        source: what produced it.
        contains: a part of its text, whatever the case.
        expired: whether it is past its time.
    """

    source: str | None = None
    contains: str | None = None
    expired: bool | None = None

    def matches(self, entry: Entry, now_s: float) -> bool:
        """Whether `entry` is among those meant."""
        return (
            (self.source is None or entry.source == self.source)
            and (self.contains is None or self.contains.casefold() in entry.text.casefold())
            and (self.expired is None or (entry.expires_s <= now_s) == self.expired)
        )


def matching(
    store: InspectableStore,
    selectors: Sequence[Selector],
    wanted: Filter,
    *,
    now_s: float,
    report: Report,
) -> Iterator[tuple[Entry, Stored]]:
    """Yield the readable entries that any of `selectors` and `wanted` mean, and how they lie."""
    for page in pages(store, selectors, report):
        for stored in page.values():
            if isinstance(stored.found, Entry) and wanted.matches(stored.found, now_s):
                yield stored.found, stored


@dataclass(slots=True, kw_only=True)
class Census:
    """What was counted.

    Attributes:
        now_s: the moment that decides what has expired.
        entries: how many there are, readable or not.
        bytes: how many they are, as stored.
        sealed: how many carry a code.
        unreadable: how many are no entries here, by reason (`inspection.Stored`).
        expired: how many are past their time.
        resting: how many rest on documents.
        semantic: how many may be served to other wordings.
        oldest_s, newest_s: the moments of the first and the last that were stored.
        by: how many there are of each namespace, tenant, encoder and source.
    """

    now_s: float
    entries: int = 0
    bytes: int = 0
    sealed: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    expired: int = 0
    resting: int = 0
    semantic: int = 0
    oldest_s: float | None = None
    newest_s: float | None = None
    by: dict[str, Counter[str]] = field(
        default_factory=lambda: {
            name: Counter() for name in ("namespace", "tenant", "encoder", "source")
        }
    )

    def add(self, stored: Stored) -> None:
        """Count one."""
        self.entries += 1
        self.bytes += stored.size_bytes
        self.sealed += stored.sealed
        entry = stored.found
        if not isinstance(entry, Entry):
            self.unreadable[entry] += 1
            return
        self.expired += entry.expires_s <= self.now_s
        self.resting += bool(entry.bases)
        self.semantic += entry.semantic
        moment_s = entry.created_s
        self.oldest_s = moment_s if self.oldest_s is None else min(self.oldest_s, moment_s)
        self.newest_s = moment_s if self.newest_s is None else max(self.newest_s, moment_s)
        for name, value in (
            ("namespace", entry.namespace),
            ("tenant", entry.tenant.hex()),
            ("encoder", entry.encoder),
            ("source", entry.source),
        ):
            self.by[name][value] += 1

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it: counts, seconds since the epoch, and what ``by`` says."""
        return {
            "entries": self.entries,
            "bytes": self.bytes,
            "sealed": self.sealed,
            "unreadable": dict(self.unreadable),
            "expired": self.expired,
            "resting": self.resting,
            "semantic": self.semantic,
            "oldest_s": self.oldest_s,
            "newest_s": self.newest_s,
            "by": {name: dict(counts.most_common()) for name, counts in self.by.items()},
        }


def counted(store: InspectableStore, *, now_s: float, report: Report) -> Census:
    """Count everything in `store`."""
    census = Census(now_s=now_s)
    for page in pages(store, [Selector()], report):
        for stored in page.values():
            census.add(stored)
    return census


def other_key(store: InspectableStore, *, keyed: bool) -> str | None:
    """Return why what `store` has was sealed with another key than is used here, or None.

    Args:
        store: some of what it has is looked at.
        keyed: whether a key is set.
    """
    lying = store.inspect(store.select(Selector())[:PAGE]).values()
    if not keyed and any(stored.sealed for stored in lying):
        return "its entries are sealed, and no key is set"
    if keyed and lying and all(stored.found == "seal" for stored in lying):
        return "its entries are not sealed with the key that is set"
    return None
