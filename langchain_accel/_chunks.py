"""Streams: what was streamed becomes an answer, and a stored answer is streamed again.

Only a stream read to its end becomes an answer. A replay carries text in pieces, then tool calls,
usage and metadata in a last chunk, as providers do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_accel import _answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.outputs import ChatGeneration

    from accel_core.policy.admission import Answer

_PIECE_CHARS = 64


def snapshot(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """Return a copy of `chunk` that survives what is done to the original."""
    return chunk.model_copy(deep=True)


def to_answer(chunks: Sequence[ChatGenerationChunk]) -> Answer | None:
    """Return the answer that `chunks` add up to; None for an empty stream."""
    if not chunks:
        return None
    return _answers.to_answer(generate_from_stream(iter(chunks)).generations)


def replay(generation: ChatGeneration) -> Iterator[ChatGenerationChunk]:
    """Stream a stored answer."""
    message = generation.message
    content: Any = message.content
    if isinstance(content, str) and content:
        for start in range(0, len(content), _PIECE_CHARS):
            piece = content[start : start + _PIECE_CHARS]
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece, id=message.id))
        content = ""
    last = AIMessageChunk(
        content=content,
        id=message.id,
        name=message.name,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        usage_metadata=getattr(message, "usage_metadata", None),
        tool_call_chunks=_call_chunks(message),
        chunk_position="last",
    )
    yield ChatGenerationChunk(message=last, generation_info=generation.generation_info)


def _call_chunks(message: Any) -> list[Any]:
    calls = [
        {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"]}
        for call in message.tool_calls
    ]
    calls += [
        {"name": call["name"], "args": call["args"], "id": call["id"]}
        for call in message.invalid_tool_calls
    ]
    return [{**call, "index": index, "type": "tool_call_chunk"} for index, call in enumerate(calls)]
