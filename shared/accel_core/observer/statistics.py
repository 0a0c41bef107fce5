"""Counts of what happened, in memory."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accel_core import events
from accel_core.events.races import PathsRaced
from accel_core.observer.requests import Requests
from accel_core.observer.statistics_html import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accel_core.events import Event
    from accel_core.policy.limits.tiers import Attainment


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """A snapshot of counts since the start.

    Attributes:
        exact_hits: answers served to the very same request.
        semantic_hits: answers served by meaning.
        shared_hits: of both, those whose caller waited for another call in progress.
        misses: lookups that found nothing, by reason.
        explored: stored answers that were compared with the model's instead of served.
        explored_wrong: of them, those that would have been wrong.
        would_hits: of the explored, those that would have been served as configured.
        would_hits_wrong: of these, those that would have been wrong.
        missed: stored answers that the policy or its verifier refused and that would have been
            right; counted in shadow mode only.
        verified: stored answers that a verifier judged.
        disapproved: of them, those that it would not serve.
        bypassed: calls that did not consult the cache, by reason.
        stored: answers stored.
        refused: answers not stored, by reason.
        retrieval_skipped: messages for which no documents were searched, by reason.
        failures: failures of backends, by ``backend.operation``.
        embeddings_cached: texts whose vector was served, or waited for, instead of asked for.
        embeddings_asked: texts that an accelerated embedding model was asked for.
        evicted: entries that left for space or age.
        invalidated: entries removed on demand.
        retrieval_hits: documents, and answers made of them, served from the cache.
        retrieval_stale: of them, those served while they were made anew or because that failed.
        retrieval_misses: those that were not, by reason.
        tool_guesses: tool calls that were begun before they were asked for.
        tool_guesses_wasted: of them, those that never will, by reason.
        tool_calls_reused: tool calls answered by a guess, or by another call.
        tool_wait_saved_s: how much sooner they were answered, together, in seconds.
        raced: paths of races, by ``name.outcome`` (`events.PathRun`).
        requests: what the application's requests came to: tokens, costs, times.
        observers: events that never reached an observer in the background, or that it failed on,
            by observer; only of those that have any.
    """

    exact_hits: int = 0
    semantic_hits: int = 0
    shared_hits: int = 0
    misses: Mapping[str, int] = field(default_factory=dict)
    explored: int = 0
    explored_wrong: int = 0
    would_hits: int = 0
    would_hits_wrong: int = 0
    missed: int = 0
    verified: int = 0
    disapproved: int = 0
    bypassed: Mapping[str, int] = field(default_factory=dict)
    stored: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    retrieval_skipped: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    embeddings_cached: int = 0
    embeddings_asked: int = 0
    evicted: int = 0
    invalidated: int = 0
    retrieval_hits: int = 0
    retrieval_stale: int = 0
    retrieval_misses: Mapping[str, int] = field(default_factory=dict)
    tool_guesses: int = 0
    tool_guesses_wasted: Mapping[str, int] = field(default_factory=dict)
    tool_calls_reused: int = 0
    tool_wait_saved_s: float = 0.0
    raced: Mapping[str, int] = field(default_factory=dict)
    requests: Requests = field(default_factory=Requests)
    observers: Mapping[str, int] = field(default_factory=dict)

    @property
    def attained(self) -> Mapping[str, Attainment]:
        """What became of calls by service tier, of whatever limiter they met (`Requests`)."""
        return self.requests.attained

    @property
    def hits(self) -> int:
        """All hits."""
        return self.exact_hits + self.semantic_hits

    @property
    def lookups(self) -> int:
        """All lookups: hits and misses."""
        return self.hits + sum(self.misses.values())

    @property
    def hit_rate(self) -> float:
        """Share of lookups that were hits, in [0, 1]; 0 without lookups."""
        return self.hits / self.lookups if self.lookups else 0.0

    def _repr_html_(self) -> str:
        """Return a table, for notebooks."""
        return tables(self._counts(), self.requests)

    def _counts(self) -> Iterator[tuple[str, str]]:
        yield "hit rate", f"{self.hit_rate:.1%}"
        yield "hits, exact and semantic", f"{self.exact_hits}, {self.semantic_hits}"
        for reason, count in sorted(self.misses.items(), key=lambda miss: -miss[1]):
            yield f"misses: {reason}", str(count)
        if self.tool_guesses:
            yield (
                "tool calls begun unasked, and reused",
                (f"{self.tool_guesses}, {self.tool_calls_reused}"),
            )
            yield "waiting for tools saved", f"{self.tool_wait_saved_s:.1f} s"
        for path, count in sorted(self.raced.items()):
            yield f"raced: {path}", str(count)
        for tier, found in self.attained.items():
            fates = f"{found.kept} in time, {found.late} late, {found.rejected} turned away"
            yield f"tier {tier}: {found.share:.1%} attained", fates
        for observer, lost in self.observers.items():
            yield f"events lost by {observer}", str(lost)


class StatisticsObserver:
    """Counts events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._exact_hits = 0
        self._saved_s = 0.0

    def __call__(self, event: Event) -> None:
        """Count `event`."""
        with self._lock:
            if isinstance(event, events.CacheHit):
                if event.tier == "exact":
                    self._exact_hits += 1
                else:
                    self._counts["hit", event.tier] += 1
                if event.shared:
                    self._counts["hit", "shared"] += 1
            elif isinstance(event, events.CacheExplored):
                verdict = "right" if event.right else "wrong"
                self._counts["refused" if event.refused else "explored", verdict] += 1
                if event.served:
                    self._counts["would", verdict] += 1
            elif isinstance(event, events.CacheVerified):
                self._counts["verified", "yes" if event.approved else "no"] += 1
            else:
                if isinstance(event, events.ToolCallReused):
                    self._saved_s += event.saved_s
                for name, detail, count in _counted(event):
                    self._counts[name, detail] += count

    def snapshot(
        self,
        requests: Requests | None = None,
        lost: Mapping[str, int] | None = None,
    ) -> Statistics:
        """Return the counts so far, with what others counted: requests, and events lost."""
        with self._lock:
            counts, exact_hits, saved_s = dict(self._counts), self._exact_hits, self._saved_s

        def by_reason(kind: str) -> dict[str, int]:
            return {reason: n for (name, reason), n in counts.items() if name == kind}

        recalled = by_reason("RetrievalHit")
        return Statistics(
            exact_hits=exact_hits,
            semantic_hits=counts.get(("hit", "semantic"), 0),
            shared_hits=counts.get(("hit", "shared"), 0),
            misses=by_reason("CacheMiss"),
            explored=sum(by_reason("explored").values()),
            explored_wrong=counts.get(("explored", "wrong"), 0),
            would_hits=sum(by_reason("would").values()),
            would_hits_wrong=counts.get(("would", "wrong"), 0),
            missed=counts.get(("refused", "right"), 0),
            verified=sum(by_reason("verified").values()),
            disapproved=counts.get(("verified", "no"), 0),
            bypassed=by_reason("CacheBypassed"),
            stored=counts.get(("stored", ""), 0),
            refused=by_reason("CacheRefused"),
            retrieval_skipped=by_reason("RetrievalSkipped"),
            failures=by_reason("failure"),
            embeddings_cached=counts.get(("embeddings", "cached"), 0),
            embeddings_asked=counts.get(("embeddings", "asked"), 0),
            evicted=sum(by_reason("CacheEvicted").values()),
            invalidated=counts.get(("invalidated", ""), 0),
            retrieval_hits=sum(recalled.values()),
            retrieval_stale=sum(recalled.values()) - recalled.get("", 0),
            retrieval_misses=by_reason("RetrievalMiss"),
            tool_guesses=counts.get(("ToolCallBegun", ""), 0),
            tool_guesses_wasted=by_reason("ToolCallWasted"),
            tool_calls_reused=counts.get(("ToolCallReused", ""), 0),
            tool_wait_saved_s=saved_s,
            raced=by_reason("raced"),
            requests=requests or Requests(),
            observers=lost or {},
        )

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = threading.Lock()


def _counted(event: Event) -> list[tuple[str, str, int]]:
    """Return what is counted of an event that is not on the way of a hit."""
    if isinstance(event, events.BackendFailed):
        return [("failure", f"{event.backend}.{event.operation}", 1)]
    if isinstance(event, events.CacheInvalidated):
        return [("invalidated", "", event.entries)]
    if isinstance(event, events.CacheStored):
        return [("stored", "", 1)]
    if isinstance(event, events.EmbeddingsServed):
        cached = event.cached + event.shared
        return [("embeddings", "cached", cached), ("embeddings", "asked", event.asked)]
    if isinstance(event, PathsRaced):
        return [("raced", f"{path.name}.{path.outcome}", 1) for path in event.paths]
    detail = getattr(event, "reason", "") or getattr(event, "stale", "")
    return [(type(event).__name__, detail, 1)]
