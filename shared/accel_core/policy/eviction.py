"""Which entry leaves first when space runs out: SIEVE.

SIEVE keeps entries in the order they came and never reorders them: a hit only sets a flag. A hand
walks from old to new; it clears the flags it meets and stops at the first entry without one. New
entries that nobody asks for again are gone at the hand's next visit, so a scan or a crowd of
one-time questions does not wash out what is asked daily, which least-recently-used lets happen.
Source: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024,
https://www.usenix.org/conference/nsdi24/presentation/zhang-yazhuo

The list is intrusive: an entry *is* its node, so the policy allocates nothing and looks nothing
up. It knows neither keys nor sizes, and it has no lock: one owner at a time may call it, except
for `touch`, which writes one attribute and needs no protection.
"""

from __future__ import annotations

from typing import Generic, TypeVar


class Node:
    """What `Sieve` needs of an entry; derive the entry from it.

    Attributes:
        visited: asked for since the hand last passed.
        newer: the neighbour that came later; None while in no `Sieve`.
        older: the neighbour that came earlier; None while in no `Sieve`.
    """

    __slots__ = ("newer", "older", "visited")

    visited: bool
    newer: Node | None
    older: Node | None

    def __init__(self) -> None:
        self.visited = False
        self.newer = None
        self.older = None


N = TypeVar("N", bound=Node)


class Sieve(Generic[N]):
    """Entries in order of arrival, and the hand that picks the next to leave.

    Every operation takes constant time; `victim` on average, as each flag it clears was set by
    one `touch`.

    >>> sieve, first, second = Sieve(), Node(), Node()
    >>> sieve.add(first); sieve.add(second); sieve.touch(first)
    >>> sieve.victim() is second, len(sieve)
    (True, 1)
    """

    __slots__ = ("_ends", "_hand", "_size")

    def __init__(self) -> None:
        # One node beyond both ends closes the list to a ring: no operation asks about an end.
        self._ends = Node()
        self._ends.newer = self._ends.older = self._ends
        self._hand = self._ends
        self._size = 0

    def add(self, node: N) -> None:
        """Take `node` in as the newest, not yet visited.

        Raises:
            ValueError: `node` is in a `Sieve` already.
        """
        if node.newer is not None:
            raise ValueError("the node is in a Sieve already")
        ends, newest = self._ends, self._ends.older
        assert newest is not None
        node.visited = False
        node.newer, node.older = ends, newest
        newest.newer = ends.older = node
        self._size += 1

    def touch(self, node: N) -> None:
        """Note that `node` was asked for."""
        node.visited = True

    def remove(self, node: N) -> None:
        """Let go of `node`; nothing happens where it is in no `Sieve`."""
        newer, older = node.newer, node.older
        if newer is None or older is None:
            return
        if self._hand is node:
            self._hand = newer
        newer.older, older.newer = older, newer
        node.newer = node.older = None
        self._size -= 1

    def victim(self) -> N:
        """Let go of the entry to evict, and return it.

        Raises:
            IndexError: nothing is left.
        """
        if not self._size:
            raise IndexError("victim of an empty Sieve")
        ends, hand = self._ends, self._hand
        while hand is ends or hand.visited:
            hand.visited = False
            assert hand.newer is not None
            hand = hand.newer
        self._hand = hand
        chosen: N = hand  # type: ignore[assignment]  # only `add` links nodes, and it takes N
        self.remove(chosen)
        return chosen

    def __len__(self) -> int:
        """Return the number of entries held."""
        return self._size
