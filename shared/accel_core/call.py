"""One model call as an adapter sees it: look up, then store or abandon; or nothing at all.

An adapter makes a `Call` before the model is asked, serves its hit, and otherwise hands it the
answer. A call that bypasses the cache is a `Call` too, whose every step does nothing, so that no
adapter branches on policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.semantic_cache import Hit

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.drive.flight import Flight
    from accel_core.policy.admission import Answer
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request
    from accel_core.semantic_cache import Miss, SemanticCache


class Call:
    """A model call: a request and its controls, or a bypass (`request` is None)."""

    __slots__ = ("_cache", "_controls", "_flight", "_request")

    def __init__(
        self,
        cache: SemanticCache,
        request: Request | None,
        controls: Controls,
        flight: Flight | None = None,
    ) -> None:
        self._cache, self._request, self._controls = cache, request, controls
        self._flight = flight

    def lookup(self) -> Hit | None:
        """Return the stored answer to serve, or None: ask the model, then `store` or `abandon`."""
        if self._request is None:
            return None
        return self._found(self._cache.lookup(self._request, self._controls))

    async def alookup(self) -> Hit | None:
        """Async form of `lookup`."""
        if self._request is None:
            return None
        return self._found(await self._cache.alookup(self._request, self._controls))

    def _found(self, found: Hit | Miss) -> Hit | None:
        if isinstance(found, Hit):
            return found
        self._flight = found.flight
        return None

    def store(self, answer: Callable[[], Answer | None]) -> None:
        """Store what `answer` returns; it is called only when needed, None is not stored."""
        if self._request is None:
            return
        try:
            given = answer()
        except Exception:  # foreign objects raise what they like when they are spelled
            self._cache.refuse("unserialisable", self._flight)
            return
        if given is None:
            self._cache.refuse("unsupported", self._flight)
        else:
            self._cache.store(self._request, given, self._controls, self._flight)

    def abandon(self) -> None:
        """Tell waiting callers that this call failed. Does nothing after `store`."""
        self._cache.abandon(self._flight)

    def reject(self, hit: Hit, error: Exception) -> None:
        """Drop a hit whose payload cannot be read."""
        self._cache.reject(hit.entry, error)
