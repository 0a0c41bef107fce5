"""The table of calls: what is found, for how long, and what becomes of what leaves it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from accel_core.drive.flight import DECLINED, FAILED
from accel_core.execution import CallKey, Execution, Origin
from accel_core.executions import Executions, Lifetimes, Room
from accel_core.policy.footprint import footprint_bytes
from accel_core.tenancy import Tenant
from accel_core.testing.doubles import ManualClock

GUESS = Origin("mine", "says", 0.9)


class Named:
    name, static = "lookup", False


class Rig:
    def __init__(self, *, most: int = 10, most_bytes: int = 1 << 20) -> None:
        self.clock = ManualClock()
        self.lost: list[tuple[str, str]] = []
        self.table = Executions(
            Lifetimes(ttl_s=30.0, reuse_s=2.0, static_ttl_s=600.0, timeout_s=10.0),
            Room(most, most_bytes),
            lost=lambda execution, reason: self.lost.append((execution.key.arguments, reason)),
            mono_now=lambda: self.clock.now_s,
            lock=threading.RLock,
        )

    def begin(self, arguments: str, origin: Origin = GUESS, tenant: str = "") -> Execution:
        made = self.table.begin(self.key(arguments, tenant), Named(), origin)  # type: ignore[arg-type]
        assert made is not None
        return made

    def done(self, arguments: str, **options: Any) -> Execution:
        made = self.begin(arguments, **options)
        self.table.end(made, arguments.upper())
        return made

    @staticmethod
    def key(arguments: str, tenant: str = "") -> CallKey:
        return CallKey(Tenant(tenant) if tenant else None, "lookup", arguments)

    def found(self, arguments: str, session: str = "mine") -> bool:
        return self.table.find(self.key(arguments), session) is not None


@pytest.mark.parametrize(("session", "for_s"), [("mine", 30.0), ("another", 2.0)])
def test_a_result_is_found_for_its_time(session: str, for_s: float) -> None:
    rig = Rig()
    rig.done("a")
    rig.clock.advance(for_s)
    assert rig.found("a", session)
    rig.clock.advance(0.01)
    assert not rig.found("a", session)


def test_the_longest_unused_leave_and_what_they_were_is_told() -> None:
    """A guess that was used is not told of; one that leaves while it is under way is stopped."""
    rig, stopped = Rig(most=3), []
    rig.begin("under way").stop = lambda: stopped.append("under way")
    assert rig.table.adopt(rig.done("used")) == (True, True)
    rig.done("b")
    rig.done("c")
    rig.done("d")
    assert rig.lost == [("under way", "evicted")]
    assert stopped == ["under way"]
    assert len(rig.table) == 3


def test_what_nobody_can_use_any_more_makes_room_as_others_begin() -> None:
    rig = Rig()
    for name in "abc":
        rig.done(name)
    rig.clock.advance(31.0)
    rig.done("d")
    assert len(rig.table) == 1
    assert rig.lost == [(name, "expired") for name in "abc"]


def test_one_that_hangs_is_replaced_and_told_once() -> None:
    rig, stopped = Rig(), []
    hanging = rig.begin("a")
    hanging.stop = lambda: stopped.append("a")
    rig.clock.advance(10.01)
    assert not rig.found("a")
    rig.done("a", origin=Origin("mine"))
    rig.table.end(hanging, "LATE")
    assert rig.found("a")
    assert (rig.lost, stopped) == ([("a", "timeout")], ["a"])


def test_a_change_wakes_who_waits_for_what_began_before_it() -> None:
    rig = Rig()
    mine, other = rig.begin("a", tenant="x"), rig.begin("b", tenant="y")
    waiting = [each.flight.follow() for each in (mine, other)]
    rig.table.change(Tenant("x", "ann"))
    assert waiting[0].result(0) is DECLINED
    assert not waiting[1].done()
    assert rig.table.adopt(mine) == (False, False)
    rig.table.change(None)
    assert waiting[1].result(0) is DECLINED
    assert rig.lost == [("a", "changed"), ("b", "changed")]


def test_what_failed_is_found_by_nobody_and_wakes_who_waits() -> None:
    rig = Rig()
    failing = rig.begin("a")
    waiting = failing.flight.follow()
    rig.table.end(failing, FAILED)
    assert waiting.result(0) is FAILED
    assert not rig.found("a")
    assert rig.lost == [("a", "failed")]


def test_a_circle_of_any_length_is_found() -> None:
    """Each of five executes one and waits for the next; the fifth may not wait for the first."""
    rig = Rig()
    ring = [rig.begin(str(n), Origin(f"session {n}")) for n in range(5)]
    inner = rig.begin("inside the last", Origin("nested", inside=ring[4]))
    claims = [rig.table.claim(ring[n + 1].key, "any", ring[n], may_wait=True) for n in range(4)]
    assert claims == ring[1:]
    assert rig.table.claim(ring[0].key, "any", inner, may_wait=True) is None
    assert rig.table.claim(ring[4].key, "any", ring[4], may_wait=True) is None
    # Who is inside none waits for whom he likes; and a circle that was left is none.
    assert rig.table.claim(ring[0].key, "any", None, may_wait=True) is ring[0]
    rig.table.left(ring[3], ring[2])
    assert rig.table.claim(ring[0].key, "any", inner, may_wait=True) is ring[0]


def test_ended_executions_keep_none_alive_that_they_were_part_of() -> None:
    rig = Rig()
    outer = rig.begin("outer", Origin("mine"))
    inner = rig.done("inner", origin=Origin("mine", inside=outer))
    assert inner.origin.inside is None
    assert outer.waits_for == []


def test_a_run_that_ends_keeps_what_was_used_and_gives_up_its_guesses() -> None:
    rig, stopped = Rig(), []
    rig.table.adopt(rig.done("used"))
    rig.done("unused")
    rig.begin("under way").stop = lambda: stopped.append("under way")
    rig.done("another's", origin=Origin("another", "says"))
    rig.table.close("mine")
    assert [rig.found(name) for name in ("used", "unused", "under way")] == [True, False, False]
    assert rig.found("another's", "another")
    assert sorted(rig.lost) == [("under way", "closed"), ("unused", "closed")]
    assert stopped == ["under way"]


def test_nothing_is_kept_when_somebody_is_to_be_forgotten_or_in_a_forked_child() -> None:
    rig = Rig()
    rig.done("a")
    rig.table.clear()
    assert len(rig.table) == 0
    rig.begin("b")
    rig.table.after_fork()
    assert not rig.found("b")


def test_results_are_kept_as_long_as_they_fit_together() -> None:
    """By bytes as by number: the longest unused leave, and what is under way stays."""
    kilobyte = ["x" * 900]
    rig = Rig(most_bytes=int(3.5 * footprint_bytes(kilobyte)))
    under_way = rig.begin("z")
    for name in "abc":
        rig.table.end(rig.begin(name), [*kilobyte])
    claimed = rig.table.claim(rig.key("a"), "mine", None, may_wait=True)  # is used
    assert claimed is not None
    rig.table.left(claimed, None)
    rig.table.end(rig.begin("d"), [*kilobyte])
    assert [name for name in "abcd" if rig.found(name)] == ["a", "c", "d"]
    assert rig.lost == [("b", "evicted")]
    rig.table.clear()
    rig.table.end(under_way, [*kilobyte])
    for name in "abc":
        rig.table.end(rig.begin(name), [*kilobyte])
    assert [name for name in "abc" if rig.found(name)] == ["a", "b", "c"]


def test_a_result_too_large_to_keep_is_given_to_who_waits_and_kept_for_nobody() -> None:
    rig = Rig(most_bytes=1_000)
    rig.done("small")
    large = rig.begin("large")
    assert rig.table.claim(large.key, "mine", None, may_wait=True) is large
    waiting = large.flight.follow()
    rig.table.end(large, "x" * 2_000)
    assert len(waiting.result(0)) == 2_000
    assert rig.table.adopt(large) == (True, True)
    assert rig.found("small")
    assert not rig.found("large")
    assert rig.lost == []


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


class Broken:
    def __sizeof__(self) -> int:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "make",
    [
        lambda text: text,
        lambda text: {"key": [text], "other": (text,)},
        lambda text: {text: 1},
        Slotted,
        lambda text: ManualClock(chance=text),
        lambda text: [Slotted({"a": ManualClock(chance=text)})],
    ],
)
def test_a_footprint_is_of_all_that_a_value_holds(make: Any) -> None:
    """Once each, in whatever it is."""
    small, large = (footprint_bytes(make("x" * length)) for length in (1_000, 51_000))
    assert large - small == pytest.approx(50_000, rel=0.001)
    assert small < 3_000


def test_what_holds_itself_or_cannot_be_looked_at_has_a_footprint() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert footprint_bytes(loop) < 200
    assert footprint_bytes([Broken()]) > 1 << 40
