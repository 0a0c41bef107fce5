"""Tokens of a call, from its bytes: sane at once, exact after a few responses, and fast."""

from __future__ import annotations

import json
from base64 import b64encode
from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.limits.body_measure import Measure, measure_of
from accel_core.policy.limits.charge import Demand, Usage
from accel_core.policy.limits.provider_profile import PROFILES
from accel_core.policy.limits.token_estimate import TokenEstimate

IMAGE = b64encode(bytes(range(256)) * 40).decode()
ENGLISH = "The quick brown fox jumps over the lazy dog. " * 50
CHINESE = "敏捷的棕色狐狸跳过了懒狗。" * 50


def body_of(document: Any, **how: Any) -> bytes:
    return json.dumps(document, **{"ensure_ascii": False, **how}).encode()


def chat(text: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def demand(estimate: TokenEstimate, document: Any) -> Demand:
    return estimate.read(document, body_of(document)).demand


def test_bytes_are_told_apart_and_escapes_count_as_what_they_stand_for() -> None:
    """The same prompt measures nearly the same, however its JSON was written."""
    assert measure_of("aé中".encode()) == Measure(1, 5)
    plain, escaped = (
        measure_of(body_of(chat(CHINESE), ensure_ascii=escape)) for escape in (False, True)
    )
    assert plain.script == escaped.script == "other"
    assert escaped.other_bytes == pytest.approx(plain.other_bytes, rel=0.02)
    assert escaped.ascii_bytes == pytest.approx(plain.ascii_bytes, abs=2)
    assert measure_of(body_of(chat(ENGLISH))).script == "ascii"
    assert measure_of(body_of(chat(ENGLISH[:600] + CHINESE[:100]))).script == "mixed"
    assert measure_of(b"") == Measure(0, 0)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{IMAGE}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
        {"type": "input_audio", "input_audio": {"data": IMAGE, "format": "wav"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{IMAGE}"}},
        {"type": "file", "data": f"data:application/pdf;base64,{IMAGE}"},
        {"type": "image_url", "image_url": {"url": "https://example.com/image.png"}},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_files_cost_by_the_piece_and_not_by_their_bytes(
    part: dict[str, Any], separators: tuple[str, str]
) -> None:
    """Each spelling of an image, a sound or a document in a body."""
    measure = measure_of(body_of(chat([part, part]), separators=separators))
    assert measure.files == 2
    assert measure.bytes < 500


@pytest.mark.parametrize(
    "text", ["about ;base64, " + ENGLISH, ";base64," + CHINESE, '"data":"' * 99]
)
def test_a_text_that_talks_of_files_is_a_text(text: str) -> None:
    """None of it is left out."""
    body = body_of(chat(text))
    assert measure_of(body).bytes == len(body)
    escaped = measure_of(body_of({"data": CHINESE}, ensure_ascii=True))
    assert escaped.files == 0


def test_until_something_is_learned_four_bytes_are_a_token() -> None:
    """Three where they are not ASCII; output is not known."""
    estimate = TokenEstimate()
    document = chat(ENGLISH)
    found = demand(estimate, document)
    assert found == Demand(0.25 * len(body_of(document)), None, 0.0)
    assert demand(estimate, chat(CHINESE)).input_tokens == pytest.approx(
        0.33 * len(CHINESE.encode()), rel=0.05
    )


def test_what_responses_say_replaces_the_guess_for_each_model_and_script() -> None:
    """English teaches nothing about Chinese, and a model nothing about another."""
    estimate = TokenEstimate()
    document = chat(ENGLISH)
    asked = estimate.read(document, body_of(document))
    for _ in range(30):
        estimate.learn(asked, Usage(1_000.0, 50.0))
    assert demand(estimate, document).input_tokens == pytest.approx(1_000.0, rel=0.03)
    assert demand(estimate, chat(ENGLISH * 2)).input_tokens == pytest.approx(2_000.0, rel=0.05)
    assert demand(estimate, chat(CHINESE)) == demand(TokenEstimate(), chat(CHINESE))._replace(
        expected_output_tokens=estimate.expected_output_tokens("m")
    )
    assert demand(estimate, {**document, "model": "other"}).expected_output_tokens == 0.0
    assert estimate.expected_output_tokens("m") == pytest.approx(50.0, rel=0.1)


def test_a_deviation_is_added() -> None:
    """Of what varies, most is covered."""
    estimate = TokenEstimate()
    document = chat(ENGLISH)
    asked = estimate.read(document, body_of(document))
    for turn in range(200):
        estimate.learn(asked, Usage(800.0 if turn % 2 else 1_200.0, 100.0 if turn % 2 else 300.0))
    assert 1_150.0 < demand(estimate, document).input_tokens < 1_250.0
    assert 280.0 < estimate.expected_output_tokens("m") < 320.0


def test_what_an_image_costs_is_learned_too() -> None:
    """And images teach nothing about text."""
    estimate = TokenEstimate()
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
    document = chat([part, part])
    asked = estimate.read(document, body_of(document))
    text = 0.25 * asked.measure.bytes
    assert asked.demand.input_tokens == pytest.approx(text + 2 * 765.0)
    for _ in range(30):
        estimate.learn(asked, Usage(text + 2 * 200.0, 5.0))
    assert demand(estimate, document).input_tokens == pytest.approx(text + 400.0, rel=0.1)
    assert demand(estimate, chat("hi")).input_tokens == demand(TokenEstimate(), chat("hi"))[0]


@pytest.mark.parametrize(
    ("more", "maximum"),
    [
        ({}, None),
        ({"max_tokens": 100}, 100.0),
        ({"max_completion_tokens": 100}, 100.0),
        ({"max_output_tokens": 100}, 100.0),
        ({"max_tokens": 100, "max_completion_tokens": 200}, 200.0),
        ({"max_tokens": 100, "n": 3}, 300.0),
        ({"max_tokens": 100, "n": 2, "best_of": 5}, 500.0),
        ({"max_tokens": 100, "n": 10**9}, 12_800.0),
        ({"max_tokens": 100, "n": 0}, 100.0),
        ({"max_tokens": 0}, 0.0),
        *[({"max_tokens": bad, "n": bad}, None) for bad in (None, -1, "9", True, [], 1e300)],
    ],
)
def test_a_call_says_how_much_output_it_may_have(
    more: dict[str, Any], maximum: float | None
) -> None:
    """In every spelling; of several answers, all together."""
    assert demand(TokenEstimate(), chat("hi", **more)).max_output_tokens == maximum


def test_several_answers_are_expected_to_be_as_long_as_several() -> None:
    """What they used is learned by the answer."""
    estimate = TokenEstimate()
    document = chat("hi", n=4)
    estimate.learn(estimate.read(document, body_of(document)), Usage(10.0, 400.0))
    assert estimate.expected_output_tokens("m") == pytest.approx(110.0)
    assert demand(estimate, document).expected_output_tokens == pytest.approx(440.0)


def test_embeddings_are_charged_no_output() -> None:
    """The OpenAI client names an encoding; without it, the first response tells."""
    estimate = TokenEstimate()
    document = {"model": "e", "input": "hi", "encoding_format": "base64"}
    assert PROFILES["openai"].charge(demand(estimate, document)).output_tokens == 0.0
    del document["encoding_format"]
    assert demand(estimate, document).max_output_tokens is None
    estimate.learn(estimate.read(document, body_of(document)), Usage(2.0, 0.0))
    charge = PROFILES["openai"].charge(demand(estimate, document))
    assert charge.tokens == charge.input_tokens
    assert demand(estimate, {**document, "max_output_tokens": 9}).max_output_tokens == 9.0


def test_a_bounded_number_of_models_is_remembered() -> None:
    """The one that answered least recently is forgotten."""
    estimate = TokenEstimate()
    for number in range(1_000):
        for name in ("always", f"m{number}"):
            estimate.learn(estimate.read({"model": name}, b"x"), Usage(1.0, 9.0))
    assert len(estimate._models) == 256
    assert estimate.expected_output_tokens("always") > 0.0
    assert estimate.expected_output_tokens("m0") == 0.0


@given(
    st.one_of(
        st.none(),
        st.lists(st.integers(), max_size=3),
        st.dictionaries(
            st.sampled_from(["model", "n", "max_tokens", "messages", "input", "encoding_format"]),
            st.one_of(st.none(), st.integers(), st.floats(), st.text("ab", max_size=5)),
        ),
    ),
    st.one_of(
        st.binary(max_size=99),
        st.lists(st.sampled_from([b"\\u", b";base64,", b'"', b'"data":"', b"A" * 300])).map(
            b"".join
        ),
    ),
    st.lists(st.tuples(st.floats(), st.floats()), max_size=5),
)
def test_junk_makes_no_estimate_absurd(
    document: Any, body: bytes, used: list[tuple[float, float]]
) -> None:
    """Nothing raises, is negative, or is beyond what a body of its size can be."""
    estimate = TokenEstimate()
    asked = estimate.read(document, body)
    for read, produced in used:
        estimate.learn(asked, Usage(read, produced))
    found = estimate.read(document, body).demand
    assert min(asked.measure) >= 0
    assert 0.0 <= found.input_tokens <= 8.0 * len(body) * 2 + 200_000.0 * asked.measure.files
    assert 0.0 <= found.expected_output_tokens <= 2e7 * 128
    assert found.max_output_tokens is None or 0.0 <= found.max_output_tokens <= 1e9 * 128


@pytest.mark.parametrize(
    "piece", ["word ", '\\"', ";base64,", '"data":"', "中", "\\u4e2d", '";base64,', "A"]
)
def test_ten_megabytes_take_no_time(piece: str) -> None:
    """Whatever they are made of; the bound is generous, for slow machines."""
    body = (piece * (10_000_000 // len(piece.encode()))).encode()
    best_s = float("inf")
    for _ in range(3):
        start_s = thread_time()
        measure_of(body)
        best_s = min(best_s, thread_time() - start_s)
    assert best_s < 0.5
