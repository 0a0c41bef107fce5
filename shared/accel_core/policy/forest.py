"""A small forest of decision trees, evaluated in plain Python.

Gradient boosting (Friedman 2001) adds many small trees to a sum of log-odds. Trees are data: they
are grown elsewhere (`accel_core.evaluation`), travel as JSON, and are walked here, about 0.3 µs
each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Node = tuple[int, float, int, int, bool]
"""Feature, threshold, node if at most that, node if above, whether a missing number goes left."""


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees over named numbers.

    Attributes:
        features: names of the numbers, in order.
        bias: log-odds before any tree.
        trees: of each, nodes and leaves; a leaf is a float, the root is the first.
    """

    features: tuple[str, ...]
    bias: float
    trees: tuple[tuple[Node | float, ...], ...]
    _roots: tuple[tuple[Any, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_roots", tuple(map(_nested, self.trees)))

    def log_odds(self, numbers: Sequence[float]) -> float:
        """Return the sum of the leaves that `numbers` lead to; NaN is a missing number."""
        total, known = self.bias, sum(numbers)
        if known == known:  # noqa: PLR0124 - no number is missing, so none is looked for
            for feature, threshold, left, right, _ in self._roots:
                while left is not None:
                    feature, threshold, left, right, _ = (  # noqa: PLW2901
                        left if numbers[feature] <= threshold else right
                    )
                total += threshold
            return total
        for node in self._roots:
            feature, threshold, left, right, missing_left = node
            while left is not None:
                number = numbers[feature]
                goes_left = missing_left if number != number else number <= threshold  # noqa: PLR0124
                feature, threshold, left, right, missing_left = left if goes_left else right
            total += threshold
        return total

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"features": self.features, "bias": self.bias, "trees": self.trees}

    @classmethod
    def from_json(cls, spelled: Mapping[str, Any]) -> Forest:
        """Read a forest.

        Raises:
            KeyError, TypeError, ValueError: it is not one, or a node leads nowhere.
        """
        trees = tuple(_tree(tree, len(spelled["features"])) for tree in spelled["trees"])
        return cls(tuple(map(str, spelled["features"])), _finite(spelled["bias"]), trees)


def _nested(tree: Sequence[Node | float]) -> tuple[Any, ...]:
    """Return the root with its children in it, for walking; of a leaf the value comes second."""
    walked: list[tuple[Any, ...]] = [()] * len(tree)
    for place in range(len(tree) - 1, -1, -1):  # children come after their parent
        node = tree[place]
        if isinstance(node, tuple):
            feature, threshold, left, right, missing_left = node
            walked[place] = feature, threshold, walked[left], walked[right], missing_left
        else:
            walked[place] = 0, node, None, None, True
    return walked[0]


def _tree(spelled: Sequence[Any], features: int) -> tuple[Node | float, ...]:
    nodes: list[Node | float] = []
    for place, node in enumerate(spelled):
        if isinstance(node, (int, float)):
            nodes.append(_finite(node))
            continue
        feature, threshold, left, right, missing_left = node
        # Children come after their parent, so that every walk ends.
        ahead = place < left < len(spelled) and place < right < len(spelled)
        if not (ahead and 0 <= feature < features):
            raise ValueError(f"node {place} leads nowhere")
        nodes.append((int(feature), _finite(threshold), int(left), int(right), bool(missing_left)))
    if not nodes:
        raise ValueError("a tree without a node")
    return tuple(nodes)


def _finite(number: Any) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a finite number")
    return float(number)
