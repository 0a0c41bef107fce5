"""Both stores keep every promise of the ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accel_core.policy.seal import Seal
from accel_core.store.memory import MemoryStore
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.change_logs import ChangeLogContract
from accel_core.testing.shared_stores import SharedStoreContract
from accel_core.testing.stores import StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        store = MemoryStore()
        yield store
        store.close()


@pytest.mark.parametrize("seal", [Seal(), Seal(b"k" * 32)], ids=["plain", "sealed"])
class TestSqliteStore(SharedStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, seal: Seal) -> Iterator[SqliteStore]:
        store = SqliteStore(tmp_path / "accel.db", seal=seal)
        yield store
        store.close()

    @pytest.fixture
    def other(self, tmp_path: Path, seal: Seal, store: SqliteStore) -> Iterator[SqliteStore]:
        other = SqliteStore(tmp_path / "accel.db", seal=seal)
        yield other
        other.close()


class TestChangesInSqlite(ChangeLogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[SqliteStore]:
        store = SqliteStore(tmp_path / "accel.db")
        yield store
        store.close()

    @pytest.fixture
    def other(self, tmp_path: Path, log: SqliteStore) -> Iterator[SqliteStore]:
        other = SqliteStore(tmp_path / "accel.db")
        yield other
        other.close()
