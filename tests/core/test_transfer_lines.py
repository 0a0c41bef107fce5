"""A stored entry as a line of JSON: nothing is lost, nothing is believed, nothing is raised."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.seal import Seal
from accel_core.ports import Entry
from accel_core.testing.stores import StoreContract
from accel_core.transfer import lines

OLD, NEW = b"o" * 32, b"n" * 32
PLAIN, SEALED = Seal(), Seal(NEW)

digests = st.binary(min_size=1, max_size=24)
moments = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud800 alone", "\u2028", "\n\0"])


@st.composite
def entries(draw: Any) -> Entry:
    vector = draw(st.none() | st.binary(min_size=1, max_size=8).map(lambda half: half * 2))
    return Entry(
        key=draw(digests),
        scope=draw(digests),
        tenant=draw(st.binary(max_size=24)),
        namespace=draw(texts),
        text=draw(texts),
        payload=draw(st.binary(max_size=40) | texts.map(lambda t: t.encode("utf-8", "ignore"))),
        created_s=draw(moments),
        expires_s=draw(moments | st.just(math.inf)),
        tags=tuple(draw(st.lists(texts, max_size=3))),
        semantic=draw(st.booleans()),
        encoder="" if vector is None else draw(texts),
        vector=vector,
        source=draw(texts),
        fresh_until_s=draw(st.none() | moments),
        cost_s=draw(moments),
    )


@given(entries(), st.sampled_from([PLAIN, SEALED]))
def test_what_is_spelled_is_read_again(entry: Entry, seal: Seal) -> None:
    """Every field comes back equal, from one line of ASCII that is JSON for everybody."""
    line = lines.spell(entry, seal)
    assert line.isascii()
    assert "\n" not in line
    json.loads(line, parse_constant=pytest.fail)
    assert lines.read(line.encode() + b"\n", seal) == entry


@given(entries(), st.data())
def test_a_changed_line_is_not_believed(entry: Entry, data: st.DataObject) -> None:
    """With a key, a line of which any byte was changed is refused, or means the same."""
    line = bytearray(lines.spell(entry, SEALED).encode())
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] = data.draw(st.integers(0, 255))
    found = lines.read(bytes(line), SEALED)
    assert isinstance(found, lines.Refused) or found == entry


@given(entries(), st.randoms(use_true_random=False))
def test_order_and_spaces_do_not_matter(entry: Entry, random: Any) -> None:
    """A line that a tool spelled anew is still sealed."""
    row = list(json.loads(lines.spell(entry, SEALED)).items())
    random.shuffle(row)
    assert lines.read(json.dumps(dict(row), indent=1).encode(), SEALED) == entry


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(line: bytes) -> None:
    """They are no entry, and reading them raises nothing."""
    assert isinstance(lines.read(line, PLAIN), lines.Refused)
    assert lines.check_head(line) is not None
    assert lines.counted(line) is None


@given(entries(), st.data())
def test_a_cut_line_is_refused(entry: Entry, data: st.DataObject) -> None:
    """Wherever it was cut."""
    line = lines.spell(entry, PLAIN).encode()
    cut = line[: data.draw(st.integers(0, len(line) - 1))]
    assert isinstance(lines.read(cut, PLAIN), lines.Refused)


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(entries(), st.sampled_from([*lines.row_of(StoreContract().make_entry()), "seal"]), anything)
def test_any_value_is_read_or_refused(entry: Entry, name: str, value: Any) -> None:
    """A member of any other value raises nothing, and what is read can be spelled again."""
    row = {**lines.row_of(entry), name: value}
    found = lines.read(json.dumps(row).encode(), PLAIN)
    if not isinstance(found, lines.Refused):
        assert lines.read(lines.spell(found, PLAIN).encode(), PLAIN) == found


GOOD = lines.row_of(StoreContract().make_entry())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": None}, "'id' is not a text"),
        ({"id": "xy"}, "'id' is not hexadecimal"),
        ({"id": ""}, "'id' is empty"),
        ({"scope": ...}, "has no member 'scope'"),
        ({"payload": ...}, "needs either 'payload' or 'payload_base64'"),
        ({"payload_base64": "AA=="}, "needs either 'payload' or 'payload_base64'"),
        ({"payload": "\ud800"}, "'payload' holds half a character"),
        ({"payload": ..., "payload_base64": "?"}, "'payload_base64' is not base64"),
        ({"created_s": None}, "'created_s' is not a number of seconds"),
        ({"created_s": True}, "'created_s' is not a number of seconds"),
        ({"expires_s": 10**400}, "'expires_s' is not a number of seconds"),
        ({"expires_s": math.nan}, "'expires_s' is not a number of seconds"),
        ({"tags": "faq"}, "'tags' is not a list of texts"),
        ({"semantic": 1}, "'semantic' is neither true nor false"),
        ({"vector": "AAAA"}, "'vector' is not a vector of float16"),
        ({"vector": ...}, "needs 'encoder' where it has 'vector', and only there"),
        ({"seal": "?"}, "'seal' is not hexadecimal"),
        ({"bases": []}, "has an unknown member 'bases'"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], problem: str) -> None:
    """By its member; no value is quoted, for it may be somebody's text."""
    row = {name: value for name, value in {**GOOD, **change}.items() if value is not ...}
    found = lines.read(json.dumps(row).encode(), PLAIN)
    assert found == lines.Refused("malformed", problem)


def test_deep_nesting_is_refused() -> None:
    """As JSON that is none, whatever the interpreter bears."""
    assert lines.read(b'{"id":' + b"[" * 200_000, PLAIN) == lines.Refused(
        "malformed", "is not a JSON object"
    )


def test_keys_rotate() -> None:
    """Lines under the previous key are read, under another key or none they are not."""
    entry = StoreContract().make_entry()
    line = lines.spell(entry, Seal(OLD)).encode()
    assert lines.read(line, Seal(NEW, OLD)) == entry
    for refused in (line, lines.spell(entry, PLAIN).encode()):
        found = lines.read(refused, SEALED)
        assert isinstance(found, lines.Refused)
        assert found.reason == "seal"
    assert lines.read(line, PLAIN) == entry


def test_first_and_last_line() -> None:
    """They are recognised, and those of another version or program refused in words."""
    assert lines.check_head(lines.head().encode()) is None
    assert lines.counted(lines.foot(7).encode()) == 7
    newer = lines.head().replace("1}", "2}").encode()
    assert lines.check_head(newer) == "has format 2, and this llm-accel reads 1"
    assert lines.check_head(b'{"format":"x"}') == "was not written by `accel store export`"
    assert lines.counted(lines.head().encode()) is None


def test_what_it_rests_on_is_not_spelled() -> None:
    """So a line never claims that documents are as they were."""
    entry = StoreContract().make_entry()
    bare = lines.row_of(replace(entry, bases=()))
    assert lines.row_of(replace(entry, bases=((b"c", 1, None),))) == bare  # type: ignore[arg-type]
