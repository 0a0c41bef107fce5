"""`AccelByteStore` under LangChain's own suites, and what it promises beyond them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_tests.integration_tests.base_store import BaseStoreAsyncTests, BaseStoreSyncTests

from accel_core.accel import Accel
from accel_core.errors import StoreError
from accel_core.testing.doubles import ManualClock
from accel_core.testing.encoders import HashEncoder
from langchain_accel import AccelByteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.langchain.conftest import Colour, MakeAccel


class Values:
    """What both suites need, once in memory and once over a file."""

    @pytest.fixture(params=["memory", "sqlite"])
    def kv_store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AccelByteStore]:
        store = {"kind": "none" if request.param == "memory" else "sqlite"}
        settings = {"cache": {"store": {**store, "path": str(tmp_path / "cache.db")}}}
        with Accel.from_mapping(settings, encoder=HashEncoder()) as accel:
            yield AccelByteStore(accel)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"", b"\x00\xff", b"three" * 1000


class TestSync(Values, BaseStoreSyncTests[bytes]):
    """LangChain's suite for threads."""


class TestAsync(Values, BaseStoreAsyncTests[bytes]):
    """LangChain's suite for tasks."""


@pytest.fixture
def get(colour: Colour) -> Any:
    def get(store: AccelByteStore, *names: str) -> list[bytes | None]:
        if colour.name == "sync":
            return store.mget(names)
        return colour.run(store.amget(names))  # type: ignore[no-any-return]

    return get


def test_lifetimes(make_accel: MakeAccel, get: Any) -> None:
    """A value is gone after its own lifetime, or the configured one, which is jittered."""
    clock = ManualClock()
    clock.chance = 0.5
    accel = make_accel({"embeddings": {"ttl": {"base_s": 100}}}, clocks=clock.clocks())
    short, long = AccelByteStore(accel, namespace="s", ttl_s=10), AccelByteStore(accel)
    for store in (short, long):
        store.mset([("a", b"1")])
    clock.advance(9.6)
    assert (get(short, "a"), get(long, "a")) == ([None], [b"1"])
    assert list(short.yield_keys()) == []
    clock.advance(86)
    assert get(long, "a") == [None]


def test_namespaces_and_tenants_are_apart(accel: Accel, get: Any) -> None:
    """A store sees its own namespace and tenant only; keys may hold anything."""
    one, two = AccelByteStore(accel, namespace="one"), AccelByteStore(accel, namespace="two")
    names = [" a\n", "a", "", "\ud800", "ü" * 500]
    one.mset([(name, name.encode("utf-8", "replace")) for name in names])
    with accel.tenant("acme"):
        one.mset([("a", b"acme's")])
        assert get(one, "a", " a\n") == [b"acme's", None]
        assert list(one.yield_keys()) == ["a"]
    assert get(two, "a") == [None]
    assert get(one, *names) == [name.encode("utf-8", "replace") for name in names]
    assert list(one.yield_keys()) == sorted(names)


def test_no_tenant_no_value(make_accel: MakeAccel, get: Any) -> None:
    """Where tenants are required and none is set, nothing is kept and nothing fails."""
    store = AccelByteStore(make_accel({"security": {"tenant_required": True}}))
    store.mset([("a", b"1")])
    assert get(store, "a") == [None]
    store.mdelete(["a"])
    assert list(store.yield_keys()) == []


def test_what_was_deleted_stays_deleted(make_accel: MakeAccel, get: Any, tmp_path: Path) -> None:
    """A value still on its way to the file does not come back after it was deleted."""
    sqlite = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
    one, two = (AccelByteStore(make_accel(sqlite)) for _ in range(2))
    for number in range(20):
        one.mset([("a", str(number).encode())])
        one.mdelete(["a"])
        assert get(one, "a") == [None]
    one.mset([("b", b"1")])
    one.accel.flush()
    assert get(two, "a", "b") == [None, b"1"]
    two.mdelete(["b"])
    assert get(one, "b") == [None]


def test_forgetting_covers_it(accel: Accel, get: Any) -> None:
    """`forget` by key, tenant and user removes values too."""
    store = AccelByteStore(accel)
    with accel.tenant("acme", user="ann"):
        for whom in ({"text": "a"}, {"user": "ann"}, {"tenant": "acme"}):
            store.mset([("a\n", b"1")])
            assert len(accel.forget(**whom).removed) == 1
            assert get(store, "a\n") == [None]


def test_a_failing_file_is_a_miss_and_deleting_says_so(
    make_accel: MakeAccel, get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and storing fail open; whoever deletes must know that it did not happen."""
    accel = make_accel({"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "c.db")}}})
    store = AccelByteStore(accel)
    far = accel.embeddings._tiers._far

    def fail(*args: Any) -> Any:
        raise StoreError("sqlite", "reach", "disk gone")

    for name in ("fetch", "save", "remove", "stirred", "changes"):
        monkeypatch.setattr(far, name, fail)
    store.mset([("a", b"1")])
    assert get(store, "a", "b") == [b"1", None]
    with pytest.raises(StoreError, match="disk gone"):
        store.mdelete(["a"])
