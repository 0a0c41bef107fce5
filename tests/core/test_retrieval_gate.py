"""Whether a message needs retrieval: decided once, in both colours, and searched for in doubt."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.build.gate import build_gate
from accel_core.config import RetrievalGateConfig
from accel_core.encoder.batching import BatchingEncoder
from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.errors import ConfigError
from accel_core.evaluation import gate_fit, measure
from accel_core.evaluation.fit import TooLittleError
from accel_core.evaluation.labelled import Need
from accel_core.events import BackendFailed, RetrievalSkipped
from accel_core.gate.trained import TrainedGate, read_gate
from accel_core.observer.statistics import StatisticsObserver
from accel_core.policy.gate_model import GateModel
from accel_core.policy.small_talk import SmallTalk
from accel_core.ports import GateDecision
from accel_core.testing.doubles import ManualClock, RecordingObserver
from benchmarks.retrieval_gate import examples, held_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.retrieval_gate import RetrievalDecisions


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[[RetrievalDecisions, str], GateDecision]:
    """Return a colour's way to ask."""
    if request.param == "sync":
        return lambda decisions, text: decisions.needs_retrieval(text)
    return lambda decisions, text: asyncio.run(decisions.aneeds_retrieval(text))


class Scripted:
    """A gate that counts, and fails where it is told to."""

    def __init__(self, *, blocking: bool = True) -> None:
        self.blocking, self.asked, self.failing = blocking, list[str](), False

    def needs_retrieval(self, text: str) -> GateDecision:
        self.asked.append(text)
        if self.failing:
            raise RuntimeError("down")
        return GateDecision(text != "hi", "scripted", 0.1)


def front(
    gate: Any = None, observer: Any = None, clock: ManualClock | None = None, **config: Any
) -> RetrievalDecisions:
    """Return a gate's front."""
    clock = clock or ManualClock()
    made = build_gate(
        RetrievalGateConfig(**config),
        None,
        emit=observer or RecordingObserver(),
        mono_now=lambda: clock.now_s,
        gate=gate,
    )
    assert made is not None
    return made


def model(weights: int = 384, **other: Any) -> GateModel:
    known = {
        "encoder": MiniLMEncoder.name, "weights": (0.0,) * weights, "bias": 5.0, "skip_below": 0.25,
        "languages": ("en",), "max_skipped": 0.01, "confidence": 0.95, "questions": 300,
        "small_talk": 60, "skipped": 0, "saved": 0.9,
    }  # fmt: skip
    return GateModel(**(known | other))


@pytest.mark.parametrize("blocking", [True, False])
def test_a_wording_is_decided_once(ask: Any, blocking: bool) -> None:
    """And every skip is an event, counted by its reason."""
    gate, statistics = Scripted(blocking=blocking), StatisticsObserver()
    decisions = front(gate, statistics)
    for text in ("hi", "question", "hi", "question", "hi"):
        assert ask(decisions, text).needed == (text != "hi")
    assert gate.asked == ["hi", "question"]
    assert statistics.snapshot().retrieval_skipped == {"scripted": 3}


def test_only_so_many_are_remembered(ask: Any) -> None:
    """The oldest leave; nothing of their text stays."""
    gate = Scripted()
    decisions = front(gate, remembered=2)
    for text in ("a", "b", "c", "a"):
        ask(decisions, text)
    assert gate.asked == ["a", "b", "c", "a"]
    assert all(isinstance(key, bytes) and len(key) == 16 for key in decisions._known)


def test_a_failing_gate_searches_and_rests(ask: Any) -> None:
    """Three failures in a row, then nobody pays for asking it; nothing wrong is remembered."""
    gate, observer, clock = Scripted(), RecordingObserver(), ManualClock()
    decisions = front(gate, observer, clock)
    gate.failing = True
    for _ in range(5):
        assert ask(decisions, "hi") == GateDecision(needed=True, reason="backend")
    assert len(gate.asked) == 3
    assert len(observer.of(BackendFailed)) == 3
    gate.failing = False
    clock.advance(31)
    assert not ask(decisions, "hi").needed
    assert observer.of(RetrievalSkipped) == [RetrievalSkipped("scripted", 0.1)]


def test_rules_by_configuration(ask: Any) -> None:
    """In the languages that are named, and no gate where none is."""
    decisions = front(kind="rules", languages=("en",))
    assert ask(decisions, "thank you!") == GateDecision(needed=False, reason="thanks")
    assert ask(decisions, "vielen dank!").needed
    assert ask(decisions, "half a \ud83d character").needed
    none = build_gate(RetrievalGateConfig(), None, emit=RecordingObserver(), mono_now=lambda: 0.0)
    assert none is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "trained"}, "path: must name what accel train-gate wrote"),
        ({"kind": "rules", "path": "gate.json"}, "path: must name"),
        ({"kind": "rules", "languages": ("tlh",)}, "languages"),
        ({"remembered": 0}, "remembered: must be above 0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    """With what belongs there."""
    with pytest.raises(ConfigError, match=message):
        RetrievalGateConfig(**settings)


def test_a_trained_gate_needs_its_encoder(tmp_path: Path) -> None:
    """Another encoder's gate, a damaged one or a newer one is refused, with the remedy."""
    path = tmp_path / "gate.json"
    with pytest.raises(ConfigError, match="must be a readable JSON file"):
        read_gate(str(path), "x")
    for spelled, message in (
        ([1], "must be what accel train-gate wrote"),
        ({"format": 2}, "run accel train-gate again"),
        ({"format": 1, "encoder": "x"}, "must be what accel train-gate wrote"),
        (model(bias=0.0).to_json() | {"weights": ["nan"]}, "finite"),
        (model().to_json() | {"skip_below": 0.9}, "skip_below"),
        (model().to_json() | {"surprise": 1}, "must be what accel train-gate wrote"),
        (model().to_json() | {"encoder": "other"}, "belongs to encoder 'other'"),
    ):
        path.write_text(json.dumps(spelled))
        with pytest.raises(ConfigError, match=message):
            read_gate(str(path), MiniLMEncoder.name)
    path.write_text(json.dumps(model().to_json()))
    assert read_gate(str(path), MiniLMEncoder.name) == model()
    config = RetrievalGateConfig(kind="trained", path=str(path))
    with pytest.raises(ConfigError, match="needs its encoder"):
        build_gate(config, None, emit=RecordingObserver(), mono_now=lambda: 0.0)


def test_what_the_encoder_cannot_read_is_searched_for(ask: Any) -> None:
    """Other scripts, accents, long texts; and vectors that the model does not know are an event."""
    everything = TrainedGate(
        model(bias=-5.0), BatchingEncoder(MiniLMEncoder()), SmallTalk(languages=("en",))
    )
    decisions = front(everything)
    assert ask(decisions, "whatever this is").reason == "trained"
    for text, reason in (
        ("как дела", "script"),
        ("¿Cómo estás?", "unknown_tokens"),
        ("word " * 300, "window"),
        (" ", "empty"),
    ):
        assert ask(decisions, text) == GateDecision(needed=True, reason=reason)
    observer = RecordingObserver()
    short = TrainedGate(model(3), BatchingEncoder(MiniLMEncoder()), SmallTalk(languages=()))
    assert ask(front(short, observer), "whatever").reason == "backend"
    assert "trained on 3" in observer.of(BackendFailed)[0].error


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_training_keeps_its_bound_on_what_it_has_not_seen() -> None:
    """Of small talk held out three quarters are skipped, of questions under one in a hundred."""
    encoder, needs, judged = MiniLMEncoder(), examples(), held_out()
    needs = [need for n, need in enumerate(needs) if not need.needed or n % 6 == 0]
    judged = [need for n, need in enumerate(judged) if n % (8 if need.needed else 3) == 0]
    texts = [need.text for need in needs if encoder.distrust(need.text) is None]
    found = gate_fit.train(encoder.name, needs, measure.encoded(encoder, texts), SmallTalk())
    assert found.model.saved > 0.7 > found.saved_by_rules > 0.5
    assert found.model.skipped <= 0.01 * found.model.questions
    gate = TrainedGate(found.model, BatchingEncoder(encoder), SmallTalk())
    skipped = [(need.needed, not gate.needs_retrieval(need.text).needed) for need in judged]
    idle, asked = ([skip for needed, skip in skipped if needed is kind] for kind in (False, True))
    assert sum(idle) >= 0.75 * len(idle)
    assert sum(asked) <= 0.01 * len(asked)


def test_the_bound_is_the_binomial_one() -> None:
    """k is the largest count that would be improbable if the share were above the bound."""
    assert gate_fit.most_skipped(298, 0.01, 0.95) is None
    assert gate_fit.most_skipped(299, 0.01, 0.95) == 0
    assert gate_fit.most_skipped(10, 0.5, 0.5) == 4
    for n in (500, 1_000, 5_000):
        k = gate_fit.most_skipped(n, 0.01, 0.95)
        assert k is not None
        assert 0 <= k < 0.01 * n


def test_too_little_is_said_with_what_is_missing() -> None:
    """Too few of a kind, too few for the bound, or labels that contradict the rules."""
    import numpy as np

    dice = np.random.default_rng(0)

    def some(count: int, name: str, *, needed: bool) -> list[Need]:
        return [Need(f"{name} {n}", needed) for n in range(count)]

    def train(needs: list[Need]) -> object:
        vectors = {
            need.text: (dice.normal(size=4) + 3 * need.needed).astype(np.float32) for need in needs
        }
        return gate_fit.train("x", needs, vectors, SmallTalk())

    idle = some(60, "idle", needed=False)
    with pytest.raises(TooLittleError, match="at least 50 of each"):
        train([*idle, *some(10, "asked", needed=True)])
    with pytest.raises(TooLittleError, match="give 299"):
        train([*idle, *some(100, "asked", needed=True)])
    wrong = [Need(text, needed=True) for text in ("hi", "thanks", "bye")]
    with pytest.raises(TooLittleError, match="check these labels"):
        train([*idle, *some(400, "asked", needed=True), *wrong])
    assert train([*idle, *some(400, "asked", needed=True)]) is not None
