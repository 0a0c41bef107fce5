"""Stores tell of bytes which they do not serve, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accel_core.events import BackendFailed
from accel_core.inspection import InspectableStore, Stored
from accel_core.policy.seal import Seal
from accel_core.store import codec
from accel_core.store.redis_store import RedisStore
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.doubles import RecordingObserver
from accel_core.testing.stores import StoreContract, digest, one_number
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from accel_core.ports import Entry

OURS, THEIRS = Seal(b"o" * 32), Seal(b"t" * 32)


def make(name: str) -> Entry:
    """Return an entry; all have one vector, since a store may put its own spelling of it back."""
    return StoreContract().make_entry(name, vector=one_number(0))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[0]) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def lying(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, bytes]], Any]]:
    """Gives a store that keeps these bytes under these names, whatever belongs there."""
    seen = RecordingObserver()
    if request.param == "sqlite":
        store: Any = SqliteStore(tmp_path / "accel.db", seal=OURS, on_event=seen)
    else:
        running: RedisServer = request.getfixturevalue("server")
        store = RedisStore(running.url, seal=OURS, on_event=seen, lookup_timeout_s=10)

    def give(bodies: dict[str, bytes]) -> Any:
        planted = {digest(name): body for name, body in bodies.items()}
        with monkeypatch.context() as patched:
            patched.setattr(codec, "encode", lambda entry, _: planted[entry.key])
            store.save([make(name) for name in bodies])
        return store

    yield give
    store.close()
    assert not [event for event in seen.of(BackendFailed) if event.operation == "read"]


def test_what_lies_there_is_told(lying: Callable[..., Any]) -> None:
    """An entry as it is, the reason of what is none, whether it is sealed, and its size."""
    bodies = {
        "ours": codec.encode(make("ours"), OURS),
        "theirs": codec.encode(make("theirs"), THEIRS),
        "open": codec.encode(make("open"), Seal()),
        "moved": codec.encode(make("another"), OURS),
        "longer": codec.encode(make("longer"), OURS) + b"!",
        "newer": b"\xff" + codec.encode(make("newer"), OURS)[1:],
    }
    store = lying(bodies)
    assert isinstance(store, InspectableStore)
    found = store.inspect([digest(name) for name in (*bodies, "unknown")])
    expected = {
        "ours": (make("ours"), True),
        "theirs": ("seal", True),
        "open": ("seal", False),
        "moved": ("key", True),
        "longer": ("format", False),
        "newer": ("version", False),
    }
    assert found == {
        digest(name): Stored(*expected[name], len(body)) for name, body in bodies.items()
    }
    assert store.inspect([]) == {}
