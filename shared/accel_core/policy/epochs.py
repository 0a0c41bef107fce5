"""Whether anything may have changed since: numbered changes, by whom they concern.

Each change gets the next number, and the number of the last one is kept for each tenant that made
one. What began at a number still tells what is while its tenant's last change is no later. Memory
is bounded: the tenant whose last change is longest ago is forgotten, and from then on its number
stands for everybody who is not known, so that what is forgotten is only made worthless too early.
"""

from __future__ import annotations

from collections import OrderedDict


class Epochs:
    """The changes so far. One owner at a time may call it.

    Args:
        most: tenants remembered.
    """

    __slots__ = ("_changes", "_floor", "_last", "_most")

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._changes = self._floor = 0
        self._last: OrderedDict[str, int] = OrderedDict()

    @property
    def now(self) -> int:
        """The number of the last change."""
        return self._changes

    def change(self, tenant: str | None) -> None:
        """Number a change that `tenant` made; None: nobody in particular, so it concerns all."""
        self._changes += 1
        if tenant is None:
            self._floor = self._changes
            self._last.clear()
            return
        self._last[tenant] = self._changes
        self._last.move_to_end(tenant)
        if len(self._last) > self._most:
            self._floor = self._last.popitem(last=False)[1]

    def holds(self, tenant: str | None, began: int) -> bool:
        """Whether what began at number `began` still tells what is.

        What nobody in particular began may rest on what any tenant has changed since.
        """
        if tenant is None:
            return began == self._changes
        return self._last.get(tenant, self._floor) <= began
