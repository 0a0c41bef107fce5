"""One spelling for equal values, another for every other, and none for what has no meaning."""

from __future__ import annotations

import copy
import enum
import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from accel_core.policy.canonical import Unidentifiable, canonical_json, renamed

TEXTS = st.text(st.sampled_from('ab\0\ud800é\u2028"\\{}[]:,1'), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, types included: ``1``, ``1.0`` and ``true`` differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def shuffled(value: Any, draw: Any) -> Any:
    """Return `value` with every dict's keys in another order."""
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


class Out(BaseModel):
    """A response format."""

    value: str


def schema(kind: type) -> type[BaseModel]:
    """Return a class that is called as every other of these."""

    class Same(BaseModel):
        value: kind  # type: ignore[valid-type]

    return Same


class Colour(enum.Enum):
    """An enumeration."""

    RED = 1
    BLUE = 2


@dataclass
class Point:
    """A dataclass."""

    x: int


class TestJson:
    """Values that JSON has."""

    @given(JSON, st.data())
    def test_order_of_keys_is_irrelevant(self, value: Any, data: st.DataObject) -> None:
        """A value has one spelling, in whatever order its dicts were filled."""
        assert canonical_json(value) == canonical_json(shuffled(copy.deepcopy(value), data.draw))

    @given(JSON, JSON)
    def test_equal_values_alone_are_spelled_alike(self, one: Any, other: Any) -> None:
        """Two values have one spelling exactly when they are equal."""
        assert (canonical_json(one) == canonical_json(other)) == same(one, other)

    @given(JSON)
    def test_spelling_is_json(self, value: Any) -> None:
        """The spelling reads back as the value, and is ASCII."""
        spelled = canonical_json(value)
        assert spelled.isascii()
        assert same(json.loads(spelled), value)

    def test_keys_are_texts(self) -> None:
        """A key is what JSON makes of it, as it is for the provider."""
        assert canonical_json({1: "a", 2: {True: None}}) == canonical_json(
            {"1": "a", "2": {"true": None}}
        )

    def test_tuples_are_lists(self) -> None:
        """JSON has one kind of sequence."""
        assert canonical_json((1, (2,))) == canonical_json([1, [2]])

    @pytest.mark.parametrize("value", [{1: 1, "a": 2}, {(1, 2): 3}, [{b"x": 1}]], ids=repr)
    def test_unsortable_keys(self, value: Any) -> None:
        """Keys that cannot be ordered or spelled make a value unidentifiable, not an error."""
        with pytest.raises(Unidentifiable):
            canonical_json(value)

    def test_endless(self) -> None:
        """A value that holds itself, or is nested without measure, is unidentifiable."""
        endless: list[Any] = []
        endless.append(endless)
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        for value in (endless, deep):
            with pytest.raises(Unidentifiable):
                canonical_json(value)


class TestObjects:
    """Values that frameworks put into requests."""

    DISTINCT = (
        Out,
        schema(str),
        schema(int),
        Out(value="a"),
        Out(value="b"),
        b"a",
        b"b",
        bytearray(b"c"),
        "a",
        date(2020, 1, 1),
        datetime(2020, 1, 1, tzinfo=UTC),
        Path.exists,
        json.dumps,
        json.loads,
        frozenset({"a"}),
        frozenset({"a", "b"}),
        frozenset(),
        MappingProxyType({"a": 1}),
        int,
        str,
        None,
    )

    def test_each_has_a_spelling_of_its_own(self) -> None:
        """A schema is its fields, bytes their contents, a function its name; no two are alike."""
        spelled = [canonical_json(value) for value in self.DISTINCT]
        assert len(set(spelled)) == len(self.DISTINCT)

    def test_schemas_are_compared_by_their_fields(self) -> None:
        """Two classes of one name and other fields differ; two of equal fields are one."""
        assert canonical_json(schema(str)) != canonical_json(schema(int))
        assert canonical_json(schema(str)) == canonical_json(schema(str))

    def test_mappings_and_sets(self) -> None:
        """A mapping is a dict, and a set has no order."""
        assert canonical_json(MappingProxyType({"b": 1, "a": 2})) == '{"a":2,"b":1}'
        for kind in (set, frozenset):
            assert canonical_json(kind("abcdef")) == canonical_json(kind("fedcba"))

    def test_secrets_are_not_spelled(self) -> None:
        """A secret is never part of a spelling."""
        assert "hidden" not in canonical_json({"key": SecretStr("hidden")})

    @pytest.mark.parametrize(
        "value",
        [
            object(),
            lambda: 1,
            functools.partial(print, 1),
            Point(1),
            Point,
            iter([]),
            [[{"deep": object()}]],
            1j,
            ...,
        ],
        ids=["object", "lambda", "partial", "dataclass", "class", "iterator", "deep", "1j", "..."],
    )
    def test_nameless(self, value: Any) -> None:
        """What has no stable meaning has a spelling that tells it from others, or none at all."""
        try:
            spelled = canonical_json(value)
        except Unidentifiable:
            return
        assert value is Point
        assert "Point" in spelled

    @pytest.mark.parametrize("error", [RuntimeError, OSError, AttributeError, KeyError])
    @pytest.mark.parametrize("method", ["model_dump", "isoformat", "__iter__", "model_json_schema"])
    def test_objects_that_fail(self, method: str, error: type[Exception]) -> None:
        """An object that raises when it is looked at is unidentifiable, whatever it raises."""

        def fail(*_: Any, **__: Any) -> Any:
            raise error

        one: Any = type("Failing", (), {method: fail})
        value = one if method == "model_json_schema" else one()
        with pytest.raises(Unidentifiable):
            canonical_json({"value": value})

    def test_schema_that_cannot_be_made(self) -> None:
        """A Pydantic class without a JSON schema is unidentifiable, not an error."""

        class Odd(BaseModel):
            model_config = {"arbitrary_types_allowed": True}
            value: Any = object

        Odd.model_fields["value"].annotation = Point
        Odd.model_rebuild(force=True)
        with pytest.raises(Unidentifiable):
            canonical_json(Odd)

    def test_enumerations(self) -> None:
        """Members of an enumeration, where they can be spelled, are told apart."""
        try:
            spelled = {canonical_json(colour) for colour in Colour}
        except Unidentifiable:
            return
        assert len(spelled) == 2

    @pytest.mark.slow
    def test_same_in_every_process(self) -> None:
        """Neither hash seeds nor addresses are part of a spelling."""
        code = (
            "import json; from accel_core.policy.canonical import canonical_json;"
            "print(canonical_json([{'b', 'a', 'c'}, {'y': 1, 'x': b'z'}, json.dumps]))"
        )
        told = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={"PYTHONHASHSEED": seed, "PATH": ""},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(told) == 1


IDS = ["id", "tool_call_id", "call_id", "tool_use_id"]
OPAQUE = ["args", "arguments", "input", "text"]
MESSAGES = st.recursive(
    TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*IDS, *OPAQUE, "name", "content"]), inner, max_size=4)
    ),
    max_leaves=8,
)


class TestRenamed:
    """Replacing the ids of tool calls."""

    @given(MESSAGES, st.dictionaries(TEXTS, TEXTS, max_size=3))
    def test_where_ids_stand(self, value: Any, names: dict[str, str]) -> None:
        """Ids are replaced where ids stand; names, texts and arguments that look like them stay."""
        before = copy.deepcopy(value)

        def expected(item: Any) -> Any:
            if isinstance(item, list):
                return [expected(inner) for inner in item]
            if not isinstance(item, dict):
                return item
            return {
                key: names.get(inner, inner)
                if key in IDS and isinstance(inner, str)
                else inner
                if key in OPAQUE
                else expected(inner)
                for key, inner in item.items()
            }

        assert same(renamed(value, names), expected(value))
        assert same(value, before)
