"""Grow a `Forest` by gradient boosting of log-odds (Friedman 2001), with histograms, in numpy.

Small on purpose: trees of a fixed depth over at most `BINS` bins per number, as LightGBM grows them
by level. Enough for tens of thousands of rows in seconds, without a learning library at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from accel_core.policy.forest import Forest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from accel_core.policy.forest import Node

    Floats = NDArray[np.float64]

BINS = 32
DEPTH = 5
TREES = 100
RATE = 0.05
SHRINKAGE = 8.0
"""Added to a leaf's weight: leaves of few rows say little."""
_LEAST_GAIN = 0.5
_COLUMNS, _ROWS = 0.3, 0.5
"""Shares of the numbers and of the rows that a tree may look at: trees that differ err less."""


def grow(
    names: Sequence[str],
    numbers: Floats,
    hits: NDArray[np.bool_],
    *,
    least_rows: int = 20,
    trees: int = TREES,
    seed: int = 0,
    report: Callable[[float], None] = lambda _: None,
) -> Forest:
    """Grow a forest.

    Args:
        names: of the numbers, in order.
        numbers: shape (rows, names).
        hits: shape (rows,).
        least_rows: in a leaf.
        trees: how many.
        seed: of which numbers a tree looks at.
        report: told the share that is done.
    """
    share = min(max(float(hits.mean()) if len(hits) else 0.5, 1e-3), 1 - 1e-3)
    bias = float(np.log(share / (1 - share)))
    if len(hits) < 4 * least_rows:
        return Forest(tuple(names), bias, ())
    edges = [_edges(column) for column in numbers.T]
    binned = np.stack(
        [np.searchsorted(edge, column) for edge, column in zip(edges, numbers.T, strict=True)], 1
    )
    dice = np.random.default_rng(seed)
    odds = np.full(len(hits), bias)
    grown: list[tuple[Node | float, ...]] = []
    for number in range(trees):
        chance = 1 / (1 + np.exp(-odds))
        columns = dice.permutation(len(names))[: max(1, round(_COLUMNS * len(names)))]
        rows = np.flatnonzero(dice.random(len(hits)) < _ROWS)
        gradient = _Gradient(hits - chance, chance * (1 - chance))
        tree, leaves = _tree(binned, edges, gradient, _Look(rows, columns, least_rows))
        odds += leaves
        grown.append(tree)
        report((number + 1) / trees)
    return Forest(tuple(names), bias, tuple(grown))


def _edges(column: Floats) -> Floats:
    values = np.unique(column)
    if len(values) > BINS:
        values = np.unique(np.quantile(column, np.linspace(0, 1, BINS)))
    middles: Floats = (values[1:] + values[:-1]) / 2
    return middles


class _Gradient(NamedTuple):
    """First and second derivative of the loss, shape (rows,)."""

    slope: Floats
    curve: Floats


class _Look(NamedTuple):
    """What a tree looks at: rows, numbers, and how many rows a leaf has at least."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    least_rows: int


def _tree(
    binned: NDArray[np.int64], edges: list[Floats], gradient: _Gradient, look: _Look
) -> tuple[tuple[Node | float, ...], Floats]:
    """Return a tree grown on the rows looked at, and of every row the leaf that it falls into."""
    looked = binned[:, look.columns] + np.arange(len(look.columns)) * BINS
    everything = np.arange(len(binned))
    nodes: list[Any] = [None]
    leaves = np.zeros(len(binned))
    open_ = [(0, look.rows, everything, 0)]
    while open_:
        place, rows, falling, depth = open_.pop(0)
        slope, curve = gradient.slope[rows], gradient.curve[rows]
        split = None
        if depth < DEPTH and len(rows) >= 2 * look.least_rows:
            split = _split(looked[rows], slope, curve, look)
        if split is None:
            value = RATE * slope.sum() / (curve.sum() + SHRINKAGE)
            nodes[place], leaves[falling] = round(float(value), 5), value
            continue
        column, bin_ = int(look.columns[split[0]]), split[1]
        nodes[place] = (column, float(edges[column][bin_]), len(nodes), len(nodes) + 1, True)
        left, falls_left = binned[rows, column] <= bin_, binned[falling, column] <= bin_
        open_.append((len(nodes), rows[left], falling[falls_left], depth + 1))
        open_.append((len(nodes) + 1, rows[~left], falling[~falls_left], depth + 1))
        nodes += [None, None]
    return tuple(nodes), leaves


def _split(
    looked: NDArray[np.int64], slope: Floats, curve: Floats, look: _Look
) -> tuple[int, int] | None:
    """Return the column and bin that part the rows best; None: nothing is gained."""
    columns = len(look.columns)
    flat = looked.ravel()
    sums = [
        np.bincount(flat, None if w is None else np.repeat(w, columns), columns * BINS)
        .reshape(columns, BINS)
        .cumsum(1)
        for w in (slope, curve, None)
    ]
    (g, h, n), (total_g, total_h) = sums, (slope.sum(), curve.sum())
    gain = g**2 / (h + SHRINKAGE) + (total_g - g) ** 2 / (total_h - h + SHRINKAGE)
    gain -= total_g**2 / (total_h + SHRINKAGE)
    gain[(n < look.least_rows) | (len(slope) - n < look.least_rows)] = -1.0
    best = int(gain.argmax())
    return None if gain.flat[best] < _LEAST_GAIN else divmod(best, BINS)
