"""What finding by meaning costs once a question is encoded: against GPTCache, and as it grows.

Every vector is known before, so that no encoder is measured. Peer and index get the same vectors:
real questions, filled up with noisy copies of them.
"""

from __future__ import annotations

import tempfile
from itertools import count, cycle
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.index.scoped import ScopedIndex
from benchmarks import cache_parts as parts
from benchmarks import questions
from benchmarks.children import Peer
from benchmarks.harness import Context, Measured, Row
from benchmarks.timing import ratio, timed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.questions import Vectors

_SCOPE = b"scope"
_NEIGHBOURS = 3  # as many as a lookup asks for
_ASKED = 1_000
_PER_PEER_CALL = 20  # lookups of ours for one of the peer's: turns of like length
_SAME_COSINE = 5e-4  # float16 cannot tell nearer ones apart


def semantic_lookup(context: Context) -> Measured:
    """Time the whole path of both: naming the request, search, fetching the entry, deciding."""
    seed, base = context.seed, context.once(parts.real_vectors)
    entries = questions.part(base, 0, parts.ENTRIES, seed)
    asked = _hits_and_misses(entries, 500, seed)
    texts = [f"Could you tell me about number {number}?" for number in range(len(asked))]
    rounds, calls = context.pick(60, 20), 20
    with (
        tempfile.TemporaryDirectory() as folder,
        Peer("gptcache", "gptcache_lookup.py") as peer,
        parts.roomy(parts.ENTRIES, parts.KnownEncoder(texts, asked)) as accel,
    ):
        np.save(Path(folder) / "entries.npy", entries)
        np.save(Path(folder) / "questions.npy", asked)
        context.versions["gptcache"] = peer.ask(load=folder)["version"]
        parts.fill(accel, base, 0, parts.ENTRIES, seed)
        following = cycle(texts)
        ours = timed(lambda: parts.look_up(accel, next(following)))
        found = ratio(
            lambda calls: ours(_PER_PEER_CALL * calls) / _PER_PEER_CALL,
            lambda calls: float(peer.ask(lookups=calls)["seconds"]),
            rounds=rounds,
            calls=calls,
        ).inverse()
        hits = accel.stats().semantic_hits / accel.stats().lookups
    return Measured(found.value, f"{found}, {hits:.0%} hits")


def _hits_and_misses(entries: Vectors, asked: int, seed: int) -> Vectors:
    """Return questions of which every other one is near an entry, and the rest near none."""
    near = questions.asked_again(entries, asked // 2, seed)
    far = questions.noisy(near, 3.0, np.random.default_rng((seed, 11)))
    made = np.empty((2 * len(near), entries.shape[1]), np.float32)
    made[::2], made[1::2] = near, far
    return made


class _Grown(NamedTuple):
    """An index, the vectors in it by number, and questions to it."""

    searched: ScopedIndex
    vectors: Vectors
    asked: Vectors


def _key(number: int) -> bytes:
    return number.to_bytes(24, "big")


def _grown(context: Context, size: int) -> _Grown:
    """Return an index of `size`, and 1,000 questions: half held out of it, half near entries."""
    real = context.once(parts.real_vectors)
    real = np.random.default_rng(context.seed).permutation(real)
    vectors = questions.part(real[_ASKED // 2 :], 0, size, context.seed)
    index = ScopedIndex()
    for number, vector in enumerate(vectors):
        index.add(_SCOPE, _key(number), vector)
        if number % 1_000 == 0:
            context.report(0.5 + number / size / 2)
    again = questions.asked_again(vectors, _ASKED // 2, context.seed)
    return _Grown(index, vectors, np.concatenate([real[: _ASKED // 2], again]))


def grown_10k(context: Context) -> _Grown:
    return _grown(context, 10_000)


def grown_100k(context: Context) -> _Grown:
    return _grown(context, 100_000)


def _nearest_cosines(vectors: Vectors, asked: Vectors) -> NDArray[np.float32]:
    """Return each question's cosine to its true nearest neighbour."""
    best = np.full(len(asked), -1.0, np.float32)
    for start in range(0, len(vectors), 20_000):
        np.maximum(best, (asked @ vectors[start : start + 20_000].T).max(axis=1), out=best)
    return best


def _recall(grown: _Grown) -> Measured:
    """Count the questions whose nearest neighbour is found, or one as near as float16 can say."""
    truth = _nearest_cosines(grown.vectors, grown.asked)
    found = [grown.searched.nearest(_SCOPE, vector, _NEIGHBOURS)[0].key for vector in grown.asked]
    numbers = [int.from_bytes(key, "big") for key in found]
    cosines = np.einsum("ij,ij->i", grown.vectors[numbers], grown.asked)
    right = cosines >= truth - _SAME_COSINE
    half = len(right) // 2
    note = (
        f"{right[:half].mean():.3g} of questions held out, {right[half:].mean():.3g} of near ones"
    )
    return Measured(float(right.mean()), note)


def recall_10k(context: Context) -> Measured:
    return _recall(context.once(grown_10k))


def recall_100k(context: Context) -> Measured:
    return _recall(context.once(grown_100k))


def search_100k(context: Context) -> Measured:
    """Time one search and one encoder call in turn, so that the search finds caches as in use."""
    grown, encoder = context.once(grown_100k), context.once(parts.minilm)
    texts, numbers = context.once(parts.real_texts), count()

    def search() -> None:
        vector = grown.asked[next(numbers) % len(grown.asked)]
        grown.searched.nearest(_SCOPE, vector, _NEIGHBOURS)

    following = cycle(texts)
    found = ratio(
        timed(search),
        timed(lambda: encoder.encode([next(following)])),
        rounds=context.pick(800, 300),
        calls=1,
    )
    return Measured(found.value, f"{found}")


ROWS = [
    Row(
        name="semantic-lookup",
        what="lookup without encoding, 10k entries: GPTCache (sqlite + faiss) ÷ ours",
        op=">=",
        bound=25,
        aim=50,
        measure=semantic_lookup,
    ),
    Row(
        name="index-100k-p50",
        what="search among 100k, p50 ÷ the encoder call",
        op="<=",
        bound=0.1,
        aim=0.05,
        measure=search_100k,
    ),
    Row(
        name="index-100k-recall",
        what="recall@1 against exact search, 100k",
        op=">=",
        bound=0.98,
        aim=0.99,
        measure=recall_100k,
    ),
    Row(
        name="index-10k-recall",
        what="recall@1 against exact search, 10k",
        op=">=",
        bound=0.98,
        aim=0.99,
        measure=recall_10k,
    ),
]
