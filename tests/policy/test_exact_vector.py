"""Vectors as bytes: the very same floats come back, or there are no bytes."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.exact_vector import read_vector, spell_vector

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def bits(vector: list[float]) -> bytes:
    return struct.pack(f"<{len(vector)}d", *vector)


@given(st.lists(FINITE, min_size=1, max_size=50))
def test_every_bit_comes_back(vector: list[float]) -> None:
    """Any finite floats, subnormal ones and negative zero included, are the same afterwards."""
    spelled = spell_vector(vector)
    assert spelled is not None
    assert bits(read_vector(spelled)) == bits(vector)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_single_precision_takes_four_bytes(vector: list[float]) -> None:
    """What a model computed in single precision is kept in it."""
    spelled = spell_vector(vector)
    assert spelled is not None
    assert len(spelled) == 1 + 4 * len(vector)
    assert bits(read_vector(spelled)) == bits(vector)


@pytest.mark.parametrize(
    "other",
    [
        [],
        [math.nan],
        [1.0, math.inf],
        [1, 2],
        [True],
        ["1.0"],
        [[1.0]],
        (1.0, 2.0),
        None,
        "text",
        np.ones(3),
        [np.float32(1)],
        [np.float64(1)],
    ],
)
def test_what_is_no_list_of_finite_floats_is_not_kept(other: Any) -> None:
    """Anything that would come back as something else has no spelling."""
    assert spell_vector(other) is None


@pytest.mark.parametrize("spelled", [b"", b"f", b"d", b"x1234", b"f123", b"d1234", b"f12345"])
def test_what_is_no_vector_is_refused(spelled: bytes) -> None:
    """Bytes that were cut off, or are something else, raise."""
    with pytest.raises(ValueError, match="no vector"):
        read_vector(spelled)
