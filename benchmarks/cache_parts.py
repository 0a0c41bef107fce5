"""What the rows of the group ``cache`` share: the encoder, filled caches, requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accel_core.accel import Accel
from accel_core.drive.flight import Flight
from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Miss
from benchmarks import questions
from benchmarks.harness import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from accel_core.policy.identity import Request
    from accel_core.ports import Encoder, Vector
    from benchmarks.harness import Context
    from benchmarks.questions import Vectors

ENTRIES = 10_000
PLAIN = {"min_similarity": 0.92, "gates": {"enabled": False}}
"""The bare lookup, as peers have it; the group ``decision`` measures what a decision adds."""
ANSWER = Answer(b'{"answer":"forty-two"}', "forty-two")
_WRITTEN_AT_ONCE = 5_000  # the background writer holds 10,000 and then drops the oldest


class KnownEncoder:
    """An encoder whose vectors are known before: it measures everything but encoding."""

    name = "known"
    min_similarity: float | None = 0.92

    def __init__(self, texts: Sequence[str] = (), vectors: Iterable[Vector] = ()) -> None:
        self._vectors = {text: row[None] for text, row in zip(texts, vectors, strict=True)}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the known vectors of `texts`."""
        if len(texts) == 1:
            return self._vectors[texts[0]]
        return np.concatenate([self._vectors[text] for text in texts])

    def distrust(self, text: str) -> str | None:  # noqa: ARG002
        """Trust everything."""
        return None


def minilm(context: Context) -> MiniLMEncoder:  # noqa: ARG001 - made once per context
    """Return the real encoder, loaded; to be had by ``context.once``."""
    encoder = MiniLMEncoder()
    try:
        encoder.warm()
    except Exception as error:
        raise UnavailableError("needs all-MiniLM-L6-v2: make bench-setup") from error
    return encoder


def real_texts(context: Context) -> list[str]:
    """Return questions; to be had by ``context.once``."""
    return questions.texts(context)


def real_vectors(context: Context) -> Vectors:
    """Return the vectors of `real_texts`; to be had by ``context.once``."""
    return questions.encoded(
        context.once(minilm), context.once(real_texts), lambda share: context.report(share / 2)
    )


def roomy(entries: int, encoder: Encoder) -> Accel:
    """Return a cache that has room for `entries`, and keeps them while it is measured."""
    memory = {"max_entries": max(entries, ENTRIES), "max_bytes": 1 << 40}
    return Accel.from_mapping(
        {"cache": {"memory": memory, "semantic": PLAIN, "ttl": {"base_s": 86_400}}},
        encoder=encoder,
    )


def request_of(accel: Accel, text: str) -> Request:
    """Name a question as an adapter does."""
    turns = (Turn("system", ("Answer briefly.",)), Turn("user", (text,)))
    model = {"model": "gpt-4o-mini", "temperature": 0}
    asked = accel.identify(
        Prompt("benchmark", model, turns, tenant=accel.current_tenant(), source="gpt-4o-mini")
    )
    assert asked is not None
    return asked


def keep(accel: Accel, text: str, vector: Vector, answer: Answer = ANSWER) -> bytes:
    """Store an answer whose vector its lookup has found; return the scope."""
    asked = request_of(accel, text)
    flight = Flight(asked.key, None, 0.0, 0)
    flight.vector = vector
    accel.cache.store(asked, answer, flight=flight)
    return asked.scope


def fill(accel: Accel, base: Vectors, start: int, stop: int, seed: int) -> None:
    """Store entries `start` to `stop` of an endless row of questions, and wait for the index."""
    for begin in range(start, stop, _WRITTEN_AT_ONCE):
        end = min(begin + _WRITTEN_AT_ONCE, stop)
        for number, vector in enumerate(questions.part(base, begin, end, seed), begin):
            # A copy: a row of the whole part would keep all of it in memory.
            keep(accel, f"What should I know about subject {number}?", vector.copy())
        accel.flush()


def look_up(accel: Accel, text: str) -> bool:
    """Ask a question as an adapter does; whether there was a hit."""
    found = accel.cache.lookup(request_of(accel, text))
    if isinstance(found, Miss):
        accel.cache.abandon(found.flight)
        return False
    return True


async def alook_up(accel: Accel, text: str) -> bool:
    """Async form of `look_up`."""
    found = await accel.cache.alookup(request_of(accel, text))
    if isinstance(found, Miss):
        accel.cache.abandon(found.flight)
        return False
    return True


def indexed(accel: Accel) -> int:
    """Return how many vectors the index of `accel` holds."""
    return len(accel._built.tiers._index)
