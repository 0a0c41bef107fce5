"""Small talk told from questions: searches saved, questions wrongly skipped, and what it costs.

The trained gate learns from ``small_talk/seen.jsonl`` and the questions of this package's other
seen sets; both gates are judged on ``small_talk/held_out.jsonl`` and the near misses held out, or
on the questions of ``--questions`` instead. Its small talk was written by the same hand as what
trained it, in another sitting; the phrases of the rules were written before either.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.encoder.batching import BatchingEncoder
from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.evaluation import gate_fit, labelled, measure
from accel_core.evaluation.labelled import Need
from accel_core.gate.rules import RulesGate
from accel_core.gate.trained import TrainedGate
from accel_core.policy.small_talk import SmallTalk
from benchmarks.decision_data import NEAR_MISSES
from benchmarks.harness import Measured, Row
from benchmarks.stream import QUESTIONS
from benchmarks.timing import ratio, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from accel_core.ports import RetrievalGate
    from benchmarks.harness import Context

SMALL_TALK = NEAR_MISSES.parent / "small_talk"


class Judged(NamedTuple):
    """What a gate did: shares of the small talk and of the questions that it skipped."""

    saved: float
    wrong: float
    note: str


def questions(*paths: Path) -> list[str]:
    """Return all questions of labelled files, each once."""
    clusters = (cluster for path in paths for cluster in labelled.read_clusters(path))
    return list(dict.fromkeys(text for cluster in clusters for text in cluster.asks))


def examples() -> list[Need]:
    """Return what the trained gate learns from."""
    written = labelled.read_needs(SMALL_TALK / "seen.jsonl")
    more = (Need(text, needed=True) for text in questions(QUESTIONS, NEAR_MISSES / "seen.jsonl"))
    return _once([*written, *more])


def held_out(path: Path | None = None) -> list[Need]:
    """Return what gates are judged on; with the questions of `path`, where it is given."""
    written = labelled.read_needs(SMALL_TALK / "held_out.jsonl")
    if path is not None:
        written = [need for need in written if not need.needed]
    asked = questions(path or NEAR_MISSES / "held_out.jsonl")
    return _once([*written, *(Need(text, needed=True) for text in asked)])


def _once(needs: Iterable[Need]) -> list[Need]:
    return list({need.text.casefold(): need for need in needs}.values())


def trained(context: Context) -> TrainedGate:
    encoder, needs = MiniLMEncoder(), examples()
    texts = [need.text for need in needs if encoder.distrust(need.text) is None]
    vectors = measure.encoded(encoder, texts, context.report)
    found = gate_fit.train(encoder.name, needs, vectors, SmallTalk())
    return TrainedGate(found.model, BatchingEncoder(encoder), SmallTalk())


def rules(_: Context) -> RulesGate:
    return RulesGate(SmallTalk())


def judged(context: Context, gate: RetrievalGate) -> Judged:
    """Ask `gate` about everything held out."""
    needs = held_out(context.questions)
    skipped: dict[bool, list[bool]] = {True: [], False: []}
    for number, need in enumerate(needs):
        skipped[need.needed].append(not gate.needs_retrieval(need.text).needed)
        context.report(number / len(needs))
    asked, idle = skipped[True], skipped[False]
    note = f"{sum(idle)} of {len(idle)} small talk, {sum(asked)} of {len(asked)} questions skipped"
    return Judged(sum(idle) / len(idle), sum(asked) / len(asked), note)


def _judged_trained(context: Context) -> Judged:
    return judged(context, context.once(trained))


def _judged_rules(context: Context) -> Judged:
    return judged(context, context.once(rules))


def _saved(what: Callable[[Context], Judged]) -> Callable[[Context], Measured]:
    def measure_(context: Context) -> Measured:
        found = context.once(what)
        return Measured(found.saved / 2, found.note)

    return measure_


def _wrong(what: Callable[[Context], Judged]) -> Callable[[Context], Measured]:
    def measure_(context: Context) -> Measured:
        found = context.once(what)
        return Measured(found.wrong, found.note)

    return measure_


def _cost_ms(context: Context, gate: RetrievalGate) -> Measured:
    """Return the median over texts of a decision's processor time, each the best of three rounds.

    Rounds are far apart, so that the encoder remembers no text of the one before.
    """
    texts = [need.text for need in held_out()][: context.pick(400, 100)]
    rounds = [[_spent_ms(gate, text) for text in texts] for _ in range(3)]
    p50, p99 = np.percentile(np.min(rounds, axis=0), (50, 99))
    return Measured(float(p50), f"p99 {p99:.3g} ms")


def _spent_ms(gate: RetrievalGate, text: str) -> float:
    began_s = thread_time()
    gate.needs_retrieval(text)
    return (thread_time() - began_s) * 1e3


def _over_encoding(context: Context) -> Measured:
    gate, encoder = context.once(trained), MiniLMEncoder()
    asked = "How do I change the address of my delivery?"
    found = ratio(
        timed(lambda: gate.needs_retrieval(asked)),
        timed(lambda: encoder.encode([asked])),
        rounds=context.pick(40, 10),
        calls=10,
    )
    return Measured(found.value, str(found))


ROWS = [
    Row(
        name="gate-trained-saved",
        what="trained gate: share of searches saved, every second message small talk",
        op=">=",
        bound=0.4,
        measure=_saved(_judged_trained),
    ),
    Row(
        name="gate-trained-wrong",
        what="trained gate: share of questions wrongly skipped",
        op="<=",
        bound=0.01,
        measure=_wrong(_judged_trained),
    ),
    Row(
        name="gate-trained-ms",
        what="trained gate: processor time of a decision not remembered, ms",
        op="<=",
        bound=5.0,
        measure=lambda context: _cost_ms(context, context.once(trained)),
    ),
    Row(
        name="gate-trained-over",
        what="trained gate: time of a decision ÷ the bare encoder call",
        op="<=",
        bound=1.15,
        measure=_over_encoding,
    ),
    Row(
        name="gate-rules-saved",
        what="rules alone: share of searches saved, every second message small talk",
        op=">=",
        bound=0.25,
        aim=0.4,
        measure=_saved(_judged_rules),
    ),
    Row(
        name="gate-rules-wrong",
        what="rules alone: share of questions wrongly skipped",
        op="<=",
        bound=0.01,
        measure=_wrong(_judged_rules),
    ),
    Row(
        name="gate-rules-ms",
        what="rules alone: processor time of a decision not remembered, ms",
        op="<=",
        bound=0.5,
        measure=lambda context: _cost_ms(context, context.once(rules)),
    ),
]
