"""What is broken in speculation, the random agents find: of the core and of either framework."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import (
    speculation_fuzz,
    speculation_langchain_fuzz,
    speculation_langchain_world,
    speculation_llamaindex,
    speculation_llamaindex_world,
)
from langchain_accel import speculative_tools
from llamaindex_accel._speculative_turn import Turn
from tests import speculation_breaks as breaks

if TYPE_CHECKING:
    from tests.speculation_breaks import Break

CORE, LANGCHAIN, LLAMAINDEX = speculation_fuzz, speculation_langchain_fuzz, speculation_llamaindex
FIRST_SEED = {CORE: 6, LANGCHAIN: 0, LLAMAINDEX: 5}
"""Its first runs meet most breaks."""
SEEDS = 40
"""Tried at most; some parts of a run are other threads', and differ from one time to the next."""


@pytest.fixture(autouse=True)
def narrow(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each agent two numbers, so that whatever is stale or somebody else's is read."""
    caplog.set_level(logging.CRITICAL, logger="accel")
    for world in (speculation_langchain_world, speculation_llamaindex_world):
        monkeypatch.setattr(world, "_KEYS", 2)


def finds(fuzzed: Any, kind: str) -> bool:
    first = FIRST_SEED[fuzzed]
    return any(getattr(fuzzed.fuzz(1, first + at), kind) > 0 for at in range(SEEDS))


@pytest.mark.parametrize("fuzzed", FIRST_SEED, ids=["core", "langchain", "llamaindex"])
@pytest.mark.parametrize("broken", breaks.FOUND, ids=lambda broken: broken.__name__)
def test_the_random_agents_find(
    fuzzed: Any, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    assert finds(fuzzed, breaks.FOUND[broken])


def test_the_random_agents_of_langchain_find_a_message_said_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ended(response: Any, _: Any) -> Any:
        # LangGraph takes two of one id for one.
        response.result.append(response.result[-1].model_copy(update={"id": None}))
        return response

    monkeypatch.setattr(speculative_tools, "_ended", ended)
    assert finds(LANGCHAIN, "differing")


def test_the_random_agents_of_llamaindex_find_a_call_said_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Turn.answered

    def answered(self: Turn, response: Any) -> None:
        real(self, response)
        response.message.blocks.extend(copy.deepcopy(response.message.blocks))

    monkeypatch.setattr(Turn, "answered", answered)
    assert finds(LLAMAINDEX, "differing")
