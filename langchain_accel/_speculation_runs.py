"""What the agents of one `Accel` share: a speculator, for whom the same guess, and all changes.

Agents at work on the same data need not know of one another. So the same call of two is one, and
what one of them changes makes worthless what the others have found, whoever guesses for them.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from langchain_accel._speculation_learning import Learner
from langchain_accel._speculation_sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from accel_core.accel import Accel
    from accel_core.ports import Observer
    from accel_core.tool_speculator import ToolSpeculator


class Runs:
    """The runs of agents for whom the same guess.

    Args:
        speculator: theirs.
        beside: returns those of the same `Accel`, these among them.
        emit: receives events.
    """

    def __init__(
        self, speculator: ToolSpeculator, beside: Callable[[], tuple[Runs, ...]], emit: Observer
    ) -> None:
        self.speculator, self._beside, self.emit = speculator, beside, emit
        self.sessions, self.learner = Sessions(), Learner()

    def changed(self) -> None:
        """Let nothing be answered by what was found before: something may have changed."""
        with self.changing():
            pass

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let every speculator know of a change, while it is made."""
        with ExitStack() as stack:
            for runs in self._beside():
                stack.enter_context(runs.speculator.changing())
            yield


_known: weakref.WeakKeyDictionary[Accel, weakref.WeakValueDictionary[Hashable, Runs]]
_known = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def runs_of(accel: Accel, guessers: Hashable, make: Callable[[], ToolSpeculator]) -> Runs:
    """Return the runs of agents of `accel` for whom `guessers` guess.

    Args:
        accel: the configured object.
        guessers: tells them from others while they live.
        make: makes their speculator, the first time.
    """

    def beside() -> tuple[Runs, ...]:
        with _lock:
            return tuple(known.values())

    with _lock:
        known = _known.setdefault(accel, weakref.WeakValueDictionary())
        runs = known.get(guessers)
        if runs is None:
            runs = known[guessers] = Runs(make(), beside, accel._emit)
        return runs
