"""What decides whether a near entry may be served: encoder, calibration, word knowledge, gates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core import events
from accel_core.build.encoder import build_encoder, extra_of
from accel_core.calibration.shipped import forest, read_calibration, shipped
from accel_core.errors import ConfigError
from accel_core.forking import renewed_in_children
from accel_core.lexicon.english import English
from accel_core.policy.calibration import EVERYTHING
from accel_core.policy.gated import Gated
from accel_core.policy.gates import chosen
from accel_core.policy.resemblance import Decision
from accel_core.policy.similarity import FixedThreshold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.config import AccelConfig, SemanticConfig
    from accel_core.policy.calibration import Calibration
    from accel_core.policy.gates import Gate
    from accel_core.policy.similarity import AccountablePolicy
    from accel_core.ports import Encoder, Observer

lexicon = English()
"""One for all caches of the process: it is loaded at its first question."""
renewed_in_children(lexicon)


def calibration_of(settings: SemanticConfig, encoder: Encoder) -> Calibration | None:
    """Return the configured calibration, or the one shipped for `encoder`, if any."""
    if settings.calibration is not None:
        return read_calibration(settings.calibration, encoder.name)
    return shipped(encoder.name) if settings.min_similarity is None else None


def build_semantic(
    config: AccelConfig,
    emit: Observer,
    encoder: Encoder | None,
    gates: Mapping[str, Gate],
    *,
    verified: bool,
) -> tuple[Encoder | None, AccountablePolicy | None, str]:
    """Return encoder, similarity policy and, where there is none, the reason."""
    settings = config.cache.semantic
    if not settings.enabled:
        return None, None, "disabled"
    encoder = encoder or build_encoder(settings.encoder, settings.min_similarity)
    if encoder is None:
        remedy = f"pip install 'llm-accel[{extra_of(settings.encoder.kind)}]'"
        emit(events.SemanticUnavailable("no_encoder", remedy))
        return None, None, "no_encoder"
    policy = build_similarity(settings, encoder, gates, verified=verified)
    if policy is None:
        remedy = (
            f"accel calibrate PAIRS --encoder {encoder.name!r}, and name its file under"
            " cache.semantic.calibration; or set cache.semantic.min_similarity, without a bound"
        )
        emit(events.SemanticUnavailable("uncalibrated", remedy))
        return None, None, "uncalibrated"
    return encoder, policy, ""


def shipped_decision() -> Decision:
    """Return what a calibration calibrates: the shipped forest, word knowledge, and gates."""
    return Decision(forest(), lexicon, chosen((), strict=False, extra={}))


def build_similarity(
    settings: SemanticConfig,
    encoder: Encoder,
    gates: Mapping[str, Gate] | None = None,
    *,
    verified: bool = False,
) -> AccountablePolicy | None:
    """Return what decides about `encoder`'s neighbours; None where it is not calibrated.

    With `max_wrong_hits` it chooses whatever no gate refuses: `Learning` has the last word. Beside
    a verifier that is what is probable enough to be verified.

    Args:
        settings: which decision, and which gates.
        encoder: whose cosines are judged.
        gates: the application's own, by name, asked after the package's.
        verified: whether there is a verifier.

    Raises:
        ConfigError: the calibration is not one of `encoder`'s, a gate's name is wrong, or nothing
            lies between `grey_from` and what is served.
    """
    asked = chosen(settings.gates.skip, strict=settings.gates.strict, extra=gates or {})
    if not settings.gates.enabled:
        asked = dict(gates or {})
    threshold, calibration = settings.min_similarity, calibration_of(settings, encoder)
    if calibration is not None:
        serve_from = settings.serve_from or calibration.serve_from
        grey_from = (settings.verifier.grey_from or serve_from / 2) if verified else None
        if settings.max_wrong_hits is not None:
            # Outcomes decide what is served, and so need all that may be.
            serve_from, grey_from = grey_from or EVERYTHING, None
        calibration = replace(calibration, serve_from=serve_from)
        decision = Decision(forest(), lexicon, asked)
        return decision.under(calibration, settings.max_words, grey_from)
    threshold = encoder.min_similarity if threshold is None else threshold
    if threshold is None or settings.max_wrong_hits is not None:
        return None
    grey_from = settings.verifier.grey_from if verified else None
    if verified and grey_from is None:
        expected = "must be set beside a plain threshold: a cosine has no scale of its own"
        raise ConfigError("cache.semantic.verifier.grey_from", grey_from, expected)
    policy = FixedThreshold(
        min_similarity=threshold, max_words=settings.max_words, grey_from=grey_from
    )
    return Gated(policy, lexicon, asked) if asked else policy
