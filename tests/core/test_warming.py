"""Warming up: each question once, evenly, through whatever ends a run; in both colours."""

from __future__ import annotations

import asyncio
import itertools
import json
import stat
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.drive import virtual_time
from accel_core.errors import (
    ConfigError,
    LabelledFileError,
    LimitExceededError,
    MissingExtraError,
    StoreError,
    UnsupportedError,
)
from accel_core.files.warm_progress import WarmProgress
from accel_core.ports import Entry
from accel_core.store.memory import MemoryStore
from accel_core.tenancy import current, tenant
from accel_core.warming import sources
from accel_core.warming.pacer import AimdPacer
from accel_core.warming.run import Standing, Terms, Warmed, awarm, refused_s, warm
from accel_core.warming.target import load_target, target_of
from benchmarks.retrieval_warm import interrupted_twice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUESTIONS = [f"question {number}" for number in range(50)]


class AtOnce:
    """A pacer that never waits, and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str | float] = []

    async def turn(self) -> None:
        self.told.append("turn")

    def answered(self) -> None:
        self.told.append("answered")

    def refused(self, retry_after_s: float) -> None:
        self.told.append(retry_after_s)


class Engine:
    """Something with a sync and an async method, which may raise."""

    def __init__(self, error: Callable[[str, int], BaseException | None] | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self._error = error or (lambda *_: None)
        self.colours: set[str] = set()

    def _note(self, question: str) -> str:
        self.asked[question] += 1
        error = self._error(question, self.asked[question])
        if error is not None:
            raise error
        return f"answer to {question}"

    def query(self, question: str) -> str:
        self.colours.add("sync")
        return self._note(question)

    async def aquery(self, question: str) -> str:
        self.colours.add("async")
        return self._note(question)


class RefusedError(Exception):
    """What an SDK raises for a 429."""

    def __init__(self, **headers: str) -> None:
        super().__init__("rate limited")
        self.status_code = 429
        self.response = type("Response", (), {"headers": headers, "status_code": 429})()


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[..., Warmed]:
    """Return a colour's way to warm, without waiting."""

    def warmed(target: Any, questions: Any = QUESTIONS, **options: Any) -> Warmed:
        options.setdefault("pacer", AtOnce())
        if request.param == "sync":
            return warm(target, questions, **options)
        return asyncio.run(awarm(target, questions, **options))

    return warmed


def test_every_question_is_asked_once(run: Any) -> None:
    """Through the colour's own method, with what is done told after each."""
    engine, standings = Engine(), list[Standing]()
    warmed = run(engine, [*QUESTIONS, *QUESTIONS], report=standings.append)
    assert warmed == Warmed(50, 0, {}, 0, 0)
    assert engine.asked == Counter(QUESTIONS)
    assert len(engine.colours) == 1
    assert [standing.done for standing in standings] == list(range(1, 51))
    assert run(engine, []) == Warmed(0, 0, {}, 0, 0)


def test_a_cancelled_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Cancelled twice in virtual time: what was under way finished, and nothing is asked twice."""
    path, asked = tmp_path / "private" / "warm.progress", Counter[str]()

    async def slow(question: str) -> None:
        asked[question] += 1
        await asyncio.sleep(0.5)

    async def some(seconds: float | None) -> Warmed | None:
        task = asyncio.create_task(awarm(slow, QUESTIONS, rate_per_s=20, progress=path))
        if seconds is None:
            return await task
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return None

    assert virtual_time.run(some(0.8)) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"question" not in path.read_bytes()
    first = asked.total()
    assert 10 < first < 20
    assert virtual_time.run(some(0.8)) is None
    last = virtual_time.run(some(None))
    assert last is not None
    assert (last.asked, last.already) == (50 - last.already, last.already)
    assert asked == Counter(QUESTIONS)
    assert not path.exists(), "a finished warm-up asks everything again next time"


def test_what_does_not_finish_in_time_is_asked_again(tmp_path: Path) -> None:
    """A cancelled run waits its grace, no longer, and has no unanswered question on record."""
    path = tmp_path / "warm.progress"

    async def never(_: str) -> None:
        await asyncio.Event().wait()

    async def cancelled() -> float:
        task = asyncio.create_task(
            awarm(never, QUESTIONS, progress=path, terms=Terms(grace_s=5), pacer=AtOnce())
        )
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.get_running_loop().time()

    assert virtual_time.run(cancelled()) == pytest.approx(6)
    assert all(question not in WarmProgress(path) for question in QUESTIONS)


def test_single_errors_are_counted(run: Any, tmp_path: Path) -> None:
    """By name; the others are asked, and the run is finished."""
    path = tmp_path / "warm.progress"
    engine = Engine(lambda question, _: ValueError() if question.endswith("7") else None)
    warmed = run(engine, progress=path, terms=Terms(max_failures=2, concurrency=1))
    assert warmed == Warmed(45, 0, {"ValueError": 5}, 0, 0)
    assert not path.exists()


def test_too_many_errors_in_a_row_end_it(run: Any, tmp_path: Path) -> None:
    """What was answered before is on record; the next run asks the rest."""
    path = tmp_path / "warm.progress"
    down = Engine(lambda question, _: None if int(question[9:]) < 10 else OSError("down"))
    terms = Terms(max_failures=5, concurrency=1)
    warmed = run(down, progress=path, terms=terms)
    assert (warmed.asked, warmed.errors, warmed.left) == (10, {"OSError": 5}, 35)
    up = Engine()
    assert run(up, progress=path) == Warmed(40, 10, {}, 0, 0)
    assert up.asked.total() == 40


def test_a_refused_question_is_asked_again_more_slowly(run: Any) -> None:
    """For a limiter's error and for any 429, wrapped or not."""
    pacer = AtOnce()

    def refuse(question: str, times: int) -> Exception | None:
        if times > 1:
            return None
        if question == "question 3":
            return LimitExceededError(7.5)
        if question == "question 9":
            outer = RuntimeError("wrapped")
            outer.__cause__ = RefusedError(**{"retry-after": "12"})
            return outer
        return None

    engine = Engine(refuse)
    warmed = run(engine, pacer=pacer, terms=Terms(concurrency=1))
    assert warmed == Warmed(50, 0, {}, 2, 0)
    assert [told for told in pacer.told if isinstance(told, float)] == [7.5, 12.0]
    assert engine.asked["question 3"] == engine.asked["question 9"] == 2


def test_one_wave_of_refusals_counts_once() -> None:
    """What was under way when the rate was lowered says nothing of the new rate."""

    async def all_at_once() -> Warmed:
        seen: Counter[str] = Counter()

        async def refuse(question: str) -> None:
            seen[question] += 1
            await asyncio.sleep(1)
            if seen[question] == 1:
                raise RefusedError

        return await awarm(refuse, QUESTIONS[:30], pacer=AtOnce(), terms=Terms(max_failures=2))

    assert virtual_time.run(all_at_once()) == Warmed(30, 0, {}, 30, 0)


def test_a_key_that_is_exhausted_ends_it(run: Any) -> None:
    """Refusals without any answer are failures, too: nothing is asked for ever."""
    engine = Engine(lambda *_: RefusedError())
    warmed = run(engine, terms=Terms(max_failures=4, concurrency=1))
    assert (warmed.asked, warmed.refused, warmed.left) == (0, 4, 50)


def test_refusals_are_told_from_errors() -> None:
    """By status or kind; without a header the provider does not say when."""
    assert refused_s(RefusedError()) == 0.0
    assert refused_s(RefusedError(**{"Retry-After": "3"})) == 3.0
    assert refused_s(LimitExceededError(2.0)) == 2.0
    assert refused_s(ValueError()) is None


def test_the_pace_falls_and_recovers() -> None:
    """Half the rate after a refusal and the pause that was asked for; back after some answers."""

    async def paced() -> list[float]:
        pacer, loop, at_s = AimdPacer(20), asyncio.get_running_loop(), list[float]()
        for number in range(200):
            await pacer.turn()
            at_s.append(loop.time())
            if number == 9:
                pacer.refused(4.0)
            else:
                pacer.answered()
        assert pacer.rate_per_s == 20
        return at_s

    at_s = virtual_time.run(paced())
    gaps = [round(after - before, 3) for before, after in itertools.pairwise(at_s)]
    assert set(gaps[:9]) == {0.05}
    assert gaps[9] == 4.0
    assert set(gaps[10:20]) == {0.1}
    assert set(gaps[-20:]) == {0.05}

    async def floor() -> float:
        pacer = AimdPacer(64)
        for _ in range(20):
            pacer.refused(0.0)
        return pacer.rate_per_s

    assert virtual_time.run(floor()) == 1


def test_a_broken_progress_file_ends_it(run: Any, tmp_path: Path) -> None:
    """Asking on would ask everything again; a file of something else is not overwritten."""
    folder = tmp_path / "file"
    folder.write_text("not a folder")
    engine = Engine()
    with pytest.raises(StoreError, match="progress"):
        run(engine, progress=folder / "warm.progress", terms=Terms(concurrency=1))
    assert engine.asked.total() <= 1
    with pytest.raises(StoreError, match="is no progress of a warm-up"):
        run(engine, progress=folder)
    assert folder.read_text() == "not a folder"


def test_a_question_that_hangs_is_given_up() -> None:
    """After its time, as an error; the others are asked."""

    async def hang(question: str) -> None:
        if question == "question 1":
            await asyncio.Event().wait()

    warming = awarm(hang, QUESTIONS, pacer=AtOnce(), terms=Terms(timeout_s=9, concurrency=1))
    assert virtual_time.run(warming) == Warmed(49, 0, {"TimeoutError": 1}, 0, 0)


def test_a_report_that_raises_ends_it(run: Any) -> None:
    """With its own error, not silently."""

    def broken(_: Standing) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Engine(), report=broken)


def test_a_progress_file_that_is_taken_away_is_made_anew(tmp_path: Path) -> None:
    """With all that was on record, from several threads at once, too."""
    path = tmp_path / "warm.progress"
    progress = WarmProgress(path)
    progress.add("first")
    path.unlink()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(progress.add, QUESTIONS))
    assert len(WarmProgress(path)) == 51


def test_a_torn_line_is_asked_again(tmp_path: Path) -> None:
    """And swallows none that follows."""
    path = tmp_path / "warm.progress"
    for question in ("a", "b"):
        WarmProgress(path).add(question)
    path.write_bytes(path.read_bytes()[:-5])
    torn = WarmProgress(path)
    assert ("a" in torn, "b" in torn) == (True, False)
    torn.add("c")
    again = WarmProgress(path)
    assert ("a" in again, "b" in again, "c" in again, len(again)) == (True, False, True, 2)


class Both:
    """As LlamaIndex's engines: they can be queried, and retrieve."""

    def query(self, question: str) -> str:
        return question

    def retrieve(self, question: str) -> str:
        raise AssertionError(question)


def test_methods_are_found_by_name() -> None:
    """Runnables, engines, retrievers, models and functions; anything else is named."""
    assert target_of(Both()).name == "query"
    assert target_of(Engine()).aask is not None
    assert target_of(print).name == "print"
    with pytest.raises(UnsupportedError, match="a dict cannot be warmed: it has none of invoke"):
        target_of({})


def test_chains_are_given_what_they_want(run: Any) -> None:
    """A question under its key, in the caller's context, in either kind of function."""
    seen: list[Any] = []

    async def only_async(given: Any) -> None:
        asking = current()
        seen.append((given, asking and asking.id))

    def only_sync(given: Any) -> None:
        asking = current()
        seen.append((given, asking and asking.id))

    for function in (only_async, only_sync):
        with tenant("acme"):
            run(function, ["q"], key="question")
    assert seen == [({"question": "q"}, "acme")] * 2


class Streaming:
    """An engine whose answers stream; they are stored when read to their end."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def query(self, question: str) -> Any:
        def parts() -> Any:
            yield "a"
            self.read.append(question)

        return type("Response", (), {"response_gen": parts()})()

    async def aquery(self, question: str) -> Any:
        async def parts() -> Any:
            yield "a"
            self.read.append(question)

        return type("Response", (), {"async_response_gen": staticmethod(parts)})()


def test_streams_are_read_to_their_end(run: Any) -> None:
    """In both colours."""
    engine = Streaming()
    run(engine, ["one", "two"])
    assert sorted(engine.read) == ["one", "two"]


async def test_warm_refuses_to_block_a_loop() -> None:
    """And names what to await."""
    with pytest.raises(UnsupportedError, match="await awarm"):
        warm(print, ["q"])


def test_warm_asks_in_threads() -> None:
    """So that slow blocking targets overlap."""
    meet = threading.Barrier(4, timeout=10)
    warmed = warm(lambda _: meet.wait(), list("abcd"), pacer=AtOnce(), terms=Terms(concurrency=4))
    assert warmed.asked == 4


def test_numbers_out_of_range_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is what is not installed."""
    with pytest.raises(ConfigError, match="rate_per_s: must be above 0"):
        warm(print, ["q"], rate_per_s=0)
    with pytest.raises(ConfigError, match="concurrency"):
        Terms(concurrency=0)
    with pytest.raises(ConfigError, match="max_failures"):
        Terms(max_failures=0)
    monkeypatch.setitem(sys.modules, "aiolimiter", None)
    with pytest.raises(
        MissingExtraError, match=r"warming up needs: pip install 'llm-accel\[warm\]'"
    ):
        warm(print, ["q"])


def test_the_most_frequent_come_first() -> None:
    """Counts are summed, blanks left out, ties in the order of the source."""
    asked = [("b", 1), ("a", 2), (" b ", 3), ("c", 2), ("  ", 9)]
    assert sources.most_asked(asked) == ["b", "a", "c"]
    assert sources.most_asked(asked, 2) == ["b", "a"]


def test_a_file_of_questions(tmp_path: Path) -> None:
    """Plain texts and counted ones; a mistake is named with its line."""
    path = tmp_path / "questions.jsonl"
    rows = ["How much?", {"question": "Why?", "count": 3}, {"text": "Where?"}]
    path.write_text("\n\n".join(json.dumps(row) for row in rows))
    assert sources.from_file(path) == [("How much?", 1), ("Why?", 3), ("Where?", 1)]
    for line, message in (
        ("How much?", "line 1 is not JSON"),
        ("{}", "line 1 holds no question"),
        ('{"question": "x", "count": true}', "line 1 has the count True"),
    ):
        path.write_text(line)
        with pytest.raises(LabelledFileError, match=message):
            sources.from_file(path)
    with pytest.raises(LabelledFileError, match="cannot be read"):
        sources.from_file(tmp_path / "none.jsonl")


def test_a_store_gives_one_tenants_questions() -> None:
    """The most recently asked first, and nothing of another tenant."""
    store = MemoryStore()
    for number, (owner, text) in enumerate(
        [(b"", "old"), (b"", "new"), (b"acme", "secret"), (b"", ""), (b"", "old2")]
    ):
        store.save(
            [
                Entry(
                    key=bytes([number]), scope=b"", tenant=owner, text=text, payload=b"",
                    created_s=float(number), expires_s=9e9,
                )
            ]
        )  # fmt: skip
    assert sources.from_store(store, [b""]) == [("old2", 1), ("new", 1), ("old", 1)]
    assert sources.from_store(store, [b"acme"]) == [("secret", 1)]


def test_targets_are_loaded_by_name() -> None:
    """A module and an attribute, with dots; what is not there is named."""
    assert load_target("json:decoder.JSONDecoder.decode") is json.JSONDecoder.decode
    for spelled, message in (
        ("json", "must be module:attribute"),
        ("no_such_module:x", "must be importable"),
        ("json:nothing", "must have an attribute 'nothing'"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_target(spelled)


@pytest.mark.slow
def test_the_benchmark_asks_each_question_once_and_spreads_expiry() -> None:
    """A real accelerated model, interrupted twice in virtual time."""
    outcome = interrupted_twice(400)
    assert set(outcome.asked.values()) == {1}
    assert len(outcome.asked) == 400
    assert len(outcome.expires_s) == 400
    assert max(outcome.expires_s) - min(outcome.expires_s) >= 0.09 * 3_600
