"""Verifiers in their place: what they ask themselves, closing, forks and other processes."""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.accel import Accel
from accel_core.testing.verifiers import WordsVerifier
from tests.core.verification.rig import GREY, OTHER, QUESTION, WAIT_S, Rig, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable


def test_what_a_verifier_asks_passes_every_cache(make: Callable[..., Rig]) -> None:
    """A verifier whose model is cached here neither waits for itself nor is answered from here."""
    asked: list[Any] = []

    def judge(question: str, stored: str, answer: str) -> bool:
        asked.append(rig.accel.controls(None, None))
        with ThreadPoolExecutor(1) as pool:
            asked.append(pool.submit(rig.accel.controls, None, None).result() is not None)
        return True

    rig = make(judge)
    rig.put(QUESTION)
    assert rig.reason(GREY) == "semantic"
    assert asked == [None, True]
    assert events.CacheBypassed("verifying") in rig.seen.events
    assert rig.accel.controls(None, None) is not None


def test_closing_ends_what_waits(make: Callable[..., Rig]) -> None:
    """Nobody hangs on a verdict that nobody will give."""
    judge = Scripted(True)
    judge.open.clear()
    rig = make(judge, cache={"single_flight": {"enabled": False}})
    rig.put(QUESTION)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(rig.reason, GREY)
        judge.wait_until_asked()
        second = pool.submit(rig.reason, OTHER)
        closing = threading.Thread(target=rig.accel.close)
        closing.start()
        assert second.result(WAIT_S) == "unverified"
        judge.open.set()
        assert first.result(WAIT_S) in {"semantic", "unverified", "no_entry"}
        closing.join(WAIT_S)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_verifies_for_itself() -> None:
    """Beside a parent whose verifier is at work; what was remembered holds."""
    judge = Scripted(True)
    with ExitStack() as close:
        rig = Rig(colour="sync", close=close, verifier=judge)
        rig.put(QUESTION)
        assert rig.reason(GREY) == "semantic"
        judge.open.clear()
        waiting = threading.Thread(target=rig.reason, args=(OTHER,))
        waiting.start()
        judge.wait_until_asked()
        judge.wait_until_asked()
        child = os.fork()
        if child == 0:
            judge.open = threading.Event()
            judge.open.set()
            judge.verdicts = [False]
            rig.put(QUESTION)
            wanted = ["semantic", "verifier:scripted"]
            os._exit(0 if [rig.reason(GREY), rig.reason(OTHER)] == wanted else 1)
        judge.open.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        waiting.join(WAIT_S)


def test_the_verifier_crosses_to_another_process() -> None:
    """A pickled `Accel` keeps its verifier."""
    with Accel(verifier=WordsVerifier("mine")) as accel:
        _, (portable,) = accel.__reduce__()
    assert pickle.loads(pickle.dumps(portable)).verifier.name == "mine"
    assert "WordsVerifier" in repr(accel.cache._meaning._verification._desk)  # type: ignore[union-attr]
