"""Speculation as an `Accel` is configured for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.errors import ConfigError
from accel_core.permits import Permit, speculatable
from accel_core.policy.trajectory import Said
from accel_core.testing.doubles import ManualClock
from tests.core.speculation_rig import Rig, Says, guess

SOME = (Said("user", "where is my order?"),)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(chance=0.999)


def configured(clock: ManualClock, speculation: dict[str, Any], **others: Any) -> Accel:
    return Accel(from_mapping({"speculation": speculation, **others}), clocks=clock.clocks())


def settle() -> None:
    from accel_core.drive import blocking

    blocking.run(Rig(coloured=False).settle())


def test_an_accel_says_which_tools_are_free_and_counts_what_is_saved(clock: ManualClock) -> None:
    with configured(clock, {"tools": ["lookup"], "static": ["schema"]}) as accel:
        assert accel.permits.find("lookup") == Permit(static=False)
        assert accel.permits.find("schema") == Permit(static=True)
        assert accel.permits.find("pay") is None
        tool = Rig(coloured=False).tool()
        session = accel.speculator([Says(guess(7), guess(8))]).session()
        session.think(SOME, {"lookup": tool})
        settle()
        asked = {"id": 7}
        assert session.call(tool, asked, lambda: tool.run(asked))[0] == 7
        session.close(SOME)
        stats = accel.stats()
        assert (stats.tool_guesses, stats.tool_calls_reused) == (2, 1)
        assert stats.tool_guesses_wasted == {"closed": 1}
        assert stats.tool_wait_saved_s == 0.0  # this clock stands


def test_switched_off_nothing_is_free(clock: ManualClock) -> None:
    @speculatable
    def marked() -> None: ...

    with configured(clock, {"enabled": False, "tools": ["lookup"]}) as accel:
        assert accel.permits.find("lookup", marked) is None
        tool = Rig(coloured=False).tool()
        session = accel.speculator([Says(guess(7))]).session()
        session.think(SOME, {"lookup": tool})
        settle()
        assert tool.calls == []


def test_where_a_tenant_is_required_nothing_is_shared_without_one(clock: ManualClock) -> None:
    with configured(clock, {}, security={"tenant_required": True}) as accel:
        tool = Rig(coloured=False).tool()
        session = accel.speculator([Says(guess(7))]).session()
        asked = {"id": 7}
        session.think(SOME, {"lookup": tool})
        settle()
        assert [session.call(tool, asked, lambda: tool.run(asked))[1] for _ in "ab"] == [1, 2]
        with accel.tenant("north", user="ann"):
            assert [session.call(tool, asked, lambda: tool.run(asked))[1] for _ in "ab"] == [3, 3]
        with accel.tenant("north", user="bob"):
            assert session.call(tool, asked, lambda: tool.run(asked))[1] == 4


def test_an_accels_own_tenant_is_whose_its_calls_are(clock: ManualClock) -> None:
    with Accel(tenant="north", clocks=clock.clocks()) as accel:
        tool, speculator = Rig(coloured=False).tool(), accel.speculator()
        session, asked = speculator.session(), {"id": 7}
        assert session.call(tool, asked, lambda: tool.run(asked))[1] == 1
        with accel.tenant("north"):
            assert session.call(tool, asked, lambda: tool.run(asked))[1] == 1


def test_who_is_to_be_forgotten_leaves_no_result_behind(clock: ManualClock) -> None:
    with Accel(clocks=clock.clocks()) as accel:
        tool, speculator = Rig(coloured=False).tool(), accel.speculator()
        session, asked = speculator.session(), {"id": 7}
        session.call(tool, asked, lambda: tool.run(asked))
        assert speculator.state().kept == 1
        accel.forget(tenant="anybody")
        assert speculator.state().kept == 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"threshold": 2}, r"speculation\.threshold.*\[0, 1\]"),
        ({"window_s": "soon"}, r"speculation\.window_s"),
        ({"tools": "lookup"}, r"speculation\.tools.*list"),
        ({"treshold": 0.5}, "did you mean 'threshold'"),
    ],
)
def test_a_wrong_setting_names_its_place(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_mapping({"speculation": setting})


def test_durations_may_be_texts() -> None:
    config = from_mapping({"speculation": {"window_s": "750ms", "static_ttl_s": "1h"}})
    assert (config.speculation.window_s, config.speculation.static_ttl_s) == (0.75, 3600.0)


def test_a_speculator_serves_several_loops() -> None:
    """What was begun on a loop that has ended is waited for by nobody."""
    rig = Rig(coloured=True)
    rig.now_s = lambda: rig.clock.now_s  # type: ignore[method-assign]
    speculator = rig.speculator(Says(guess(7)))

    async def main(hangs: bool) -> Any:
        tool = rig.tool(fates=[rig.gate()] if hangs else [])
        session = speculator.session()
        rig.think(session, tool)
        await asyncio.sleep(0)
        return None if hangs else await rig.call(session, tool, 7)

    assert asyncio.run(main(hangs=True)) is None
    assert asyncio.run(main(hangs=False)) == [7, 1]
    assert speculator.state().guesses_under_way == 0
