"""The precision-hit-ratio curve, against counting by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.evaluation.curve import Curve

SCORED = st.lists(st.tuples(st.integers(0, 20).map(float), st.booleans()), min_size=1, max_size=80)


@given(scored=SCORED, missed=st.integers(0, 20), threshold=st.integers(0, 20))
def test_a_threshold_means_what_counting_says(
    scored: list[tuple[float, bool]], missed: int, threshold: int
) -> None:
    """Hits, right hits and wrong share at a threshold are those of a plain count."""
    arrivals, repeats = len(scored) + missed, sum(right for _, right in scored) + 1
    point = Curve(scored, arrivals, repeats).at_threshold(threshold)
    hits = [right for score, right in scored if score >= threshold]
    if not hits:
        assert point is None
        return
    assert point is not None
    assert point.hit_ratio == pytest.approx(len(hits) / arrivals)
    assert point.recall == pytest.approx(sum(hits) / repeats)
    assert point.wrong_share == pytest.approx(1 - sum(hits) / len(hits))


@given(scored=SCORED)
def test_the_area_is_at_most_the_hit_ratio(scored: list[tuple[float, bool]]) -> None:
    """It is the hit ratio itself where every hit is right, and nothing where none is."""
    count = len(scored)
    assert 0 <= Curve(scored, count, count).area <= 1 + 1e-9
    assert Curve([(s, True) for s, _ in scored], 2 * count, count).area == pytest.approx(0.5)
    assert Curve([(s, False) for s, _ in scored], count, count).area == 0


def test_points_of_interest() -> None:
    """The strictest threshold that reaches a recall; the most recall within a wrong share."""
    curve = Curve([(0.9, True), (0.8, False), (0.7, True), (0.6, False)], 10, 4)
    reached = curve.at_recall(0.5)
    assert reached is not None
    assert (reached.threshold, reached.hit_ratio) == (0.7, 0.3)
    clean = curve.at_wrong_share(0.0)
    assert clean is not None
    assert clean.threshold == 0.9
    assert curve.at_recall(0.9) is None
    assert [point.threshold for point in curve.points()] == [0.9, 0.8, 0.7, 0.6]
    with pytest.raises(ValueError, match="at least one"):
        Curve([], 1, 1)
