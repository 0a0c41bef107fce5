"""Streams and their replay: what is asked again, what is near, and what counts as right."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.evaluation.labelled import Cluster
from accel_core.evaluation.replay import Asking, draw, neighbourhood, replay
from accel_core.policy.similarity import FixedThreshold
from accel_core.testing.encoders import HashEncoder

SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=30)


def clusters_of_sizes(sizes: list[int]) -> list[Cluster]:
    return [
        Cluster(number, tuple(f"text {number} {k}" for k in range(size)))
        for number, size in enumerate(sizes)
    ]


@given(SIZES, st.integers(0, 1_000))
def test_a_stream_asks_every_cluster_and_no_wording_twice(sizes: list[int], seed: int) -> None:
    """A repeat is one exactly where its cluster was asked before."""
    drawn = draw(clusters_of_sizes(sizes), Random(seed))
    texts = [asking.text for asking in drawn]
    assert len(set(texts)) == len(texts)
    seen: set[int] = set()
    for asking in drawn:
        assert asking.repeat == (asking.cluster_id in seen)
        seen.add(asking.cluster_id)
    assert seen == set(range(len(sizes)))


def test_a_share_of_the_stream_repeats() -> None:
    """About as many repeats as were asked for, where there are wordings enough."""
    drawn = draw(clusters_of_sizes([3] * 2_000), Random(1), repeat_share=0.3)
    assert sum(asking.repeat for asking in drawn) / len(drawn) == pytest.approx(0.3, abs=0.03)


@given(st.integers(1, 40), st.integers(0, 9))
def test_neighbours_are_the_nearest_that_came_before(count: int, seed: int) -> None:
    """Nothing later and nothing equal to the arrival itself, nearest first."""
    rows = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    near = neighbourhood(rows)
    for number in range(count):
        found = [place for place in near.places[number].tolist() if place >= 0]
        cosines = rows[:number] @ rows[number]
        assert found == sorted(range(number), key=lambda place: -cosines[place])


def played(keep: str, threshold: float) -> tuple[list[bool], list[bool]]:
    """Return which arrivals hit, and whether each that hit was right."""
    asked = [
        Asking("pay the bill", 1, repeat=False),
        Asking("the bill pay", 1, repeat=True),
        Asking("bill the pay", 2, repeat=False),
        Asking("something else entirely", 3, repeat=False),
    ]
    near = neighbourhood(HashEncoder().encode([asking.text for asking in asked]))
    policy = FixedThreshold(min_similarity=threshold)
    served = replay(asked, near, policy, keep=keep).served  # type: ignore[arg-type]
    hits = [found for found in served if found.verdict.chosen is not None]
    return [found.arrival for found in hits], [found.right for found in hits]


def test_what_was_served_is_scored_not_that_something_was() -> None:
    """An answer of another cluster is wrong, however alike the two read."""
    assert played("missed", 0.9) == ([1, 2], [True, False])


def test_the_store_is_what_was_said() -> None:
    """``first`` keeps first askings, whatever was served; ``missed`` what was not served."""
    asked = [Asking("a b", 1, repeat=False), Asking("a b c", 1, repeat=True)]
    near = neighbourhood(HashEncoder().encode([asking.text for asking in asked]))
    never = FixedThreshold(min_similarity=1.0)
    asked.append(Asking("a b c d", 1, repeat=True))
    near = neighbourhood(HashEncoder().encode([asking.text for asking in asked]))
    for keep, nearest in (("first", 0), ("missed", 1)):
        last = replay(asked, near, never, keep=keep).served[-1]  # type: ignore[arg-type]
        expected = near.cosines[2][list(near.places[2]).index(nearest)]
        assert last.similarity == pytest.approx(float(expected))
