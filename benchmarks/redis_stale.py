"""How long another process serves what was invalidated: two processes, thousands of rounds.

Run as a module it is the process that serves::

    python -m benchmarks.redis_stale URL SEARCH

In each round one process stores an answer, the other looks it up until it serves it, and goes on
looking, by the same words or by others. Then the first invalidates it; when that has returned is
read from the clock that all processes of a machine share. The other tells when the last lookup
began that still was a hit.

News travel by a connection of their own. In the second row the server cuts it in every round just
before the invalidation, so that nobody hears of it by that.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.policy.admission import Answer
from accel_core.semantic_cache import Miss
from accel_core.testing.encoders import HashEncoder
from benchmarks import cache_parts as parts
from benchmarks import children, redis_parts
from benchmarks.harness import Measured, Row
from benchmarks.timing import spell_s

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from benchmarks.harness import Context

_BOUND_S = 1.0
"""What `accel_core.store.redis_store` states."""
_GIVEN_UP_S = 5 * _BOUND_S
_QUESTION, _REWORDED = "where is the blue car of my sister", "WHERE is the blue car of my sister?"


class _Rounds(NamedTuple):
    """What was seen, by who searches.

    Attributes:
        stale_s: of each round how long after its invalidation had returned the last lookup began
            that was still a hit; 0 where there was none.
    """

    stale_s: dict[str, list[float]]

    @property
    def measured(self) -> Measured:
        """How many rounds served something after the time stated."""
        every = [one for seen in self.stale_s.values() for one in seen]
        note = "; ".join(f"{search}: {_spelled(seen)}" for search, seen in self.stale_s.items())
        return Measured(sum(one > _BOUND_S for one in every), f"{len(every)} rounds; {note}")


def _spelled(stale_s: list[float]) -> str:
    after = sum(one > 0 for one in stale_s)
    p50, p99 = np.quantile(stale_s, [0.5, 0.99])
    longest = spell_s(max(stale_s))
    return f"{after} served after, p50 {spell_s(p50)}, p99 {spell_s(p99)}, longest {longest}"


def stale(context: Context, *, cut: bool) -> Measured:
    """Count the rounds in which an answer was served longer after its invalidation than stated."""
    rounds = context.pick(1_000, 200)
    searches = ("query_engine", "vector_sets", "process")
    return _Rounds({search: _rounds(search, rounds, cut=cut) for search in searches}).measured


def _rounds(search: str, rounds: int, *, cut: bool) -> list[float]:
    module = "benchmarks.redis_stale"
    with (
        redis_parts.running() as server,
        redis_parts.joined(server.url, HashEncoder(), search=search, semantic=parts.PLAIN) as accel,
        children.Child(module, sys.executable, "-m", module, server.url, search) as serving,
        server.client() as client,
    ):
        stale_s = []
        for number in range(rounds):
            version = f'"version {number}"'
            _store(accel, version)
            asked = _REWORDED if number % 2 else _QUESTION
            serving.ask(text=asked, version=version)
            if cut:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            accel.invalidate()
            returned_s = time.monotonic()
            stale_s.append(max(0.0, serving.hear()["last_hit_s"] - returned_s))
    return stale_s


def _store(accel: Accel, answer: str) -> None:
    """Ask what nobody answered yet, and store the answer."""
    asked = parts.request_of(accel, _QUESTION)
    found = accel.cache.lookup(asked)
    assert isinstance(found, Miss), "it was invalidated"
    accel.cache.store(asked, Answer(answer.encode(), answer), flight=found.flight)
    accel.flush()


def _serve(url: str, search: str) -> None:
    """Answer each question with a line when it is a hit, and one when it is none any more."""
    with redis_parts.joined(url, HashEncoder(), search=search, semantic=parts.PLAIN) as accel:
        for line in sys.stdin:
            request = json.loads(line)
            text, payload = request["text"], request["version"].encode()
            given_up_s = time.monotonic() + _GIVEN_UP_S
            while _served(accel, text) != payload:
                assert time.monotonic() < given_up_s, "what another process stored is not served"
            _tell(held=True)
            last_hit_s = began_s = time.monotonic()
            given_up_s = began_s + _GIVEN_UP_S
            while began_s < given_up_s and _served(accel, text) == payload:
                last_hit_s, began_s = began_s, time.monotonic()
            _tell(last_hit_s=last_hit_s)


def _served(accel: Accel, text: str) -> bytes | None:
    found = accel.cache.lookup(parts.request_of(accel, text))
    if isinstance(found, Miss):
        accel.cache.abandon(found.flight)
        return None
    return found.entry.payload


def _tell(**said: object) -> None:
    print(json.dumps(said), flush=True)


ROWS = [
    Row(
        name="stale",
        what=f"rounds of two processes with a hit over {_BOUND_S:g} s after invalidation returned",
        op="<=",
        bound=0,
        measure=lambda context: stale(context, cut=False),
    ),
    Row(
        name="stale-reconnected",
        what="the same, every round the way of news is cut just before",
        op="<=",
        bound=0,
        measure=lambda context: stale(context, cut=True),
    ),
]


if __name__ == "__main__":
    _serve(*sys.argv[1:])
