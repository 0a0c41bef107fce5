"""What the documentation says that a user of the server needs is enough, and not too much."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.events import BackendFailed, SearchUnavailable
from accel_core.semantic_cache import Hit, Miss
from tests.redis_cluster import SERVERS, ClusterOfServers, name_of, running_server
from tests.redis_rights import rights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.core.support import Rig
    from tests.redis_cluster import Running

PASSWORD = "s3cret-and-shown-nowhere"
QUESTION, REWORDED = "where is the blue car of my sister", "WHERE is the blue car of my sister?"


@pytest.fixture(scope="module", params=SERVERS, ids=name_of)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running_server(request.param) as server:
        yield server


def joined(make: Any, running: Running) -> Rig:
    """Make a process whose user has the documented rights, and no other."""
    nodes = running.nodes if isinstance(running, ClusterOfServers) else [running]
    given = rights("everything")
    if len(nodes) > 1:
        given += rights("a cluster")
    if running.build.search:
        given += rights("search by the query engine")
    for node in nodes:
        with node.client() as client:
            user = ("reset", "on", f">{PASSWORD}", *given)
            client.execute_command("ACL", "SETUSER", "app", *user)
    url = running.url.replace("redis://", f"redis://app:{PASSWORD}@")
    store = {"kind": "redis", "url": url, "lookup_timeout_s": 5.0}
    rig: Rig = make(semantic={"min_similarity": 0.9}, cache={"store": store})
    rig.clock.now_s = time.time()
    return rig


def test_documented_rights_are_enough(make: Any, running: Running) -> None:
    """With them everything is shared and removed, nothing fails, and the password is not shown."""
    with running.client() as client:
        client.flushall()
    one, two = joined(make, running), joined(make, running)
    one.ask(QUESTION, "in the garage")
    assert isinstance(two.ask(REWORDED, "asked again"), Hit)
    one.accel.corpus("faq").changed(["document"])
    one.accel.forget(text=QUESTION)
    assert isinstance(two.ask(REWORDED, "in the street"), Miss)
    for rig in (one, two):
        assert rig.seen.of(BackendFailed) == []
        assert not (running.build.search and rig.seen.of(SearchUnavailable))
        shown = f"{rig.accel!r} {rig.accel.config!r} {rig.accel._built.tiers._far!r}"
        assert PASSWORD not in shown


def test_other_names_are_out_of_reach(make: Any, running: Running) -> None:
    """Without the rights to its names a store fails by events that show no password."""
    rig = joined(make, running)
    nodes = running.nodes if isinstance(running, ClusterOfServers) else [running]
    for node in nodes:
        with node.client() as client:
            client.execute_command("ACL", "SETUSER", "app", "resetkeys", "~{else}:*")
    assert isinstance(rig.ask("is it allowed", "it is not"), Miss)
    failures = rig.seen.of(BackendFailed)
    assert failures
    assert PASSWORD not in repr(failures)
