"""`VectorIndex`, kept by the index of this package in each of its forms."""

from __future__ import annotations

import sys

import pytest

from accel_core.index.scoped import ScopedIndex
from accel_core.testing.indexes import IndexContract


class TestExact(IndexContract):
    """Scopes too small for a graph."""

    @pytest.fixture
    def index(self) -> ScopedIndex:
        return ScopedIndex()


class TestHnsw(IndexContract):
    """Scopes that move to a graph while the contract fills them."""

    @pytest.fixture
    def index(self) -> ScopedIndex:
        return ScopedIndex(switch_at=8)


class TestNumpyAlone(IndexContract):
    """Neither usearch nor numkong is installed; the switch finds no graph."""

    @pytest.fixture
    def index(self, monkeypatch: pytest.MonkeyPatch) -> ScopedIndex:
        for name in ("numkong", "usearch", "usearch.index"):
            monkeypatch.setitem(sys.modules, name, None)
        return ScopedIndex(switch_at=8)


class TestHnswWithoutNumkong(IndexContract):
    """A usearch of the time before numkong."""

    @pytest.fixture
    def index(self, monkeypatch: pytest.MonkeyPatch) -> ScopedIndex:
        monkeypatch.setitem(sys.modules, "numkong", None)
        return ScopedIndex(switch_at=8)
