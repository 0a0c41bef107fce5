"""One retrieval as an adapter sees it: found again, or made, and told of as a request.

Query engines' answers go the same way. A call that bypasses the cache is told of, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from accel_core.drive import blocking
from accel_core.recording import passes_by
from accel_core.semantic_cache import Hit
from accel_core.steps import Tagged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from accel_core.accel import Accel
    from accel_core.retrieval import Ask, Form, Made, Recalled
    from accel_core.steps import Step

    Asked = tuple[Ask, Form[Any]] | None
    """What is asked and how its answer is stored; None: the call bypasses the cache."""

T = TypeVar("T")


class RetrievalCall:
    """One call, timed from here on.

    Args:
        accel: serves and keeps what is retrieved.
        operation: as of `RequestEnded`.
        asked: the retriever or engine; its class is told.
        tags: the call's.
    """

    def __init__(
        self, accel: Accel, operation: str, asked: type, tags: Sequence[str] | None = None
    ) -> None:
        self._cache = accel.retrieval
        self._step = accel.step(operation, name=asked.__qualname__)
        if tags and self._step.record is not None:
            self._step.record.told = Tagged(tags)

    def value(self, asked: Asked, make: Callable[[], Awaitable[T]]) -> T:
        """Return what is stored for `asked`, or what `make`, which must not suspend, makes.

        Raises:
            Exception: what `make` raised.
        """
        with self._step as step:
            if asked is None:
                return blocking.run(self._passed_by(make))
            form = _Heard(asked[1], step)
            found: T = self._cache.read_through(asked[0], step.asking(make), form)
            return found

    async def avalue(self, asked: Asked, make: Callable[[], Awaitable[T]]) -> T:
        """Async form of `value`."""
        with self._step as step:
            if asked is None:
                return await self._passed_by(make)
            form = _Heard(asked[1], step)
            found: T = await self._cache.aread_through(asked[0], step.asking(make), form)
            return found

    async def _passed_by(self, make: Callable[[], Awaitable[T]]) -> T:
        self._step.passes_by(passes_by())
        return await self._step.asking(make)()


class _Heard(Generic[T]):
    """A form whose step ends with the hit that it reads."""

    def __init__(self, form: Form[T], step: Step) -> None:
        self.spell: Callable[[T], Made | str] = form.spell
        self._form, self._record = form, step.record

    def read(self, hit: Recalled) -> T:
        value = self._form.read(hit)
        if self._record is not None:
            entry, tier, similarity, age_s, stale, shared, _ = hit
            served = Hit(entry, tier, similarity, age_s, shared, stale or tier)
            self._record.served(served, None)
        return value
