"""What was noted is known, what was not seldom is, and what is old is forgotten."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.known_keys import KnownKeys

keys = st.one_of(
    st.binary(min_size=16, max_size=32), st.integers(0, 12).map(lambda n: bytes([n]) * 16)
)


def key(number: int) -> bytes:
    return blake2b(str(number).encode(), digest_size=24).digest()


@given(noted=st.lists(keys, max_size=60), capacity=st.integers(1, 20))
def test_the_last_are_known(noted: list[bytes], capacity: int) -> None:
    """Of whatever was noted the last `capacity` are known."""
    known = KnownKeys(capacity)
    for one in noted:
        known.note(one)
    assert all(one in known for one in noted[-capacity:])


@given(noted=st.lists(keys), short=st.binary(max_size=15))
def test_cleared_knows_nothing(noted: list[bytes], short: bytes) -> None:
    """After `clear` nothing is known, and what is too short to be a digest never is."""
    known = KnownKeys(50)
    for one in (*noted, short):
        known.note(one)
    assert short not in known
    known.clear()
    assert not any(one in known for one in noted)


def test_few_are_taken_for_known() -> None:
    """Full as it may be, it takes less than 2 % of unknown keys for known ones."""
    known = KnownKeys(2_000)
    for number in range(3_999):
        known.note(key(number))
    wrong = sum(key(number) in known for number in range(10_000, 20_000))
    assert 0 < wrong < 200


def test_old_ones_are_forgotten() -> None:
    """Its memory is bounded, and so is what it knows."""
    known = KnownKeys(100)
    for number in range(1_000):
        known.note(key(number))
    assert sum(key(number) in known for number in range(700)) < 50
