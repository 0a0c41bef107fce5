"""What one tenant's runs taught as a value is never guessed in another's."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import tenancy
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.policy.trajectory import Observed, Said
from accel_core.prediction.mined import MinedPredictor
from accel_core.tool_speculator import SpeculationSettings, ToolSpeculator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from accel_core.policy.trajectory import Trajectory

FREE = {"search"}


class Search:
    name = identity = "search"
    free, static = True, False

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return arguments

    async def run(self, arguments: Mapping[str, Any]) -> str:
        return "found"

    def copied(self, result: Any) -> Any:
        return result


ASKED = (Said("user", "hello"),)


def ended(place: str) -> Trajectory:
    call = Observed("search", {"place": place}, "found", False, 0)
    return (*ASKED, call, Said("assistant", "done"))


def of(tenant: str) -> AbstractContextManager[None]:
    return tenancy.tenant(tenant)


def places(predictor: MinedPredictor) -> set[object]:
    model = predictor._model
    readers = predictor._memory.read_for(getattr(tenancy.current(), "id", ""))
    return {guess.call.arguments["place"] for guess in model.ranked(ASKED, FREE, readers)}


def test_a_constant_is_guessed_for_the_tenant_who_gave_it_alone() -> None:
    predictor = MinedPredictor()
    for _ in range(12):
        with of("one"):
            predictor.learn(ended("vault nine"), FREE)
    with of("one"):
        assert places(predictor) == {"vault nine"}
    with of("two"):
        assert places(predictor) == set()
        assert not predictor.predict(ASKED, FREE)
    assert places(predictor) == set()


def test_what_nobody_in_particular_gave_is_no_tenants() -> None:
    predictor = MinedPredictor()
    for _ in range(12):
        predictor.learn(ended("vault nine"), FREE)
    assert places(predictor) == {"vault nine"}
    with of("two"):
        assert places(predictor) == set()


def test_several_tenants_have_constants_of_their_own() -> None:
    predictor = MinedPredictor()
    for _ in range(6):
        for tenant in ("one", "two"):
            with of(tenant):
                predictor.learn(ended(f"home of {tenant}"), FREE)
    for tenant in ("one", "two"):
        with of(tenant):
            assert places(predictor) == {f"home of {tenant}"}


def test_a_file_holds_no_tenant_and_nothing_that_one_gave(tmp_path: Path) -> None:
    predictor = MinedPredictor()
    for _ in range(12):
        with of("tenant-one"):
            predictor.learn(ended("vault nine"), FREE)
        predictor.learn(ended("common"), FREE)
    predictor.save(tmp_path / "tools.json")
    spelled = (tmp_path / "tools.json").read_text()
    assert "vault" not in spelled
    assert "tenant-one" not in spelled
    assert json.loads(spelled)["tally"]
    assert places(MinedPredictor.from_file(tmp_path / "tools.json")) == {"common"}


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_run_is_learned_for_its_tenant_wherever_its_end_is_told(colour: str) -> None:
    predictor = MinedPredictor()

    def run(loop: bool) -> None:
        session = speculator.session()
        with of("one"):
            (session.athink if loop else session.think)(ASKED, {"search": Search()})
        session.close(ended("vault nine"))

    async def go() -> None:
        for _ in range(12):
            run(loop=True)

    speculator = ToolSpeculator(
        [predictor],
        settings=SpeculationSettings(),
        colours=(BlockingIo(), AsyncIo()),
        whose=lambda: None,
        emit=lambda _: None,
        mono_now=lambda: 0.0,
        lock=threading.RLock,
    )
    if colour == "async":
        asyncio.run(go())
    else:
        for _ in range(12):
            run(loop=False)
    assert not places(predictor)
    with of("one"):
        assert places(predictor) == {"vault nine"}
