"""Responses of engines as they are stored, and stored ones as fresh responses.

Stored are `Response`, and streams of text by the text that was read to its end: with source nodes,
scores and metadata, if they are read back equal. A `PydanticResponse` holds an object of a class
that no store can name: it is not stored, though the text it was parsed from may be
(`synthesizer`).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_selector import SelectorResult, SingleSelection
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    Response,
    StreamingResponse,
)

from accel_core.retrieval import Made
from accel_core.typed_json import read_typed, spell_typed
from llamaindex_accel._nodes import read_nodes, spell_nodes
from llamaindex_accel._streamed import apieces_of, pieces_of
from llamaindex_accel.events import announce

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.retrieval import Recalled

_SELECTED = "selector_result"
"""Where a router leaves which engines it chose, as an object."""


class Responses:
    """How an engine's responses are stored.

    Args:
        max_documents: those with more source nodes are not.
        waits: whether they are given to a task.
    """

    def __init__(self, max_documents: int, *, waits: bool) -> None:
        self._max_documents, self._waits = max_documents, waits

    def spell(self, value: Any) -> Made | str:
        """Return a whole response as it is stored, or the reason why it is not.

        Raises:
            TypeError, ValueError, RecursionError: it holds what cannot be stored.
        """
        return self._ending(value, streamed=False)(value.response)

    def begin(self, value: Any) -> Callable[[str], Made | str]:
        """Return what spells a streamed response, given its text; raises as `spell`."""
        return self._ending(value, streamed=True)

    def _ending(self, value: Any, *, streamed: bool) -> Callable[[str | None], Made | str]:
        nodes = value.source_nodes
        if len(nodes) > self._max_documents:
            return lambda _: "too_large"
        if not streamed and type(value) is not Response:
            return lambda _: "unserialisable"
        metadata, chosen = value.metadata, None
        if metadata and type(metadata.get(_SELECTED)) is SelectorResult:
            chosen = [[one.index, one.reason] for one in metadata[_SELECTED].selections]
            metadata = {key: item for key, item in metadata.items() if key != _SELECTED}
        # Copied, since who reads a stream may change what came with it.
        beside = [streamed, spell_nodes(nodes), copy.deepcopy(metadata), chosen]
        sourced = bool(nodes)

        def end(text: str | None) -> Made:
            empty = not (sourced and text and text.strip())
            return Made(spell_typed([text, *beside]), None, empty=empty)

        return end

    def read(self, hit: Recalled) -> Any:
        """Return a hit as a fresh response, in the shape in which it was given.

        Raises:
            KeyError, TypeError, ValueError, ArithmeticError: the payload is not one of ours.
        """
        text, streamed, rows, metadata, chosen = read_typed(hit.entry.payload)
        if chosen is not None:
            selections = [SingleSelection(index=index, reason=reason) for index, reason in chosen]
            metadata[_SELECTED] = SelectorResult(selections=selections)
        nodes = read_nodes(rows)
        announce(hit, "query")
        if not streamed:
            return Response(text, nodes, metadata)
        if self._waits:
            return AsyncStreamingResponse(apieces_of(text), nodes, metadata)
        return StreamingResponse(pieces_of(text), nodes, metadata)  # type: ignore[arg-type]

    def stream_of(self, value: Any) -> Any:
        """Return the stream in a response of this colour that nobody has begun to read."""
        kind = AsyncStreamingResponse if self._waits else StreamingResponse
        return value.response_gen if type(value) is kind and value.response_txt is None else None

    def with_stream(self, value: Any, stream: Any) -> Any:
        """Return the response with another stream."""
        value.response_gen = stream
        return value
