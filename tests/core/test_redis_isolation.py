"""Tenants that share a server, whoever searches by meaning there: what one stored no other sees."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.events import BackendFailed
from accel_core.policy.admission import Answer
from accel_core.policy.identity import Prompt, Turn
from accel_core.semantic_cache import Hit, Miss
from accel_core.testing.doubles import RecordingObserver
from accel_core.testing.encoders import HashEncoder
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVERS = {
    "query-engine": BUILDS[1],
    "vector-sets": BUILDS[1]._replace(search=False),
    "process": BUILDS[2],
}
"""Who searches by meaning, by what the server can."""

# What would be syntax if it got into a name or a query.
_TENANTS = ["one", "One", "o*", "{one}", "one|two", "*", "a:b", " ", "@tenant:{one}", "é\0\n"]
_QUESTIONS = [
    "where is the blue car",
    "who painted }=>[KNN 9 @vector $query]",
    "why * | {the} -sea",
]


class Step(NamedTuple):
    """One call of an application.

    Attributes:
        process: which one it is in.
        later: in the asyncio colour.
        tenant: whose call it is.
        model: which model it asks.
        question: what it asks.
        loudly: in other words that mean the same.
        removes: it invalidates all that is the tenant's, and asks nothing.
    """

    process: int
    later: bool
    tenant: str
    model: str
    question: str
    loudly: bool
    removes: bool


steps = st.builds(
    Step,
    st.integers(0, 1),
    st.booleans(),
    st.sampled_from(_TENANTS),
    st.sampled_from(["m", "n"]),
    st.sampled_from(_QUESTIONS),
    st.booleans(),
    st.sampled_from([False] * 9 + [True]),
)


class Processes:
    """Two processes that share a server, and what each tenant has stored."""

    def __init__(self, server: RedisServer, close: ExitStack) -> None:
        self.seen = RecordingObserver()
        store = {"kind": "redis", "url": server.url, "lookup_timeout_s": 5.0}
        config = from_mapping({"cache": {"store": store, "semantic": {"min_similarity": 0.9}}})
        self._accels = [
            close.enter_context(Accel(config, encoder=HashEncoder(), observers=[self.seen]))
            for _ in range(2)
        ]
        self._stored: set[tuple[str, str, str]] = set()

    def take(self, step: Step) -> None:
        """Do it, and hold what comes to what the same tenant has stored."""
        accel, place = self._accels[step.process], (step.tenant, step.model, step.question)
        with accel.tenant(step.tenant):
            if step.removes:
                accel.invalidate()
                self._stored = {one for one in self._stored if one[0] != step.tenant}
                return
            found = self._ask(accel, step, f"{place}".encode())
        assert isinstance(found, Hit) is (place in self._stored), place
        if isinstance(found, Hit):
            assert found.entry.payload == f"{place}".encode()
        self._stored.add(place)

    def _ask(self, accel: Accel, step: Step, answer: bytes) -> Hit | Miss:
        words = f"{step.question.upper()}?" if step.loudly else step.question
        turns = (Turn("user", (words,)),)
        asked = accel.identify(Prompt("test", step.model, turns, accel.current_tenant(), ""))
        assert asked is not None
        cache = accel.cache
        found = asyncio.run(cache.alookup(asked)) if step.later else cache.lookup(asked)
        if isinstance(found, Miss):
            cache.store(asked, Answer(answer, "an answer"), flight=found.flight)
            accel.flush()
        return found


@pytest.fixture(scope="module", params=_SERVERS.values(), ids=_SERVERS)
def processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    with RedisServer(request.param) as server, ExitStack() as close:
        yield Processes(server, close)


@settings(max_examples=15, deadline=None)
@given(taken=st.lists(steps, min_size=10, max_size=20))
def test_a_tenant_is_served_what_it_stored_and_nothing_else(
    processes: Processes, taken: list[Step]
) -> None:
    """Whatever tenants are called, and ask, in whichever process and colour: each is served its own
    answers, in any words, also after others removed theirs.
    """
    for step in taken:
        processes.take(step)
    assert processes.seen.of(BackendFailed) == []
