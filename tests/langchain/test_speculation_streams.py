"""Calls begun when a stream has written them to their ends, and streams that nobody notices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk

from accel_core.events import ToolCallBegun, ToolCallReused
from accel_core.testing.replies import Reply
from langchain_accel import SpeculativeToolRunnable, SpeculativeTools
from langchain_accel._speculation_seals import Seals
from tests.langchain.speculating import WAIT_S, Lookup, Streaming, asking, parts, shape, told

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from accel_core.accel import Accel
    from accel_core.policy.trajectory import ToolCall
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder

QUESTION = {"messages": [("user", "Look them up")]}
CALLS = [("lookup", {"key": "a"}), ("lookup", {"key": "b"}), ("other", {"key": "c"})]


@pytest.fixture
def accel(make_accel: MakeAccel) -> Accel:
    return make_accel({"speculation": {"audit_share": 0.0}})


class _Parts:
    """Lets a stream go on from its n-th part only when something has happened."""

    def __init__(self, at: int, happened: threading.Event) -> None:
        self._left, self._happened = at, happened
        self.seen = False

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.seen = self._happened.wait(WAIT_S)


@pytest.mark.parametrize("mode", ["messages", "values"])
def test_a_call_begins_when_the_next_one_does(accel: Accel, colour: Colour, mode: str) -> None:
    """While the model still writes the second call, the first one is made; once."""
    lookup, other = Lookup(), Lookup("other")
    # Three parts for each call: before the fifth, the second has begun, and has no arguments yet.
    gate = _Parts(5, lookup.called)
    model = Streaming(turns=[CALLS], before=gate)
    ours = SpeculativeTools(["lookup", "other"], predictors=[], accel=accel)
    agent = create_agent(model, [lookup.tool, other.tool], middleware=[ours])
    options = {"stream_mode": mode}
    if mode == "values":  # nothing streams the model then, unless it is told to
        agent = create_agent(
            model.model_copy(update={"disable_streaming": False}),
            [lookup.tool, other.tool],
            middleware=[ours],
        )
    parts = colour.stream(agent, QUESTION, **options)
    assert gate.seen is (mode == "messages")
    assert sorted(lookup.begun) == ["a", "b"]
    assert other.begun == ["c"]
    if mode == "values":
        assert told(parts[-1]["messages"]) == "<a>|<b>|<c>"


def test_a_call_is_not_begun_while_its_arguments_may_grow(accel: Accel, colour: Colour) -> None:
    """Complete JSON is no end: more of the arguments may come."""
    begun_early: list[list[str]] = []
    lookup = Lookup()

    model = Streaming(turns=[CALLS[:1]], before=lambda: begun_early.append(list(lookup.begun)))
    ours = SpeculativeTools(["lookup"], predictors=[], accel=accel)
    agent = create_agent(model, [lookup.tool], middleware=[ours])
    colour.stream(agent, QUESTION, stream_mode="messages")
    assert begun_early[:4] == [[], [], [], []]
    assert lookup.begun == ["a"]


@pytest.mark.parametrize("mode", ["messages", "updates", "values", "custom"])
def test_streams_are_what_they_were(
    accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour, mode: str
) -> None:
    """Token by token, every mode of streaming tells what it tells without speculation."""

    def answer(request: dict[str, Any]) -> Reply:
        if request["messages"][-1]["role"] == "user":
            return Reply(tool_calls=tuple(CALLS))
        return Reply(chunks=("The ", "answer ", "is ", "here."))

    server._answer = answer
    seen = []
    for middleware in ([], [SpeculativeTools(["lookup", "other"], predictors=[], accel=accel)]):
        agent = create_agent(chat(), [Lookup().tool, Lookup("other").tool], middleware=middleware)
        seen.append([_plain(part) for part in colour.stream(agent, QUESTION, stream_mode=mode)])
    # Results of tools arrive in any order, with speculation or without.
    assert sorted(seen[0]) == sorted(seen[1])
    assert len(seen[0]) > 3 or mode == "custom"


def _plain(part: Any) -> str:
    """Return a part of a stream without ids and what is counted."""
    if isinstance(part, tuple):
        message, metadata = part
        calls = [(c["name"], c["args"]) for c in getattr(message, "tool_call_chunks", ())]
        return str((type(message).__name__, message.content, calls, metadata["langgraph_node"]))
    messages = part.get("messages")
    if messages is not None:
        return str(sorted(map(str, shape(messages))))
    return str([(node, shape(update["messages"])) for node, update in part.items()])


def test_a_real_client_streams(
    accel: Accel, events: Recorder, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """Of a provider's stream, all calls but the last begin before its end, and are adopted."""
    server._answer = lambda request: (
        Reply(tool_calls=tuple(CALLS))
        if request["messages"][-1]["role"] == "user"
        else Reply(content="done")
    )
    tools = [Lookup(), Lookup("other")]
    model = chat().bind_tools([one.tool for one in tools])
    speculative = SpeculativeToolRunnable(
        model, [one.tool for one in tools], allowed=["lookup", "other"], predictors=[], accel=accel
    )
    whole = None
    for chunk in colour.stream(speculative, "Look them up"):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert [(c["name"], c["args"]) for c in whole.tool_calls] == CALLS
    results = [
        colour.invoke(one, call)
        for call in whole.tool_calls
        for one in speculative.tools
        if one.name == call["name"]
    ]
    assert [message.content for message in results] == ["<a>", "<b>", "<c>"]
    assert [event.predictor for event in events.of(ToolCallBegun)] == ["stream"] * 3
    assert len(events.of(ToolCallReused)) == 3
    assert [sorted(one.begun) for one in tools] == [["a", "b"], ["c"]]


def test_blocks_of_the_newer_protocol_are_heard(accel: Accel, events: Recorder) -> None:
    """LangChain's events of whole blocks seal calls, too."""
    lookup = Lookup()
    model = Streaming(turns=[CALLS[:2]]).bind_tools([lookup.tool])
    speculative = SpeculativeToolRunnable(
        model, [lookup.tool], allowed=["lookup"], predictors=[], accel=accel
    )
    if not hasattr(model.bound, "stream_events"):
        pytest.skip("this LangChain has no such events")
    stream = speculative.stream_events([("user", "Look")], version="v3")
    assert len(stream.output.tool_calls) == 2
    assert lookup.called.wait(WAIT_S)
    assert [event.predictor for event in events.of(ToolCallBegun)] == ["stream", "stream"]


texts = st.text('ab"\\{}é', max_size=4)
arguments = st.dictionaries(texts, st.one_of(st.none(), st.integers(0, 99), texts), max_size=3)


@st.composite
def cut_calls(draw: st.DrawFn) -> list[AIMessageChunk]:
    """Draw calls, cut anywhere, in the forms of several providers."""
    chunks: list[dict[str, Any]] = []
    indexed = draw(st.booleans())
    for index in range(draw(st.integers(0, 4))):
        text = json.dumps(draw(arguments))
        name, id_ = draw(st.sampled_from(["lookup", "other"])), f"call_{index}"
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3))) if indexed else []
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        for n, piece in enumerate(pieces):
            chunks.append(
                {
                    "name": name if n == 0 else None,
                    "id": id_ if n == 0 else None,
                    "args": piece,
                    "index": index if indexed else None,
                    "type": "tool_call_chunk",
                }
            )
    return [AIMessageChunk("", tool_call_chunks=[chunk]) for chunk in chunks]


@given(cut_calls())
def test_what_is_sealed_is_what_langchain_adds_up(chunks: Sequence[AIMessageChunk]) -> None:
    """Every call of the whole message is sealed once, in order, when the stream has ended; and
    none of an index while its chunks may come."""
    seals = Seals()
    sealed: list[ToolCall] = []
    whole: Any = None
    for chunk in chunks:
        sealed += seals.add(chunk.tool_call_chunks)
        whole = chunk if whole is None else whole + chunk
        assert [(c["name"], c["args"]) for c in whole.tool_calls][: len(sealed)] == sealed
    sealed += seals.end()
    expected = [] if whole is None else [(c["name"], c["args"]) for c in whole.tool_calls]
    assert sealed == expected


def test_parts_are_cut_as_they_are_in_these_tests() -> None:
    """The scripted stream adds up to the message that it is cut from."""
    answer = asking(*CALLS)
    first, *rest = parts(answer)
    assert first.__add__(*[_sum(rest)]).tool_calls == answer.tool_calls


def _sum(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole
