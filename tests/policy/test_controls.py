"""Reading a call's controls never fails, and never widens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accel_core.policy.controls import DEFAULT, Controls, read_controls, user_tag

NAMES = ["accel_ttl_s", "accel_namespace", "accel_tags", "accel_user"]
SWITCHES = ["accel:no-cache", "accel:no-store", "accel:refresh"]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=300)
    | st.binary(max_size=3)
    | st.sampled_from([10**400, -(10**400), object(), print, 1j, b"x", ..., Controls, set()]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        | st.frozensets(st.text(max_size=3), max_size=2)
    ),
    max_leaves=4,
)
METADATA = st.dictionaries(st.sampled_from([*NAMES, "accel_tenant", "other"]), ANYTHING)
TAGS = st.lists(st.sampled_from(SWITCHES) | ANYTHING, max_size=4)


@given(METADATA, TAGS)
@example({"accel_ttl_s": 10**400}, [])
@example({}, [["a list"]])
@example({}, [{}])
def test_never_raises(metadata: dict[str, Any], tags: list[Any]) -> None:
    """Whatever a client sends is read, or named as unusable."""
    controls, problems = read_controls(metadata, tags)
    assert isinstance(controls, Controls)
    named = [problem.name for problem in problems]
    assert set(named) <= set(metadata) & set(NAMES)
    assert len(set(named)) == len(named)
    assert all(problem.expected for problem in problems)


@given(METADATA, TAGS)
def test_what_is_read_can_be_used(metadata: dict[str, Any], tags: list[Any]) -> None:
    """Every value read is of its type and in its range."""
    controls, _ = read_controls(metadata, [tag for tag in tags if isinstance(tag, str)])
    assert controls.ttl_s is None or (type(controls.ttl_s) is float and controls.ttl_s > 0)
    for name in (controls.namespace, controls.user, *controls.tags):
        assert type(name) is str
        assert len(name) <= 256
    assert type(controls.tags) is tuple
    for switch in (controls.no_cache, controls.no_store, controls.refresh):
        assert type(switch) is bool


@given(METADATA)
def test_used_or_named(metadata: dict[str, Any]) -> None:
    """Every control given is used or named as unusable, never dropped silently."""
    controls, problems = read_controls(metadata, ())
    unusable = {problem.name for problem in problems}
    for name in set(metadata) & set(NAMES) - unusable:
        value = getattr(controls, name.removeprefix("accel_"))
        given = metadata[name]
        if name == "accel_tags":
            assert set(value) == ({given} if isinstance(given, str) else set(given))
        else:
            assert value == given
    for name in unusable:
        field = name.removeprefix("accel_")
        assert getattr(controls, field) == getattr(DEFAULT, field)


@given(st.sets(st.sampled_from(SWITCHES)))
def test_switches(tags: set[str]) -> None:
    """Each tag turns its own switch, and no other."""
    controls, problems = read_controls({}, tags)
    assert problems == []
    assert {
        "accel:no-cache": controls.no_cache,
        "accel:no-store": controls.no_store,
        "accel:refresh": controls.refresh,
    } == {switch: switch in tags for switch in SWITCHES}


@pytest.mark.parametrize(
    "tags", [(), ["accel:"], ["accel:no-cache "], ["ACCEL:NO-CACHE"], ["no-cache"], [""]]
)
def test_other_tags_ask_for_nothing(tags: list[str]) -> None:
    """Only the very tags count; a call that asks for nothing gets the one default."""
    controls, problems = read_controls({"other": 1}, tags)
    assert controls is DEFAULT
    assert problems == []


@pytest.mark.parametrize(
    ("metadata", "field", "value"),
    [
        ({"accel_ttl_s": 60}, "ttl_s", 60.0),
        ({"accel_ttl_s": 0.5}, "ttl_s", 0.5),
        ({"accel_namespace": "n"}, "namespace", "n"),
        ({"accel_namespace": "n" * 256}, "namespace", "n" * 256),
        ({"accel_tags": "one"}, "tags", ("one",)),
        ({"accel_tags": ["one", "two"]}, "tags", ("one", "two")),
        ({"accel_tags": ()}, "tags", ()),
        ({"accel_user": "ann"}, "user", "ann"),
    ],
)
def test_reads(metadata: dict[str, Any], field: str, value: Any) -> None:
    """Each control in its usual form."""
    controls, problems = read_controls(metadata, ())
    assert problems == []
    assert getattr(controls, field) == value


@pytest.mark.parametrize("name", ["accel_tenant", "tenant", "accel_max_temperature", "accel_key"])
def test_nothing_else_is_read(name: str) -> None:
    """No other name means anything: a tenant, above all, cannot be named."""
    assert read_controls({name: "ann"}, ())[0] is DEFAULT


def test_user_tags_are_their_own() -> None:
    """A user's tag differs for every user."""
    assert len({user_tag(user) for user in ("", "a", "b", "user:a")}) == 4
