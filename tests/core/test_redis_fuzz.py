"""What callers see of a shared store that somebody else's hand writes into: nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accel_core.policy.seal import Seal
from benchmarks.redis_fuzz import fuzz
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from tools.redis_servers import Build

_ACTS = 300
_SEARCHES = {
    "query-engine": BUILDS[1],
    "vector-sets": BUILDS[1]._replace(search=False),
    "process": BUILDS[0],
}
"""Who searches by meaning, by what the server can."""


@pytest.mark.slow
@pytest.mark.parametrize("build", _SEARCHES.values(), ids=_SEARCHES)
def test_nobody_sees_what_a_foreign_hand_writes(build: Build) -> None:
    """Whatever is cut, forged, copied, retyped or dropped: no call raises, and none is answered
    with what is not its own.
    """
    with RedisServer(build) as server:
        seen = fuzz(server, _ACTS, seed=7)
    assert seen.wrong == []
    assert (seen.acts, seen.hits > seen.calls // 10) == (_ACTS, True)


@pytest.mark.slow
def test_the_hand_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were seals not looked at, answers that the hand forged would be served."""
    monkeypatch.setattr(Seal, "verifies", lambda *_: True)
    with RedisServer(BUILDS[1]) as server:
        assert any(fuzz(server, _ACTS, seed).wrong for seed in range(10))
