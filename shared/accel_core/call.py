"""One model call as an adapter sees it: look up, then store, and end; or nothing at all.

An adapter makes a `Call` before the model is asked, serves its hit, and otherwise hands it the
answer. A call that bypasses the cache is a `Call` too, whose every step does nothing but record, so
that no adapter branches on policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.policy.controls import DEFAULT
from accel_core.recording import carrying_out, passes_by
from accel_core.semantic_cache import Hit

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.drive.flight import Flight
    from accel_core.policy.admission import Answer
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request
    from accel_core.recorder import Recorder
    from accel_core.recording import Begun, Record, Used
    from accel_core.semantic_cache import Miss, SemanticCache


class Call:
    """A model call: a bypass until `asks` says what it asks.

    Args:
        cache: where it looks up.
        recorder: what it is recorded by; None: it is not, or `record` is there already.
        begun: what its record is made of; None without a recorder.
        record: its own, of a call that was begun before.

    Attributes:
        flight: what a miss led, or what says when its answer was asked for.
    """

    __slots__ = ("_begun", "_cache", "_controls", "_record", "_recorder", "_request", "flight")

    def __init__(
        self,
        cache: SemanticCache,
        recorder: Recorder | None = None,
        begun: Begun | None = None,
        record: Record | None = None,
    ) -> None:
        self._cache, self._recorder, self._begun, self._record = cache, recorder, begun, record
        self._request: Request | None = None
        self._controls: Controls = DEFAULT
        self.flight: Flight | None = None

    @property
    def record(self) -> Record | None:
        """What is told of it; None: nothing. Made when it is needed, as most hits never do."""
        if self._record is None and self._recorder is not None and self._begun is not None:
            self._record = self._recorder.record(self._begun)
        return self._record

    def asks(self, request: Request, controls: Controls) -> None:
        """Say what it asks of the cache."""
        self._request, self._controls = request, controls

    def passes_by(self, model: str) -> None:
        """Say that it bypasses the cache, for the reason that was reported last.

        Args:
            model: that it asks, as the application names it.
        """
        record = self.record
        if record is not None:
            record.bypass, record.model = passes_by(), model

    def lookup(self) -> Hit | None:
        """Return the stored answer to serve, or None: ask the model, then `store` and `end`."""
        if self._request is None:
            return None
        hit = self._cache.at_once(self._request, self._controls)
        if hit is not None:
            return hit
        try:
            with carrying_out(self.record):
                return self._found(self._cache.lookup(self._request, self._controls))
        except BaseException:
            self.end()
            raise

    async def alookup(self) -> Hit | None:
        """Async form of `lookup`."""
        if self._request is None:
            return None
        hit = self._cache.at_once(self._request, self._controls)
        if hit is not None:
            return hit
        try:
            with carrying_out(self.record):
                return self._found(await self._cache.alookup(self._request, self._controls))
        except BaseException:
            self.end()
            raise

    def _found(self, found: Hit | Miss) -> Hit | None:
        record = self.record
        if record is not None:
            record.lookup_s = record.mono_now() - record.began_s
        if isinstance(found, Hit):
            return found
        self.flight = found.flight
        if record is not None and self._request is not None:
            record.miss, record.similarity = found.reason, found.similarity
            record.tenant, record.model = self._request.tenant, self._request.source
            record.key = self._request.key
        return None

    def served(self, hit: Hit, saved: object) -> None:
        """Record that `hit` was served; `saved`: what its payload says that its answer used."""
        recorder, self._recorder = self._recorder, None  # it has ended
        if self._record is not None:
            self._record.served(hit, saved)
        elif recorder is not None:
            recorder.put(recorder.as_hit, self._begun, hit, saved)

    def reject(self, hit: Hit, error: Exception) -> None:
        """Drop a hit whose payload cannot be read; the model is asked."""
        record = self.record
        if record is not None:
            record.miss, record.model = "backend", hit.entry.source
        self._cache.reject(hit.entry, error)

    def origin(self) -> dict[str, Any]:
        """Say why an answer came from the model, for its metadata."""
        record = self.record
        if record is None:
            return {"cache": "bypass" if self._request is None else "miss"}
        if record.bypass or self._request is None:
            return {"cache": "bypass", "reason": record.bypass}
        return {
            "cache": "miss",
            "reason": record.miss,
            "similarity": record.similarity,
            "request": self._request.key.hex(),
        }

    def asking(self) -> carrying_out:
        """Return what to ask the model inside of; again for each further step of a stream."""
        record = self.record
        if record is not None:
            record.ask()
        return carrying_out(record)

    def passed(self) -> None:
        """Record that a part of a stream has come."""
        record = self.record
        if record is not None:
            record.passed()

    def store(self, answer: Callable[[], Answer | None]) -> None:
        """Store what `answer` returns; it is called only when needed, None is not stored."""
        record = self.record
        if record is not None:
            record.answered = True
        if self._request is None:
            return
        try:
            given = answer()
        except Exception:  # foreign objects raise what they like when they are spelled
            self._cache.refuse("unserialisable", self.flight)
            return
        if given is None:
            self._cache.refuse("unsupported", self.flight)
            return
        if record is not None:
            given = given._replace(cost_s=record.model_s(record.mono_now()))
        self._cache.store(self._request, given, self._controls, self.flight)

    def end(self, used: Callable[[], Used] | None = None) -> None:
        """End the call, while what it raised is handled: who waits for its answer asks for himself.

        Nobody waits any more after `store`. A hit has ended with `served`.

        Args:
            used: reads what the answer used, or what there is of it.
        """
        self._cache.abandon(self.flight)
        record = self.record
        if record is not None:
            record.end(used)
