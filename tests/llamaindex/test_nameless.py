"""Names for objects that have none: stable while they live, and never anybody else's."""

from __future__ import annotations

import functools
import gc
import json
import marshal
import weakref
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, IntEnum
from typing import Any

import pytest
from pydantic import BaseModel

from accel_core.policy import nameless
from accel_core.policy.canonical import canonical_json
from accel_core.policy.nameless import class_name, named, token


class Shade(Enum):
    """Something with named values."""

    DARK = 1
    LIGHT = 2


class Mode(str, Enum):  # noqa: UP042 - as LlamaIndex's own
    """Texts with names."""

    DEFAULT = "default"


class Level(IntEnum):
    """Numbers with names."""

    HIGH = 3


class Loud(str):
    """A text that is printed as another one."""

    __slots__ = ()

    def __str__(self) -> str:
        return "!"


class Real(float):
    """A number of a class of its own."""


class Raw(bytes):
    """Bytes of a class of their own."""


class Settings(BaseModel):
    """Something that can be spelled."""

    x: int = 1


class Other(Settings):
    """Something else of the same fields."""


class Greeter:
    """Something with state and a method."""

    def greet(self) -> None: ...


def wrapped(sign: str) -> Any:
    """Return a function under another's name."""

    @functools.wraps(json.dumps)
    def wrapper(*_: Any) -> str:
        return sign

    return wrapper


def spelled(value: Any) -> str:
    return canonical_json(named(value))


@pytest.mark.parametrize(
    "value",
    [None, "text", 3, 2.5, b"bytes", [1, ["a"]], {"a": {"b": None}}, {"x", "y"}, Shade.DARK,
     Settings(), json.dumps, Settings, len],
    ids=["none", "text", "whole", "real", "bytes", "list", "mapping", "set", "enum", "model",
         "function", "class", "built-in"],
)  # fmt: skip
def test_what_has_a_meaning_is_spelled_by_it(value: Any) -> None:
    """Values that mean the same have one spelling, in every process."""
    assert spelled(value) == spelled(value)
    assert token(object()) not in spelled(value)


@pytest.mark.parametrize("value", [Mode.DEFAULT, Level.HIGH, Loud("a\ud800"), Real(0.1), Raw(b"x")])
def test_a_subclass_of_plain_data_is_plain_data(value: Any) -> None:
    """Its spelling stays, and it can be compared by its bytes, as a request named before is."""
    assert spelled(value) == canonical_json(value)
    assert marshal.loads(marshal.dumps(named([value]))) == [value]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (object(), object()),
        (lambda: 1, lambda: 2),
        (Greeter().greet, Greeter().greet),
        (wrapped("a"), wrapped("b")),
        (functools.partial(int, base=2), functools.partial(int, base=8)),
        (Shade.DARK, Shade.LIGHT),
        (Settings(), Other()),
        (Settings(x=1), Settings(x=2)),
        ([object()], [object()]),
        ([].append, [].append),
    ],
    ids=["objects", "lambdas", "methods", "wrappers", "partials", "enums", "classes", "values",
         "lists", "built-in methods"],
)  # fmt: skip
def test_what_differs_has_two_spellings(one: Any, other: Any) -> None:
    """No two values that may act differently share a spelling."""
    assert spelled(one) == spelled(one)
    assert spelled(other) == spelled(other)
    assert spelled(one) != spelled(other)


def test_a_change_beside_a_nameless_value_is_a_change() -> None:
    """A container is walked: an object without a name in it hides nothing."""
    options: dict[str, Any] = {"stop": lambda: None, "limit": 1}
    before = spelled(options)
    options["limit"] = 2
    assert spelled(options) != before


def test_what_holds_itself_is_itself() -> None:
    """A container that holds itself, or cannot be walked, is named as an object."""

    class Unwalkable(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no")

    endless: list[Any] = []
    endless.append(endless)
    for value in (endless, Unwalkable()):
        assert spelled(value) == spelled(value)


def test_a_name_dies_with_its_object() -> None:
    """Nothing is kept alive for its name, and a later object never gets an earlier one's."""
    kept = len(nameless._tokens)
    tokens = set()
    for _ in range(200):
        value = Greeter()
        tokens.add(token(value))
        gone = weakref.ref(value)
        del value
    gc.collect()
    assert gone() is None
    assert len(tokens) == 200
    assert len(nameless._tokens) <= kept


def test_threads_call_it_the_same() -> None:
    """Whoever names an object first, all call it by one name."""
    for _ in range(50):
        value = Greeter()
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(token, [value] * 8))) == 1


def test_local_classes_of_one_name_are_apart() -> None:
    """A class that others may share its name with has a token beside it."""

    def make() -> type:
        class Local: ...

        return Local

    one, other = make(), make()
    assert class_name(one) == class_name(one) != class_name(other)
    assert class_name(Greeter) == f"{__name__}.Greeter"
