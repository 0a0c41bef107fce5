"""The trust modes' benchmark: what it counts, on a stream small enough to know the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.evaluation.replay import Asking
from accel_core.policy.similarity import Candidate, Verdict
from accel_core.testing.encoders import HashEncoder
from benchmarks.decision import GROUP
from benchmarks.decision_trust import Mode, Streamed

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sure:
    """Is sure of the same words, unless they are vague."""

    candidates = 3
    asked = 0

    def decide(self, question: str, candidates: Sequence[Candidate]) -> Verdict:
        self.asked += 1
        if "gate" in question:
            return Verdict(None, "gate:test", 0.999)
        same = "sure" in question and candidates[0].text.rstrip("? ") == question.rstrip("? ")
        return Verdict(0, "calibrated", 0.999 if same else 0.5)


def streamed(words: str, *, wrong: bool = False, policy: Any = None) -> Streamed:
    """Return a stream of 400 questions, each asked twice running, about two intents or one."""
    asked = []
    for number in range(400):
        for again in range(2):
            cluster = 2 * number + (again if wrong else 0)
            asked.append(Asking(f"{words} question{number} {'?' * again}", cluster, repeat=False))
    encoder, texts = HashEncoder(), [one.text for one in asked]
    vectors = dict(zip(texts, encoder.encode(texts), strict=True))
    return Streamed(asked, vectors, policy or Sure(), seed=1)


def test_the_default_serves_what_is_probable_enough() -> None:
    """From the first question, and never what a gate refuses."""
    came = streamed("sure").run(Mode(), 0.9)
    assert (came.asked, came.scopes, len(came.began)) == (800, 8, 8)
    assert came.hits > 380
    assert streamed("vague").run(Mode(), 0.9).hits == 0
    assert streamed("sure gate").run(Mode(), 0.9).hits == 0


def test_a_bound_begins_when_it_is_proven() -> None:
    """Pooled trust before earned trust, and neither where answers are wrong."""
    stream = streamed("sure")
    pooled, earned = (stream.run(Mode(0.2, trust), 0.9) for trust in ("calibrated", "earned"))
    assert 0 < earned.hits < pooled.hits
    assert min(pooled.began) < min(earned.began)
    assert streamed("sure", wrong=True).run(Mode(0.2, "earned"), 0.9).hits < 20


def test_a_neighbourhood_is_decided_once() -> None:
    """However many modes meet it."""
    policy = Sure()
    stream = streamed("vague", policy=policy)
    for mode in (Mode(), Mode(0.01, "earned"), Mode(0.01)):
        stream.run(mode, 0.9)
    assert policy.asked <= 800


def test_long_rows_are_not_in_a_quick_run() -> None:
    """The rows that take minutes are left out of it."""
    quick = {row.name for row in GROUP.chosen((), quick=True)}
    assert not quick & {"trust-certain", "trust-noisy", "guarantee-own-kept", "guarantee-own-hits"}
    assert "guarantee-kept" in quick
