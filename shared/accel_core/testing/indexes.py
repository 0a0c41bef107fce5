"""The promises of `VectorIndex` as tests: subclass `IndexContract` and give it an index.

::

    class TestMyIndex(IndexContract):
        @pytest.fixture
        def index(self) -> VectorIndex:
            return MyIndex()

An approximate index passes as well: the vectors are few and far apart. The one promise no index
may bend is that a key comes with its own similarity, since that is what a cached answer is
served by.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from accel_core.ports import VectorIndex

if TYPE_CHECKING:
    from accel_core.ports import Neighbour, Vector, Vectors

_TOLERANCE = 1e-3
"""How far a similarity may be from the cosine: what float16 and a few roundings cost."""


def unit_vectors(count: int, dimensions: int = 32, *, seed: int = 0) -> Vectors:
    """Return `count` random rows of unit length, the same ones for the same `seed`."""
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def key_of(number: int) -> bytes:
    """Return a key, as long as a digest, that differs for every `number`."""
    return number.to_bytes(16, "big")


def _fill(index: VectorIndex, scope: bytes, vectors: Vectors) -> None:
    for number, vector in enumerate(vectors):
        index.add(scope, key_of(number), vector)


def _truth(vectors: Vectors, query: Vector, limit: int) -> list[bytes]:
    return [key_of(int(number)) for number in np.argsort(-(vectors @ query))[:limit]]


def _keys(neighbours: list[Neighbour]) -> list[bytes]:
    return [neighbour.key for neighbour in neighbours]


def _search_until(
    done: threading.Event, index: VectorIndex, vectors: Vectors, wrong: list[str]
) -> None:
    """Search until `done`; note in `wrong` each key that came with another's similarity."""
    queries = unit_vectors(20, seed=1)
    while not done.is_set():
        for query in queries:
            for key, similarity in index.nearest(b"scope", query, 3):
                own = float(vectors[int.from_bytes(key, "big")] @ query)
                if abs(own - similarity) > _TOLERANCE:
                    wrong.append(f"{key.hex()}: {similarity} instead of {own}")


def _write_every_other(index: VectorIndex, vectors: Vectors, start: int) -> None:
    """Add every second vector from `start` and remove every fourth, again and again."""
    for _ in range(5):
        for number in range(start, len(vectors), 2):
            index.add(b"scope", key_of(number), vectors[number])
        for number in range(start, len(vectors), 4):
            index.remove(b"scope", key_of(number))


class IndexContract:
    """What every `VectorIndex` does.

    Attributes:
        many: entries that take the index through every form it has.
    """

    many = 60

    @pytest.fixture
    def index(self) -> VectorIndex:
        """Return an empty index; subclasses override this."""
        raise NotImplementedError

    def test_is_a_vector_index(self, index: VectorIndex) -> None:
        """It has the methods of the port."""
        assert isinstance(index, VectorIndex)

    def test_an_empty_scope_has_no_neighbours(self, index: VectorIndex) -> None:
        """A scope nothing was added to answers with an empty list, alone or beside others."""
        one, other = unit_vectors(2)
        assert not index.nearest(b"scope", one, 3)
        index.add(b"other", b"key", other)
        assert index.nearest(b"scope", one, 3) == []

    def test_finds_what_was_added(self, index: VectorIndex) -> None:
        """An added vector is found under its key, its similarity to itself 1."""
        (vector,) = unit_vectors(1)
        index.add(b"scope", b"key", vector)
        (neighbour,) = index.nearest(b"scope", vector, 1)
        assert neighbour.key == b"key"
        assert type(neighbour.similarity) is float
        assert 1.0 - _TOLERANCE <= neighbour.similarity <= 1.0

    def test_keeps_its_own_copy(self, index: VectorIndex) -> None:
        """What the caller does to its array afterwards changes nothing."""
        for number, vector in enumerate(unit_vectors(self.many)):
            borrowed = vector.copy()
            index.add(b"scope", key_of(number), borrowed)
            borrowed[:] = 0.0
        for number, vector in enumerate(unit_vectors(self.many)):
            assert _keys(index.nearest(b"scope", vector, 1)) == [key_of(number)]

    def test_nearest_come_first(self, index: VectorIndex) -> None:
        """Neighbours are in order, each with its cosine, at every size."""
        vectors = unit_vectors(self.many)
        queries = unit_vectors(5, seed=1)
        for size in range(1, self.many + 1):
            index.add(b"scope", key_of(size - 1), vectors[size - 1])
            for query in queries:
                found = index.nearest(b"scope", query, 4)
                assert _keys(found) == _truth(vectors[:size], query, 4)
                cosines = [float(vectors[int.from_bytes(key, "big")] @ query) for key, _ in found]
                assert [near for _, near in found] == pytest.approx(cosines, abs=_TOLERANCE)

    def test_limit_is_a_limit(self, index: VectorIndex) -> None:
        """No more than `limit` come back, and no more than there are."""
        (query,) = unit_vectors(1, seed=1)
        for size in (1, 2, self.many):
            _fill(index, b"scope", unit_vectors(size))
            assert len(index.nearest(b"scope", query, 1)) == 1
            assert len(index.nearest(b"scope", query, size)) == size
            assert len(index.nearest(b"scope", query, 10 * size)) == size
            assert index.nearest(b"scope", query, 0) == []

    def test_scopes_never_mix(self, index: VectorIndex) -> None:
        """The same key in two scopes is two entries; neither scope sees or loses the other's."""
        mine, theirs = unit_vectors(self.many), unit_vectors(self.many, seed=1)
        _fill(index, b"mine", mine)
        _fill(index, b"theirs", theirs)
        for number in range(self.many):
            (neighbour,) = index.nearest(b"mine", theirs[number], 1)
            assert neighbour.key == _truth(mine, theirs[number], 1)[0]
            assert neighbour.similarity == pytest.approx(
                float((mine @ theirs[number]).max()), abs=_TOLERANCE
            )
            index.remove(b"mine", key_of(number))
            assert _keys(index.nearest(b"theirs", theirs[number], 1)) == [key_of(number)]
            assert len(index) == 2 * self.many - 1
            index.add(b"mine", key_of(number), mine[number])

    def test_adding_again_replaces(self, index: VectorIndex) -> None:
        """Only the last vector of a key is found."""
        before, after = unit_vectors(self.many), unit_vectors(self.many, seed=1)
        for number in range(self.many):
            index.add(b"scope", key_of(number), before[number])
            index.add(b"scope", key_of(number), after[number])
        assert len(index) == self.many
        for number in range(self.many):
            assert _keys(index.nearest(b"scope", before[number], 2)) == _truth(
                after, before[number], 2
            )

    def test_removed_entries_are_gone(self, index: VectorIndex) -> None:
        """A removed key is not returned again, though its place may be taken by another."""
        vectors = unit_vectors(self.many)
        _fill(index, b"scope", vectors)
        for number in range(0, self.many, 2):
            index.remove(b"scope", key_of(number))
        assert len(index) == self.many // 2
        kept = {key_of(number) for number in range(1, self.many, 2)}
        assert set(_keys(index.nearest(b"scope", vectors[0], self.many))) == kept
        late = unit_vectors(self.many, seed=1)
        for number in range(0, self.many, 2):
            index.add(b"scope", key_of(self.many + number), late[number])
            assert _keys(index.nearest(b"scope", late[number], 1)) == [key_of(self.many + number)]
            assert _keys(index.nearest(b"scope", vectors[number], 1)) != [key_of(number)]

    def test_removing_the_unknown_does_nothing(self, index: VectorIndex) -> None:
        """A key or scope that is not there may be removed; the rest stays."""
        (vector,) = unit_vectors(1)
        index.remove(b"scope", b"key")
        index.add(b"scope", b"key", vector)
        index.remove(b"scope", b"other")
        index.remove(b"other", b"key")
        assert len(index) == 1
        assert _keys(index.nearest(b"scope", vector, 1)) == [b"key"]

    def test_a_scope_can_be_emptied_and_filled_again(self, index: VectorIndex) -> None:
        """A scope whose last entry was removed is like one never used."""
        for round_ in range(3):
            vectors = unit_vectors(self.many, seed=round_)
            _fill(index, b"scope", vectors)
            assert len(index) == self.many
            for number in range(self.many):
                index.remove(b"scope", key_of(number))
            assert len(index) == 0
            assert index.nearest(b"scope", vectors[0], 5) == []

    def test_clear_forgets_everything(self, index: VectorIndex) -> None:
        """After `clear` no scope has an entry, and each can be used again."""
        vectors = unit_vectors(self.many)
        _fill(index, b"one", vectors)
        _fill(index, b"two", vectors[:1])
        index.clear()
        assert len(index) == 0
        assert index.nearest(b"one", vectors[0], 5) == index.nearest(b"two", vectors[0], 5) == []
        _fill(index, b"one", vectors[:2])
        assert _keys(index.nearest(b"one", vectors[1], 1)) == [key_of(1)]

    def test_starts_anew_after_a_fork(self, index: VectorIndex) -> None:
        """After `after_fork` it is empty and can be used."""
        vectors = unit_vectors(self.many)
        _fill(index, b"scope", vectors)
        index.after_fork()
        assert len(index) == 0
        assert index.nearest(b"scope", vectors[0], 1) == []
        _fill(index, b"scope", vectors)
        assert len(index) == self.many

    def test_threads_may_search_while_others_write(self, index: VectorIndex) -> None:
        """Whatever others add, replace and remove, a key comes with its own similarity."""
        vectors = unit_vectors(self.many)
        wrong: list[str] = []
        done = threading.Event()
        search = partial(_search_until, done, index, vectors, wrong)
        searchers = [threading.Thread(target=search) for _ in range(3)]
        write = partial(_write_every_other, index, vectors)
        writers = [threading.Thread(target=write, args=(start,)) for start in range(2)]
        for thread in searchers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in searchers:
            thread.join()
        assert not wrong
        left = [number for number in range(self.many) if number % 4 >= 2]
        assert len(index) == len(left)
        for number in left:
            assert _keys(index.nearest(b"scope", vectors[number], 1)) == [key_of(number)]
