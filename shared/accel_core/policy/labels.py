"""Names from outside as labels of metrics: as many as one allows, then one for all others.

Whoever comes first keeps a label of his own, so a series never changes its meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

OTHER = "other"


def among(known: Collection[str], name: str) -> str:
    """Return `name` where it is one of those `known`, else `OTHER`."""
    return name if name in known else OTHER


class Labels:
    """Gives labels; one owner at a time.

    Args:
        most: labels that are told apart.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        """Return `name`, or `OTHER` where there are as many already.

        >>> labels = Labels(1)
        >>> labels.of("a"), labels.of("b"), labels.of("a")
        ('a', 'other', 'a')
        """
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name
