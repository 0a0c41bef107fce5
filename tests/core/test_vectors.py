"""Vectors as stores keep them: a byte a number says nearly the same, and never anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.seal import Seal
from accel_core.store import codec
from accel_core.testing.indexes import unit_vectors
from accel_core.testing.stores import StoreContract
from accel_core.vectors import (
    SHORT_DIMENSIONS,
    coarse,
    coarse_bytes,
    cosine,
    fine,
    pack,
    shortened,
    unpack,
)

SEAL = Seal(b"k" * 32)
entry = StoreContract().make_entry


@given(dimensions=st.integers(1, 768), seed=st.integers(0, 1_000))
def test_rounded_is_nearly_the_same(dimensions: int, seed: int) -> None:
    """It is a unit vector of the same direction, and rounding it again changes nothing."""
    (vector,) = unit_vectors(1, dimensions, seed=seed)
    small, rounded = coarse(pack(vector))
    assert len(small) == coarse_bytes(len(rounded)) == 4 + dimensions
    assert fine(small) == rounded
    assert coarse(rounded) == (small, rounded)
    near = cosine(rounded, vector)
    assert near is not None
    assert near > 0.999


def test_cosines_move_little() -> None:
    """Between 300 vectors of MiniLM's length no cosine moves by more than 0.004."""
    rows = unit_vectors(300, 384)
    rounded = np.array([unpack(coarse(pack(row))[1]) for row in rows])
    assert np.abs(rows @ rows.T - rounded @ rounded.T).max() < 0.004


@pytest.mark.parametrize(
    "packed",
    [b"", b"x", b"odd", b"\0" * 64, b"\xff" * 64, b"\x00\x7c" * 32, b"\x00\x3c" * 32],
    ids=["empty", "byte", "odd", "zeros", "NaN", "infinite", "long"],
)
def test_what_is_no_unit_vector(packed: bytes) -> None:
    """It is left as it is, and an entry of it is kept without."""
    assert coarse(packed) == (b"", packed)
    body, vector = codec.shrunk(entry(vector=packed), SEAL)
    assert vector == b""
    assert codec.decode(codec.grown(body), SEAL) == entry(vector=None)


@given(dimensions=st.integers(1, 64), payload=st.binary(max_size=3_000))
def test_a_small_entry_is_read_as_signed(dimensions: int, payload: bytes) -> None:
    """What is put together again is what was signed, with the rounded vector."""
    _, rounded = coarse(pack(unit_vectors(1, dimensions)[0]))
    body, vector = codec.shrunk(entry(vector=rounded, payload=payload), SEAL)
    assert vector == rounded
    assert codec.decode(codec.grown(body), SEAL) == entry(vector=rounded, payload=payload)


@given(place=st.integers(0, 10_000), junk=st.binary(max_size=40))
def test_a_changed_small_entry_is_the_same_or_refused(place: int, junk: bytes) -> None:
    """Whatever is written into it, or cut off, what is served is what was signed."""
    body, vector = codec.shrunk(entry(vector=pack(unit_vectors(1, 16)[0])), SEAL)
    at = place % len(body)
    for changed in (body[:at] + junk + body[at + len(junk) :], body[:at]):
        read = codec.decode(codec.grown(changed), SEAL)
        # The factor has more digits than float16.
        assert isinstance(read, str) or read == entry(vector=vector)


@given(st.binary(max_size=300))
def test_any_bytes_are_grown(body: bytes) -> None:
    """Nothing raises, whatever somebody wrote."""
    assert isinstance(codec.decode(codec.grown(body), SEAL), str)


@given(dimensions=st.integers(1, 1_600), near=st.floats(0.0, 0.5), seed=st.integers(0, 99))
def test_what_is_near_stays_near_when_shortened(dimensions: int, near: float, seed: int) -> None:
    """Whatever its dimensions, it becomes 96 numbers of unit length, near what it was near."""
    one, noise = unit_vectors(2, dimensions, seed=seed)
    other = one + near * noise
    other /= np.linalg.norm(other)
    short, beside = shortened(one), shortened(other)
    assert len(short) == SHORT_DIMENSIONS
    assert abs(float(short @ short) - 1.0) < 1e-5
    cosine_before = float(one @ other)
    deviation = (1 - cosine_before**2) / np.sqrt(SHORT_DIMENSIONS)
    exact = dimensions <= SHORT_DIMENSIONS
    assert abs(float(short @ beside) - cosine_before) <= 1e-5 + (0.0 if exact else 6 * deviation)
