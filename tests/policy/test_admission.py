"""What is admitted, and every refusal by its reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy.admission import Admission, Answer

REASONS = {
    "truncated": [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "max_output_tokens",
        "incomplete",
        "model_context_window_exceeded",
        "pause_turn",
    ],
    "refused": ["content_filter", "refusal", "SAFETY", "blocklist", "prohibited_content"],
    "error": ["error", "malformed_function_call", "MALFORMED_FUNCTION_CALL", "cancelled", "OTHER"],
}
GOOD = ["stop", "STOP", "end_turn", "tool_calls", "function_call", "stop_sequence", "", "completed"]
ANSWERS = st.builds(
    Answer,
    payload=st.binary(max_size=30),
    text=st.text(max_size=20),
    tool_calls=st.booleans(),
    finish_reasons=st.lists(
        st.sampled_from([*GOOD, *(name for names in REASONS.values() for name in names)])
        | st.text(max_size=5),
        max_size=3,
    ).map(tuple),
    refused=st.booleans(),
)


def answer(
    text: str = "Paris", *, reasons: tuple[str, ...] = ("stop",), tool_calls: bool = False
) -> Answer:
    return Answer(text.encode(), text, tool_calls=tool_calls, finish_reasons=reasons)


@pytest.mark.parametrize(
    ("finish", "reason"), [(name, reason) for reason in REASONS for name in REASONS[reason]]
)
def test_bad_ends(finish: str, reason: str) -> None:
    """An answer that was cut off, refused or failed is refused, in any provider's spelling."""
    assert Admission().refuses_answer(answer(reasons=(finish,)), "q") == reason
    assert Admission().refuses_answer(answer(reasons=("stop", finish)), "q") == reason


@pytest.mark.parametrize("finish", GOOD)
def test_good_ends(finish: str) -> None:
    """An answer that ended as it should is admitted, with or without a reason given."""
    assert Admission().refuses_answer(answer(reasons=(finish,)), "q") is None
    assert Admission().refuses_answer(answer(reasons=()), "q") is None


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u00a0"])
def test_empty(text: str) -> None:
    """An answer without a word is refused, unless it asks for tools."""
    assert Admission().refuses_answer(answer(text), "q") == "empty"
    assert Admission().refuses_answer(answer(text, tool_calls=True), "q") is None


@given(ANSWERS, st.text(max_size=20), st.integers(1, 60))
def test_size_counts_the_question(given: Answer, question: str, limit: int) -> None:
    """Whatever is admitted fits, question included, and nothing that fits is too large."""
    reason = Admission(max_entry_bytes=limit).refuses_answer(given, question)
    size = len(given.payload) + len(question)
    if reason is None:
        assert size <= limit
    if reason == "too_large":
        assert size > limit


@given(ANSWERS, st.text(max_size=20))
def test_reasons_are_known(given: Answer, question: str) -> None:
    """Every refusal has a reason of the fixed vocabulary, and a refusal of the model is told."""
    reason = Admission().refuses_answer(given, question)
    assert reason in {None, "refused", "truncated", "error", "empty", "too_large"}
    if given.refused:
        assert reason == "refused"


@given(
    st.none() | st.floats(0, 2) | st.sampled_from([0.3, 0.30000000000000004, 1]),
    st.floats(0, 2),
)
def test_temperature(temperature: float | None, limit: float) -> None:
    """Requests above the limit are refused, at the limit admitted, and so where it is unset."""
    reason = Admission(max_temperature=limit).refuses_request(temperature)
    assert (reason == "temperature") == (temperature is not None and temperature > limit)
    assert reason in {None, "temperature"}


def test_temperature_that_is_no_number() -> None:
    """A temperature that cannot be compared is not admitted as if it were low."""
    assert Admission().refuses_request(float("nan")) == "temperature"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_temperature": -0.1},
        {"max_temperature": float("nan")},
        {"max_entry_bytes": 0},
        {"max_entry_bytes": -1},
    ],
    ids=str,
)
def test_wrong_settings(wrong: dict[str, float]) -> None:
    """A limit out of range is an error that names it."""
    with pytest.raises(ConfigError) as raised:
        Admission(**wrong)  # type: ignore[arg-type]
    assert raised.value.path == next(iter(wrong))
