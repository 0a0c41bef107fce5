"""Usage read from documents and streams of every provider, however they are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.limits.charge import Usage
from accel_core.policy.limits.usage_reader import StreamUsage, usage_of


def sse(*events: Any, name: str | None = None, end: str = "\n\n") -> bytes:
    lines = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        lines.append(f"event: {name}\ndata: {data}" if name else f"data: {data}")
    return (end.join(lines) + end).encode()


def openai_chunk(content: str, **more: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"delta": {"content": content}}], **more}


OPENAI = sse(
    openai_chunk("", usage=None),
    openai_chunk("Grüße \U0001f600", usage=None),
    openai_chunk(', "usage": 5 \n\n', usage=None),
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 120,
            "completion_tokens": 9,
            "total_tokens": 129,
            "prompt_tokens_details": {"cached_tokens": 100},
        },
    },
    "[DONE]",
)
ANTHROPIC_START = sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 20,
                "cache_read_input_tokens": 70,
                "output_tokens": 1,
            },
        },
    }
) + sse({"type": "content_block_start", "content_block": {"type": "text", "text": ""}})
ANTHROPIC_DELTAS = sse(
    *[{"type": "content_block_delta", "delta": {"text": word}} for word in ("Grüße", ", ", "you")]
)
ANTHROPIC_END = sse(
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 15, "input_tokens": None},
    },
    {"type": "message_stop"},
)
RESPONSES = sse(
    {"type": "response.created", "response": {"usage": None}},
    {"type": "response.output_text.delta", "delta": "Hello"},
    {
        "type": "response.completed",
        "response": {
            "output": [{"content": [{"text": "Hello"}]}],
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"cached_tokens": 8},
                "output_tokens": 4,
            },
        },
    },
    name="x",
)
GROQ = sse(openai_chunk("a"), {"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}})
STREAMS = [
    (OPENAI, Usage(120.0, 9.0, 100.0), 2),
    (OPENAI.replace(b"\n", b"\r\n"), Usage(120.0, 9.0, 100.0), 2),
    (ANTHROPIC_START + ANTHROPIC_DELTAS + ANTHROPIC_END, Usage(100.0, 15.0, 70.0), 3),
    (RESPONSES, Usage(50.0, 4.0, 8.0), 1),
    (GROQ, Usage(3.0, 2.0), 1),
    (sse(openai_chunk("a"), openai_chunk("b")), None, 2),
]


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        (
            {
                "usage": {
                    "prompt_tokens": 120,
                    "completion_tokens": 30,
                    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                }
            },
            Usage(120.0, 30.0, 64.0),
        ),
        (
            {
                "object": "response",
                "usage": {
                    "input_tokens": 36,
                    "input_tokens_details": {"cached_tokens": 6},
                    "output_tokens": 87,
                    "output_tokens_details": {"reasoning_tokens": 40},
                },
            },
            Usage(36.0, 87.0, 6.0),
        ),
        ({"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, Usage(8.0, 0.0)),
        (
            {
                "usage": {
                    "input_tokens": 21,
                    "cache_creation_input_tokens": 188_086,
                    "cache_read_input_tokens": 0,
                    "output_tokens": 393,
                }
            },
            Usage(188_107.0, 393.0, 0.0),
        ),
        (
            {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": None}},
            Usage(5.0, 7.0),
        ),
        (
            {"usage": {"inputTokens": 9, "outputTokens": 3, "cacheReadInputTokens": 4}},
            Usage(13.0, 3.0, 4.0),
        ),
        (
            {
                "usage": {
                    "prompt_tokens": 10,
                    "completion_tokens": 1,
                    "prompt_cache_hit_tokens": 8,
                }
            },
            Usage(10.0, 1.0, 8.0),
        ),
        ({"usage": None}, None),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": True}}, None),
        ({"usage": {"prompt_tokens": float("nan"), "completion_tokens": 10**30}}, None),
        ({"error": {}}, None),
        ([], None),
        (None, None),
    ],
)
def test_documents_say_what_they_used(document: object, usage: Usage | None) -> None:
    """The prompt is counted whole, what came from a cache included."""
    assert usage_of(document) == usage


@pytest.mark.parametrize(("stream", "usage", "events"), STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1_000_000])
def test_streams_say_it_wherever_they_are_cut(
    stream: bytes, usage: Usage | None, events: int, size: int
) -> None:
    """Also inside a character; and every event with content is counted once."""
    reader = StreamUsage()
    for at in range(0, len(stream), size):
        reader.feed(stream[at : at + size])
    assert reader.usage == usage
    assert reader.events == events
    assert StreamUsage().usage is None


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 2_000), max_size=20))
def test_every_way_of_cutting_reads_the_same(
    case: tuple[bytes, Usage | None, int], cuts: list[int]
) -> None:
    """Cuts anywhere, several in one place too."""
    stream, usage, events = case
    reader, at = StreamUsage(), 0
    for cut in [*sorted(cuts), len(stream)]:
        reader.feed(stream[at:cut])
        at = max(at, cut)
    assert (reader.usage, reader.events) == (usage, events)


def test_the_last_line_needs_no_end() -> None:
    """Some servers close the connection right after it."""
    reader = StreamUsage()
    reader.feed(OPENAI[: OPENAI.index(b"data: [DONE]")].rstrip())
    assert reader.usage == reader.usage == Usage(120.0, 9.0, 100.0)


def test_a_broken_stream_is_estimated() -> None:
    """Anthropic's prompt is known from its start; of OpenAI's only the events are."""
    reader = StreamUsage()
    reader.feed(ANTHROPIC_START + ANTHROPIC_DELTAS)
    assert reader.usage == Usage(100.0, 3.0, 70.0)
    reader = StreamUsage()
    reader.feed(OPENAI[: OPENAI.index(b'"prompt_tokens"')])
    assert (reader.usage, reader.events) == (None, 2)


def test_usage_in_every_event_is_the_last_one_and_content_still_counts() -> None:
    """As vLLM and xAI send it, adding up."""
    reader = StreamUsage()
    reader.feed(
        sse(
            *[openai_chunk("a", usage={"prompt_tokens": 7, "completion_tokens": n}) for n in (1, 2)]
        )
    )
    assert (reader.usage, reader.events) == (Usage(7.0, 2.0), 2)


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    """What comes after it is read again."""
    reader = StreamUsage()
    for _ in range(100):
        reader.feed(b"x" * 100_000)
    assert sum(map(len, reader._pending)) == 0
    reader.feed(b'"usage"\n' + GROQ)
    assert reader.usage == Usage(3.0, 2.0)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(
                [b'"usage"', b"data: ", b"{", b"}", b"\n", b'"usage": {"prompt_tokens":']
            ),
        ),
        max_size=12,
    )
)
def test_no_stream_raises(chunks: list[bytes]) -> None:
    """Whatever comes, nothing is negative."""
    reader = StreamUsage()
    for chunk in chunks:
        reader.feed(chunk)
    assert reader.events >= 0
    assert reader.usage is None or min(reader.usage) >= 0.0
