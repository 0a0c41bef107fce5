"""Exact search within one scope: every row is compared, none is missed.

Two sizes of block: `LoneBlock` holds the single entry that most scopes have, as plain bytes;
`ExactBlock` holds many, as rows of one matrix. A block's `add` and `remove` return the block that
serves from then on, so that a scope grows and shrinks without its owner knowing the sizes.

Mutations come one at a time (the owner's lock sees to it); searches may come from any thread at
any time. Nothing here checks dimensions or lengths: rows and queries arrive checked, and rows in
the kernel's dtype.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.ports import Neighbour

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from accel_core.ports import Vector

    Row = NDArray[np.floating[Any]]
    """Shape (dimensions,), unit length, in the kernel's dtype."""
    Matrix = NDArray[np.floating[Any]]
    """Shape (rows, dimensions)."""

_FIRST_CAPACITY = 2
_LONE_DTYPE = "<f2"


class Kernel(NamedTuple):
    """The arithmetic of exact search.

    Attributes:
        dtype: what rows are made of.
        dots: the dot product of every row of a matrix with a query.
    """

    dtype: np.dtype[Any]
    dots: Callable[[Matrix, Row], NDArray[np.floating[Any]]]


def load_kernel() -> Kernel:
    """Return the best kernel installed: numkong over float16, else numpy over float32.

    Both take about 30 ns per row of 384; numkong's rows take half the memory. numpy alone needs
    700 ns for a row of float16, which is why it is given float32.
    """
    import numpy as np

    try:
        import numkong
    except ImportError:
        return Kernel(np.dtype(np.float32), lambda matrix, query: matrix @ query)
    cdist, asarray = numkong.cdist, np.asarray
    return Kernel(
        np.dtype(np.float16),
        lambda matrix, query: asarray(cdist(matrix, query[None], "dot")).ravel(),
    )


def cosine(product: float) -> float:
    """Return `product` as a cosine: rounding can carry it past 1; what is no number is far away."""
    if -1.0 <= product <= 1.0:
        return product
    return 1.0 if product > 1.0 else -1.0


def _highest(scores: NDArray[np.floating[Any]], limit: int) -> list[int]:
    """Return the positions of the `limit` highest scores, highest first."""
    if limit == 1:
        return [int(scores.argmax())]
    if limit >= len(scores):
        order = scores.argsort()[::-1]
    else:
        chosen = scores.argpartition(-limit)[-limit:]
        order = chosen[scores[chosen].argsort()[::-1]]
    positions: list[int] = order.tolist()
    return positions


class LoneBlock:
    """One entry, never changed: 10,000 scopes of one question each are what tenants look like."""

    __slots__ = ("_kernel", "_key", "_row")

    backend = "exact"

    def __init__(self, kernel: Kernel, key: bytes, row: Row) -> None:
        self._kernel = kernel
        self._key = key
        self._row = row.astype(_LONE_DTYPE).tobytes()

    @property
    def dimensions(self) -> int:
        """Numbers in a row."""
        return len(self._row) // 2

    def add(self, key: bytes, row: Row) -> LoneBlock | ExactBlock:
        """Return a block that also holds `row` under `key`."""
        if key == self._key:
            return LoneBlock(self._kernel, key, row)
        block = ExactBlock(self._kernel, self.dimensions)
        block.add(self._key, self._unpacked())
        return block.add(key, row)

    def remove(self, key: bytes) -> LoneBlock | None:
        """Return the block without `key`; None where nothing is left."""
        return None if key == self._key else self

    def nearest(self, query: Vector, limit: int) -> list[Neighbour]:
        """Return the entry, however far it is. `limit` is at least 1."""
        row = query.astype(self._kernel.dtype)
        product = self._kernel.dots(self._unpacked()[None], row)[0]
        return [Neighbour(self._key, cosine(float(product)))][:limit]

    def __len__(self) -> int:
        return 1

    def _unpacked(self) -> Row:
        import numpy as np

        return np.frombuffer(self._row, _LONE_DTYPE).astype(self._kernel.dtype, copy=False)


class ExactBlock:
    """Many entries as rows of one matrix, in no order."""

    __slots__ = ("_kernel", "_keys", "_lock", "_matrix", "_positions", "dimensions")

    backend = "exact"

    def __init__(self, kernel: Kernel, dimensions: int) -> None:
        self.dimensions = dimensions
        self._kernel = kernel
        # Held while searching too: a removal moves rows, and a row read under another's key
        # would be somebody else's answer.
        self._lock = threading.Lock()
        self._keys: list[bytes] = []
        self._positions: dict[bytes, int] = {}
        self._matrix = self._blank(_FIRST_CAPACITY)

    def add(self, key: bytes, row: Row) -> ExactBlock:
        """Place `row` under `key`, replacing an earlier one."""
        with self._lock:
            position = self._positions.get(key)
            if position is None:
                position = len(self._keys)
                if position == len(self._matrix):
                    # By half, not by double: a scope's spare rows are memory nobody uses.
                    self._resize(position + (position >> 1))
                self._keys.append(key)
                self._positions[key] = position
            self._matrix[position] = row
        return self

    def remove(self, key: bytes) -> ExactBlock | None:
        """Forget `key`; None where nothing is left."""
        with self._lock:
            position = self._positions.pop(key, None)
            if position is None:
                return self
            last_key = self._keys.pop()
            last = len(self._keys)
            if position != last:
                self._keys[position] = last_key
                self._positions[last_key] = position
                self._matrix[position] = self._matrix[last]
            if last * 4 <= len(self._matrix) > _FIRST_CAPACITY:
                self._resize(max(_FIRST_CAPACITY, last * 2))
        return self if last else None

    def nearest(self, query: Vector, limit: int) -> list[Neighbour]:
        """Return up to `limit` neighbours, nearest first. `limit` is at least 1."""
        with self._lock:
            if not self._keys:
                return []
            row = query.astype(self._kernel.dtype)
            products = self._kernel.dots(self._matrix[: len(self._keys)], row)
            return [
                Neighbour(self._keys[position], cosine(float(products[position])))
                for position in _highest(products, limit)
            ]

    def keys(self) -> list[bytes]:
        """Return a copy of the keys held."""
        return self._keys.copy()

    def row(self, key: bytes) -> Row | None:
        """Return the row under `key`, valid until the next mutation; None where it is unknown."""
        position = self._positions.get(key)
        return None if position is None else self._matrix[position]

    def __contains__(self, key: bytes) -> bool:
        return key in self._positions

    def __len__(self) -> int:
        return len(self._keys)

    def _blank(self, capacity: int) -> Matrix:
        import numpy as np

        return np.empty((capacity, self.dimensions), self._kernel.dtype)

    def _resize(self, capacity: int) -> None:
        matrix = self._blank(capacity)
        kept = min(capacity, len(self._matrix))
        matrix[:kept] = self._matrix[:kept]
        self._matrix = matrix
