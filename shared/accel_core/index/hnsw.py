"""Approximate search within one large scope: usearch's HNSW graph over float16 vectors.

usearch names vectors by integers and its Python binding may not be entered by two threads at
once, so this module keeps the keys beside the graph and one lock around both. A label is free
again once its entry is removed and is then given to another; no search runs in between.

Recall and memory are measured by ``python -m benchmarks cache``: recall@1 against
exact search is above 0.98 among 10,000 and 100,000 questions, half of which nothing is near to.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from accel_core.errors import VectorIndexError
from accel_core.index.exact import cosine
from accel_core.ports import Neighbour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.index.exact import Row
    from accel_core.ports import Vector

# After an encoder ran, a graph is cold in the processor's caches, and a search costs what the
# distances it computes cost to fetch: 12 connections need a fifth fewer than 16.
# An expansion of 64 on adding builds twice as fast, but its graph of a million takes 540 µs to
# find 0.98 of the nearest, where this one takes 360 µs to find 0.99.
_CONNECTIVITY = 12
_EXPANSION_ADD = 128
# The larger the graph, the wider a search must look to find the same share of the nearest:
# 24 among 10,000, 72 among 100,000, 219 among a million. Of real questions among 10,000 that finds
# 0.99 with 377 distances, where 32 finds 0.995 with 456; 12 connections are worth their distances
# in large graphs, where 8 would have to look twice as wide.
_EXPANSION_SEARCH = 24
_EXPANSION_PLACES = 10_000
_EXPANSION_POWER = 0.48
_PLACES_PER_WIDENING = 4_000


_RAISED = (RuntimeError, ValueError, MemoryError)


@contextmanager
def _reported(operation: str) -> Iterator[None]:
    """Turn what usearch raises into this package's error."""
    try:
        yield
    except _RAISED as error:
        raise VectorIndexError("usearch", operation, str(error)) from error


class HnswBlock:
    """Many entries as one graph.

    Removed entries leave their places in the graph to later ones. Until those come a search walks
    over empty places too, and their memory is returned only when the block is dropped.

    Raises:
        ImportError: usearch is not installed.
    """

    __slots__ = ("_free", "_graph", "_keys", "_labels", "_lock", "_search", "dimensions")

    backend = "usearch"

    def __init__(self, dimensions: int) -> None:
        from usearch.index import Index

        self.dimensions = dimensions
        self._lock = threading.Lock()
        self._keys: list[bytes | None] = []
        self._labels: dict[bytes, int] = {}
        self._free: list[int] = []
        with _reported("create"):
            self._graph: Any = Index(
                ndim=dimensions,
                metric="ip",
                dtype="f16",
                connectivity=_CONNECTIVITY,
                expansion_add=_EXPANSION_ADD,
                expansion_search=_EXPANSION_SEARCH,
            )
            # `Index.search` says the same with progress bars and batches around it, which costs
            # as much again as a search of a small graph.
            self._search: Any = self._graph._compiled.search_many  # noqa: SLF001

    def add(self, key: bytes, row: Row) -> HnswBlock:
        """Place `row` under `key`, replacing an earlier one."""
        with self._lock, _reported("add"):
            label = self._free[-1] if self._free else len(self._keys)
            self._graph.add(label, row, threads=1)
            if self._free:
                self._keys[self._free.pop()] = key
            else:
                self._keys.append(key)
                self._widen()
            replaced = self._labels.get(key)
            self._labels[key] = label
            if replaced is not None:
                self._drop(replaced)
        return self

    def remove(self, key: bytes) -> HnswBlock | None:
        """Forget `key`; None where nothing is left."""
        with self._lock, _reported("remove"):
            label = self._labels.pop(key, None)
            if label is not None:
                self._drop(label)
        return self if self._labels else None

    def nearest(self, query: Vector, limit: int) -> list[Neighbour]:
        """Return up to `limit` neighbours, nearest first. `limit` is at least 1."""
        with self._lock:
            if not self._labels:
                return []
            # usearch sets aside memory for as many as are asked for.
            wanted = min(limit, len(self._labels))
            try:
                # Vectors, count, exact, threads: matching names takes 3 µs more.
                labels, distances, (found,), *_ = self._search(query[None], wanted, False, 1)  # noqa: FBT003
            except _RAISED as error:
                raise VectorIndexError("usearch", "search", str(error)) from error
            nearest = zip(labels.tolist()[0][:found], distances.tolist()[0], strict=False)
            return [
                Neighbour(key, cosine(1.0 - distance))
                for label, distance in nearest
                if (key := self._keys[label]) is not None
            ]

    @property
    def places(self) -> int:
        """Entries held and empty places."""
        return len(self._keys)

    def keys(self) -> list[bytes]:
        """Return a copy of the keys held."""
        return list(self._labels)

    def row(self, key: bytes) -> Row | None:
        """Return the row under `key`; None where it is unknown."""
        label = self._labels.get(key)
        if label is None:
            return None
        with self._lock, _reported("get"):
            row: Row = self._graph.get(label)
        return row

    def __contains__(self, key: bytes) -> bool:
        return key in self._labels

    def __len__(self) -> int:
        return len(self._labels)

    def _widen(self) -> None:
        places = len(self._keys)
        if places > _EXPANSION_PLACES and places % _PLACES_PER_WIDENING == 0:
            wide = _EXPANSION_SEARCH * (places / _EXPANSION_PLACES) ** _EXPANSION_POWER
            self._graph.expansion_search = round(wide)

    def _drop(self, label: int) -> None:
        self._keys[label] = None
        self._graph.remove(label, threads=1)
        self._free.append(label)
