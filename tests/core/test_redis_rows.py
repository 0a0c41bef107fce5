"""Entries as they lie on a Redis server: what was stored, or nothing, whatever lies there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.seal import Seal
from accel_core.store.redis_rows import RedisRows, Row
from accel_core.testing.indexes import unit_vectors
from accel_core.testing.searching_stores import bare
from accel_core.testing.stores import StoreContract
from accel_core.vectors import coarse, fine, pack

entry = StoreContract().make_entry
SEALED = Seal(b"k" * 32)
REFUSED: list[str] = []
ROWS = RedisRows(SEALED, REFUSED.append)


@given(dimensions=st.integers(1, 64), payload=st.binary(max_size=3_000), sealed=st.booleans())
def test_read_as_it_was_spelled(dimensions: int, payload: bytes, sealed: bool) -> None:
    """An entry comes back with its vector rounded once, or without and that beside it."""
    rows = ROWS if sealed else RedisRows(Seal(), REFUSED.append)
    small, rounded = coarse(pack(unit_vectors(1, dimensions)[0]))
    one = entry(vector=rounded, payload=payload)
    body, vector = rows.spelled(one)
    assert vector == rounded
    assert rows.entries([Row(one.key, body)]) == [one]
    assert rows.bare([Row(one.key, body)]) == [(bare(one), small)]


@pytest.mark.parametrize("packed", [None, b"", b"odd", b"\xff" * 64], ids=repr)
def test_what_is_no_vector_is_left_out(packed: bytes | None) -> None:
    """The entry is kept all the same."""
    body, vector = ROWS.spelled(entry(vector=packed))
    assert vector == b""
    assert ROWS.entries([Row(entry().key, body)]) == [entry(vector=None)]


@given(place=st.integers(0, 10_000), junk=st.binary(max_size=40))
def test_a_changed_one_is_the_same_or_refused(place: int, junk: bytes) -> None:
    """Whatever is written into it, or cut off, what is served is what was signed."""
    one = entry(vector=pack(unit_vectors(1, 16)[0]))
    body, vector = ROWS.spelled(one)
    at = place % len(body)
    for changed in (body[:at] + junk + body[at + len(junk) :], body[:at]):
        REFUSED.clear()
        read = ROWS.entries([Row(one.key, changed)])
        if changed == body:
            assert read == [entry(vector=vector)]
        else:
            assert read == []
            assert "refused" in REFUSED[0]


@given(body=st.binary(max_size=300))
def test_any_bytes_are_read(body: bytes) -> None:
    """Nothing raises, whatever somebody wrote."""
    assert RedisRows(Seal(), REFUSED.append).entries([Row(b"k", body)]) == []
    assert isinstance(ROWS.inspected(Row(b"k", body)).found, str)


def test_another_key_is_refused() -> None:
    """A sealed entry that was copied under another key is not that one."""
    body, _ = ROWS.spelled(entry("one"))
    REFUSED.clear()
    assert ROWS.bare([Row(entry("two").key, body)]) == []
    assert [f"the stored bytes of {entry('two').key.hex()} are refused: key"] == REFUSED


def test_told_with_the_vector_it_had() -> None:
    """Who looks into a store sees the entry that would be fetched."""
    small, rounded = coarse(pack(unit_vectors(1, 16)[0]))
    one = entry(vector=rounded)
    body, _ = ROWS.spelled(one)
    assert fine(small) == rounded
    assert ROWS.inspected(Row(one.key, body)).found == one
