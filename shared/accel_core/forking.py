"""What starts anew in a forked child, where no lock, thread or connection of the parent is of use.

Objects register themselves and are held weakly; a child calls each one's `after_fork`.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Holds what a forked child cannot use."""

    def after_fork(self) -> None:
        """Start anew in a child process."""


_alive: weakref.WeakSet[Forkable] = weakref.WeakSet()


def renewed_in_children(owner: Forkable) -> None:
    """Call `owner.after_fork` in every child that is forked while it lives."""
    _alive.add(owner)


def _after_fork() -> None:
    for owner in list(_alive):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
