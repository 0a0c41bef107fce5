"""The values of a report. A section that a source cannot tell is None, which is not the same as 0.

Times are seconds since the epoch, durations seconds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from accel_core.observer.requests import ModelTotals

OUTCOMES = ("exact", "semantic", "miss", "bypass")
"""What became of a request: served exactly, by meaning, not, or past the cache."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took.

    Attributes:
        samples: how often it was measured.
        mean_s, p50_s, p95_s, p99_s: of them all.
        bins: from, to, and how many lie between, rising; of a source that tells no distribution
            none.
    """

    samples: int
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    bins: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Counts over time, in slots of equal length.

    Attributes:
        start_s: when the first slot begins.
        step_s: how long each is.
        counts: by name a count for each slot: `OUTCOMES`, and ``refused`` (by the provider, for a
            limit), ``used_tokens``, ``saved_tokens``; a name that the source cannot tell is absent.
    """

    start_s: float
    step_s: float
    counts: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Waits of one of the limiter's tiers, until the first token or an unstreamed answer's end.

    ``target_s``: None: none is known; ``attained``: the share within it. ``whole``: they are until
    the end of streamed answers, too, since the source does not tell when their first token came.
    """

    durations: Durations
    target_s: float | None = None
    attained: float | None = None
    whole: bool = False


def attained_share(fates: Mapping[str, int]) -> float | None:
    """Return the share of a tier's calls that were in time, by `RequestEnded.attained`.

    Those that were turned away were not. None: nothing is told of any.
    """
    known = sum(fates.get(fate, 0) for fate in ("kept", "late", "rejected"))
    return fates.get("kept", 0) / known if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neared:
    """A stored question that was near one that was asked, and whose answer was not served.

    ``question``, ``nearest``: their texts; None: not told. ``times``: how often that was so.
    """

    id: str
    nearest_id: str
    reason: str
    similarity: float | None
    probability: float | None
    times: int
    question: str | None = None
    nearest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMisses:
    """What a lower threshold would have served.

    Attributes:
        score: what they are ordered by: ``probability`` or ``similarity``.
        pairs: the nearest, nearest first.
        counts: lookups by score, rounded down to `STEP`, of those that a lower threshold would have
            served.
    """

    score: str
    pairs: tuple[Neared, ...]
    counts: Mapping[float, int]

    STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question by the id of its entry; ``text``: None: not told."""

    id: str
    asked: int
    hits: int
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """Hits that were wrong: reported by somebody, or found by comparing answers."""

    reported: int
    demoted: int
    compared: int
    compared_wrong: int
    verified: int
    disapproved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """How full a limit was, over time.

    Attributes:
        limit: its name, as ``tokens_per_minute``.
        amount: of it; None: it is not configured.
        peaks: for each slot of the history the most that its minutes (or days) held: those that
            end in the slot.
    """

    limit: str
    amount: float | None
    peaks: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """Processes that could not ask for shared limits, and went on with a share of their own.

    ``least_share``: in [0, 1], 0 where nobody was let through, None where that never was;
    ``longest_s``: that one was; ``processes``: how many were, for each slot of the history.
    """

    times: int
    least_share: float | None
    longest_s: float
    processes: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsMet:
    """What providers' limits did: calls that waited, were refused (429), or turned away by us.

    ``fill``: how full they were, of those that are configured, else calls and tokens a minute.
    """

    waited: Durations | None
    refused: int | None
    rejected: Mapping[str, int] | None
    hidden: int | None = None
    fill: tuple[Fill, ...] | None = None
    alone: Alone | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RacePath:
    """One way to an answer: what became of it (`events.PathOutcome`), and how long it took."""

    outcomes: Mapping[str, int]
    took: Durations | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Races:
    """Answers that several ways were tried for at once.

    ``count``: races; ``unanswered``: those that ended in an error; ``took``: until they were over;
    ``paths``: by name. None: not told.
    """

    count: int | None
    unanswered: int | None
    took: Durations | None
    paths: Mapping[str, RacePath]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Calls of one tool that were begun before they were asked for."""

    begun: int = 0
    used: int = 0
    wasted: int = 0
    shared: int = 0
    saved_s: float = 0.0
    different: int = 0
    suspended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """What one predictor of tool calls came to; under ``""``, calls given to several who asked.

    ``begun``: calls that it began; ``used``: calls that were answered by one; ``saved_s``: how much
    sooner they were, altogether.
    """

    begun: int = 0
    used: int = 0
    saved_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Documents, answers made of them, and vectors that were served instead of made anew."""

    hits: int
    stale: int
    misses: Mapping[str, int]
    skipped: Mapping[str, int]
    vectors_cached: int
    vectors_asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What is missing: events that observers lost, lines nobody could read, writes let go."""

    observers: Mapping[str, int]
    unreadable_lines: int
    writes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """What a store holds. ``ages``, ``sizes``: bins as of `Durations`, in seconds and bytes."""

    count: int
    bytes: int
    expired: int
    semantic: int
    unreadable: int
    ages: tuple[tuple[float, float, float], ...]
    sizes: tuple[tuple[float, float, float], ...]
    namespaces: Mapping[str, int]
    sources: Mapping[str, int]
    newest: tuple[tuple[str, float, int, str | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that sources told.

    Attributes:
        sources: where from.
        made_at_s: when it was made.
        from_s, until_s: the first and the last moment told of.
        outcomes: requests by `OUTCOMES`; a source may tell no more than ``hit`` of both kinds.
        endings: requests by ending.
        history: over time.
        models: what they used and saved, by model.
        latency: by ``hit``, ``miss``, ``bypass``; ``without``: what all would have taken without
            the cache, as far as that is known; ``with``: what they took.
        tiers: by the limiter's tier.
        parts: where the time went, by part of `events.requests.Parts`, and ``token_s``: the time
            for each token of a stream after its first.
        reasons: why: of ``miss``, ``bypass``, ``unstored``, ``evicted``, ``wasted`` (guesses).
        near: what a lower threshold would have served.
        questions: the most asked.
        wrong: hits that were wrong.
        limits: what limits did.
        tools: speculation, by tool.
        guesses: speculation, by predictor.
        races: of several ways to an answer.
        retrieval: documents and vectors.
        failures: of backends, by ``backend.operation``.
        losses: what is missing here.
        entries: what a store holds.
    """

    sources: tuple[str, ...]
    made_at_s: float
    from_s: float | None = None
    until_s: float | None = None
    outcomes: Mapping[str, int] | None = None
    endings: Mapping[str, int] | None = None
    history: History | None = None
    models: Mapping[str, ModelTotals] | None = None
    latency: Mapping[str, Durations] | None = None
    tiers: Mapping[str, Tier] | None = None
    parts: Mapping[str, Durations] | None = None
    reasons: Mapping[str, Mapping[str, int]] | None = None
    near: NearMisses | None = None
    questions: tuple[Question, ...] | None = None
    wrong: Wrong | None = None
    limits: LimitsMet | None = None
    tools: Mapping[str, Tool] | None = None
    guesses: Mapping[str, Guesses] | None = None
    races: Races | None = None
    retrieval: Retrieval | None = None
    failures: Mapping[str, int] | None = None
    losses: Losses | None = None
    entries: Entries | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def hits(self) -> int:
        """Requests that the cache answered."""
        return sum((self.outcomes or {}).get(name, 0) for name in ("exact", "semantic", "hit"))

    @property
    def lookups(self) -> int:
        """Requests that asked the cache."""
        return self.hits + (self.outcomes or {}).get("miss", 0)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it; what no source told is null."""
        spelled = asdict(self)
        spelled["hit_rate"] = self.hits / self.lookups if self.lookups else None
        if self.models is not None:
            spelled["models"] = {
                name: {
                    **totals._asdict(),
                    "used": totals.used._asdict(),
                    "saved": totals.saved._asdict(),
                }
                for name, totals in self.models.items()
            }
        return spelled


def merged(reports: Iterable[Report]) -> Report:
    """Return one report of several, each section by the first that can tell it."""
    found = list(reports)
    first = found[0]
    if len(found) == 1:
        return first
    values: dict[str, Any] = {}
    for one in fields(Report):
        told = [getattr(report, one.name) for report in found]
        values[one.name] = next((value for value in told if value is not None), None)
    values["sources"] = tuple(source for report in found for source in report.sources)
    values["notes"] = tuple(note for report in found for note in report.notes)
    return Report(**values)
