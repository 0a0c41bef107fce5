"""Grow a `Forest` by gradient boosting of log-odds (Friedman 2001), with histograms, in numpy.

Small on purpose: trees of a fixed depth over at most `BINS` bins per number, as LightGBM grows them
by level. Enough for tens of thousands of rows in seconds, without a learning library at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from accel_core.policy.forest import Forest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from accel_core.policy.forest import Node

    Floats = NDArray[np.float64]

BINS = 32
DEPTH = 3
TREES = 80
RATE = 0.12
SHRINKAGE = 8.0
"""Added to a leaf's weight: leaves of few rows say little."""
_LEAST_GAIN = 0.5
_COLUMNS = 0.6
"""Share of the numbers that a tree may look at, so that no two trees lean on the same."""


def grow(
    names: Sequence[str],
    numbers: Floats,
    hits: NDArray[np.bool_],
    *,
    least_rows: int = 30,
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
        tree, leaf = _tree(binned, edges, hits - chance, chance * (1 - chance), columns, least_rows)
        odds += leaf
        grown.append(tree)
        report((number + 1) / trees)
    return Forest(tuple(names), bias, tuple(grown))


def _edges(column: Floats) -> Floats:
    values = np.unique(column)
    if len(values) > BINS:
        values = np.unique(np.quantile(column, np.linspace(0, 1, BINS)))
    middles: Floats = (values[1:] + values[:-1]) / 2
    return middles


def _tree(
    binned: NDArray[np.int64], edges: list[Floats], slope: Floats, curve: Floats,
    columns: NDArray[np.int64], least_rows: int,
) -> tuple[tuple[Node | float, ...], Floats]:  # fmt: skip
    """Return a tree, and of each row its leaf."""
    looked = binned[:, columns] + np.arange(len(columns)) * BINS
    nodes: list[Any] = [None]
    leaves = np.zeros(len(slope))
    open_ = [(0, np.arange(len(slope)), 0)]
    while open_:
        place, rows, depth = open_.pop(0)
        split = None
        if depth < DEPTH and len(rows) >= 2 * least_rows:
            split = _split(looked[rows], slope[rows], curve[rows], len(columns), least_rows)
        if split is None:
            value = RATE * slope[rows].sum() / (curve[rows].sum() + SHRINKAGE)
            nodes[place], leaves[rows] = float(value), value
            continue
        column, bin_ = int(columns[split[0]]), split[1]
        left = binned[rows, column] <= bin_
        nodes[place] = (column, float(edges[column][bin_]), len(nodes), len(nodes) + 1, True)
        for side in (left, ~left):
            open_.append((len(nodes), rows[side], depth + 1))
            nodes.append(None)
    return tuple(nodes), leaves


def _split(
    looked: NDArray[np.int64], slope: Floats, curve: Floats, columns: int, least_rows: int
) -> tuple[int, int] | None:
    """Return the column and bin that part the rows best; None: nothing is gained."""
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
    gain[(n < least_rows) | (len(slope) - n < least_rows)] = -1.0
    best = int(gain.argmax())
    return None if gain.flat[best] < _LEAST_GAIN else divmod(best, BINS)
