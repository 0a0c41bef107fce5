"""A forest walks its trees as they are written, and refuses what is not one."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.calibration.shipped import forest, shipped
from accel_core.policy.difference import FEATURES
from accel_core.policy.forest import Forest

STUMP = {"features": ["x"], "bias": 0.5, "trees": [[[0, 2.0, 1, 2, True], -1.0, 1.0]]}


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_goes_left_up_to_the_threshold(number: float) -> None:
    """At most the threshold is left; a missing number goes where the node says."""
    left = math.isnan(number) or number <= 2.0
    assert Forest.from_json(STUMP).log_odds([number]) == (-0.5 if left else 1.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trees": [[]]},
        {"trees": [[[0, 2.0, 0, 2, True], -1.0, 1.0]]},
        {"trees": [[[0, 2.0, 1, 9, True], -1.0, 1.0]]},
        {"trees": [[[3, 2.0, 1, 2, True], -1.0, 1.0]]},
        {"trees": [[[0, float("nan"), 1, 2, True], -1.0, 1.0]]},
        {"trees": [[[0, 2.0, 1, 2], -1.0, 1.0]]},
        {"bias": float("inf")},
        {"trees": None},
    ],
)
def test_a_tree_that_leads_nowhere_is_refused(wrong: dict[str, object]) -> None:
    """Cycles, missing nodes, unknown numbers: said at reading, not while deciding."""
    with pytest.raises((ValueError, TypeError, KeyError)):
        Forest.from_json({**STUMP, **wrong})


def test_the_shipped_one_is_what_it_says() -> None:
    """It was grown on this version's numbers, and survives its own spelling."""
    found = forest()
    assert found.features == FEATURES
    assert Forest.from_json(json.loads(json.dumps(found.to_json()))) == found
    calibration = shipped("all-MiniLM-L6-v2")
    assert calibration is not None
    assert shipped("another") is None
