"""What other processes do to a shared store, taken over before a lookup looks.

Invariant: what another process removed or replaced leaves memory and index before the next lookup,
or as soon after as the store's own news allow. What they stored is located in the index, where
this process searches; where the store does, only its key is remembered.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from accel_core.ports import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.drive.remote import Remote
    from accel_core.near import Near
    from accel_core.policy.known_keys import KnownKeys
    from accel_core.ports import Io, SharedStore

_CATCH_UP = 256
"""Changes taken over on the way of a lookup; more come in the background."""
_LOAD = 2_000
"""Changes taken over at a time in the background."""


class Following:
    """Takes over the changes of one store.

    Args:
        far: the store.
        near: what this process holds.
        remote: tells whether the store rests, and is told where it fails.
        known: is told which keys are stored, where the store searches.
        encoder: the name of the encoder whose vectors are of use here; None: none are.
        later: carries out the rest in the background.
    """

    def __init__(
        self,
        far: SharedStore,
        near: Near,
        remote: Remote,
        known: KnownKeys,
        *,
        encoder: str | None,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._far, self._near, self._remote, self._known = far, near, remote, known
        self._encoder, self._later = encoder, later
        self._reset()

    def _reset(self) -> None:
        # Nothing was taken over yet.
        self._revision, self._behind = 0, True
        self._turn = threading.Lock()

    async def catch_up(self, io: Io) -> None:
        """Take over what happened since the last look."""
        if not self._remote.rests:
            try:
                # Inline in both colours: it reads a counter, and a thread hop costs more. Then, in
                # this order: what another caller has read, memory may not be cleared of yet.
                if self._behind or self._far.stirred() or self._turn.locked():
                    await io.call(self._take_over, _CATCH_UP)
                    self._behind = False
            except Exception as error:
                self._remote.failed("follow", error)

    def after_fork(self) -> None:
        """Start anew in a child process: no lock of the parent's is usable here."""
        self._reset()

    def try_again(self) -> None:
        """Take over one batch of changes though the store rests; raises what that raises."""
        self._take_over(_LOAD, trying=True)

    def _take_over(self, limit: int, *, trying: bool = False) -> None:
        """Take over one batch of changes; none while the store rests, unless `trying` it."""
        with self._turn:
            rests, since = self._remote.rests and not trying, self._revision
            changes = Changes([], [], since) if rests else self._far.changes(since, limit)
            self._revision = changes.revision
            located = [found.key for found in changes.located]
            if changes.reset:
                self._near.clear()
                self._known.clear()
            # All that is out of date leaves before anything else can fail.
            self._near.remove([*changes.removed, *located, *changes.stored])
            for found in changes.located:
                if found.encoder == self._encoder:
                    self._near.locate_read(found)
            for key in [*located, *changes.stored]:
                self._known.note(key)
        if len(located) + len(changes.stored) >= limit:
            self._later(self._go_on)

    def _go_on(self) -> None:
        try:
            self._take_over(_LOAD)
        except Exception as error:
            self._remote.failed("follow", error)
