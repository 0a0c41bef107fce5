"""Stores tell of bytes which they do not serve, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from accel_core.events import BackendFailed
from accel_core.inspection import InspectableStore, Stored
from accel_core.policy.seal import Seal
from accel_core.store import codec
from accel_core.store.redis_rows import RedisRows
from accel_core.store.redis_store import RedisStore
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.doubles import RecordingObserver
from accel_core.testing.stores import StoreContract, digest
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

make = StoreContract().make_entry
OURS, THEIRS = Seal(b"o" * 32), Seal(b"t" * 32)


class Lying(NamedTuple):
    """A store to put bytes into.

    Attributes:
        spelled: returns the bytes that it keeps of the entry of a name, by some seal.
        give: returns it with these bytes under these names, whatever belongs there.
    """

    spelled: Callable[[str, Seal], bytes]
    give: Callable[[dict[str, bytes]], Any]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[0]) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def lying(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lying]:
    """Gives a store that keeps any bytes under any names."""
    seen = RecordingObserver()
    if request.param == "sqlite":
        store: Any = SqliteStore(tmp_path / "accel.db", seal=OURS, on_event=seen)

        def spelled(name: str, seal: Seal) -> bytes:
            return codec.encode(make(name), seal)

    else:
        running: RedisServer = request.getfixturevalue("server")
        store = RedisStore(running.url, seal=OURS, on_event=seen, lookup_timeout_s=10)

        def spelled(name: str, seal: Seal) -> bytes:
            return RedisRows(seal, lambda _: None).spelled(make(name))[0]

    def give(bodies: dict[str, bytes]) -> Any:
        planted = {digest(name): body for name, body in bodies.items()}
        with monkeypatch.context() as patched:
            patched.setattr(codec, "encode", lambda entry, _: planted[entry.key])
            store.save([make(name) for name in bodies])
        return store

    yield Lying(spelled, give)
    store.close()
    assert not [event for event in seen.of(BackendFailed) if event.operation == "read"]


def test_what_lies_there_is_told(lying: Lying) -> None:
    """An entry as it is, the reason of what is none, whether it is sealed, and its size."""
    bodies = {
        "ours": lying.spelled("ours", OURS),
        "theirs": lying.spelled("theirs", THEIRS),
        "open": lying.spelled("open", Seal()),
        "moved": lying.spelled("another", OURS),
        "longer": lying.spelled("longer", OURS) + b"!",
        "newer": b"\xff" + lying.spelled("newer", OURS)[1:],
    }
    store = lying.give(bodies)
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
