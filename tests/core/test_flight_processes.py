"""Single flight among real processes, which ask one model over one Redis at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from accel_core.testing.model_server import ModelServer
from benchmarks.redis_crowd import Crowd
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PLAIN = {"enabled": False}
STARTED_S = 60.0


@pytest.fixture
def store() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[1]) as server:
        yield server


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def questions(count: int) -> list[list[str]]:
    return [[f"What is known about number {number}?"] for number in range(count)]


def calls(model: ModelServer) -> dict[str, list[str]]:
    """Return the processes that asked each question, in order."""
    asked: dict[str, list[str]] = {}
    for call in model.calls:
        asked.setdefault(call["messages"][-1]["content"], []).append(call["user"])
    return asked


def test_each_question_is_asked_once(store: RedisServer, model: ModelServer) -> None:
    """Eight processes of fifty tasks ask two hundred questions, and the model is asked as often."""
    with Crowd(
        store.url, model.url, questions(200), processes=8, tasks=50, each=25, semantic=PLAIN
    ) as crowd:
        with model.hold():
            crowd.begin()
            # So that followers of every process meet leaders of every other.
            model.wait_for_calls(100, STARTED_S)
        done = crowd.counts()
    assert sum(count["failed"] for count in done) == 0
    assert sum(count["asked"] for count in done) == 8 * 50 * 25
    assert Counter(map(len, calls(model).values())) == {1: 200}


def test_what_a_killed_leader_led_is_asked_once_more(
    store: RedisServer, model: ModelServer
) -> None:
    """Where a process dies, others ask what it was asking, each question once, and nothing else."""
    with Crowd(
        store.url, model.url, questions(40), processes=4, tasks=40, each=20, semantic=PLAIN
    ) as crowd:
        with model.hold():
            crowd.begin()
            model.wait_for_calls(30, STARTED_S)
            leading = {pid for pids in calls(model).values() for pid in pids}
            killed = next(one for one in crowd.processes if str(one.pid) in leading)
            killed.kill()
        done = crowd.counts(killed)
    asked = calls(model)
    led = {question for question, processes in asked.items() if processes[0] == str(killed.pid)}
    assert sum(count["failed"] for count in done) == 0
    assert led
    assert {question: len(processes) for question, processes in asked.items()} == {
        question: 2 if question in led else 1 for question in asked
    }
