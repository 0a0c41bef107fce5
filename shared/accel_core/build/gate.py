"""The gate in front of retrieval, wired."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo
from accel_core.errors import ConfigError
from accel_core.gate.rules import RulesGate
from accel_core.gate.trained import TrainedGate, read_gate
from accel_core.policy.small_talk import SmallTalk
from accel_core.retrieval_gate import RetrievalDecisions

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.config import RetrievalGateConfig
    from accel_core.ports import Observer, RetrievalGate, Sensor


def build_gate(
    config: RetrievalGateConfig,
    sensor: Sensor | None,
    *,
    emit: Observer,
    mono_now: Callable[[], float],
    gate: RetrievalGate | None = None,
) -> RetrievalDecisions | None:
    """Return the configured gate; None where everything is searched for.

    Args:
        config: which one.
        sensor: the encoder of a trained one; None: there is none.
        emit: receives events.
        mono_now: monotonic clock, seconds.
        gate: the application's own, used instead of the configured one.

    Raises:
        ConfigError: a trained gate cannot be read, belongs to another encoder, or has none.
    """
    gate = gate or _configured(config, sensor)
    if gate is None:
        return None
    return RetrievalDecisions(
        gate,
        colours=(BlockingIo(), AsyncIo()),
        emit=emit,
        mono_now=mono_now,
        lock=threading.Lock,
        remembered=config.remembered,
    )


def _configured(config: RetrievalGateConfig, sensor: Sensor | None) -> RetrievalGate | None:
    if config.kind == "none":
        return None
    if config.kind == "rules" or config.path is None:
        return RulesGate(SmallTalk(languages=config.languages))
    if sensor is None:
        expected = (
            "a trained gate needs its encoder: install llm-accel[local], or take kind 'rules'"
        )
        raise ConfigError("retrieval.gate.kind", config.kind, expected)
    model = read_gate(config.path, sensor.name)
    return TrainedGate(model, sensor, SmallTalk(languages=model.languages))
