"""Does this message need retrieval? One decision per wording, remembered; in both colours.

Invariants: a gate that fails costs an event and a search, never an answer: whatever is in doubt is
searched for. What is remembered is a digest and a decision, no text; failures are not remembered.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from accel_core.drive import blocking
from accel_core.errors import in_words
from accel_core.events import BackendFailed, RetrievalSkipped
from accel_core.policy.breaker import Breaker
from accel_core.ports import GateDecision

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from accel_core.ports import Io, Observer, RetrievalGate

_IN_DOUBT = GateDecision(needed=True, reason="backend")


class RetrievalDecisions:
    """A gate's front.

    Args:
        gate: what decides.
        colours: the blocking and the asyncio `Io`.
        emit: receives events.
        mono_now: monotonic clock, seconds, for a resting gate.
        lock: makes the lock of what is remembered.
        remembered: decisions kept, at least 1; the oldest leave.
    """

    def __init__(
        self,
        gate: RetrievalGate,
        *,
        colours: tuple[Io, Io],
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
        remembered: int,
    ) -> None:
        self._gate = gate
        self._blocking, self._aio = colours
        self._emit, self._mono_now = emit, mono_now
        self._new_lock, self._most = lock, remembered
        self._lock = lock()
        self._known: dict[bytes, GateDecision] = {}
        self._breaker = Breaker()

    def needs_retrieval(self, text: str) -> GateDecision:
        """Return whether documents should be searched for `text`; never raises."""
        return blocking.run(self.decide(self._blocking, text))

    async def aneeds_retrieval(self, text: str) -> GateDecision:
        """Async form of `needs_retrieval`."""
        return await self.decide(self._aio, text)

    async def decide(self, io: Io, text: str) -> GateDecision:
        """Return whether documents should be searched for `text`: the flow of both colours."""
        key = _key(text)
        decision = self._known.get(key)
        if decision is None:
            decision = await self._asked(io, text)
            if decision is not _IN_DOUBT:
                self._remember(key, decision)
        if not decision.needed:
            self._emit(RetrievalSkipped(decision.reason, decision.probability))
        return decision

    async def look(self, io: Io, text: str) -> GateDecision:
        """Return what `decide` would, and tell nobody.

        Raises:
            Exception: the gate failed.
        """
        decision = self._known.get(_key(text))
        if decision is not None:
            return decision
        ask = self._gate.needs_retrieval
        return await io.call(ask, text) if self._gate.blocking else ask(text)

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = self._new_lock()

    async def _asked(self, io: Io, text: str) -> GateDecision:
        now_s = self._mono_now()
        if not self._breaker.allows(now_s):
            return _IN_DOUBT
        ask = self._gate.needs_retrieval
        try:
            decision = await io.call(ask, text) if self._gate.blocking else ask(text)
        except Exception as error:
            self._breaker.failed(now_s)
            self._emit(BackendFailed("gate", "decide", in_words(error)))
            return _IN_DOUBT
        self._breaker.succeeded()
        return decision

    def _remember(self, key: bytes, decision: GateDecision) -> None:
        with self._lock:
            while len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = decision


def _key(text: str) -> bytes:
    # Halves of characters, which UTF-8 cannot say, occur in texts of users.
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
