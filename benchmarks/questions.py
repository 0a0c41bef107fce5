"""Questions and their vectors, as many as a row needs.

Texts first, since only they lie as questions do: those of a file, or this package's own, put into
situations. Where more vectors are needed than texts are worth encoding, noisy copies follow. They
are a makeshift: a crowd of copies around each of few questions is unlike anything people ask, and
a graph finds its way between such crowds badly. Hence many texts, and few copies of each.
"""

from __future__ import annotations

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from accel_core.ports import Encoder
    from benchmarks.harness import Context
    from benchmarks.stream import Cluster

    Vectors = NDArray[np.float32]

COPY_NOISE = 0.4
ASK_NOISE = 0.35
"""Norm of the noise: a cosine of 0.94 to what is asked again, about what a paraphrase has."""
_ENCODED_AT_ONCE = 64
_BLOCK = 5_000
_THINGS = [
    "laptop", "phone", "headset", "monitor", "keyboard", "router", "printer", "camera",
    "tablet", "watch", "speaker", "charger", "drone", "scooter", "bike", "sofa",
]  # fmt: skip
_PLACES = [
    "Paris", "Berlin", "Madrid", "Rome", "Vienna", "Oslo", "Lisbon", "Dublin", "Prague",
    "Athens", "Warsaw", "Zurich", "Boston", "Denver", "Austin", "Toronto",
]  # fmt: skip


def read_clusters(path: Path | None, seed: int, limit: int | None = None) -> list[Cluster]:
    """Return the clusters of `path`, this package's own where it is None.

    Args:
        path: lines ``{"id", "asks"}`` or ``{"a", "b", "same"}``; gzipped where it ends in ``.gz``.
        seed: of the order in which a file of pairs is taken.
        limit: so many questions of a file of pairs, at most.
    """
    if path is None:
        return stream.load_clusters()
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        first = json.loads(next(lines))
    if "asks" in first:
        return stream.load_clusters(path)
    return stream.load_pairs(path, limit, Random(seed))


def texts(context: Context) -> list[str]:
    """Return questions, all different; fewer in a quick run."""
    dice = Random(context.seed)
    limit = context.pick(50_000, 8_000)
    clusters = read_clusters(context.questions, context.seed, limit)
    found = [text for cluster in clusters for text in cluster.asks]
    dice.shuffle(found)
    if context.questions is None:
        found += situated(found, context.pick(20_000, 8_000) - len(found), dice)
    return found


def situated(asks: Sequence[str], count: int, dice: Random) -> list[str]:
    """Return `count` questions made of `asks`, each about some thing at some place."""
    made: dict[str, None] = {}
    while len(made) < count:
        ask, thing, place = dice.choice(asks), dice.choice(_THINGS), dice.choice(_PLACES)
        after = f"Order {dice.randrange(100_000)} is a {thing} that goes to {place}. {ask}"
        made[dice.choice((put(ask, (thing, place)), after))] = None
    return list(made)


def situation(dice: Random) -> tuple[str, str]:
    """Return some thing, and some place."""
    return dice.choice(_THINGS), dice.choice(_PLACES)


def put(ask: str, situation: tuple[str, str]) -> str:
    """Return `ask` about that thing at that place."""
    thing, place = situation
    return f"{ask.rstrip('?')} for my {thing} in {place}?"


def encoded(encoder: Encoder, asked: list[str], report: Callable[[float], None]) -> Vectors:
    """Return the vectors of `asked`, encoded on every core; `report` is told the share done."""
    starts = range(0, len(asked), _ENCODED_AT_ONCE)
    parts: list[Vectors] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for made in pool.map(
            lambda start: encoder.encode(asked[start : start + _ENCODED_AT_ONCE]), starts
        ):
            parts.append(made)
            report(len(parts) / len(starts))
    return np.concatenate(parts)


def noisy(vectors: Vectors, norm: float, dice: np.random.Generator) -> Vectors:
    """Return `vectors` with noise of that norm added, of unit length again."""
    noise = dice.normal(scale=norm / np.sqrt(vectors.shape[1]), size=vectors.shape)
    made = vectors + noise.astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    unit: Vectors = made.astype(np.float32)
    return unit


def part(base: Vectors, start: int, stop: int, seed: int) -> Vectors:
    """Return rows `start` to `stop` of an endless matrix: `base`, then noisy copies of it."""
    blocks = range(start // _BLOCK, -(-stop // _BLOCK))
    rows = np.concatenate([_block(base, number, seed) for number in blocks])
    first = blocks.start * _BLOCK
    return rows[start - first : stop - first]


def _block(base: Vectors, number: int, seed: int) -> Vectors:
    places = np.arange(number * _BLOCK, (number + 1) * _BLOCK)
    made = noisy(base[places % len(base)], COPY_NOISE, np.random.default_rng((seed, number)))
    real = places < len(base)
    made[real] = base[places[real]]
    return made


def asked_again(vectors: Vectors, count: int, seed: int) -> Vectors:
    """Return `count` vectors, each near one of `vectors`."""
    dice = np.random.default_rng((seed, 7))
    return noisy(vectors[dice.integers(0, len(vectors), count)], ASK_NOISE, dice)
