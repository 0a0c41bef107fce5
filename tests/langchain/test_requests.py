"""A call is remembered by a spelling of its fresh parameters: whatever differs is another call."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_accel._context import Run
from langchain_accel._requests import fingerprint

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-2, 2)
    | st.text('ab1\\"', max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=6,
)


class Text(str):
    """Prints like another text, and may be more."""

    __slots__ = ()


@dataclass
class Point:
    """An application's own object."""

    x: int = 1


def spelled(value: Any, printed: str = "") -> bytes | None:
    """Return the spelling of a call with one parameter."""
    details = {"invocation_params": {"tools": value}}
    return fingerprint(Run(uuid4(), None, {"repr": printed}, details))


@given(JSON, JSON)
def test_what_a_provider_would_be_sent_counts(one: Any, other: Any) -> None:
    """Two calls are spelled alike where their JSON is the same, to the type of each number."""
    assert (spelled(one) == spelled(other)) is (json.dumps(one) == json.dumps(other))


def test_what_looks_alike_differs() -> None:
    """Neither types, nor what is nested, nor how the model prints can be taken for another."""
    values: list[Any] = [1, 1.0, True, "1", [1], [[1]], {"a": 1}, None, "null", {}, [], -0.0, 0.0]
    found = [spelled(value) for value in values] + [spelled(1, "m(1)"), spelled(1, "m(2)")]
    assert None not in found
    assert not [pair for pair in combinations(found, 2) if pair[0] == pair[1]]


@pytest.mark.parametrize(
    "value", [object(), Text("a"), Point(), dt.date(2026, 1, 1), b"a", {1: 2}, 1 << 70, "\ud800"]
)
def test_objects_have_no_spelling(value: Any) -> None:
    """What is not plain data could print like something else: such a call is named anew."""
    assert spelled(value) is None
    assert spelled([{"a": value}]) is None
