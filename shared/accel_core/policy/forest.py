"""A small forest of decision trees, evaluated in plain Python.

Gradient boosting (Friedman 2001) adds many small trees to a sum of log-odds. Trees are data: they
are grown elsewhere (`accel_core.evaluation`), travel as JSON, and are walked here, about 0.3 µs
each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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

    def log_odds(self, numbers: Sequence[float]) -> float:
        """Return the sum of the leaves that `numbers` lead to; NaN is a missing number."""
        total = self.bias
        for tree in self.trees:
            node = tree[0]
            while isinstance(node, tuple):
                feature, threshold, left, right, missing_left = node
                number = numbers[feature]
                goes_left = missing_left if number != number else number <= threshold  # noqa: PLR0124
                node = tree[left if goes_left else right]
            total += node
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
