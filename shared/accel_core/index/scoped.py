"""One block of vectors per scope: the scope is part of the question, never a filter afterwards.

A filter after the search loses the true neighbour whenever scopes ask alike, and may show one
tenant's entry to another when it is forgotten; a block that holds one scope can do neither.

A scope begins as a few bytes, becomes a matrix, and above `switch_at` entries a graph
(`accel_core.index.exact`, `accel_core.index.hnsw`). The next form is built aside, some entries with
every change, while the old one goes on serving: no thread, no pause, nothing to wait for at exit.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Protocol

from accel_core.errors import VectorIndexError
from accel_core.index.exact import ExactBlock, Kernel, LoneBlock, load_kernel
from accel_core.index.hnsw import HnswBlock

if TYPE_CHECKING:
    from accel_core.index.exact import Row
    from accel_core.ports import Neighbour, Vector

# Entries moved with every change: 8 take a graph about 1 ms, and a matrix of 6,000 is replaced
# after some 850 adds.
_MOVED_PER_CHANGE = 8

# A graph that holds less than this share of its places is built anew: at a quarter a search takes
# 2.5 times as long as in a full one, at a fortieth 20 times.
_FULL_ENOUGH = 0.25

# How far a squared length may be from 1. Rounding to float16 leaves it within 0.001.
_UNIT_TOLERANCE = 0.01


class Block(Protocol):
    """The vectors of one scope."""

    @property
    def backend(self) -> str:
        """What searches it, as errors name it."""

    @property
    def dimensions(self) -> int:
        """Numbers in a row."""

    def add(self, key: bytes, row: Row) -> Block:
        """Place `row` under `key`, and return the block that serves from now on."""

    def remove(self, key: bytes) -> Block | None:
        """Forget `key`, and return the block that serves from now on, if any."""

    def nearest(self, query: Vector, limit: int) -> list[Neighbour]:
        """Return up to `limit` neighbours, nearest first."""

    def __len__(self) -> int:
        """Return the number of entries held."""


class MovingBlock:
    """A block that serves until another holds all of it.

    What the other fails to take is tried again, so that nothing is lost on the way.
    """

    __slots__ = ("_pending", "_source", "_target")

    def __init__(self, source: ExactBlock | HnswBlock, target: ExactBlock | HnswBlock) -> None:
        self._source = source
        self._target = target
        self._pending = source.keys()

    @property
    def backend(self) -> str:
        """What searches it, as errors name it."""
        return self._source.backend

    @property
    def dimensions(self) -> int:
        """Numbers in a row."""
        return self._source.dimensions

    def add(self, key: bytes, row: Row) -> Block:
        """Place `row` where it is served from, and move it and some of the older entries."""
        self._source.add(key, row)
        self._target.remove(key)  # where it is replaced, so that it is moved again
        self._pending.append(key)
        return self._moved()

    def remove(self, key: bytes) -> Block | None:
        """Forget `key` in both, and move some of the others."""
        left = self._source.remove(key)
        self._target.remove(key)
        return None if left is None else self._moved()

    def nearest(self, query: Vector, limit: int) -> list[Neighbour]:
        """Return up to `limit` neighbours, nearest first."""
        return self._source.nearest(query, limit)

    def __len__(self) -> int:
        return len(self._source)

    def _moved(self) -> Block:
        left = _MOVED_PER_CHANGE
        while self._pending and left:
            key = self._pending[-1]
            row = self._source.row(key)
            if row is not None and key not in self._target:
                self._target.add(key, row)
                left -= 1
            self._pending.pop()
        return self if self._pending else self._target


class ScopedIndex:
    """A `VectorIndex` in memory, for any number of scopes of any size.

    Args:
        switch_at: entries above which a scope is searched approximately (HNSW). A graph answers
            faster than a matrix from 3,000 entries on, but an `add` costs it 100 times as much.
            Without usearch every scope is searched exactly, whatever its size.

    Searches wait for other searches and mutations of the same scope only. Neither numpy nor
    usearch is imported before the first `add`.
    """

    def __init__(self, *, switch_at: int = 6_000) -> None:
        self._switch_at = switch_at
        self._kernel: Kernel | None = None
        self._lock = threading.Lock()  # held by mutations; searches read `_blocks` without it
        self._blocks: dict[bytes, Block] = {}
        self._size = 0

    def add(self, scope: bytes, key: bytes, vector: Vector) -> None:
        """Place `vector` under `key` in `scope`, replacing an earlier one.

        Raises:
            VectorIndexError: `vector` is not of unit length, or not of the dimensions of the
                scope's first vector, or usearch failed.
        """
        kernel = self._kernel
        if kernel is None:
            kernel = self._kernel = load_kernel()
        row = _checked(vector).astype(kernel.dtype)
        with self._lock:
            block = self._blocks.get(scope)
            if block is None:
                self._blocks[scope] = LoneBlock(kernel, key, row)
                self._size += 1
                return
            _require_dimensions(block, row, "add")
            before = len(block)
            try:
                block = self._settled(block.add(key, row))
            finally:
                # Also where the graph failed: the matrix has taken the entry.
                self._blocks[scope] = block
                self._size += len(block) - before

    def remove(self, scope: bytes, key: bytes) -> None:
        """Forget `key`; nothing happens where it is unknown."""
        with self._lock:
            block = self._blocks.get(scope)
            if block is None:
                return
            before = len(block)
            left: Block | None = block
            try:
                left = block.remove(key)
                if left is not None:
                    left = self._settled(left)
            finally:
                # Also where the graph failed: the entry is out of reach all the same.
                if left is None:
                    del self._blocks[scope]
                    self._size -= before
                else:
                    self._blocks[scope] = left
                    self._size += len(left) - before

    def nearest(self, scope: bytes, vector: Vector, limit: int) -> list[Neighbour]:
        """Return up to `limit` neighbours in `scope`, nearest first.

        Raises:
            VectorIndexError: `vector` is not of the scope's dimensions, or usearch failed.
        """
        block = self._blocks.get(scope)
        if block is None or limit < 1:
            return []
        _require_dimensions(block, vector, "search")
        return block.nearest(vector, limit)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._blocks, self._size = {}, 0

    def after_fork(self) -> None:
        """Start anew in a child process, where no lock of the parent's can be trusted."""
        self._lock = threading.Lock()
        self._blocks, self._size = {}, 0

    def __len__(self) -> int:
        """Return the number of vectors held."""
        return self._size

    def __repr__(self) -> str:
        return f"<ScopedIndex: {self._size} vectors in {len(self._blocks)} scopes>"

    def _settled(self, block: Block) -> Block:
        """Return what serves instead of `block` where that has the wrong form for its size."""
        large = len(block) > self._switch_at
        if isinstance(block, HnswBlock) and len(block) < _FULL_ENOUGH * block.places:
            return MovingBlock(block, self._blank(block, large=large))
        if isinstance(block, ExactBlock) and large:
            try:
                return MovingBlock(block, self._blank(block, large=large))
            except ImportError:
                # Exact search serves any size, only slower; to look for usearch at every
                # further add would be waste.
                self._switch_at = sys.maxsize
        return block

    def _blank(self, block: Block, *, large: bool) -> ExactBlock | HnswBlock:
        if large:
            return HnswBlock(block.dimensions)
        assert self._kernel is not None
        return ExactBlock(self._kernel, block.dimensions)


def _checked(vector: Vector) -> Vector:
    """Return `vector`; raise where a dot product with it would not be a cosine."""
    if vector.ndim != 1:
        raise VectorIndexError("exact", "add", f"expected one vector, got {vector.shape}")
    squared = float(vector.dot(vector))
    if not abs(squared - 1.0) <= _UNIT_TOLERANCE:  # so written, NaN is refused too
        raise VectorIndexError("exact", "add", f"expected unit length, got {squared**0.5:.3g}")
    return vector


def _require_dimensions(block: Block, vector: Row | Vector, operation: str) -> None:
    if vector.shape != (block.dimensions,):
        detail = f"expected {block.dimensions} dimensions, got {vector.shape[-1]}"
        raise VectorIndexError(block.backend, operation, detail)
