"""Keys that are probably stored elsewhere: the last ones are known, few others taken for one."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import example, given
from hypothesis import strategies as st

from accel_core.policy.known_keys import KnownKeys


def digest(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "big"), digest_size=32).digest()


@example([*range(100), 1, 200], 50)
@given(st.lists(st.integers(0, 150), max_size=300), st.integers(1, 50))
def test_the_last_ones_are_known(numbers: list[int], capacity: int) -> None:
    """Of different keys as many as it is made for are known, whenever each was noted first."""
    known = KnownKeys(capacity)
    for number in numbers:
        known.note(digest(number))
    last = list(dict.fromkeys(reversed(numbers)))[:capacity]
    assert all(digest(number) in known for number in last)


def test_few_others_are_taken_for_known() -> None:
    """Both filters full, less than 2 % of keys that were never noted look known."""
    known = KnownKeys(1000)
    for number in range(2000):
        known.note(digest(number))
    taken = sum(digest(number) in known for number in range(10_000, 30_000))
    assert 0 < taken < 400


def test_old_ones_fade() -> None:
    """What was noted long ago is not known, and nothing is once it is cleared."""
    known = KnownKeys(100)
    for number in range(1000):
        known.note(digest(number))
    assert sum(digest(number) in known for number in range(500)) < 25
    assert digest(999) in known
    known.clear()
    assert not any(digest(number) in known for number in range(1000))


def test_what_is_no_digest_is_passed_over() -> None:
    """Names that somebody wrote by hand may be of any length."""
    known = KnownKeys()
    known.note(b"short")
    assert b"short" not in known
