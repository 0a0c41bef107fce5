"""What became of questions that a cache was asked, and of the answers it was given."""

from __future__ import annotations

from typing import Literal, NamedTuple

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


class EmbeddingsServed(NamedTuple):
    """Texts were embedded: from the cache, by waiting for another call, or by asking the model.

    A text that stands in a call more than once counts once.
    """

    cached: int
    shared: int
    asked: int


class HitReported(NamedTuple):
    """Somebody says that a hit was wrong; ``demoted``: its entry was, for it was his to report."""

    entry_id: str
    demoted: bool


class LearnedIgnored(NamedTuple):
    """What was learned before is left out, and learning starts cold; said with the file's path.

    Reasons: ``damaged``, ``format`` (another version's; a newer one's file is left as it is),
    ``encoder``, ``calibration``, ``verifier``, ``max_wrong_hits`` (it was learned under another
    one).
    """

    path: str
    reason: str


class SemanticUnavailable(NamedTuple):
    """Answers are served exactly only; said once, with the remedy."""

    reason: str
    remedy: str


class ControlIgnored(NamedTuple):
    """A per-call control had a value that cannot be used; the call went on without it."""

    name: str
    expected: str
