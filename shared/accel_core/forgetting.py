"""Remove what is kept of a tenant, a user, a tag or a question, wherever it is kept.

Invariant: entries go first, then what is kept beside them, so that nothing is written anew from an
entry after its traces were removed; what could not be removed is raised.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from accel_core.ports import Selector
    from accel_core.semantic_cache import SemanticCache


class Receipt(NamedTuple):
    """What `Accel.forget` removed, or with ``dry_run`` would remove."""

    removed: tuple[str, ...]
    dry_run: bool


class TextHolder(Protocol):
    """Keeps texts of calls, to save work."""

    def forget_texts(self) -> None:
        """Keep none of them any longer."""


class Traces(Protocol):
    """Has traces of calls, beside what is kept of them."""

    def forget(self, meant: Sequence[Selector], removed: Collection[str]) -> None:
        """Remove those of what is meant, whose entries had the ids `removed`; blocks."""


class Cache(Protocol):
    """Holds entries that can be named by selectors."""

    def invalidate(self, meant: Sequence[Selector], *, dry_run: bool = False) -> list[str]:
        """Remove what any selector means, everywhere; return the ids."""

    async def ainvalidate(self, meant: Sequence[Selector], *, dry_run: bool = False) -> list[str]:
        """Async form of `invalidate`."""


class Forgetting:
    """Forgets entries, texts that are held to save work, and lines of files beside them.

    Args:
        cache: holds the answers.
        traces: keep what was compared, what was learned from it, and what was told of it.
        *beside: hold entries of other kinds.
    """

    def __init__(self, cache: SemanticCache, traces: Sequence[Traces], *beside: Cache) -> None:
        self._cache, self._traces = cache, traces
        self._caches: tuple[Cache, ...] = (cache, *beside)
        self._holders: weakref.WeakSet[TextHolder] = weakref.WeakSet()

    def remembers(self, holder: TextHolder) -> None:
        """Let `holder`, which keeps texts of calls, know when somebody is to be forgotten."""
        self._holders.add(holder)

    def invalidate(self, meant: Sequence[Selector], *, dry_run: bool) -> list[str]:
        """Remove the entries that any selector means from every cache; return their ids, sorted.

        Raises:
            StoreError: a store failed, so entries may still be there.
        """
        return sorted(
            id_ for cache in self._caches for id_ in cache.invalidate(meant, dry_run=dry_run)
        )

    async def ainvalidate(self, meant: Sequence[Selector], *, dry_run: bool) -> list[str]:
        """Async form of `invalidate`."""
        removed: list[str] = []
        for cache in self._caches:
            removed += await cache.ainvalidate(meant, dry_run=dry_run)
        return sorted(removed)

    def forget(self, meant: Sequence[Selector], *, dry_run: bool) -> Receipt:
        """Remove what any selector means; with `dry_run` only tell.

        Raises:
            StoreError: the shared store or a file failed, so something may still be there.
        """
        removed = self.invalidate(meant, dry_run=dry_run)
        if not dry_run:
            self._forget_texts()
            self._forget_traces(meant, removed)
        return Receipt(tuple(removed), dry_run)

    async def aforget(self, meant: Sequence[Selector], *, dry_run: bool) -> Receipt:
        """Async form of `forget`."""
        removed = await self.ainvalidate(meant, dry_run=dry_run)
        if not dry_run:
            self._forget_texts()
            await self._cache.acall(lambda: self._forget_traces(meant, removed))
        return Receipt(tuple(removed), dry_run)

    def _forget_traces(self, meant: Sequence[Selector], removed: Collection[str]) -> None:
        for one in self._traces:
            one.forget(meant, removed)

    def _forget_texts(self) -> None:
        for holder in list(self._holders):
            holder.forget_texts()
