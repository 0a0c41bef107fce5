"""How long another process serves what was invalidated: two processes, thousands of rounds.

Run as a module it is the process that serves::

    python -m benchmarks.redis_stale URL SEARCH

In each round one process stores an answer, the other looks it up until it serves it, and goes on
looking, by the same words or by others. Then the first invalidates it; when that has returned is
read from the clock that all processes of a machine share. The other tells when the last lookup
began that still was a hit.

News travel by a connection of their own, and may be lost with it. In the second row the server
cuts it in every round just before the invalidation; in the third it stays open, and what is pushed
is lost on the way, which is why a time is stated and not none.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from accel_core.policy.admission import Answer
from accel_core.semantic_cache import Miss
from accel_core.testing.encoders import HashEncoder
from benchmarks import cache_parts as parts
from benchmarks import children, redis_parts
from benchmarks.harness import Measured, Row
from benchmarks.timing import spell_s
from tools.slow_network import SlowNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from accel_core.accel import Accel

    Lose = Callable[[redis.Redis, SlowNetwork], None]

_BOUND_S = 1.0
"""What `accel_core.store.redis_store` states."""
_GIVEN_UP_S = 5 * _BOUND_S
_SEARCHES = ("query_engine", "vector_sets", "process")
_QUESTION, _REWORDED = "where is the blue car of my sister", "WHERE is the blue car of my sister?"


def stale(rounds: int, lose: Lose | None = None) -> Measured:
    """Count the rounds in which an answer was served longer after its invalidation than stated.

    Args:
        rounds: of each way to search.
        lose: makes news get lost just before they are told.
    """
    seen = {search: _rounds(search, rounds, lose) for search in _SEARCHES}
    every = [one for stale_s in seen.values() for one in stale_s]
    note = "; ".join(f"{search}: {_spelled(stale_s)}" for search, stale_s in seen.items())
    return Measured(sum(one > _BOUND_S for one in every), f"{len(every)} rounds; {note}")


def _spelled(stale_s: list[float]) -> str:
    after = sum(one > 0 for one in stale_s)
    p50, p99 = np.quantile(stale_s, [0.5, 0.99])
    longest = spell_s(max(stale_s))
    return f"{after} served after, p50 {spell_s(p50)}, p99 {spell_s(p99)}, longest {longest}"


def _cut(client: redis.Redis, _: SlowNetwork) -> None:
    client.client_kill_filter(_type="pubsub")


def _deafen(_: redis.Redis, network: SlowNetwork) -> None:
    network.be(deaf=True)


def _rounds(search: str, rounds: int, lose: Lose | None) -> list[float]:
    """Return of each round how long an answer was served after its invalidation had returned.

    In seconds: when the last lookup began that was still a hit; 0 where none began later.
    """
    module, stale_s = "benchmarks.redis_stale", []
    with (
        redis_parts.running() as server,
        SlowNetwork(server.port) as network,
        redis_parts.joined(server.url, HashEncoder(), search=search, semantic=parts.PLAIN) as accel,
        children.Child(module, sys.executable, "-m", module, network.url, search) as serving,
        server.client() as client,
    ):
        for number in range(rounds):
            version = f'"version {number}"'
            _store(accel, version)
            serving.ask(text=_REWORDED if number % 2 else _QUESTION, version=version)
            if lose is not None:
                lose(client, network)
            accel.invalidate()
            returned_s = time.monotonic()
            stale_s.append(max(0.0, serving.hear()["last_hit_s"] - returned_s))
            if lose is _deafen:
                network.be()
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
        measure=lambda context: stale(context.pick(1_000, 200)),
    ),
    Row(
        name="stale-reconnected",
        what="the same, every connection that news come by cut just before",
        op="<=",
        bound=0,
        measure=lambda context: stale(context.pick(300, 30), _cut),
    ),
    Row(
        name="stale-unheard",
        what="the same, news lost without a word",
        op="<=",
        bound=0,
        measure=lambda context: stale(context.pick(30, 5), _deafen),
    ),
]


if __name__ == "__main__":
    _serve(*sys.argv[1:])
