"""Streams: what was streamed becomes an answer, and a stored answer is streamed again.

Only a stream read to its end becomes an answer, and only if its last message says what its pieces
said. A replay carries thinking and text in pieces, in a message that grows; tool calls, usage and
provenance come with the last chunk, as from providers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from accel_core.events.requests import Tokens
from accel_core.policy.limits.token_estimate import text_tokens
from accel_core.policy.limits.usage_reader import usage_of
from llamaindex_accel import _answers
from llamaindex_accel._usage import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.policy.admission import Answer

_PIECE_CHARS = 64


class Recorder:
    """Follows a stream. It never raises: a chunk it cannot take spoils the answer, not the stream.

    Args:
        to_answer: makes the answer of the last chunk and what all chunks told.
    """

    def __init__(self, to_answer: Callable[[Any, Told], Answer | None]) -> None:
        self._to_answer = to_answer
        self._told = Told()
        self._pieces: list[str] = []
        self._last: ChatResponse | CompletionResponse | None = None
        self._spoilt: Exception | None = None

    def add(self, chunk: ChatResponse | CompletionResponse) -> None:
        """Take note of a chunk before its consumer can change it."""
        try:
            self._told.note(chunk)
            self._pieces.append(chunk.delta or "")
            self._last = _snapshot(chunk)
        except Exception as error:  # raised again by `answer`, whose caller reports it
            self._spoilt = error

    def used(self) -> tuple[Tokens | None, float]:
        """Return what was stated of what was used, and how many tokens were seen in the pieces."""
        usage = usage_of({"usage": self._told.usage})
        seen = sum(max(1.0, text_tokens(piece)) for piece in self._pieces if piece)
        return (None if usage is None else Tokens(*usage)), seen

    def answer(self) -> Answer | None:
        """Return what was streamed; None for an empty stream, or one that contradicts itself."""
        if self._spoilt is not None:
            raise self._spoilt
        if self._last is None:
            return None
        streamed = "".join(self._pieces)
        if streamed and streamed not in _readings(self._last):
            return None
        return self._to_answer(self._last, self._told)


def chat_recorder() -> Recorder:
    """Return what follows a chat stream."""
    return Recorder(_answers.from_chat)


def completion_recorder() -> Recorder:
    """Return what follows a completion stream."""
    return Recorder(_answers.from_completion)


def _snapshot(chunk: Any) -> Any:
    """Return a copy of `chunk` that survives what its consumer does to lists and blocks."""
    kept = {"additional_kwargs": dict(chunk.additional_kwargs)}
    if isinstance(chunk, ChatResponse):
        message = chunk.message
        blocks = [block.model_copy() for block in message.blocks]
        kwargs = dict(message.additional_kwargs)
        update = {"blocks": blocks, "additional_kwargs": kwargs}
        return chunk.model_copy(update={**kept, "message": message.model_copy(update=update)})
    return chunk.model_copy(update=kept)


def _readings(response: ChatResponse | CompletionResponse) -> tuple[str, ...]:
    """Return what the pieces of a stream may add up to."""
    if isinstance(response, CompletionResponse):
        return (response.text,)
    texts = [block.text for block in response.message.blocks if isinstance(block, TextBlock)]
    return ("".join(texts), "\n".join(texts))


def stream_chat(response: ChatResponse) -> Iterator[ChatResponse]:
    """Stream a stored answer."""
    message = response.message
    done: list[Any] = []
    for block in message.blocks:
        if isinstance(block, ToolCallBlock):
            continue
        written = block.content if isinstance(block, ThinkingBlock) else getattr(block, "text", "")
        for end, piece in _pieces(written or ""):
            grown = _cut(block, (written or "")[:end])
            said = ChatMessage(role=message.role, blocks=[*_copies(done), grown])
            thinks = isinstance(block, ThinkingBlock)
            yield ChatResponse(
                message=said,
                delta="" if thinks else piece,
                additional_kwargs={"thinking_delta": piece} if thinks else {},
            )
        done.append(block)
    yield response.model_copy(update={"delta": ""})


def stream_completion(response: CompletionResponse) -> Iterator[CompletionResponse]:
    """Stream a stored answer."""
    for end, piece in _pieces(response.text):
        yield CompletionResponse(text=response.text[:end], delta=piece)
    yield response.model_copy(update={"delta": ""})


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Cut `text`; yield where each piece ends, and the piece."""
    for start in range(0, len(text), _PIECE_CHARS):
        piece = text[start : start + _PIECE_CHARS]
        yield start + len(piece), piece


def _cut(block: Any, text: str) -> Any:
    if isinstance(block, ThinkingBlock):
        return ThinkingBlock(content=text)
    return TextBlock(text=text)


def _copies(blocks: list[Any]) -> list[Any]:
    return [block.model_copy() for block in blocks]
