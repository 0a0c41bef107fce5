"""Sharing an encoder: who encodes where, with whom, and who gets which error."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from accel_core.encoder.batching import BatchingEncoder
from accel_core.errors import ConfigError, EncoderError, MissingExtraError
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from accel_core.ports import Vector, Vectors

WAIT_S = 20.0  # never reached by a test that passes


class HeldEncoder(HashEncoder):
    """Stays inside `encode` until it is let go; says when it is entered, and with what."""

    def __init__(self) -> None:
        super().__init__(16)
        self.entered: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._gate = threading.Semaphore(0)
        self.threads: list[int] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.threads.append(threading.get_ident())
        self.entered.put(list(texts))
        assert self._gate.acquire(timeout=WAIT_S)
        return super().encode(texts)

    def let_go(self, calls: int = 1) -> None:
        self._gate.release(calls)

    def batch(self) -> list[str]:
        return self.entered.get(timeout=WAIT_S)


class CheckedEncoder(HashEncoder):
    """Returns what `answer` makes of the texts."""

    def __init__(self, answer: Callable[[Sequence[str]], Any]) -> None:
        super().__init__(16)
        self._answer = answer

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = self._answer(texts)
        return vectors


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def held() -> Iterator[HeldEncoder]:
    encoder = HeldEncoder()
    yield encoder
    encoder.let_go(100)


@pytest.fixture
def busy(held: HeldEncoder, pool: ThreadPoolExecutor) -> BatchingEncoder:
    """One slot, and a call inside it."""
    shared = BatchingEncoder(held, slots=1, max_batch=3)
    pool.submit(shared.encode_one, "first")
    assert held.batch() == ["first"]
    return shared


def same(vector: Vector, text: str) -> bool:
    return bool(np.allclose(vector, HashEncoder(16).encode([text])[0], atol=1e-6))


def result(future: Future[Any]) -> Any:
    return future.result(timeout=WAIT_S)


# Who encodes where


def test_lone_call_stays_in_its_thread() -> None:
    """A call that finds a slot free encodes in the caller's own thread."""
    threads = []
    inner = HashEncoder(16)

    def encode(texts: Sequence[str]) -> Vectors:
        threads.append(threading.get_ident())
        return inner.encode(texts)

    shared = BatchingEncoder(CheckedEncoder(encode), slots=1)
    for _ in range(3):
        assert same(shared.encode_one("hello"), "hello")
    assert threads == [threading.get_ident()] * 3


def test_blocked_callers_are_served_by_a_worker(
    held: HeldEncoder, busy: BatchingEncoder, pool: ThreadPoolExecutor
) -> None:
    """A caller who finds no slot gets its vector from a batch that somebody else encodes."""
    ours = threading.get_ident()
    waiting = busy.submit("second")
    held.let_go(2)
    assert same(result(waiting), "second")
    assert ours not in held.threads
    assert len(set(held.threads)) == 2


def test_batches_take_the_oldest_and_its_like(held: HeldEncoder, busy: BatchingEncoder) -> None:
    """A batch holds the oldest text and the queued ones nearest to it in length, in its limit."""
    texts = ["aaaa", "b" * 900, "c" * 5, "d" * 1000, "e" * 6, "f" * 950]
    futures = [busy.submit(text) for text in texts]
    held.let_go(4)
    assert held.batch() == ["aaaa", "c" * 5, "e" * 6]
    assert sorted(held.batch()) == sorted(["b" * 900, "d" * 1000, "f" * 950])
    for text, future in zip(texts, futures, strict=True):
        assert same(result(future), text)


def test_identical_texts_are_encoded_once(held: HeldEncoder, busy: BatchingEncoder) -> None:
    """Everybody who queued the same text gets a vector of their own from one encoding."""
    futures = [busy.submit("same") for _ in range(5)]
    held.let_go(2)
    vectors = [result(future) for future in futures]
    assert held.batch() == ["same"]
    vectors[0][:] = 0
    assert all(same(vector, "same") for vector in vectors[1:])


def test_submit_needs_no_caller_inside() -> None:
    """A text submitted while every slot is free is encoded at once."""
    shared = BatchingEncoder(HashEncoder(16), slots=2)
    assert same(result(shared.submit("hello")), "hello")


def test_never_more_than_the_slots_inside(pool: ThreadPoolExecutor) -> None:
    """However many callers come by however many ways, the encoder meets at most `slots` threads."""
    inner, lock = HashEncoder(16), threading.Lock()
    inside = most = 0

    def encode(texts: Sequence[str]) -> Vectors:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return inner.encode(texts)
        finally:
            with lock:
                inside -= 1

    shared = BatchingEncoder(CheckedEncoder(encode), slots=2, max_batch=4)

    def call(n: int) -> bool:
        text = f"text number {n % 70}"
        vector = shared.encode_one(text) if n % 2 else result(shared.submit(text))
        return same(vector, text)

    assert all(pool.map(call, range(600)))
    assert 1 <= most <= 2


# Errors


def test_one_bad_text_fails_alone() -> None:
    """A text the encoder cannot take fails its own callers; the rest of its batch is served."""
    held = HeldEncoder()
    good = held.encode

    def encode(texts: Sequence[str]) -> Vectors:
        vectors = good(texts)
        if "bad" in texts:
            raise RuntimeError("cannot encode 'bad'")
        return vectors

    held.encode = encode  # type: ignore[method-assign]
    shared = BatchingEncoder(held, slots=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(shared.encode_one, "first")
        held.batch()
        futures = {text: shared.submit(text) for text in ("good", "bad", "fine")}
        held.let_go(10)
        assert same(result(first), "first")
        assert same(result(futures["good"]), "good")
        assert same(result(futures["fine"]), "fine")
        with pytest.raises(EncoderError, match="hash-16") as caught:
            result(futures["bad"])
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "bad" not in str(caught.value), "a message may reach logs; a text may not"


@pytest.mark.parametrize(
    "answer",
    [
        lambda texts: np.full((len(texts), 4), np.nan, np.float32),
        lambda texts: np.full((len(texts), 4), np.inf, np.float32),
        lambda texts: np.zeros((len(texts), 4), np.float32),
        lambda texts: np.zeros((len(texts), 0), np.float32),
        lambda texts: np.ones((len(texts) + 1, 4), np.float32),
        lambda texts: np.ones(4, np.float32),
        lambda texts: np.float32(1),
        lambda texts: [[1.0, 2.0], [1.0]],
        lambda texts: None,
    ],
)
def test_what_is_not_a_vector_is_refused(answer: Callable[[Sequence[str]], Any]) -> None:
    """Not finite, without direction, of the wrong shape: an error that names the encoder."""
    shared = BatchingEncoder(CheckedEncoder(answer), slots=1)
    for _ in range(3):  # and the slot is given back every time
        with pytest.raises(EncoderError, match="hash-16"):
            shared.encode_one("hello")
    with pytest.raises(EncoderError):
        result(shared.submit("hello"))


def test_dimensions_may_not_change() -> None:
    """A vector of another length than the first is an error: it belongs to another space."""
    sizes = iter([4, 4, 5, 4])
    shared = BatchingEncoder(
        CheckedEncoder(lambda texts: np.eye(len(texts), next(sizes), dtype=np.float32))
    )
    shared.encode_one("a")
    shared.encode_one("b")
    with pytest.raises(EncoderError, match=r"\(1, 5\)"):
        shared.encode_one("c")
    shared.encode_one("d")


@pytest.mark.parametrize("scale", [1e-20, 0.5, 3.0, 1e30])
def test_any_length_is_made_unit(scale: float) -> None:
    """An encoder that does not normalise, or answers in lists, is normalised for."""
    shared = BatchingEncoder(CheckedEncoder(lambda texts: [[3 * scale, 4 * scale]] * len(texts)))
    vector = shared.encode_one("hello")
    assert vector.dtype == np.float32
    assert np.allclose(vector, [0.6, 0.8])


def test_a_missing_library_keeps_its_remedy() -> None:
    """An error of this package passes through as it is."""

    def encode(texts: Sequence[str]) -> Vectors:
        raise MissingExtraError("local", "it")

    with pytest.raises(MissingExtraError, match="llm-accel"):
        BatchingEncoder(CheckedEncoder(encode)).encode_one("hello")


def test_an_interrupted_call_gives_its_slot_back() -> None:
    """Even what no caller catches leaves the slot free, and stops nobody else's event loop."""
    raised: list[type[BaseException]] = [KeyboardInterrupt, SystemExit]
    inner = HashEncoder(16)

    def encode(texts: Sequence[str]) -> Vectors:
        if raised:
            raise raised.pop(0)
        return inner.encode(texts)

    shared = BatchingEncoder(CheckedEncoder(encode), slots=1)
    with pytest.raises(KeyboardInterrupt):
        shared.encode_one("hello")
    with pytest.raises(EncoderError, match="SystemExit"):
        result(shared.submit("hello"))
    assert same(shared.encode_one("hello"), "hello")


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no worker can be started, the text fails at once and the slot stays usable."""
    shared = BatchingEncoder(HashEncoder(16), slots=1)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        future = shared.submit("hello")
    with pytest.raises(EncoderError, match="thread"):
        result(future)
    assert same(shared.encode_one("hello"), "hello")
    assert same(result(shared.submit("hello")), "hello")


# Leaving early


def test_cancelled_texts_are_skipped(held: HeldEncoder, busy: BatchingEncoder) -> None:
    """A text nobody waits for any more is not encoded; one with a caller left is."""
    dropped, kept, shared_text = busy.submit("dropped"), busy.submit("kept"), busy.submit("both")
    again = busy.submit("both")
    assert dropped.cancel()
    assert shared_text.cancel()
    held.let_go(2)
    assert held.batch() == ["kept", "both"]
    assert same(result(kept), "kept")
    assert same(result(again), "both")


def test_all_cancelled_frees_the_slot(held: HeldEncoder, busy: BatchingEncoder) -> None:
    """A queue of cancelled texts ends with the slot free."""
    for future in [busy.submit(text) for text in ("a", "b", "c", "d")]:
        assert future.cancel()
    held.let_go(2)
    assert same(result(busy.submit("after")), "after")
    assert held.batch() == ["after"]


def test_close_fails_what_waits_and_what_comes(
    held: HeldEncoder, busy: BatchingEncoder, pool: ThreadPoolExecutor
) -> None:
    """Closing fails queued and later texts, and waits for the batch under way."""
    under_way = busy.submit("under way")
    held.let_go()
    assert held.batch() == ["under way"]
    queued = busy.submit("queued")
    closing = pool.submit(busy.close, WAIT_S)
    with pytest.raises(EncoderError, match="closed"):
        result(queued)
    with pytest.raises(EncoderError, match="closed"):
        busy.encode_one("late")
    assert not closing.done()
    held.let_go()
    result(closing)
    assert under_way.done()
    assert same(result(under_way), "under way")
    busy.close()


def test_fork_starts_anew(
    held: HeldEncoder, busy: BatchingEncoder, pool: ThreadPoolExecutor
) -> None:
    """After a fork, slots taken and texts queued by the parent mean nothing to the child."""
    told = []
    held.after_fork = lambda: told.append(True)  # type: ignore[attr-defined]
    parents = busy.submit("the parent's")
    busy.after_fork()
    assert told == [True]
    childs = pool.submit(busy.encode_one, "the child's")
    assert held.batch() == ["the child's"]
    held.let_go(3)
    assert same(result(childs), "the child's")
    # The parent's call gives its slot back to the parent's desk, not to the child's.
    assert same(result(parents), "the parent's")
    inside = pool.submit(busy.encode_one, "one")
    held.batch()
    held.batch()
    beside = pool.submit(busy.encode_one, "two")
    held.let_go()
    assert same(result(inside), "one")
    held.let_go()
    assert same(result(beside), "two")


# asyncio


def test_two_event_loops(pool: ThreadPoolExecutor) -> None:
    """Tasks of several loops and plain threads share one encoder."""
    shared = BatchingEncoder(HashEncoder(16), slots=2)

    async def crowd(loop: int) -> bool:
        texts = [f"loop {loop} text {n}" for n in range(40)]
        vectors = await asyncio.gather(*map(shared.aencode_one, texts))
        return all(map(same, vectors, texts))

    loops = [pool.submit(asyncio.run, crowd(loop)) for loop in range(3)]
    plain = [pool.submit(shared.encode_one, f"plain {n}") for n in range(40)]
    assert all(result(loop) for loop in loops)
    assert all(same(result(vector), f"plain {n}") for n, vector in enumerate(plain))


async def test_a_cancelled_task_takes_its_text_along(
    held: HeldEncoder, busy: BatchingEncoder
) -> None:
    """Cancelling a waiting task takes its text out of the queue."""
    task = asyncio.create_task(busy.aencode_one("dropped"))
    other = asyncio.create_task(busy.aencode_one("kept"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.let_go(2)
    assert same(await other, "kept")
    assert held.batch() == ["kept"]


async def test_an_awaitable_encoder_is_awaited() -> None:
    """An encoder with a coroutine of its own is awaited on the loop, and checked all the same."""

    class Awaitable(HashEncoder):
        rows: Any = None

        def encode(self, texts: Sequence[str]) -> Vectors:
            raise AssertionError("the blocking side must not be used")

        async def aencode(self, texts: Sequence[str]) -> Vectors:
            await asyncio.sleep(0)
            if isinstance(self.rows, Exception):
                raise self.rows
            vectors: Vectors = self.rows
            return vectors

    encoder = Awaitable(2)
    shared = BatchingEncoder(encoder)
    encoder.rows = np.array([[3.0, 4.0]])
    assert np.allclose(await shared.aencode_one("hello"), [0.6, 0.8])
    for rows in (np.array([[0.0, 0.0]]), OSError("down")):
        encoder.rows = rows
        with pytest.raises(EncoderError, match="hash-2"):
            await shared.aencode_one("hello")


# The rest


def test_passes_through() -> None:
    """Name, threshold and distrust are the encoder's own."""
    shared = BatchingEncoder(HashEncoder(32, 0.8))
    assert (shared.name, shared.min_similarity) == ("hash-32", 0.8)
    assert shared.distrust("") == "empty"
    assert shared.distrust("hello") is None
    assert "HashEncoder(32, 0.8)" in repr(shared)


@pytest.mark.parametrize("settings", [{"slots": 0}, {"max_batch": 0}])
def test_refuses_senseless_settings(settings: dict[str, int]) -> None:
    """A setting that would stop everything is an error at once."""
    with pytest.raises(ConfigError):
        BatchingEncoder(HashEncoder(), **settings)
