"""The calibrated decision: what it serves, and the reason of what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.calibration.shipped import forest, shipped
from accel_core.errors import ConfigError
from accel_core.lexicon.english import English
from accel_core.policy.calibration import Calibration
from accel_core.policy.forest import Forest
from accel_core.policy.gated import Gated
from accel_core.policy.gates import chosen
from accel_core.policy.resemblance import Decision
from accel_core.policy.similarity import Candidate, FixedThreshold

LEXICON = English()
GATES = chosen((), strict=False, extra={})
DECISION = Decision(forest(), LEXICON, GATES)
FOUND = shipped("all-MiniLM-L6-v2")
assert FOUND is not None
SHIPPED = FOUND
FAR = [0.5, 0.5, 0.5, 0.5, 0.5]


def near(text: str, cosine: float) -> list[Candidate]:
    """Return a candidate that nothing else is near to."""
    return [Candidate(text, cosine), *(Candidate("something else", other) for other in FAR)]


def test_serves_the_same_question_in_other_words() -> None:
    """Near, alone, and nothing unexplained."""
    verdict = DECISION.under(SHIPPED).decide(
        "How do I reset my password?", near("how can I reset my password", 0.97)
    )
    assert (verdict.chosen, verdict.reason) == (0, "calibrated")
    assert verdict.probability is not None
    assert verdict.probability >= SHIPPED.serve_from


def test_says_why_not() -> None:
    """Nothing stored, nothing near, probably another question, refused by a gate."""
    policy = DECISION.under(SHIPPED)
    question = "How do I reset my password?"
    assert policy.decide(question, []).reason == "no_entry"
    assert policy.decide(question, near("where is Rome", 0.3)).reason == "below_threshold"
    crowd = [Candidate(f"how do I reset my {thing}", 0.8) for thing in ("phone", "router", "car")]
    assert policy.decide(question, crowd).reason == "improbable"
    opened = DECISION.under(replace(SHIPPED, serve_from=1e-9))
    verdict = opened.decide(
        "Population of Spain in 2019", near("Population of Spain in 2021", 0.97)
    )
    assert (verdict.chosen, verdict.reason) == (None, "gate:number")


def test_a_crowd_of_look_alikes_makes_less_sure() -> None:
    """The same candidate at the same cosine, with and without others as near."""
    policy = DECISION.under(SHIPPED)
    question, stored = "how do I learn to swim", "how can I learn swimming"
    alone = policy.decide(question, near(stored, 0.9)).probability
    crowd = [Candidate(stored, 0.9), *(Candidate("how do I learn to ski", 0.89),) * 5]
    among = policy.decide(question, crowd).probability
    assert alone is not None
    assert among is not None
    assert among < alone


@given(st.floats(0.72, 1.0), st.floats(0.72, 1.0))
def test_nearer_is_never_less_sure(one: float, other: float) -> None:
    """The forest was grown so that it rises with the cosine, all else equal."""
    low, high = sorted((one, other))
    policy = DECISION.under(SHIPPED)
    found = [
        policy.decide("how do I learn to swim", [Candidate("how can I learn swimming", cosine)])
        for cosine in (low, high)
    ]
    assert (found[0].probability or 0) <= (found[1].probability or 0) + 1e-12


def test_a_calibration_moves_the_cosine_and_the_odds() -> None:
    """An encoder whose cosines run lower is calibrated by putting them on the same scale."""
    halved = replace(SHIPPED, scale=(2.0, 0.0), min_similarity=SHIPPED.min_similarity / 2)
    question, stored = "how do I learn to swim", "how can I learn swimming"
    usual = DECISION.under(SHIPPED).decide(question, [Candidate(stored, 0.9)])
    lower = DECISION.under(halved).decide(question, [Candidate(stored, 0.45)])
    assert usual.probability == pytest.approx(lower.probability)
    doubtful = replace(SHIPPED, odds=(1.0, -3.0))
    less = DECISION.under(doubtful).decide(question, [Candidate(stored, 0.9)])
    assert (less.probability or 0) < (usual.probability or 0)


def test_a_forest_of_other_numbers_is_refused() -> None:
    """Numbers in another order would make nonsense of it."""
    other = Forest(("x",), 0.0, ())
    with pytest.raises(ConfigError, match="forest"):
        Decision(other, LEXICON, GATES).under(SHIPPED)


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"format": 2}, "format"),
        ({"format": None}, "format"),
        ({"serve_from": 0}, "serve_from"),
        ({"min_similarity": 2}, "min_similarity"),
        ({"scale": [0, 1]}, "scale"),
        ({"odds": [1]}, "calibration"),
        ({"surprise": 1}, "calibration"),
    ],
)
def test_what_is_no_calibration_is_refused(wrong: dict[str, object], place: str) -> None:
    """With the place and what belongs there."""
    with pytest.raises(ConfigError) as caught:
        Calibration.from_json({**SHIPPED.to_json(), **wrong})
    assert caught.value.path == place
    assert Calibration.from_json(SHIPPED.to_json()) == SHIPPED


def test_gates_stand_behind_any_decision() -> None:
    """Also behind a plain threshold; the very same text is nobody's near miss."""
    policy = Gated(FixedThreshold(min_similarity=0.9), LEXICON, GATES)
    year = "Population of Spain in 2019"
    assert (
        policy.decide(year, [Candidate("Population of Spain in 2021", 0.98)]).reason
        == "gate:number"
    )
    assert policy.decide(year, [Candidate(year, 0.98)]).chosen == 0
    assert policy.decide(year, [Candidate(year, 0.5)]).reason == "below_threshold"
    assert policy.candidates == 1
    assert policy.comparable(year)
