"""What users notice of a shared server's faults: calls that fail, time added, how long it lasts.

Two applications share a server. One is asked 200 times a second, half of it new questions, which
go to the server, exactly or also by meaning, while the server is broken; the other one tells when
the first is served what it stores, and it what the first stores then, and stored meanwhile, unless
the server lost its data. Nothing is restarted. What is added to a call is the time of its lookup
and of its store: no model is asked here.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.semantic_cache import Miss
from accel_core.testing.encoders import HashEncoder
from benchmarks import cache_parts as parts
from benchmarks import redis_kills
from benchmarks.harness import Measured, Row, UnavailableError
from benchmarks.timing import spell_s
from tools.redis_cluster import ClusterOfServers
from tools.redis_server import RedisServer, ServerMissingError
from tools.redis_servers import BUILDS
from tools.slow_network import SlowNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Context

_PER_S = 200
_KNOWN = 50
_SEMANTIC: dict[str, dict[str, Any]] = {"exactly": {"enabled": False}, "by meaning": parts.PLAIN}
"""How questions are compared: the server searches, too, where that is by meaning."""
_LATER_S = 0.2
_LASTS_S = 4.0
_GIVEN_UP_S = 15.0


class _Breakable(NamedTuple):
    """A server that can be broken.

    Attributes:
        url: where the application under load reaches it.
        sound_url: where the other one does.
        break_it: begins the fault.
        mend: ends it.
        forgets: whether it knows nothing afterwards of what was before: then it takes nothing that
            was asked for before, since that may have been invalidated.
    """

    url: str
    sound_url: str
    break_it: Callable[[], object]
    mend: Callable[[], object]
    forgets: bool = False


class _Noticed(NamedTuple):
    """What was noticed of one fault in one colour.

    Attributes:
        calls: how many there were while it lasted.
        failed: what was raised, during and after.
        added_s: what the cache took of each call while it lasted.
        sound_s: the same of the second before.
        recovered_s: how long after its end both applications served what the other stored.
    """

    calls: int
    failed: list[str]
    added_s: list[float]
    sound_s: list[float]
    recovered_s: float


# --- the faults


def _killed(stack: ExitStack) -> _Breakable:
    server = stack.enter_context(RedisServer(BUILDS[1]))
    return _Breakable(server.url, server.url, server.kill, server.start, forgets=True)


def _frozen(stack: ExitStack) -> _Breakable:
    server = stack.enter_context(RedisServer(BUILDS[1]))
    return _Breakable(server.url, server.url, server.freeze, server.thaw)


def _full(stack: ExitStack) -> _Breakable:
    return _configured(stack, "maxmemory", "1", "0")


def _too_few_replicas(stack: ExitStack) -> _Breakable:
    return _configured(stack, "min-replicas-to-write", "1", "0")


def _configured(stack: ExitStack, name: str, broken: str, sound: str) -> _Breakable:
    server = stack.enter_context(RedisServer(BUILDS[1]))
    client = stack.enter_context(server.client())
    change = partial(client.config_set, name)
    return _Breakable(server.url, server.url, partial(change, broken), partial(change, sound))


def _read_only(stack: ExitStack) -> _Breakable:
    server = stack.enter_context(RedisServer(BUILDS[1]))
    client: Any = stack.enter_context(server.client())
    to_nobody, to_itself = ("127.0.0.1", 1), ("NO", "ONE")
    return _Breakable(
        server.url,
        server.url,
        lambda: client.replicaof(*to_nobody),
        lambda: client.replicaof(*to_itself),
    )


def _slow(stack: ExitStack) -> _Breakable:
    return _behind_a_network(stack, delay_s=_LATER_S)


def _cut(stack: ExitStack) -> _Breakable:
    return _behind_a_network(stack, cut=True)


def _behind_a_network(stack: ExitStack, **fault: Any) -> _Breakable:
    server = stack.enter_context(RedisServer(BUILDS[1]))
    network = stack.enter_context(SlowNetwork(server.port))
    return _Breakable(network.url, server.url, partial(network.be, **fault), network.be)


def _master_lost(stack: ExitStack) -> _Breakable:
    cluster = stack.enter_context(ClusterOfServers(BUILDS[1]))
    owner = cluster.owner("accel")
    return _Breakable(cluster.url, cluster.url, owner.kill, owner.start, forgets=True)


def _master_replaced(stack: ExitStack) -> _Breakable:
    """Lose a master for good; how long the cluster itself takes to agree is part of the fault."""
    cluster = stack.enter_context(ClusterOfServers(BUILDS[1], replicas=1))
    owner = cluster.owner("accel")
    sound = next(node for node in cluster.nodes if node is not owner)

    def agreed() -> None:
        deadline_s = time.monotonic() + _GIVEN_UP_S
        while cluster.owner("accel", said_by=sound) is owner:
            time.sleep(0.02)
            assert time.monotonic() < deadline_s, "no replica took over"

    return _Breakable(sound.url, sound.url, owner.kill, agreed)


_FAULTS: dict[str, tuple[str, Callable[[ExitStack], _Breakable]]] = {
    "killed": ("killed, and started again empty", _killed),
    "frozen": ("frozen, every connection open", _frozen),
    "slow": (f"{_LATER_S * 1000:.0f} ms later with every answer", _slow),
    "cut": ("cut off amid every answer", _cut),
    "full": ("full, and evicting nothing", _full),
    "read-only": ("a replica for a while", _read_only),
    "no-replicas": ("short of the replicas it must have to write", _too_few_replicas),
    "master-lost": ("a cluster whose master of the slot is lost, and back", _master_lost),
    "master-replaced": ("a cluster whose master a replica takes the place of", _master_replaced),
}


# --- the load


class _Load:
    """Asks one application `_PER_S` questions a second until it is left.

    Args:
        accel: the application.
        colour: ``sync``: from threads; ``async``: from tasks of one loop.
    """

    def __init__(self, accel: Accel, colour: str) -> None:
        self._accel, self._colour = accel, colour
        self._ended = threading.Event()
        self.asked: list[tuple[float, float]] = []
        """When each call began, and what it took, seconds."""
        self.stored: list[tuple[float, str]] = []
        """When each new question was stored, and which."""
        self.errors: list[BaseException] = []

    def __enter__(self) -> _Load:
        run = self._in_threads if self._colour == "sync" else lambda: asyncio.run(self._in_tasks())
        self._thread = threading.Thread(target=run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _questions(self) -> Iterator[tuple[float, str]]:
        """Yield for how long to wait, and what to ask then."""
        began_s = time.perf_counter()
        number = 0
        while not self._ended.is_set():
            number += 1
            text = f"known {number % _KNOWN}" if number % 2 else f"new {self._colour} {number}"
            yield max(0.0, began_s + number / _PER_S - time.perf_counter()), text

    def _in_threads(self) -> None:
        with ThreadPoolExecutor(64) as threads:
            for wait_s, text in self._questions():
                time.sleep(wait_s)
                threads.submit(self._call, text)

    async def _in_tasks(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for wait_s, text in self._questions():
                await asyncio.sleep(wait_s)
                tasks.create_task(self._acall(text))

    def _call(self, text: str) -> None:
        asked = parts.request_of(self._accel, text)
        began_s = time.perf_counter()
        try:
            self._answer(text, asked, self._accel.cache.lookup(asked), began_s)
        except BaseException as error:
            self.errors.append(error)

    async def _acall(self, text: str) -> None:
        asked = parts.request_of(self._accel, text)
        began_s = time.perf_counter()
        try:
            self._answer(text, asked, await self._accel.cache.alookup(asked), began_s)
        except BaseException as error:
            self.errors.append(error)

    def _answer(self, text: str, asked: Any, found: Any, began_s: float) -> None:
        if isinstance(found, Miss):
            self._accel.cache.store(asked, parts.ANSWER, flight=found.flight)
            if text.startswith("new"):
                self.stored.append((began_s, text))
        self.asked.append((began_s, time.perf_counter() - began_s))


def _joined(url: str, semantic: dict[str, Any]) -> Accel:
    cache = {"store": {"kind": "redis", "url": url}, "semantic": semantic}
    return Accel(from_mapping({"cache": cache}), encoder=HashEncoder())


def _noticed(
    fault: Callable[[ExitStack], _Breakable], colour: str, semantic: dict[str, Any]
) -> _Noticed:
    with ExitStack() as stack:
        server = fault(stack)
        other = stack.enter_context(_joined(server.sound_url, semantic))
        accel = stack.enter_context(_joined(server.url, semantic))
        load = stack.enter_context(_Load(accel, colour))
        time.sleep(1.0)
        began_s = time.perf_counter()
        server.break_it()
        time.sleep(_LASTS_S)
        # Mending keeps this process busy: what it adds is no server's.
        mending_s = time.perf_counter()
        server.mend()
        ended_s = time.perf_counter()
        meanwhile = [] if server.forgets else _stored(load, began_s, ended_s)[-1:]
        recovered_s = _recovered(accel, other, meanwhile, ended_s) - ended_s
        during = [took_s for at_s, took_s in load.asked if began_s <= at_s < mending_s]
        before = [took_s for at_s, took_s in load.asked if at_s < began_s]
    errors = [repr(error) for error in load.errors]
    return _Noticed(len(during), errors, during, before, recovered_s)


def _stored(load: _Load, began_s: float, ended_s: float) -> list[str]:
    """Return what was stored during the fault."""
    # Not the very last, which may have been stored when the fault was over.
    return [text for at_s, text in load.stored if began_s <= at_s < ended_s - 0.5]


def _recovered(accel: Accel, other: Accel, meanwhile: list[str], ended_s: float) -> float:
    """Return when each of both served what the other stored after it, and `meanwhile`."""
    number = 0
    while time.perf_counter() < ended_s + _GIVEN_UP_S:
        number += 1
        if (
            _handed_over(other, accel, f"theirs {number}")
            and _handed_over(accel, other, f"ours {number}")
            and all(parts.look_up(other, text) for text in meanwhile)
        ):
            return time.perf_counter()
        time.sleep(0.02)
    return float("inf")


def _handed_over(one: Accel, other: Accel, text: str) -> bool:
    """Whether `other` is served what `one` stores."""
    if not parts.look_up(one, text):
        one.cache.store(parts.request_of(one, text), parts.ANSWER)
        one.flush()
    return parts.look_up(other, text)


def _rounds(context: Context, name: str) -> dict[str, list[_Noticed]]:
    """Return what was noticed of a fault in each round, by colour and how they are compared."""
    rounds = range(context.pick(3, 1))
    try:
        return {
            f"{colour}, {how}": [_noticed(_FAULTS[name][1], colour, semantic) for _ in rounds]
            for how, semantic in _SEMANTIC.items()
            for colour in ("sync", "async")
        }
    except ServerMissingError as missing:
        raise UnavailableError(str(missing)) from missing


_measured: dict[str, Callable[[Context], dict[str, list[_Noticed]]]] = {
    name: partial(_rounds, name=name) for name in _FAULTS
}


def failed(context: Context, name: str) -> Measured:
    """Count the calls that raised."""
    noticed = [one for every in context.once(_measured[name]).values() for one in every]
    raised = [error for one in noticed for error in one.failed]
    calls = f"{sum(one.calls for one in noticed)} calls while it lasted"
    return Measured(len(raised), "; ".join([calls, *raised[:1]]))


def added(context: Context, name: str) -> Measured:
    """Return the 99th percentile of what the cache added to a call, ms: the worst way's.

    Of rounds the median, since a machine that stands still for a moment fills one round's tail.
    """
    p99_s, notes = [], []
    for way, every in context.once(_measured[name]).items():
        tails_s = [float(np.quantile(one.added_s, 0.99)) for one in every]
        p99_s.append(float(np.median(tails_s)))
        before_s = float(np.median([np.quantile(one.sound_s, 0.99) for one in every]))
        notes.append(
            f"{way}: {', '.join(map(spell_s, tails_s))}, "
            f"longest {spell_s(max(max(one.added_s) for one in every))}; "
            f"before {spell_s(before_s)}"
        )
    return Measured(1_000 * max(p99_s), "; ".join(notes))


def recovered(context: Context, name: str) -> Measured:
    """Return how long after its end the fault was noticed, seconds: the worst round's."""
    noticed = context.once(_measured[name])
    after_s = {way: [one.recovered_s for one in every] for way, every in noticed.items()}
    notes = [f"{way}: {', '.join(map(spell_s, every))}" for way, every in after_s.items()]
    return Measured(max(map(max, after_s.values())), "; ".join(notes))


def _rows(name: str, what: str) -> list[Row]:
    figures: list[tuple[str, str, float, Callable[[Context, str], Measured]]] = [
        ("failed", "user calls that failed", 0, failed),
        ("added", "ms the cache adds to a call, p99 while it lasts", 60, added),
        ("recovery", "s until both processes share again", 5, recovered),
    ]
    return [
        Row(
            name=f"{name}-{figure}",
            what=f"{meaning}; the server is {what}",
            op="<=",
            bound=bound,
            measure=partial(measure, name=name),
            quick=name in ("killed", "frozen", "full"),
        )
        for figure, meaning, bound, measure in figures
    ]


ROWS = [
    *(row for name, (what, _) in _FAULTS.items() for row in _rows(name, what)),
    *redis_kills.ROWS,
]
