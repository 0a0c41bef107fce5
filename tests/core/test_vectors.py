"""Vectors as stores keep them: a byte a number says nearly the same, and never anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.testing.indexes import unit_vectors
from accel_core.vectors import (
    SHORT_DIMENSIONS,
    coarse,
    coarse_cosine,
    cosine,
    fine,
    pack,
    shortened,
    unpack,
)


@given(dimensions=st.integers(1, 768), seed=st.integers(0, 1_000))
def test_rounded_is_nearly_the_same(dimensions: int, seed: int) -> None:
    """It is a unit vector of the same direction, and rounding it again changes nothing."""
    (vector,) = unit_vectors(1, dimensions, seed=seed)
    small, rounded = coarse(pack(vector))
    assert len(small) == 4 + dimensions
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
    """It is left as it is, and there are no bytes of it."""
    assert coarse(packed) == (b"", packed)


@given(dimensions=st.integers(1, 400), seed=st.integers(0, 99))
def test_cosine_of_a_rounded_one(dimensions: int, seed: int) -> None:
    """It is as near as the float16 that says the same."""
    one, asked = unit_vectors(2, dimensions, seed=seed)
    small, rounded = coarse(pack(one))
    assert coarse_cosine(small, asked) == pytest.approx(cosine(rounded, asked), abs=2e-3)


@given(junk=st.binary(max_size=40), place=st.integers(0, 19))
def test_cosine_of_anything(junk: bytes, place: int) -> None:
    """Whatever somebody wrote has no cosine, or one of a unit vector."""
    one, other = unit_vectors(2, 16)
    small, _ = coarse(pack(one))
    spoiled = (small[:place] + junk + small[place + len(junk) :])[: len(small) + len(junk) // 20]
    strange = coarse_cosine(spoiled, other)
    assert strange is None or -1.0 <= strange <= 1.0


@pytest.mark.parametrize("factor", [b"\0\0\0\0", b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\x3f"])
def test_no_cosine_of_what_is_no_unit_vector(factor: bytes) -> None:
    """Of nothing, NaN, infinity, nor of a vector that is too long; nor of another length."""
    asked, one = unit_vectors(2, 16)
    small, _ = coarse(pack(one))
    assert coarse_cosine(small, one) == pytest.approx(1.0, abs=0.01)
    for none in (factor + small[4:], small + b"x", small[:-1], b""):
        assert coarse_cosine(none, asked) is None


@given(dimensions=st.integers(1, 1_600), near=st.floats(0.0, 0.5), seed=st.integers(0, 99))
def test_what_is_near_stays_near_when_shortened(dimensions: int, near: float, seed: int) -> None:
    """Whatever its dimensions, it becomes 96 numbers, near what it was near."""
    one, noise = unit_vectors(2, dimensions, seed=seed)
    other = one + near * noise
    other /= np.linalg.norm(other)
    short, beside = shortened(one), shortened(other)
    assert len(short) == SHORT_DIMENSIONS
    cosine_before = float(one @ other)
    deviation = (1 - cosine_before**2) / np.sqrt(SHORT_DIMENSIONS)
    exact = dimensions <= SHORT_DIMENSIONS
    cosine_after = float(short @ beside) / float(np.linalg.norm(short) * np.linalg.norm(beside))
    assert abs(cosine_after - cosine_before) <= 1e-5 + (0.0 if exact else 6 * deviation)
