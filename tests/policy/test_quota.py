"""So many within a time, for each by itself."""

from __future__ import annotations

from accel_core.policy.quota import Quota


def test_the_oldest_makes_room() -> None:
    """Two within ten seconds: a third waits until the first is ten seconds old."""
    quota = Quota(2, 10.0)
    assert [quota.allows(b"a", now_s) for now_s in (0, 5, 9, 10, 14, 15)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_each_for_itself_and_not_for_ever() -> None:
    """One does not use up another's, and only so many are remembered."""
    quota = Quota(1, 10.0)
    assert quota.allows(b"a", 0)
    assert not quota.allows(b"a", 1)
    assert all(quota.allows(b"%d" % n, 1) for n in range(2_000))
    assert len(quota._done) == 1_000
