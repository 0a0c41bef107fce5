"""Who may be called unasked: default deny, marks that go with copies and not with wrappers."""

from __future__ import annotations

import copy
import functools
import gc
import weakref
from typing import Any

import pytest
from langchain_core.tools import StructuredTool, tool
from llama_index.core.tools import FunctionTool

from accel_core.permits import Permit, Permits, permit_of, speculatable


def lookup(key: str) -> str:
    """Look up."""
    return key


def unmarked(key: str) -> str:
    """Look up."""
    return key


def test_nothing_is_permitted_that_nobody_marked_or_named() -> None:
    """Default deny."""
    permits = Permits(["search"], ["schema"])
    assert permits.find("lookup", unmarked, FunctionTool.from_defaults(unmarked)) is None
    assert permits.find("search") == Permit(static=False)
    assert permits.find("schema") == Permit(static=True)


def test_it_is_a_decorator_with_and_without_arguments() -> None:
    @speculatable
    def one() -> None: ...

    @speculatable(static=True)
    def two() -> None: ...

    assert (permit_of(one), permit_of(two)) == (Permit(), Permit(static=True))


@pytest.mark.parametrize(
    "made",
    [
        lambda: tool(lookup),
        lambda: StructuredTool.from_function(lookup),
        lambda: FunctionTool.from_defaults(lookup),
    ],
)
def test_a_mark_goes_with_every_copy_of_a_tool(made: Any) -> None:
    """Frameworks copy tools, and a copy in another class keeps the tool's attributes."""
    plain = made()
    marked = speculatable(copy.copy(plain), static=True)
    copies = [copy.copy(marked), copy.deepcopy(marked)]
    if hasattr(marked, "model_copy"):
        copies.append(marked.model_copy(update={"description": "other"}))
        assert marked == plain
        assert marked.model_dump() == plain.model_dump()
    assert [permit_of(each) for each in copies] == [Permit(static=True)] * len(copies)
    assert permit_of(plain) is None


def test_a_wrapper_of_a_marked_function_is_not_marked() -> None:
    """`functools.wraps` copies attributes; what it wraps around was marked by nobody."""

    @speculatable
    def free() -> None: ...

    @functools.wraps(free)
    def charging() -> None: ...

    assert permit_of(free) == Permit()
    assert permit_of(charging) is None


def test_a_method_is_marked_in_its_class_and_not_on_one_object() -> None:
    class Shop:
        @speculatable
        def stock(self) -> int:
            return 1

        def order(self) -> None: ...

    assert permit_of(Shop().stock) == Permit()
    assert permit_of(Shop().order) is None
    with pytest.raises(TypeError, match="bound method"):
        speculatable(Shop().order)
    with pytest.raises(TypeError, match="class"):
        speculatable(Shop)
    with pytest.raises(TypeError, match=r"speculation\.tools"):
        speculatable(7)


def test_a_mark_keeps_no_function_alive() -> None:
    @speculatable
    def free() -> None: ...

    gone = weakref.ref(free)
    del free
    gc.collect()
    assert gone() is None
