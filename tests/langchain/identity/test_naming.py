"""Requests by their names: random conversations are one where the model sees one."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from tests.langchain.identity.rig import QUESTION, WAYS, Namer, Silent, image, made

if TYPE_CHECKING:
    from langchain_core.outputs import ChatResult

    from accel_core.accel import Accel
    from tests.langchain.conftest import Colour


WORDS = st.sampled_from(["", "1", "weather", "Rome", "call-0", " ", "é", "a\nb", "\U0001f99c"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)


BLOCKS = st.lists(
    st.tuples(st.just("text"), WORDS) | st.tuples(st.sampled_from(["image_url", "image"]), WORDS),
    max_size=2,
)


CONTENT = WORDS | BLOCKS
CALLS = st.lists(
    st.tuples(st.sampled_from(["weather", "1"]), st.dictionaries(WORDS, JSON, max_size=2)),
    max_size=2,
)


TURN = st.one_of(
    st.tuples(st.just("system"), CONTENT),
    st.tuples(st.just("human"), CONTENT),
    st.tuples(st.just("named"), CONTENT, st.sampled_from(["ann", "bob"])),
    st.tuples(st.just("ai"), CONTENT, CALLS),
    st.tuples(st.just("tool"), CONTENT, st.sampled_from(["success", "error"])),
)
"""What the model sees of one turn. A tool's result answers the latest call."""


IDS = st.lists(
    st.sampled_from(["1", "2", "weather", "Rome", "call-0", "call-1", "x", "y"])
    | st.uuids().map(str),
    min_size=8,
    max_size=8,
    unique=True,
)
"""Ids a run gives to its tool calls."""


def content_of(spec: Any) -> Any:
    if isinstance(spec, str):
        return spec
    return [
        {"type": "text", "text": text} if kind == "text" else image(text.encode(), kind)
        for kind, text in spec
    ]


def messages_of(turns: list[Any], ids: list[str], run: str) -> list[AnyMessage]:
    """Return the conversation as LangChain's messages, with the ids and metadata of one run."""
    messages: list[AnyMessage] = []
    left = iter(ids)
    latest = "none"
    for number, (kind, spec, *rest) in enumerate(turns):
        content, message_id = content_of(spec), f"{run}-{number}"
        if kind == "system":
            messages.append(SystemMessage(content, id=message_id))
        elif kind == "human":
            messages.append(HumanMessage(content, id=message_id))
        elif kind == "named":
            messages.append(HumanMessage(content, id=message_id, name=rest[0]))
        elif kind == "tool":
            result = ToolMessage(content, tool_call_id=latest, status=rest[0], id=message_id)
            messages.append(result)
        else:
            calls = [{"name": n, "args": copy.deepcopy(a), "id": next(left)} for n, a in rest[0]]
            latest = calls[-1]["id"] if calls else latest
            usage = {"input_tokens": len(run), "output_tokens": 1, "total_tokens": 2}
            told = {"response_metadata": {"id": run}, "usage_metadata": usage}
            messages.append(AIMessage(content, tool_calls=calls, id=message_id, **told))
    return messages


def without_question(turns: list[Any]) -> Any:
    """Return everything but what the user said last: the layout of that turn stays."""
    if not turns or turns[-1][0] not in {"human", "named"}:
        return turns
    kind, spec, *rest = turns[-1]
    blank = "" if isinstance(spec, str) else [(k, t if k != "text" else "") for k, t in spec]
    return [*turns[:-1], (kind, blank, *rest)]


def same(one: Any, other: Any) -> bool:
    """Whether two specs are equal as JSON: in JSON ``true`` is not 1, a tuple is a list."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Draw a conversation and one that differs little, or not at all."""
    one = draw(st.lists(TURN, min_size=1, max_size=4))
    other = copy.deepcopy(one)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(other)))
        what = draw(st.sampled_from(["replace", "insert", "delete"]))
        if what == "insert":
            other.insert(at, draw(TURN))
        elif at < len(other):
            other[at : at + 1] = [draw(TURN)] if what == "replace" or len(other) == 1 else []
    return one, other


@pytest.mark.slow
@settings(max_examples=400)
@given(pairs(), IDS, IDS)
@example(
    ([("ai", "", [("weather", {"a": "1"})]), ("human", "")],) * 2,
    ["1", *"abcdefg"],
    ["2", *"abcdefg"],
)
@example(
    (
        [("ai", "", [("weather", {"a": "1"})]), ("human", "")],
        [("ai", "", [("weather", {"a": "2"})]), ("human", "")],
    ),
    ["1", *"abcdefg"],
    ["2", *"abcdefg"],
)
@example(
    (
        [("ai", "", [("weather", {})]), ("human", "")],
        [("ai", "", [("1", {})]), ("human", "")],
    ),
    ["weather", *"abcdefg"],
    ["1", *"abcdefg"],
)
def test_scope_is_all_but_the_last_question(
    name: Namer, pair: tuple[list[Any], list[Any]], ids: list[str], other_ids: list[str]
) -> None:
    """Two requests share a scope exactly when nothing but the last user text differs.

    And they share a key exactly when nothing differs; both ways name each of them alike.
    """
    one, other = pair
    first = name(messages_of(one, ids, "one"))
    second = name(messages_of(other, other_ids, "another"))
    assert (first.scope == second.scope) == same(without_question(one), without_question(other))
    assert (first.key == second.key) == same(one, other)


@settings(max_examples=100)
@given(st.lists(TURN, max_size=4), WORDS, WORDS)
def test_only_words_are_compared(name: Namer, turns: list[Any], question: str, other: str) -> None:
    """What may be compared by meaning is what the user said last, and that alone."""
    assume(question != other)
    first, second = (
        name(messages_of([*turns, ("human", text)], list("abcdefgh"), "r"))
        for text in (question, other)
    )
    assert first.scope == second.scope
    assert first.key != second.key
    assert (first.text, second.text) == (question.strip(), other.strip())


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(["index", "extra", "cache_control", "id", "text", "annotations"]),
        unique=True,
        max_size=3,
    ),
    st.sampled_from(["text", "thinking", "tool_use", "file", "reasoning", "video"]),
    st.sampled_from(["lc_run-1", "msg_1", "1"]),
)
def test_strange_blocks_are_named_alike(
    name: Namer, keys: list[str], kind: str, block_id: str
) -> None:
    """Blocks of providers' own are named the same from live messages and from their dump."""
    values: dict[str, Any] = {"id": block_id, "text": "told", "index": 3, "extra": {"x": 1}}
    block: dict[str, Any] = {"type": kind, **{key: values.get(key, ["x"]) for key in keys}}
    name([HumanMessage("hi"), AIMessage([block]), HumanMessage([{"type": "text", "text": "q"}])])


def test_lone_surrogates_and_nul(name: Namer) -> None:
    """Any text that Python can hold is named, and every one by its own name."""
    texts = ["\ud800", "\udfff", "\0", "", "\u2028", "ﬁ", "fi", "e\u0301", "\u00e9"]
    keys = {name([HumanMessage(text)]).key for text in texts}
    assert len(keys) == len(texts)


class Opaque:
    """An object that prints like every other of its kind."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Opaque()"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["content", "additional_kwargs"])
def test_objects_in_messages(accel: Accel, colour: Colour, *, way: str, place: str) -> None:
    """A message holding an object that cannot be spelled is not taken for another's."""
    asked: list[int] = []

    class Looking(Silent):
        def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            asked.append(1)
            return super()._generate()

        async def _agenerate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            return self._generate(messages)

    model = made(way, accel, Looking(model="gpt-4o-mini", api_key="any"))  # type: ignore[arg-type]
    for value in (1, 2):
        thing = Opaque(value)
        message = (
            HumanMessage([{"type": "text", "text": QUESTION}, {"type": "own", "thing": thing}])
            if place == "content"
            else HumanMessage(QUESTION, additional_kwargs={"thing": thing})
        )
        colour.invoke(model, [message])
    assert len(asked) == 2
