"""Answers that may be streamed: looked up, then stored when they were read to their end.

Streams are not run inside a flow: LlamaIndex's own generator is bracketed. A stream that is given
up is not stored, and lets who waits for it ask for himself; one that nobody ever reads has begun
all the same, so that it ends its flight when it is collected.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from accel_core.retrieval import Gap

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator

    from accel_core.retrieval import Ask, Made, Recalled
    from accel_core.retrieval_cache import RetrievalCache

_PIECE_CHARS = 64


class Form(Protocol):
    """How an answer is stored that may be a stream; `retrieval.Form`, and what streams need."""

    def spell(self, value: Any) -> Made | str:
        """Return a whole answer as it is stored, or the reason why it is not. May raise."""

    def read(self, hit: Recalled) -> Any:
        """Return a fresh answer from a hit. May raise where the payload cannot be read."""

    def stream_of(self, value: Any) -> Any:
        """Return the stream in an answer; None where it is whole."""

    def with_stream(self, value: Any, stream: Any, /) -> Any:
        """Return the answer with another stream."""

    def begin(self, value: Any, /) -> Callable[[str], Made | str]:
        """Return what spells an answer once its text is known. May raise."""


class _Opening:
    """A gap to be filled by an answer, whole or streamed."""

    def __init__(self, cache: RetrievalCache, ask: Ask, gap: Gap) -> None:
        self._cache, self._ask, self._gap = cache, ask, gap
        self._began_s = time.monotonic()

    def store(self, spell: Callable[[], Made | str]) -> None:
        try:
            made = spell()
        except Exception:  # foreign objects raise what they like when they are spelled
            made = "unserialisable"
        self._cache.store(self._ask, self._gap, made, time.monotonic() - self._began_s)

    def abandon(self) -> None:
        """Give up; after `store`, nothing."""
        self._cache.abandon(self._gap)


def answered(cache: RetrievalCache, ask: Ask, form: Form, own: Callable[[], Any]) -> Any:
    """Return what is stored for `ask`, or what `own` answers, stored at its end."""
    found = cache.lookup(ask)
    if not isinstance(found, Gap):
        value = _replayed(cache, form, found)
        return own() if value is None else value
    opening = _Opening(cache, ask, found)
    try:
        value = own()
        stream = form.stream_of(value)
        if stream is None:
            opening.store(lambda: form.spell(value))
            return value
        recorded = _recorded(stream, opening, _ending(form, value))
    except BaseException:
        opening.abandon()
        raise
    next(recorded)
    return form.with_stream(value, recorded)


async def aanswered(
    cache: RetrievalCache, ask: Ask, form: Form, own: Callable[[], Awaitable[Any]]
) -> Any:
    """Async form of `answered`."""
    found = await cache.alookup(ask)
    if not isinstance(found, Gap):
        value = _replayed(cache, form, found)
        return await own() if value is None else value
    opening = _Opening(cache, ask, found)
    try:
        value = await own()
        stream = form.stream_of(value)
        if stream is None:
            opening.store(lambda: form.spell(value))
            return value
        recorded = _arecorded(stream, opening, _ending(form, value))
    except BaseException:
        opening.abandon()
        raise
    await anext(recorded)
    return form.with_stream(value, recorded)


def _replayed(cache: RetrievalCache, form: Form, hit: Recalled) -> Any:
    try:
        return form.read(hit)
    except Exception as error:  # stored bytes may be anything
        cache.reject(hit.entry, error)
        return None


def _ending(form: Form, value: Any) -> Callable[[str], Made | str]:
    """Return what spells the answer at its end: of what it is now, before its reader changes it."""
    try:
        return form.begin(value)
    except Exception:  # as for whole answers
        return lambda _: "unserialisable"


def _recorded(
    stream: Any, opening: _Opening, spell: Callable[[str], Made | str]
) -> Generator[Any, None, None]:
    """Pass a stream on, and store its text. What it yields first is nothing: it has then begun."""
    pieces: list[str] = []
    try:
        yield None
        for piece in stream:
            pieces.append(piece)
            yield piece
        opening.store(lambda: spell("".join(pieces)))
    finally:
        opening.abandon()
        if hasattr(stream, "close"):
            stream.close()


async def _arecorded(
    stream: Any, opening: _Opening, spell: Callable[[str], Made | str]
) -> AsyncGenerator[Any, None]:
    """Async form of `_recorded`."""
    pieces: list[str] = []
    try:
        yield None
        async for piece in stream:
            pieces.append(piece)
            yield piece
        opening.store(lambda: spell("".join(pieces)))
    finally:
        opening.abandon()
        if hasattr(stream, "aclose"):
            await stream.aclose()


def pieces_of(text: str) -> Iterator[str]:
    """Stream a stored text."""
    for start in range(0, len(text), _PIECE_CHARS):
        yield text[start : start + _PIECE_CHARS]


async def apieces_of(text: str) -> AsyncGenerator[str, None]:
    """Async form of `pieces_of`."""
    for piece in pieces_of(text):
        yield piece
