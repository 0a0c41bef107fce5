"""What a lookup costs that the server answers: against redisvl, and in round trips.

Every vector is known before, so that no encoder is measured. Another process stored the entries, so
that nothing is in the memory of the one that asks. redisvl is used as its documentation shows: its
own index, which is FLAT, no filter and no expiry, each of which would add to its time.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from accel_core.semantic_cache import Hit, Miss
from benchmarks import cache_parts as parts
from benchmarks import questions, redis_parts
from benchmarks.harness import Measured, Row, UnavailableError
from benchmarks.timing import ratio, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel
    from benchmarks.harness import Context
    from benchmarks.questions import Vectors
    from tools.redis_server import RedisServer

_ENTRIES = 10_000
_ASKED = 500
_UNKNOWN = "Is there anything that nobody ever asked?"
_ANSWER = "An answer of some length, as a model would give it to a short question."


class _Asked(NamedTuple):
    """Questions of other words: half are near an entry, and half near none."""

    near: list[str]
    far: list[str]
    vectors: Vectors

    @property
    def texts(self) -> list[str]:
        """All, the near before the far, in the order of `vectors`."""
        return self.near + self.far


def _asked(entries: Vectors, seed: int) -> _Asked:
    near = questions.asked_again(entries, _ASKED, seed)
    far = questions.noisy(near, 3.0, np.random.default_rng((seed, 11)))
    texts = [f"Could you tell me about number {number}?" for number in range(2 * _ASKED)]
    return _Asked(texts[:_ASKED], texts[_ASKED:], np.concatenate([near, far]))


@contextmanager
def _shared(context: Context, server: RedisServer, search: str) -> Iterator[tuple[Accel, _Asked]]:
    """Let one process store 10,000 entries, and give another one, and what to ask it."""
    seed, base = context.seed, context.once(parts.real_vectors)
    asked = _asked(questions.part(base, 0, _ENTRIES, seed), seed)
    with redis_parts.joined(
        server.url, parts.KnownEncoder(), search=search, semantic=parts.PLAIN
    ) as writer:
        parts.fill(writer, base, 0, _ENTRIES, seed)
    # The unknown question lies where no other does: against a far one.
    texts = [*_stored_texts(), *asked.texts, _UNKNOWN]
    vectors = [*questions.part(base, 0, _ASKED, seed), *asked.vectors, -asked.vectors[-1]]
    encoder = parts.KnownEncoder(texts, vectors)
    with redis_parts.joined(server.url, encoder, search=search, semantic=parts.PLAIN) as reader:
        redis_parts.settle(reader, server, _UNKNOWN)
        yield reader, asked


def _redisvl(context: Context, server: RedisServer, asked: _Asked) -> Callable[[], object]:
    """Fill redisvl's cache with the same vectors; return a call that looks for the next one."""
    try:
        from redisvl.extensions.cache.llm import SemanticCache
        from redisvl.utils.vectorize import CustomVectorizer
    except ModuleNotFoundError as error:
        raise UnavailableError("needs redisvl: make bench-setup") from error
    vectorizer = CustomVectorizer(embed=lambda _, **__: [0.0] * asked.vectors.shape[1])
    peer = SemanticCache(
        name="redisvl",
        redis_url=server.url,
        vectorizer=vectorizer,
        distance_threshold=redis_parts.DISTANCE,
    )
    entries = questions.part(context.once(parts.real_vectors), 0, _ENTRIES, context.seed)
    for number, vector in enumerate(entries):
        peer.store(f"What should I know about subject {number}?", _ANSWER, vector=vector.tolist())
        if number % 500 == 0:
            context.report(0.3 + 0.3 * number / _ENTRIES)
    following = cycle(_in_turn(asked.vectors.tolist()))
    hits = [bool(peer.check(vector=next(following))) for _ in range(100)]
    assert 45 <= sum(hits) <= 55, "redisvl does not find what is near, and only that"
    return lambda: peer.check(vector=next(following))


def _stored_texts() -> list[str]:
    """Return the words of the first entries, as `cache_parts.fill` stores them."""
    return [f"What should I know about subject {number}?" for number in range(_ASKED)]


def _in_turn(asked: list[Any]) -> list[Any]:
    """Return near and far ones in turn."""
    return [one for pair in zip(asked[:_ASKED], asked[_ASKED:], strict=True) for one in pair]


def lookup(context: Context, search: str) -> Measured:
    """Time the whole path of both: naming the request, search, fetching the answer, deciding."""
    with redis_parts.running() as server, _shared(context, server, search) as (accel, asked):
        peer = _redisvl(context, server, asked)
        following = cycle(_in_turn(asked.texts))
        found = ratio(
            timed(lambda: parts.look_up(accel, next(following))),
            timed(peer),
            rounds=context.pick(100, 30),
            calls=20,
        ).inverse()
        stats = accel.stats()
        assert stats.semantic_hits >= 0.45 * stats.lookups, "what is near is not served"
    return Measured(found.value, f"{found}")


def round_trips(context: Context, search: str) -> Measured:
    """Count what arrives at the server, lookup by lookup.

    What was not confirmed for a second is asked for again, so one lookup a second and process may
    take another round trip. The figure is that of the others, of the worst kind; the note has all.
    What goes on behind a lookup, as a flight ends, is nobody's wait and not counted.
    """
    with (
        redis_parts.running() as server,
        _shared(context, server, search) as (accel, asked),
        server.client() as client,
    ):
        counted = {
            kind: _counted(client, accel, texts, hit=hit)
            for kind, texts, hit in (
                ("exact", _stored_texts(), True),
                ("semantic", asked.near, True),
                ("miss", asked.far, False),
            )
        }
    note = "; ".join(
        f"{kind}: " + ", ".join(f"{count} took {trips}" for trips, count in sorted(seen.items()))
        for kind, seen in counted.items()
    )
    return Measured(max(median(seen.elements()) for seen in counted.values()), note)


def _counted(client: Any, accel: Accel, texts: list[str], *, hit: bool) -> Counter[int]:
    """Return how many lookups took so many round trips."""
    seen: Counter[int] = Counter()
    unlike = 0
    for text in texts:
        asked = parts.request_of(accel, text)
        before = redis_parts.quiet(client)
        found = accel.cache.lookup(asked)
        seen[redis_parts.requests(client) - before - 1] += 1
        unlike += isinstance(found, Hit) is not hit
        if isinstance(found, Miss):
            accel.cache.abandon(found.flight)
    assert unlike <= len(texts) // 20, f"{unlike} lookups went the other way"
    return seen


ROWS = [
    *(
        Row(
            name=f"lookup-{search.replace('_', '-')}",
            what=f"shared lookup by meaning without encoding, 10k entries, p50: redisvl ÷ {search}",
            op=">=",
            bound=1.5,
            measure=lambda context, search=search: lookup(context, search),
        )
        for search in ("query_engine", "vector_sets")
    ),
    *(
        Row(
            name=f"round-trips-{search.replace('_', '-')}",
            what=f"round trips of a lookup, {search}: exact hit, hit by meaning, miss",
            op="<=",
            bound=1,
            measure=lambda context, search=search: round_trips(context, search),
        )
        for search in ("query_engine", "vector_sets", "process")
    ),
]
