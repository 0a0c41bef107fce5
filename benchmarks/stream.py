"""Streams of questions in which a known share asks again, in other words, what was asked before.

A cluster holds wordings of one question: they deserve one answer, and no other cluster deserves
it. Clusters come from this package's own `QUESTIONS` or from a file of labelled pairs; a stream
is drawn from them with the given dice, so that one seed means one stream. Nothing here knows
what a cache is: it says which cluster an arrival belongs to, and others score what was served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from accel_core.evaluation.labelled import Cluster, clusters_of, read_clusters, read_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

QUESTIONS = Path(__file__).with_name("questions.jsonl")
"""220 clusters written for this package; 80 have a sibling that must not share their answer."""


class Arrival(NamedTuple):
    """One question of a stream; ``repeat`` says that its cluster was asked before."""

    cluster_id: int
    text: str
    repeat: bool


def load_clusters(path: Path = QUESTIONS) -> list[Cluster]:
    """Return the clusters of a file with one ``{"id", "asks", "near"}`` per line."""
    return read_clusters(path)


def load_pairs(path: Path, limit: int | None = None, dice: Random | None = None) -> list[Cluster]:
    """Return the clusters of a file of labelled pairs.

    Args:
        path: as `accel_core.evaluation.labelled.read_pairs` takes it.
        limit: take whole clusters up to so many questions; None takes all.
        dice: shuffle the clusters first; large ones come early in a file. None keeps its order.
    """
    found = clusters_of(read_pairs(path))
    if dice is not None:
        dice.shuffle(found)
    clusters: list[Cluster] = []
    taken = 0
    for cluster in found:
        taken += len(cluster.asks)
        if limit is not None and taken > limit:
            break
        clusters.append(Cluster(len(clusters) + 1, cluster.asks))
    return clusters


def question_stream(
    clusters: Sequence[Cluster], length: int, dice: Random, *, repeat_share: float = 0.3
) -> list[Arrival]:
    """Draw a stream of `length` arrivals.

    A repeat asks an earlier cluster in a wording not used yet; only where all wordings of all
    earlier clusters are used up does one come again, and never the cluster's latest.

    Args:
        clusters: what can be asked; each is new at most once.
        length: number of arrivals.
        dice: decides everything that is left open.
        repeat_share: share of arrivals that repeat, in [0, 1); met exactly, up to rounding.

    Raises:
        ValueError: there are too few clusters, or too few with two wordings.
    """
    repeats = round(length * repeat_share)
    if length - repeats > len(clusters):
        msg = f"{length - repeats} new clusters are needed, there are {len(clusters)}"
        raise ValueError(msg)
    plan = [True] * repeats + [False] * (length - repeats)
    dice.shuffle(plan)
    new = iter(dice.sample(clusters, length - repeats))
    past = _Past(dice)
    arrivals: list[Arrival] = []
    owed = 0
    for planned in plan:
        owed += planned
        again = past.ask_again() if owed else None
        fresh = None if again else next(new, None)
        if again:
            owed -= 1
            arrivals.append(again)
        elif fresh:
            arrivals.append(past.ask_new(fresh))
    if len(arrivals) < length:
        msg = f"{length - len(arrivals)} of {repeats} repeats found no cluster with two wordings"
        raise ValueError(msg)
    return arrivals


@dataclass
class _Past:
    """The clusters asked so far, with their wordings used and unused."""

    dice: Random
    _latest: dict[int, str] = field(default_factory=dict)
    _unused: dict[int, list[str]] = field(default_factory=dict)
    _unfinished: list[Cluster] = field(default_factory=list)
    _finished: list[Cluster] = field(default_factory=list)

    def ask_new(self, cluster: Cluster) -> Arrival:
        self._unused[cluster.id] = self.dice.sample(cluster.asks, len(cluster.asks))
        self._unfinished.append(cluster)
        return self._ask(len(self._unfinished) - 1, repeat=False)

    def ask_again(self) -> Arrival | None:
        """Return a repeat, None where no earlier cluster has two wordings."""
        if self._unfinished:
            return self._ask(self.dice.randrange(len(self._unfinished)), repeat=True)
        if not self._finished:
            return None
        cluster = self.dice.choice(self._finished)
        others = [text for text in cluster.asks if text != self._latest[cluster.id]]
        self._latest[cluster.id] = text = self.dice.choice(others)
        return Arrival(cluster.id, text, repeat=True)

    def _ask(self, place: int, *, repeat: bool) -> Arrival:
        cluster = self._unfinished[place]
        text = self._latest[cluster.id] = self._unused[cluster.id].pop()
        if not self._unused[cluster.id]:
            self._unfinished[place] = self._unfinished[-1]
            self._unfinished.pop()
            if len(cluster.asks) > 1:
                self._finished.append(cluster)
        return Arrival(cluster.id, text, repeat)
