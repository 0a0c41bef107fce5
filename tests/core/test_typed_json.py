"""Metadata as JSON: what is read is what was written, type for type, or it is not written."""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.typed_json import read_typed, spell_typed

texts = st.text(max_size=8)
zones = st.none() | st.just(dt.UTC) | st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")])
hashable = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes(timezones=zones)
    | st.uuids()
    | st.decimals(allow_nan=False)
    | texts.filter(lambda text: "\0" not in text).map(Path)
    | st.tuples(texts, st.integers())
    | st.frozensets(texts, max_size=3)
    | st.floats(allow_nan=False, width=32).map(np.float32)
)
values = st.recursive(
    hashable | st.sets(st.integers(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.just("$") | st.integers(), inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


def typed(value: Any) -> Any:
    """Return a value's types beside its values, so that 1, True and 1.0 differ."""
    if isinstance(value, dict):
        return type(value), [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [typed(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return type(value), {typed(item) for item in value}
    if isinstance(value, dt.datetime):
        return type(value), value, value.tzinfo, value.fold
    return type(value), value


@given(values)
def test_round_trip(value: Any) -> None:
    """Everything of the allow-list comes back equal, type for type, in its order."""
    assert typed(read_typed(spell_typed(value))) == typed(value)


@pytest.mark.parametrize(
    "value",
    [
        {"$": ["UUID", "not one"]},
        {"$": 1, 2: "b", None: "c", (1, 2): {"$": "d"}},
        1 << 70,
        -(1 << 63),
        math.inf,
        -0.0,
        Decimal("1.10"),
        UUID(int=7),
        PurePosixPath("/a"),
        PureWindowsPath("c:/a"),
        np.float64(0.1),
        np.int8(-3),
        np.bool_(True),
        np.datetime64("2026-01-01T00:00:00", "ns"),
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        pytest.param({1, "a"}, id="set"),  # whose order differs in each process
        [((),)],
    ],
    ids=repr,
)
def test_particular_values(value: Any) -> None:
    """Values at the edges come back as they were."""
    back = read_typed(spell_typed(value))
    assert typed(back) == typed(value)
    assert repr(back) == repr(value) or isinstance(value, set)


def test_nan() -> None:
    """A score that is not a number stays one, and does not become None."""
    assert math.isnan(read_typed(spell_typed({"score": math.nan}))["score"])


class _Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        object(),
        OrderedDict(a=1),
        _Colour.RED,
        np.str_("a"),
        np.zeros(2),
        np.longlong(1),
        dt.time(1),
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2), "CEST")),
        "\ud800",
        {"\ud800": 1},
        len,
        (item for item in ()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused(value: Any) -> None:
    """Anything else is refused, however deep it sits, rather than changed."""
    with pytest.raises((TypeError, ValueError)):
        spell_typed({"deep": [{"er": value}]})


def test_endless_nesting_is_refused() -> None:
    """What holds itself is refused."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        spell_typed(endless)


def test_json_is_left_as_it_is() -> None:
    """JSON's own values are spelled by themselves, readable by any parser."""
    value = {"text": "ä", "n": [1, 2.5, None, True]}
    assert orjson.loads(spell_typed(value)) == value


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b' {"$":["eval","1"]}', b' {"$":[]}', b' {"$":["UUID","x"]}', b' {"$":[["a"]]}'],
)
def test_bytes_of_others(payload: bytes) -> None:
    """Bytes that are not ours raise, and make nothing but values of the allow-list."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_typed(payload)
