"""Entries as bytes: exact, unambiguous, and nobody else's."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.corpus import Basis
from accel_core.policy.seal import Seal
from accel_core.ports import Entry
from accel_core.store import codec
from accel_core.store.codec import decode, encode

KEY, OTHER = b"k" * 32, b"o" * 32

texts = st.text(st.characters(), max_size=20)
entries = st.builds(
    Entry,
    key=st.binary(max_size=40),
    scope=st.binary(max_size=40),
    tenant=st.binary(max_size=40),
    namespace=texts,
    text=texts,
    payload=st.binary(max_size=100),
    created_s=st.floats(allow_nan=False),
    expires_s=st.floats(allow_nan=False),
    tags=st.lists(texts, max_size=3).map(tuple),
    semantic=st.booleans(),
    encoder=texts,
    vector=st.none() | st.binary(max_size=20),
    source=texts,
    fresh_until_s=st.none() | st.floats(allow_nan=False),
    cost_s=st.floats(allow_nan=False),
    bases=st.lists(
        st.builds(
            Basis,
            st.binary(max_size=30),
            st.integers(0, 2**64 - 1),
            st.none() | st.frozensets(st.binary(max_size=10), max_size=4),
        ),
        max_size=3,
    ).map(tuple),
)
seals = st.sampled_from([Seal(), Seal(KEY), Seal(KEY, OTHER)])

SAMPLE = Entry(
    key=b"key",
    scope=b"scope",
    tenant=b"tenant",
    namespace="ns",
    text="text",
    payload=b"payload",
    created_s=1.0,
    expires_s=2.0,
    tags=("a", "b"),
    semantic=True,
    encoder="encoder",
    vector=b"vector",
    source="source",
    fresh_until_s=1.5,
    cost_s=0.5,
    bases=(Basis(b"corpus", 7, frozenset({b"document"})),),
)
OTHERWISE: dict[str, Any] = {
    **dict.fromkeys(("key", "scope", "tenant", "payload", "vector"), b"x"),
    **dict.fromkeys(("namespace", "text", "encoder", "source"), "x"),
    **dict.fromkeys(("created_s", "expires_s", "fresh_until_s", "cost_s"), 3.0),
    "bases": (Basis(b"corpus", 8, frozenset({b"document"})),),
    "tags": ("ab",),
    "semantic": False,
}


@given(entry=entries, seal=seals)
def test_round_trip(entry: Entry, seal: Seal) -> None:
    """Every entry comes back equal."""
    assert decode(encode(entry, seal), seal) == entry


@given(one=entries, two=entries)
def test_no_two_entries_share_their_bytes(one: Entry, two: Entry) -> None:
    """Different entries have different encodings."""
    assert one == two or encode(one, Seal()) != encode(two, Seal())


@given(data=st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: b"\1" + rest))
def test_any_bytes_can_be_read(data: bytes) -> None:
    """Bytes that are not an entry are refused with a reason, never raised over."""
    assert isinstance(decode(data, Seal()), (str, Entry))
    assert decode(data, Seal(KEY)) in ("format", "version", "seal")


@given(entry=entries, place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_changed_bit_breaks_the_seal(entry: Entry, place: int, bit: int) -> None:
    """With a key, no byte of a stored entry can be changed unseen."""
    data = bytearray(encode(entry, Seal(KEY)))
    data[place % len(data)] ^= 1 << bit
    assert isinstance(decode(bytes(data), Seal(KEY)), str)


# Not `shared`: what is stored is.
@pytest.mark.parametrize("name", [field.name for field in fields(Entry) if field.name != "shared"])
def test_every_field_is_sealed(name: str) -> None:
    """A code made for one entry does not fit the same entry with any field changed."""
    mac = encode(SAMPLE, Seal(KEY))[-16:]
    forged = encode(replace(SAMPLE, **{name: OTHERWISE[name]}), Seal()) + mac
    assert decode(forged, Seal(KEY)) == "seal"
    assert decode(encode(SAMPLE, Seal()) + mac, Seal(KEY)) == SAMPLE


@pytest.mark.parametrize("seal", [Seal(), Seal(KEY)], ids=["plain", "sealed"])
def test_a_large_payload_is_stored_small(seal: Seal) -> None:
    """What repeats itself is compressed, and comes back as it was."""
    long = replace(SAMPLE, payload=b'{"text": "the same again"}' * 1000)
    data = encode(long, seal)
    assert len(data) < 1000
    assert decode(data, seal) == long


def test_a_payload_that_does_not_shrink_is_stored_as_it_is() -> None:
    """Random bytes, as an image has, cost no more than themselves."""
    noise = bytes(random.Random(1).randbytes(5000))
    data = encode(replace(SAMPLE, payload=noise), Seal())
    assert noise in data


def test_a_payload_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small entry cannot make its reader take a gigabyte."""
    data = encode(replace(SAMPLE, payload=bytes(20_000)), Seal())
    assert isinstance(decode(data, Seal()), Entry)
    monkeypatch.setattr(codec, "_MAX_UNPACKED_BYTES", 10_000)
    assert decode(data, Seal()) == "format"


def test_with_a_key_unsigned_entries_are_refused() -> None:
    """An entry without a code counts only where no key is set."""
    plain = encode(SAMPLE, Seal())
    assert decode(plain, Seal(KEY)) == "seal"
    assert decode(plain, Seal()) == SAMPLE
    assert decode(encode(SAMPLE, Seal(KEY)), Seal()) == SAMPLE


def test_two_keys_during_rotation() -> None:
    """Either key verifies, the current one signs."""
    rotating = Seal(KEY, OTHER)
    assert decode(encode(SAMPLE, Seal(OTHER)), rotating) == SAMPLE
    assert decode(encode(SAMPLE, rotating), Seal(KEY)) == SAMPLE
    assert decode(encode(SAMPLE, rotating), Seal(OTHER)) == "seal"


def test_long_keys_count_in_full() -> None:
    """Of a key longer than the algorithm takes, no byte is ignored."""
    long = b"k" * 100
    assert Seal(long).verifies(b"m", Seal(long).sign(b"m"))
    assert not Seal(long[:-1] + b"x").verifies(b"m", Seal(long).sign(b"m"))


@pytest.mark.parametrize(
    "keys",
    [(b"short-secret",), (KEY, b"short-secret"), (None, KEY), ("short-secret" * 4,)],
    ids=["short", "short previous", "previous alone", "text"],
)
def test_unusable_keys_are_refused_without_showing_them(keys: tuple[Any, ...]) -> None:
    """A key that is too short or not bytes is a ConfigError that does not hold it."""
    with pytest.raises(ConfigError) as caught:
        Seal(*keys)
    assert "short-secret" not in str(caught.value)
    assert "short-secret" not in repr(caught.value.value)


def test_repr_shows_no_key() -> None:
    """A seal says whether it has keys, never which."""
    assert repr(Seal(KEY)) == "Seal(current=set, previous=unset)"
    assert not hasattr(Seal(KEY), "__dict__")
