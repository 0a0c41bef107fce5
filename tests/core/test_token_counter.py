"""First estimates counted beside the calls: by real tiktoken, and by counters that fail or hang."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import httpx
import pytest

from accel_core import Limiter, token_counter
from accel_core.events import BackendFailed
from accel_core.policy.limits.charge import Usage
from accel_core.policy.limits.token_estimate import TokenEstimate
from accel_core.testing.doubles import RecordingObserver
from accel_core.testing.model_server import ModelServer
from accel_core.token_counter import CountingEstimate, tiktoken_count

NUMBERS = " ".join(str(n * 7919 % 10_007) for n in range(300))
CHINESE = "敏捷的棕色狐狸跳过了懒狗。" * 20


def chat(text: str, model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def body_of(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


class Counter:
    """Counts when it is let to, and tells when it has."""

    def __init__(self, answer: int | Exception = 500) -> None:
        self.answer, self.seen = answer, list[tuple[str, list[str]]]()
        self.goes_on = threading.Event()

    def __call__(self, model: str, texts: list[str]) -> int:
        self.seen.append((model, texts))
        assert self.goes_on.wait(5.0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def finish(counter: Counter) -> None:
    """Let all counts come to their end."""
    counter.goes_on.set()
    for thread in threading.enumerate():
        if thread.name == "accel-tokens":
            thread.join(30.0)


def input_tokens(estimate: TokenEstimate, document: Any) -> float:
    return estimate.read(document, body_of(document)).demand.input_tokens


def test_a_count_that_comes_makes_the_next_estimates_and_no_call_waits_for_it() -> None:
    """The call that is counted is estimated as ever, and so are others until the count is there."""
    counter, plain = Counter(500), TokenEstimate()
    estimate = CountingEstimate(counter, RecordingObserver())
    usual = input_tokens(plain, chat(NUMBERS))
    assert [input_tokens(estimate, chat(NUMBERS)) for _ in range(3)] == [usual] * 3
    finish(counter)
    assert input_tokens(estimate, chat(NUMBERS)) == pytest.approx(504)
    assert input_tokens(estimate, chat(NUMBERS * 2)) == pytest.approx(2 * 504, rel=0.05)
    assert counter.seen == [("gpt-4o", [NUMBERS])]


def test_what_responses_say_goes_before_what_was_counted() -> None:
    """A provider's count is the one that is charged."""
    counter = Counter(500)
    estimate = CountingEstimate(counter, RecordingObserver())
    asked = estimate.read(chat(NUMBERS), body_of(chat(NUMBERS)))
    estimate.learn(asked, Usage(900.0, 1.0))
    finish(counter)
    assert input_tokens(estimate, chat(NUMBERS)) == pytest.approx(990)
    told = CountingEstimate(Counter(), RecordingObserver())
    told.learn(asked, Usage(900.0, 1.0))
    assert input_tokens(told, chat(NUMBERS)) == pytest.approx(990)
    assert not told._asked


def test_each_kind_of_text_is_counted_once_and_files_are_not() -> None:
    """Tokens per byte belong to a model and a script."""
    counter = Counter()
    estimate = CountingEstimate(counter, RecordingObserver())
    image = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    for text in (image, NUMBERS, CHINESE, NUMBERS, CHINESE):
        input_tokens(estimate, chat(text))  # type: ignore[arg-type]
    input_tokens(estimate, chat(NUMBERS, model="gpt-4"))
    finish(counter)
    assert sorted(model for model, _ in counter.seen) == ["gpt-4", "gpt-4o", "gpt-4o"]


def test_a_count_that_fails_is_not_tried_again_and_is_told_once() -> None:
    """Neither for the same kind of text nor for another of that model."""
    counter, seen = Counter(RuntimeError("KeyError")), RecordingObserver()
    estimate = CountingEstimate(counter, seen)
    usual = input_tokens(TokenEstimate(), chat(NUMBERS, model="unknown"))
    for text in (NUMBERS, NUMBERS, CHINESE):
        input_tokens(estimate, chat(text, model="unknown"))
        finish(counter)
    assert input_tokens(estimate, chat(NUMBERS, model="unknown")) == usual
    assert len(counter.seen) == 1
    assert seen.events == [BackendFailed("tiktoken", "count", "RuntimeError('KeyError')")]


def test_only_the_beginning_of_a_long_prompt_is_counted() -> None:
    """A sample tells how long tokens are."""
    counter = Counter(65_536 // 4)
    estimate = CountingEstimate(counter, RecordingObserver())
    input_tokens(estimate, chat("word " * 100_000))
    finish(counter)
    assert sum(map(len, counter.seen[0][1])) == 65_536
    assert input_tokens(estimate, chat("word " * 100_000)) == pytest.approx(125_000, rel=0.01)


def test_everything_a_prompt_says_is_counted() -> None:
    """System prompts, parts, inputs of the Responses API, tools; nothing of images."""
    counter = Counter()
    estimate = CountingEstimate(counter, RecordingObserver())
    parts = [{"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "u"}}]
    tools = [{"name": "t"}]
    document = {"model": "m", "system": "a", "messages": [{"content": parts}], "tools": tools}
    body = b'{"no": "file"}'
    estimate.read({**document, "input": [{"content": [{"text": "c"}]}]}, body)
    finish(counter)
    assert counter.seen[0][1] == ["a", "b", "c", '[{"name": "t"}]']


@pytest.mark.slow
def test_tiktoken_counts_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabularies of llama-index-core's wheel are found, and not by loading either here."""
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    before = dict(os.environ)
    assert tiktoken_count("gpt-4o", ["hello world", "again"]) == 3
    assert dict(os.environ) == before
    with pytest.raises(RuntimeError, match=r"^KeyError$"):
        tiktoken_count("nobody's", ["hello"])


@pytest.mark.slow
def test_without_a_vocabulary_or_a_tokenizer_it_fails_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Air-gapped, or not installed: an error of the count, and nothing worse."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match=r"ProxyError|ConnectionError"):
        tiktoken_count("gpt-4o", ["hello"])
    monkeypatch.setattr(token_counter, "_PROGRAM", "import no_such_tiktoken")
    with pytest.raises(RuntimeError, match=r"^ModuleNotFoundError$"):
        tiktoken_count("gpt-4o", ["hello"])


def test_a_count_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching a vocabulary has no timeout of its own."""
    monkeypatch.setattr(token_counter, "_PROGRAM", "import threading; threading.Event().wait()")
    with pytest.raises(TimeoutError, match=r"no count within 0\.2 s"):
        tiktoken_count("gpt-4o", ["hello"], deadline_s=0.2)


@pytest.mark.slow
def test_a_limiter_counts_where_it_is_asked_to() -> None:
    """What thousands of digits will take is known before a second response could say so."""
    with ModelServer() as server, httpx.Client(base_url=server.url) as http:
        counting, plain = Limiter(count_tokens=True), Limiter()
        for limiter in (counting, plain):
            limiter._calls.learn = lambda *_: None  # type: ignore[method-assign]
            limiter.limited(http).post("chat/completions", json=chat(NUMBERS))
        finish(Counter())
        true = tiktoken_count("gpt-4o", [NUMBERS]) + 7
        told, guessed = (
            input_tokens(limiter._calls._estimate, chat(NUMBERS)) for limiter in (counting, plain)
        )
    assert told == pytest.approx(true, rel=0.02)
    assert guessed < 0.8 * true
