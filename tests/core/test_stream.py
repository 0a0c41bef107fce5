"""The benchmark's question streams: what a repeat is, and that the share of them is met."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from benchmarks.stream import Cluster, load_clusters, load_pairs, question_stream

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = [
    {"a": "a1", "b": "a2", "same": 1},
    {"a": "b1", "b": "a1", "same": 0},
    {"a": "a3", "b": "a2", "same": 1},
    {"a": "c1", "b": "c2", "same": 1},
]


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def test_own_questions_are_sound() -> None:
    """Every cluster has two to four wordings, none occurs twice, siblings point at each other."""
    clusters = load_clusters()
    by_id = {cluster.id: cluster for cluster in clusters}
    texts = [text.casefold() for cluster in clusters for text in cluster.asks]
    assert len(clusters) == len(by_id) == 220
    assert all(2 <= len(cluster.asks) <= 4 for cluster in clusters)
    assert len(set(texts)) == len(texts)
    near = {cluster.id: cluster.near for cluster in clusters if cluster.near is not None}
    assert len(near) == 80
    assert all(near[sibling] == one for one, sibling in near.items())


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
def test_pairs_chain_into_clusters(tmp_path: Path, name: str) -> None:
    """Questions joined through a third are one cluster; one never joined is its own."""
    clusters = load_pairs(_write(tmp_path / name, PAIRS))
    assert [cluster.asks for cluster in clusters] == [("a1", "a2", "a3"), ("b1",), ("c1", "c2")]
    assert [cluster.id for cluster in clusters] == [1, 2, 3]


@pytest.mark.parametrize(("limit", "taken"), [(2, 0), (3, 1), (5, 2), (6, 3)])
def test_limit_takes_whole_clusters(tmp_path: Path, limit: int, taken: int) -> None:
    """A limit counts questions and never cuts a cluster."""
    assert len(load_pairs(_write(tmp_path / "pairs.jsonl", PAIRS), limit)) == taken


def test_dice_choose_what_a_limit_leaves(tmp_path: Path) -> None:
    """With dice, a limit takes other clusters than the first of the file; one seed, the same."""
    path = _write(tmp_path / "pairs.jsonl", PAIRS)
    kept = [load_pairs(path, 3, Random(seed))[0].asks for seed in (0, 0, 1, 2, 3, 4)]
    assert kept[0] == kept[1]
    assert len(set(kept)) > 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_share_of_repeats_is_met(share: float) -> None:
    """Exactly the share asked for repeats; every other arrival is a cluster's first."""
    arrivals = question_stream(load_clusters(), 200, Random(1), repeat_share=share)
    seen: set[int] = set()
    for arrival in arrivals:
        assert arrival.repeat == (arrival.cluster_id in seen)
        seen.add(arrival.cluster_id)
    assert sum(arrival.repeat for arrival in arrivals) == round(200 * share)


def test_no_wording_comes_twice_while_another_is_left() -> None:
    """A stream that the wordings suffice for holds no text twice, and texts of its clusters."""
    clusters = {cluster.id: cluster for cluster in load_clusters()}
    arrivals = question_stream(list(clusters.values()), 300, Random(2))
    assert max(Counter(arrival.text for arrival in arrivals).values()) == 1
    assert all(arrival.text in clusters[arrival.cluster_id].asks for arrival in arrivals)


def test_used_up_wordings_alternate() -> None:
    """Where all wordings are used, a repeat is still not the cluster's latest wording."""
    arrivals = question_stream([Cluster(1, ("x", "y"))], 10, Random(3), repeat_share=0.9)
    texts = [arrival.text for arrival in arrivals]
    assert all(one != other for one, other in pairwise(texts))


def test_single_wordings_are_never_repeated() -> None:
    """A cluster with one wording comes once: asking it again could not be in other words."""
    clusters = [Cluster(1, ("x", "y", "z")), *(Cluster(n, (str(n),)) for n in range(2, 8))]
    arrivals = question_stream(clusters, 9, Random(4), repeat_share=2 / 9)
    assert {arrival.cluster_id for arrival in arrivals if arrival.repeat} == {1}


def test_one_seed_is_one_stream() -> None:
    """The dice decide, and nothing else does."""
    streams = [question_stream(load_clusters(), 100, Random(seed)) for seed in (5, 5, 6)]
    assert streams[0] == streams[1] != streams[2]


def test_too_few_clusters_are_said() -> None:
    """A stream that cannot be made is an error, not a shorter or an easier one."""
    with pytest.raises(ValueError, match="7 new clusters are needed, there are 1"):
        question_stream([Cluster(1, ("x", "y"))], 10, Random(7))
    with pytest.raises(ValueError, match="no cluster with two wordings"):
        question_stream([Cluster(n, (str(n),)) for n in range(9)], 10, Random(7))
