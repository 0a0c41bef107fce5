"""What happened, as frozen values: the one language of logs, metrics, tests and reports.

An event holds no question and no answer: texts may be private. It names an entry by its id.
All durations are seconds; similarities are cosines in [-1, 1]. Named tuples, because one is made on
every hit.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from accel_core.ended import RequestEnded
from accel_core.race_events import PathsRaced

Tier = Literal["exact", "semantic"]


class CacheHit(NamedTuple):
    """A stored answer was served. ``shared`` says that the caller had waited for a leader."""

    tier: Tier
    entry_id: str
    similarity: float
    age_s: float
    shared: bool = False


class CacheMiss(NamedTuple):
    """No stored answer was served; ``reason`` says why, in a fixed vocabulary.

    Reasons: ``no_entry``, ``below_threshold`` (the nearest is far), ``improbable`` (near, and
    probably another question), ``gate:`` and the name of the gate that refused (`policy.gates`),
    ``not_comparable`` (only an exact hit was possible),
    an encoder's distrust (``empty``, ``window``, ``unknown_tokens``, ``script``), ``no_encoder``,
    ``uncalibrated``, ``backend`` (something failed), ``declined`` (the leader's answer may not
    be shared); ``explored``, ``shadow`` (its answer will be compared with what was stored);
    ``verifier:`` and the name of the verifier that said no, ``unverified`` (it was asked, and there
    is no verdict), ``verifying`` (it is asked in the background, for the next time);
    ``volatile``, ``personal``, ``acting`` (the same words deserve another answer).
    """

    reason: str
    similarity: float | None = None


class CacheExplored(NamedTuple):
    """A stored answer that was not served was compared with the model's own.

    ``probability``: that it would be ``right``, as decided before; None under a plain threshold.
    ``served``: whether it would have been served as configured, had nobody explored. ``reason``:
    why (``calibrated``, ``threshold``, ``verified``; under a bound ``proven``, ``sampled``), or why
    not (as of `CacheMiss`; under a bound ``unproven``, ``demoted``, ``hopeless``, ``shadow``).
    ``refused``: by the policy itself or its verifier, and compared all the same, as shadow mode
    does.
    """

    entry_id: str
    right: bool
    probability: float | None = None
    similarity: float | None = None
    served: bool = True
    reason: str = ""
    refused: bool = False


class CacheVerified(NamedTuple):
    """A verifier said whether a stored answer may be served to another wording."""

    entry_id: str
    verifier: str
    approved: bool


class CacheBypassed(NamedTuple):
    """The cache was not consulted.

    Reasons: ``temperature``, ``no_cache``, ``tenant_required``, ``disabled``, ``several_answers``,
    ``verifying`` (a verifier asks its model).
    """

    reason: str


class CacheStored(NamedTuple):
    """An answer was stored; ``semantic`` says whether it may be served by meaning."""

    entry_id: str
    semantic: bool
    ttl_s: float


class CacheRefused(NamedTuple):
    """An answer was not stored, for ``reason``.

    Reasons: ``empty``, ``truncated``, ``refused``, ``error``, ``too_large``, ``no_store``,
    ``unserialisable``, ``unsupported``; ``volatile``, ``personal``, ``acting``.
    """

    reason: str


class CacheEvicted(NamedTuple):
    """An entry left for space (``reason="space"``) or age (``reason="expired"``)."""

    entry_id: str
    reason: Literal["space", "expired"]


class CacheInvalidated(NamedTuple):
    """Entries were removed because somebody asked for it."""

    entries: int


class BackendFailed(NamedTuple):
    """A store, an index, an encoder, a verifier, a gate or a tokenizer failed; the call went on."""

    backend: str
    operation: str
    error: str


class EmbeddingsServed(NamedTuple):
    """Texts were embedded: from the cache, by waiting for another call, or by asking the model.

    A text that stands in a call more than once counts once.
    """

    cached: int
    shared: int
    asked: int


class LearnedIgnored(NamedTuple):
    """What was learned before is left out, and learning starts cold; said with the file's path.

    Reasons: ``damaged``, ``format`` (another version's; a newer one's file is left as it is),
    ``encoder``, ``calibration``, ``verifier``, ``max_wrong_hits`` (it was learned under another
    one).
    """

    path: str
    reason: str


class RetrievalSkipped(NamedTuple):
    """A message was taken to need no documents, and nothing was searched.

    ``reason``: a kind of small talk (``greeting``, ``thanks``, ``conversation`` …) or ``trained``.
    ``probability``: that documents were needed, where a trained gate decided.
    """

    reason: str
    probability: float | None = None


class SemanticUnavailable(NamedTuple):
    """Answers are served exactly only; said once, with the remedy."""

    reason: str
    remedy: str


class SearchUnavailable(NamedTuple):
    """A shared store does not search by meaning, so that its processes do, over vectors they hold.

    ``missing`` says what its server lacks; said once for every server that is met.
    """

    backend: str
    missing: str
    remedy: str


class StoreSwept(NamedTuple):
    """A shared store was cleaned while something was saved.

    ``entries`` left because they had expired or for space; ``vectors`` had no entry any more.
    """

    backend: str
    entries: int
    vectors: int


class WriteDropped(NamedTuple):
    """So many writes were let go: a full queue's oldest, or what the store refused for good."""

    writes: int


class ControlIgnored(NamedTuple):
    """A per-call control had a value that cannot be used; the call went on without it."""

    name: str
    expected: str


class RetrievalHit(NamedTuple):
    """Documents, or an answer made of them, were served from the cache.

    ``stale``: ``renewing`` (it is being made anew), ``error`` (making it anew failed), or ``""``.
    ``shared``: its caller waited for another call in progress.
    """

    tier: Tier
    entry_id: str
    similarity: float
    age_s: float
    stale: str = ""
    shared: bool = False


class RetrievalMiss(NamedTuple):
    """Nothing was served; why, as of `CacheMiss`, or ``changed`` (the documents did)."""

    reason: str
    similarity: float | None = None


class RetrievalStored(NamedTuple):
    """Documents, or an answer made of them, were stored; fresh for `ttl_s` seconds."""

    entry_id: str
    ttl_s: float


class RetrievalRefused(NamedTuple):
    """They were not stored.

    Reasons: ``too_large``, ``no_store``, ``unserialisable``, ``empty`` (an answer that says
    nothing), ``invalidated``; ``volatile``, ``personal``, ``acting``.
    """

    reason: str


class CorpusChanged(NamedTuple):
    """Documents changed: so many that were named, or None where it may concern everything."""

    documents: int | None


class LimitWaited(NamedTuple):
    """A call was let through after waiting for its provider's limits, for `wait_s` seconds."""

    wait_s: float
    tier: str


class LimitRejected(NamedTuple):
    """A call was turned away: there is room in `eta_s` seconds, later than it may wait."""

    eta_s: float
    tier: str


class ToolCallBegun(NamedTuple):
    """A tool was called unasked, because `predictor` guessed that it would be asked for."""

    tool: str
    predictor: str
    confidence: float


class ToolCallReused(NamedTuple):
    """A tool call was answered by one that had been begun before, and `saved_s` seconds sooner.

    ``predictor``: who had guessed it; ``""``: an earlier call of an agent. ``saved_s``: how long
    that one had been under way when it ended, or was asked for; never more.
    """

    tool: str
    predictor: str
    saved_s: float


class ToolCallWasted(NamedTuple):
    """A tool was called unasked, and in vain.

    Reasons: ``unasked`` (the model asked for something else, and nothing came within the window),
    ``changed`` (something may have changed since), ``expired``, ``evicted``, ``failed``,
    ``timeout``, ``closed`` (the run ended).
    """

    tool: str
    predictor: str
    reason: str


class ToolCallAudited(NamedTuple):
    """A result was not adopted but compared with the real call's, which was; ``same``: by value."""

    tool: str
    predictor: str
    same: bool


class SpeculationSuspended(NamedTuple):
    """A tool is called unasked no more.

    Reasons: ``different`` (a result differed from the real call's: it is never called unasked
    again, its results are shared no more, and its calls count as changes), ``uncopyable`` (its
    results cannot be copied), ``wasteful`` (most of its guesses were wasted: for a while).
    """

    tool: str
    reason: str


class PredictorFailed(NamedTuple):
    """Somebody who guesses calls failed; the run went on without. Said once for each cause.

    Reasons: ``predict``, ``learn``, ``draft`` (it raised), ``slow`` (it rests), ``late`` (a drafter
    had not answered when the model had), ``not_a_guess``, ``confidence`` (none in [0, 1]),
    ``unknown_tool`` (none that may be guessed). What a tool, asked about itself, raises is under
    ``tool``.
    """

    predictor: str
    reason: str
    detail: str


class LimitsAlone(NamedTuple):
    """Limits that processes share cannot be asked for: this one goes on with its `share` of them.

    ``processes``: that took of them lately, when they could last be asked for; ``share``: in
    (0, 1]; 0 where nobody is let through meanwhile.
    """

    processes: int
    share: float


class LimitsShared(NamedTuple):
    """Limits that processes share can be asked for again, with so many taking of them."""

    processes: int


class HiddenLimitFound(NamedTuple):
    """What was refused shows a limit that no header names.

    ``unit`` is a position in `policy.limits.charge.Charge`; ``start_s`` is when a window starts,
    None for a bucket.
    """

    unit: int
    amount: float
    length_s: float
    start_s: float | None


Event = (
    CacheHit
    | CacheMiss
    | CacheExplored
    | CacheVerified
    | CacheBypassed
    | CacheStored
    | CacheRefused
    | CacheEvicted
    | CacheInvalidated
    | BackendFailed
    | EmbeddingsServed
    | LearnedIgnored
    | RetrievalHit
    | RetrievalMiss
    | RetrievalStored
    | RetrievalRefused
    | CorpusChanged
    | LimitWaited
    | PathsRaced
    | LimitRejected
    | LimitsAlone
    | LimitsShared
    | HiddenLimitFound
    | RetrievalSkipped
    | SearchUnavailable
    | SemanticUnavailable
    | StoreSwept
    | WriteDropped
    | ControlIgnored
    | ToolCallBegun
    | ToolCallReused
    | ToolCallWasted
    | ToolCallAudited
    | SpeculationSuspended
    | PredictorFailed
    | RequestEnded
)
