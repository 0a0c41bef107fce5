"""What a request of the application's was, when it has ended: the values of one event.

Like every event it holds no question and no answer. Durations are seconds.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

MODEL_OPERATIONS = frozenset({"chat", "text_completion", "embeddings"})
"""Operations that a provider counts tokens of."""

GENERATING = frozenset({"chat", "text_completion"})
"""Operations of language models: what service tiers, and times to a first token, are about."""

OPERATIONS = MODEL_OPERATIONS | {"retrieval", "query", "execute_tool"}
"""All that requests have; ``gen_ai.operation.name`` of OpenTelemetry's conventions, and `query`."""


class Tokens(NamedTuple):
    """What a call used.

    ``input_tokens`` is its whole prompt, ``cached_input_tokens`` the part of it that the provider
    read from its own cache.
    """

    input_tokens: float
    output_tokens: float
    cached_input_tokens: float = 0.0


def read_tokens(kept: object) -> Tokens | None:
    """Return what `used.spell_tokens` spelled; None where it is anything else."""
    if not isinstance(kept, dict):
        return None
    try:
        found = Tokens(**kept)
    except TypeError:
        return None
    return found if all(type(amount) is float for amount in found) else None


class Parts(NamedTuple):
    """Where the time of a request went, in seconds; the rest is the framework's and our own.

    ``lookup_s``: until the cache had answered. Of it, ``encode_s`` for the question's vector,
    ``shared_s`` waiting for whoever asked the same before, ``verify_s`` for a verifier.
    ``queue_s``: waiting for room within the provider's limits; ``backoff_s``: pauses between
    attempts. ``model_s``: what the model took beside those. Of a stream,
    ``first_token_s`` is from the sending of the last attempt to the first part, and ``stream_s``
    from the first part to the last. ``embed_s``, ``retrieval_s`` and ``tool_s`` stand for `model_s`
    where an embedding model, a retriever or a tool was asked.
    """

    lookup_s: float = 0.0
    encode_s: float = 0.0
    shared_s: float = 0.0
    verify_s: float = 0.0
    queue_s: float = 0.0
    backoff_s: float = 0.0
    model_s: float = 0.0
    first_token_s: float | None = None
    stream_s: float | None = None
    embed_s: float = 0.0
    retrieval_s: float = 0.0
    tool_s: float = 0.0


class RequestEnded(NamedTuple):
    """A call of the application's came to its end; one event for each, whatever became of it.

    Attributes:
        operation: ``chat`` or ``text_completion`` of a language model; ``embeddings``;
            ``retrieval`` (a retriever), ``query`` (a query engine), ``execute_tool`` (a tool of an
            agent that speculates, asked for by its model).
        outcome: ``hit``, ``miss`` or ``bypass`` of the cache. Of embeddings ``hit`` where the model
            was not asked; of a tool where another call's result was given.
        ending: ``answered``, ``failed``, or ``cancelled``, as is a stream that was given up.
        reason: of a hit, ``exact`` or as of `CacheExplored`; of a miss as of `CacheMiss`; of a
            bypass as of `CacheBypassed`. Of retrieval, a hit's is its tier, or as `RetrievalHit`
            has `stale`. Of a tool, ``guessed`` or ``earlier`` (a call's of an agent); else
            ``no_entry``, ``changing`` (it may change something), ``unnamed``, ``audited``.
        total_s: from the call to its end; of a stream with the time its reader took.
        ended_s: wall-clock stamp, seconds since the epoch.
        model: as the application names it; of models alone.
        provider: as the framework names it, or ``""``.
        tenant: digest of the tenant in hexadecimal, ``""`` for nobody's.
        tags: those that the framework's call carried.
        service_tier: of the limiter (``platinum`` … ``best_effort``).
        streamed: whether it was.
        tier: of a hit.
        entry_id: of a hit; of a miss, under which its answer is kept if it is.
        similarity: of a hit, or of the nearest entry; None where none was compared.
        age_s: of a hit.
        shared: whether a hit's caller had waited for a leader.
        parts: where the time went.
        attempts: how often the provider was asked; what a client repeats by itself is not seen.
        used: what the provider says was used; None where it does not say, or was not asked.
        seen_tokens: of an answer whose usage nobody stated: what of its output was seen, counted
            from its text; a lower bound.
        saved: what a hit's answer had used when it was made; None: not known.
        saved_s: how long it had taken; None: not known.
        error: class of what was raised, or ``""``.
        name: of the tool, or the class of the retriever or engine; of models ``""``.
        attained: of what a limiter let through, whether its first token (or its answer, where it
            was not streamed) was there by its tier's target; ``rejected`` where the limiter turned
            it away; ``""`` where there was no limiter, or neither room nor answer came to be.
    """

    operation: str
    outcome: Literal["hit", "miss", "bypass"]
    ending: Literal["answered", "failed", "cancelled"]
    reason: str
    total_s: float
    ended_s: float
    model: str = ""
    provider: str = ""
    tenant: str = ""
    tags: tuple[str, ...] = ()
    service_tier: str = ""
    streamed: bool = False
    tier: Literal["exact", "semantic", ""] = ""
    entry_id: str = ""
    similarity: float | None = None
    age_s: float | None = None
    shared: bool = False
    parts: Parts = Parts()
    attempts: int = 0
    used: Tokens | None = None
    seen_tokens: float = 0.0
    saved: Tokens | None = None
    saved_s: float | None = None
    error: str = ""
    name: str = ""
    attained: Literal["kept", "late", "rejected", ""] = ""

    @property
    def token_s(self) -> float | None:
        """The time for each token of a stream after its first; None: not streamed, or not stated.

        What benchmarks of inference call TPOT: from the first part to the last, by the tokens that
        came after the first.
        """
        stream_s = self.parts.stream_s
        if not stream_s or self.used is None or self.used.output_tokens <= 1:
            return None
        return stream_s / (self.used.output_tokens - 1)
