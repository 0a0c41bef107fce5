"""Response synthesizers whose texts are kept for as long as what they are made of is the same.

A text is made of the question and the chunks that were found for it, and both are its identity: no
corpus has to be watched, and a change of documents that leaves the chunks as they are costs no
model call. Source nodes and their scores are always those just retrieved.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from accel_core.policy.nameless import named
from accel_core.retrieval import Ask, Made
from accel_core.subclasses import own_method, runs_own_method
from accel_core.typed_json import read_typed, spell_typed
from llamaindex_accel._retrieval import admitted, request_of
from llamaindex_accel._settings import Settings
from llamaindex_accel._streamed import aanswered, answered, apieces_of, pieces_of
from llamaindex_accel._subclass import placed
from llamaindex_accel.events import announce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.response_synthesizers import BaseSynthesizer

    from accel_core.place import Place
    from accel_core.retrieval import Recalled

_SHAPE = frozenset({"_streaming"})
"""Fields that say how a text travels, and not what it says."""


def accelerate_synthesizer(synthesizer: BaseSynthesizer, place: Place) -> BaseSynthesizer:
    """Return a copy of `synthesizer` that answers from `place`; `synthesizer` is untouched."""
    made: BaseSynthesizer = placed(synthesizer, place, accelerate_synthesizer, _METHODS)
    return made


class _Texts:
    """How a synthesizer's texts are stored.

    Args:
        streams: whether a hit is streamed.
        waits: whether it is streamed to a task.
    """

    def __init__(self, *, streams: bool, waits: bool) -> None:
        self._streams, self._waits = streams, waits

    def spell(self, value: Any) -> Made | str:
        """Return a text as it is stored; of objects, the reason why they are not."""
        if not isinstance(value, str):
            return "unserialisable"
        return Made(spell_typed(value), None, empty=not value.strip())

    def read(self, hit: Recalled) -> Any:
        """Return the hit's text, in the shape that was asked for.

        Raises:
            ValueError, TypeError: the payload is not one of ours.
        """
        text = read_typed(hit.entry.payload)
        if not isinstance(text, str):
            raise TypeError("not a text")
        announce(hit, "get_response")
        if not self._streams:
            return text
        return apieces_of(text) if self._waits else pieces_of(text)

    def stream_of(self, value: Any) -> Any:
        """Return `value` where it is a stream of this colour."""
        return value if isinstance(value, AsyncGenerator if self._waits else Generator) else None

    def with_stream(self, _: Any, stream: Any) -> Any:
        """Return `stream`, which is all that the answer is."""
        return stream

    def begin(self, _: Any) -> Callable[[str], Made | str]:
        """Return what spells the text of a stream."""
        return self.spell


def _make_get(base: type[BaseSynthesizer], place: Place, _: str) -> Callable[..., Any]:
    def get_response(
        self: BaseSynthesizer, query_str: str, text_chunks: Sequence[str], **kwargs: Any
    ) -> Any:
        def own() -> Any:
            with own_method(self):
                return base.get_response(self, query_str, text_chunks, **kwargs)

        asked = _asked(place, self, query_str, text_chunks, kwargs)
        if asked is None:
            return own()
        form = _Texts(streams=self._streaming, waits=False)
        return answered(place.accel.retrieval, asked, form, own)

    return get_response


def _make_aget(base: type[BaseSynthesizer], place: Place, _: str) -> Callable[..., Any]:
    async def aget_response(
        self: BaseSynthesizer, query_str: str, text_chunks: Sequence[str], **kwargs: Any
    ) -> Any:
        async def own() -> Any:
            with own_method(self):
                return await base.aget_response(self, query_str, text_chunks, **kwargs)

        asked = _asked(place, self, query_str, text_chunks, kwargs)
        if asked is None:
            return await own()
        form = _Texts(streams=self._streaming, waits=True)
        return await aanswered(place.accel.retrieval, asked, form, own)

    return aget_response


def _asked(
    place: Place,
    synthesizer: BaseSynthesizer,
    question: str,
    chunks: Sequence[str],
    more: dict[str, Any],
) -> Ask | None:
    """Name a call by its question and chunks; None: it bypasses the cache."""
    if runs_own_method(synthesizer):
        return None
    controls = admitted(place.accel)
    if controls is None:
        return None
    settings = Settings(by_name=place.by_name)
    model = [settings.of(synthesizer, but=_SHAPE), list(chunks), named(more)]
    request = request_of(
        place.accel, settings.llms, "synthesizer", model, question, controls=controls
    )
    return None if request is None else Ask(request, (), speaks=True, controls=controls)


_METHODS = {"get_response": _make_get, "aget_response": _make_aget}
