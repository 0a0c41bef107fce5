"""What `ScopedIndex` promises beyond the port: recall, memory, growing without losing anything."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import VectorIndexError
from accel_core.index.exact import ExactBlock, LoneBlock
from accel_core.index.hnsw import HnswBlock
from accel_core.index.scoped import MovingBlock, ScopedIndex
from accel_core.testing.indexes import key_of, unit_vectors

if TYPE_CHECKING:
    from accel_core.ports import Vector, Vectors

DIMENSIONS = 384
VECTOR_BYTES = 2 * DIMENSIONS


def clustered(count: int, *, topics: int, spread: float, seed: int) -> Vectors:
    """Return `count` unit vectors around `topics` centres, as questions lie around subjects."""
    centres = unit_vectors(topics, DIMENSIONS, seed=1)
    dice = np.random.default_rng(seed)
    rows = centres[dice.integers(0, topics, count)] + spread * unit_vectors(
        count, DIMENSIONS, seed=seed
    )
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def recall(index: ScopedIndex, vectors: Vectors, queries: Vectors, keys: list[bytes]) -> float:
    """Return the share of `queries` for which the index names the truly nearest of `vectors`."""
    nearest = np.argmax(queries @ vectors.T, axis=1)
    found = [index.nearest(b"scope", query, 1)[0].key for query in queries]
    return float(np.mean([keys[n] == key for n, key in zip(nearest.tolist(), found, strict=True)]))


def grown_to(count: int, *, switch_at: int = 6_000, seed: int = 0) -> tuple[ScopedIndex, Vectors]:
    index, vectors = ScopedIndex(switch_at=switch_at), unit_vectors(count, seed=seed)
    for number, vector in enumerate(vectors):
        index.add(b"scope", key_of(number), vector)
    return index, vectors


def form(index: ScopedIndex) -> type:
    return type(index._blocks[b"scope"])


def test_the_graph_finds_the_nearest() -> None:
    """Among 3,000 vectors in topics, at least 98 of 100 questions get the true neighbour."""
    index = ScopedIndex(switch_at=500)
    vectors = clustered(3_000, topics=60, spread=0.8, seed=2)
    keys = [key_of(number) for number in range(len(vectors))]
    for key, vector in zip(keys, vectors, strict=True):
        index.add(b"scope", key, vector)
    assert form(index) is HnswBlock
    assert recall(index, vectors, clustered(400, topics=60, spread=0.8, seed=3), keys) >= 0.98


def test_the_graph_stays_good_when_everything_is_exchanged() -> None:
    """Removing and adding three times over costs no recall and no further places."""
    held = 600
    index = ScopedIndex(switch_at=100)
    vectors = clustered(4 * held, topics=60, spread=0.8, seed=2)
    for number, vector in enumerate(vectors):
        if number >= held:
            index.remove(b"scope", key_of(number - held))
        index.add(b"scope", key_of(number), vector)
    assert len(index) == held
    keys = [key_of(number) for number in range(3 * held, 4 * held)]
    queries = clustered(300, topics=60, spread=0.8, seed=3)
    assert recall(index, vectors[-held:], queries, keys) >= 0.97
    graph = index._blocks[b"scope"]
    assert isinstance(graph, HnswBlock)
    assert len(graph._keys) <= held + 1


def test_a_scope_of_one_entry_is_small() -> None:
    """A scope with one entry takes its vector in float16 and at most 200 bytes more."""
    scopes = [key_of(number) for number in range(2_000)]
    vectors = unit_vectors(len(scopes), DIMENSIONS)
    index = ScopedIndex()
    index.add(b"first", b"key", vectors[0])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for scope, vector in zip(scopes, vectors, strict=True):
            index.add(scope, scope, vector)
        after, _ = tracemalloc.get_traced_memory()
        assert (after - before) / len(scopes) <= VECTOR_BYTES + 200
        index.clear()
        cleared, _ = tracemalloc.get_traced_memory()
        assert cleared - before <= 10_000
    finally:
        tracemalloc.stop()


def test_memory_follows_the_size_down() -> None:
    """A scope that shrinks gives its rows back, and an empty one leaves nothing behind."""
    index, vectors = grown_to(1_000)
    block = index._blocks[b"scope"]
    assert isinstance(block, ExactBlock)
    assert len(block._matrix) <= 1.5 * len(vectors)
    for number in range(990):
        index.remove(b"scope", key_of(number))
    assert len(block._matrix) <= 40
    for number in range(990, 1_000):
        (neighbour,) = index.nearest(b"scope", vectors[number], 1)
        assert neighbour.key == key_of(number)
        index.remove(b"scope", key_of(number))
    assert not index._blocks


def test_the_move_to_the_graph_loses_nothing() -> None:
    """Entries are found before, during and after the move, also those changed meanwhile."""
    index = ScopedIndex(switch_at=100)
    vectors, changed = unit_vectors(140), unit_vectors(140, seed=1)
    expected: dict[int, Vector] = {}
    forms = []
    for number, vector in enumerate(vectors):
        index.add(b"scope", key_of(number), vector)
        expected[number] = vector
        if number % 5 == 0:
            index.add(b"scope", key_of(number // 2), changed[number])
            expected[number // 2] = changed[number]
        if number % 7 == 6:
            index.remove(b"scope", key_of(number // 3))
            expected.pop(number // 3, None)
        forms.append(form(index))
        assert len(index) == len(expected)
        for kept, its_vector in expected.items():
            (neighbour,) = index.nearest(b"scope", its_vector, 1)
            assert neighbour.key == key_of(kept)
    assert list(dict.fromkeys(forms)) == [LoneBlock, ExactBlock, MovingBlock, HnswBlock]


def test_the_move_waits_for_a_graph_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry the graph did not take is served all the same, and moved later."""
    index, _ = grown_to(100, switch_at=99)
    vectors = unit_vectors(140, seed=1)
    take = HnswBlock.add

    def refuse(block: HnswBlock, key: bytes, row: Vector) -> HnswBlock:
        raise VectorIndexError("usearch", "add", "out of memory")

    monkeypatch.setattr(HnswBlock, "add", refuse)
    with pytest.raises(VectorIndexError, match="out of memory"):
        index.add(b"scope", key_of(200), vectors[0])
    assert len(index) == 101
    assert index.nearest(b"scope", vectors[0], 1)[0].key == key_of(200)
    monkeypatch.setattr(HnswBlock, "add", take)
    for number, vector in enumerate(vectors):
        index.add(b"scope", key_of(200 + number), vector)
    assert form(index) is HnswBlock
    assert len(index) == 240
    for number, vector in enumerate(vectors):
        assert index.nearest(b"scope", vector, 1)[0].key == key_of(200 + number)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "remove"]), st.integers(0, 40), st.integers(0, 99)
        ),
        max_size=150,
    ),
    st.integers(0, 12),
)
def test_holds_what_was_added_and_not_removed(
    changes: list[tuple[str, int, int]], switch_at: int
) -> None:
    """Whatever is added, replaced and removed, and wherever the switch: what is left is found."""
    vectors = unit_vectors(100)
    index = ScopedIndex(switch_at=switch_at)
    expected: dict[bytes, int] = {}
    for action, number, which in changes:
        if action == "add":
            index.add(b"scope", key_of(number), vectors[which])
            expected[key_of(number)] = which
        else:
            index.remove(b"scope", key_of(number))
            expected.pop(key_of(number), None)
        assert len(index) == len(expected)
    found = dict(index.nearest(b"scope", vectors[0], 100))
    assert found.keys() == expected.keys()
    for key, similarity in found.items():
        assert similarity == pytest.approx(float(vectors[expected[key]] @ vectors[0]), abs=1e-3)


def test_a_graph_of_empty_places_is_built_anew() -> None:
    """A scope that lost most of its entries keeps the others, in a form that fits their number."""
    index, vectors = grown_to(400, switch_at=40)
    forms = []
    for number in range(395):
        index.remove(b"scope", key_of(number))
        forms.append(form(index))
        assert len(index) == 399 - number
        for kept in range(number + 1, 400, 17):
            (neighbour,) = index.nearest(b"scope", vectors[kept], 1)
            assert neighbour.key == key_of(kept)
        block = index._blocks[b"scope"]
        if isinstance(block, HnswBlock):
            assert block.places <= 4 * len(block)
    assert list(dict.fromkeys(forms)) == [HnswBlock, MovingBlock, ExactBlock]
    assert {key for key, _ in index.nearest(b"scope", vectors[0], 400)} == {
        key_of(number) for number in range(395, 400)
    }


def test_a_removed_entry_is_gone_though_the_graph_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What usearch does not let go of is out of reach, and out of the count."""
    index, vectors = grown_to(60, switch_at=20)
    block = index._blocks[b"scope"]
    assert isinstance(block, HnswBlock)

    def refuse(label: int, *, threads: int) -> None:
        raise RuntimeError("no such label")

    with monkeypatch.context() as patched:
        patched.setattr(block._graph, "remove", refuse)
        with pytest.raises(VectorIndexError, match="usearch failed to remove: no such label"):
            index.remove(b"scope", key_of(7))
    assert len(index) == 59
    found = index.nearest(b"scope", vectors[7], 60)
    assert key_of(7) not in {key for key, _ in found}


@pytest.mark.parametrize("size", [1, 5, 22, 80])
def test_one_scope_has_one_dimension(size: int) -> None:
    """A vector of other dimensions than the scope's is an error, and changes nothing."""
    index, vectors = grown_to(size, switch_at=20)
    (wrong,) = unit_vectors(1, 16)
    with pytest.raises(VectorIndexError, match="expected 32 dimensions, got 16"):
        index.add(b"scope", b"wrong", wrong)
    with pytest.raises(VectorIndexError, match="expected 32 dimensions, got 16"):
        index.nearest(b"scope", wrong, 1)
    assert len(index) == size
    assert index.nearest(b"scope", vectors[0], 1)[0].key == key_of(0)
    index.add(b"another scope", b"right", wrong)
    assert index.nearest(b"another scope", wrong, 1)[0].key == b"right"


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(32, np.float32),
        np.full(32, np.nan, np.float32),
        np.full(32, np.inf, np.float32),
        np.full(32, 1.0, np.float32),
        unit_vectors(1),
    ],
    ids=["zero", "nan", "infinite", "long", "matrix"],
)
def test_only_unit_vectors_are_taken(vector: Vector) -> None:
    """What has no cosine is refused: it would be near everything."""
    index, _ = grown_to(3)
    with pytest.raises(VectorIndexError):
        index.add(b"scope", b"wrong", vector)
    assert len(index) == 3


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    """Making an index imports neither numpy nor usearch."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from accel_core.index.scoped import ScopedIndex\n"
            "assert ScopedIndex().nearest(b'scope', None, 1) == []\n"
            "assert not {'numpy', 'numkong', 'usearch'} & set(sys.modules)",
        ],
        check=True,
    )


def test_a_lock_held_while_forking_holds_up_nobody() -> None:
    """In the child no lock that some thread of the parent held is waited for."""
    index, vectors = grown_to(30, switch_at=20)
    block = index._blocks[b"scope"]
    assert isinstance(block, HnswBlock)
    with index._lock, block._lock:
        index.after_fork()
        index.add(b"scope", b"key", vectors[0])
        assert index.nearest(b"scope", vectors[0], 1)[0].key == b"key"


def test_says_what_it_holds() -> None:
    """Its repr names the numbers, not the contents."""
    index, _ = grown_to(3)
    assert repr(index) == "<ScopedIndex: 3 vectors in 1 scopes>"
