"""Vectors again: what is asked, what is shared, and which answers are none."""

from __future__ import annotations

import asyncio
import itertools
import math
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.embedding_call import EmbeddingCall
from tests.core.embedding_cache.rig import KIND, Asyncio, Blocking, Model, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock


WAIT_S = 10.0  # never reached by a test that passes


class TestServing:
    """Who is asked what."""

    def test_only_what_is_missing_is_asked(self, accel: Accel, colour: Any) -> None:
        """Partial hits become one smaller batch; results stand in the caller's order."""
        model = Model()
        assert colour.ask(accel, model, "a", "bb") == [vector("a"), vector("bb")]
        texts = ["ccc", "bb", "dddd", "a", "ccc"]
        assert colour.ask(accel, model, *texts) == [vector(text) for text in texts]
        assert colour.ask(accel, model, *texts) == [vector(text) for text in texts]
        assert model.asked == [["a", "bb"], ["ccc", "dddd"]]
        assert accel.stats().embeddings_cached == 2 + 4
        assert accel.stats().embeddings_asked == 4
        assert accel.stats().lookups == 0, "answers are counted apart"

    def test_vectors_are_the_callers_own(self, accel: Accel, colour: Any) -> None:
        """A caller who changes a vector changes nobody else's, nor its twin's in the same call."""
        model = Model()
        for _ in range(2):
            one, other = colour.ask(accel, model, "a", "a")
            one[0] = other[1] = -1.0
        assert colour.ask(accel, model, "a", "a") == [vector("a"), vector("a")]

    @pytest.mark.parametrize("texts", [["", " ", "a ", " a", "a", "A", "\ud800", "x" * 100_000]])
    def test_texts_are_told_apart_to_the_letter(
        self, accel: Accel, colour: Any, texts: list[str]
    ) -> None:
        """Blanks, case and length count; nothing is refused or normalised."""
        model = Model(answer=lambda missing: [[float(texts.index(one))] for one in missing])
        for _ in range(2):
            assert colour.ask(accel, model, *texts) == [[float(n)] for n in range(len(texts))]
        assert len(model.asked) == 1

    def test_models_kinds_and_fields_are_told_apart(self, accel: Accel, colour: Any) -> None:
        """Another model, purpose or field, changed in place even, means another vector."""
        model = Model()
        colour.ask(accel, model, "a")
        colour.ask(accel, model, "a", kind="test.embedding.document")
        colour.ask(accel, Model("other"), "a")
        model.name = "renamed"
        colour.ask(accel, model, "a")
        assert model.asked == [["a"]] * 3
        twin = Model("m")
        colour.ask(accel, twin, "a")
        assert twin.asked == []

    def test_tenants_do_not_share(self, accel: Accel, colour: Any) -> None:
        """What one tenant embedded answers no other, and nobody without a tenant."""
        model = Model()
        for tenant in ("one", "two", "one"):
            with accel.tenant(tenant):
                colour.ask(accel, model, "a")
        colour.ask(accel, model, "a")
        assert model.asked == [["a"]] * 3

    def test_no_tenant_no_cache(self, make: Callable[..., Accel], colour: Any) -> None:
        """Where tenants are required and none is set, the model is asked and nothing is kept."""
        accel, model = make({"security": {"tenant_required": True}}), Model()
        for _ in range(2):
            assert colour.ask(accel, model, "a") == [vector("a")]
        assert len(model.asked) == 2
        assert accel.stats().bypassed == {"tenant_required": 2}

    def test_lifetimes_are_jittered_and_kept(
        self, make: Callable[..., Accel], clock: ManualClock, colour: Any
    ) -> None:
        """A vector is served until its jittered lifetime ends, and asked for anew then."""
        accel, model = make({"embeddings": {"ttl": {"base_s": 100, "jitter": 0.1}}}), Model()
        clock.chance = 0.5
        colour.ask(accel, model, "a")
        clock.advance(94.9)
        colour.ask(accel, model, "a")
        assert len(model.asked) == 1
        clock.advance(0.2)
        colour.ask(accel, model, "a")
        assert len(model.asked) == 2

    def test_memory_is_bounded(self, make: Callable[..., Accel], colour: Any) -> None:
        """A corpus larger than memory displaces vectors, never answers, and stays in its bounds."""
        accel, model = make({"embeddings": {"memory": {"max_entries": 10}}}), Model()
        colour.ask(accel, model, *map(str, range(100)))
        colour.ask(accel, model, *map(str, range(100)))
        assert len(model.asked[1]) >= 90
        assert accel.stats().evicted >= 90

    async def test_a_large_batch_is_not_worked_on_by_the_loop(
        self, accel: Accel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Reading and keeping hundreds of vectors happens in a worker, a few on the loop."""
        from accel_core import embedding_cache as module

        threads: list[int] = []

        def noted(function: Any) -> Any:
            def call(*args: Any) -> Any:
                threads.append(threading.get_ident())
                return function(*args)

            return call

        for name in ("spell_vector", "read_vector"):
            monkeypatch.setattr(module, name, noted(getattr(module, name)))
        model, texts = Model(), [str(n) for n in range(200)]
        call = EmbeddingCall(accel, KIND, model, Model)
        for _ in range(2):
            await call.avectors(texts, model.aembed)
        assert len(threads) == 400
        assert threading.get_ident() not in threads
        await call.avectors(["0"], model.aembed)
        assert threads[-1] == threading.get_ident()

    def test_closed_means_asked(self, accel: Accel, colour: Any) -> None:
        """After `close` the model is asked as if there was no cache."""
        model = Model()
        colour.ask(accel, model, "a")
        accel.close()
        assert colour.ask(accel, model, "a") == [vector("a")]
        assert len(model.asked) == 2


class TestBadAnswers:
    """What a model may get wrong."""

    def test_its_error_is_its_own(self, accel: Accel, colour: Any) -> None:
        """An exception passes as it is; nothing is kept, and the next call asks again."""

        def answer(texts: list[str]) -> Any:
            if "bad" in texts:
                raise LookupError("no such text")
            return [vector(text) for text in texts]

        model = Model(answer=answer)
        for _ in range(2):
            with pytest.raises(LookupError, match="no such text"):
                colour.ask(accel, model, "a", "bad")
        assert colour.ask(accel, model, "a") == [vector("a")]
        assert model.asked == [["a", "bad"], ["a", "bad"], ["a"]]
        assert not accel.embeddings._flights

    @pytest.mark.parametrize("bad", [[math.nan], [math.inf, 1.0], [], None, [1], (1.0,)])
    def test_what_is_no_vector_passes_unkept(self, accel: Accel, colour: Any, bad: Any) -> None:
        """What the model gives is given; only lists of finite floats are kept, beside it too."""
        model = Model(answer=lambda texts: [bad if t == "bad" else vector(t) for t in texts])
        for _ in range(2):
            given = colour.ask(accel, model, "a", "bad")
            assert given[0] == vector("a")
            assert given[1] is bad
        assert model.asked == [["a", "bad"], ["bad"]]

    @pytest.mark.parametrize("count", [1, 3, 4])
    def test_too_few_or_too_many(self, accel: Accel, colour: Any, count: int) -> None:
        """Where vectors cannot be told apart, the caller gets what the model alone gives."""
        wrong: list[Any] = []
        model = Model(answer=lambda texts: wrong or [vector(text) for text in texts])
        colour.ask(accel, model, "a")
        wrong += [vector("x")] * count
        model.asked.clear()
        assert colour.ask(accel, model, "a", "b", "c") == [vector("x")] * count
        assert model.asked == [["b", "c"], ["a", "b", "c"]]
        assert not accel.embeddings._flights

    def test_no_vectors_at_all(self, accel: Accel) -> None:
        """What is no list at all is passed on as it is."""
        call = EmbeddingCall(accel, KIND, Model(), Model)
        assert call.vectors(["a"], lambda texts: None) is None  # type: ignore[arg-type,return-value]
        assert not accel.embeddings._flights

    @pytest.mark.parametrize("texts", [[], "text", ("a",), [1], None])
    def test_what_is_no_list_of_texts_is_the_models_to_refuse(
        self, accel: Accel, texts: Any
    ) -> None:
        """Anything the interface does not name goes through untouched."""
        given: list[Any] = []
        EmbeddingCall(accel, KIND, Model(), Model).vectors(texts, lambda t: given.append(t) or [])
        assert given[0] is texts


class Held(Model):
    """Stays inside until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        held[id(self)] = (queue.SimpleQueue(), threading.Semaphore(0))

    def embed(self, texts: list[str]) -> Any:
        entered, gate = held[id(self)]
        entered.put(list(texts))
        assert gate.acquire(timeout=WAIT_S)
        return super().embed(texts)

    async def aembed(self, texts: list[str]) -> Any:
        entered, gate = held[id(self)]
        entered.put(list(texts))
        while not gate.acquire(blocking=False):
            await asyncio.sleep(0.001)
        return super().embed(texts)

    def batch(self) -> list[str]:
        return held[id(self)][0].get(timeout=WAIT_S)

    def let_go(self, times: int = 1) -> None:
        held[id(self)][1].release(times)


held: dict[int, tuple[queue.SimpleQueue[list[str]], threading.Semaphore]] = {}


class TestSingleFlight:
    """The same text at the same time, from threads and loops."""

    @pytest.fixture
    def pool(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(12) as pool:
            yield pool

    def result(self, future: Future[Any]) -> Any:
        return future.result(timeout=WAIT_S)

    def following(self, accel: Accel, count: int) -> None:
        """Return once `count` followers wait."""
        flights = accel.embeddings._flights
        assert flights is not None
        for _ in range(int(WAIT_S * 1000)):
            if sum(len(flight._followers) for flight in list(flights._flights.values())) >= count:
                return
            threading.Event().wait(0.001)
        raise AssertionError(f"{count} never followed")

    def test_a_crowd_asks_once(self, accel: Accel, pool: ThreadPoolExecutor) -> None:
        """Threads and loops that embed one text at the same time make one call."""
        model = Held()
        asked = [pool.submit(Blocking().ask, accel, model, "a")]
        assert model.batch() == ["a"]
        for n in range(10):
            who: Any = Asyncio() if n % 2 else Blocking()
            asked.append(pool.submit(who.ask, accel, model, "a"))
        self.following(accel, 10)
        model.let_go()
        assert [self.result(one) for one in asked] == [[vector("a")]] * 11
        assert model.asked == [["a"]]

    def test_overlapping_batches_ask_for_their_own(
        self, accel: Accel, colour: Any, pool: ThreadPoolExecutor
    ) -> None:
        """Two batches that cross wait for one another's texts, never for each other."""
        model = Held()
        first = pool.submit(colour.ask, accel, model, "a", "b", "c")
        assert model.batch() == ["a", "b", "c"]
        second = pool.submit(colour.ask, accel, model, "d", "c", "b", "e")
        assert model.batch() == ["d", "e"]
        third = pool.submit(colour.ask, accel, model, "e", "a")
        self.following(accel, 1)
        model.let_go(2)
        assert self.result(third) == [vector("e"), vector("a")]
        assert self.result(second) == [vector(text) for text in "dcbe"]
        assert self.result(first) == [vector(text) for text in "abc"]
        assert sorted(itertools.chain(*model.asked)) == list("abcde")

    def test_when_the_first_fails_another_asks(
        self, accel: Accel, colour: Any, pool: ThreadPoolExecutor
    ) -> None:
        """A leader's error is its own; who waited for it asks, once between them."""
        model = Held()
        failing = [True]

        def answer(texts: list[str]) -> Any:
            if failing:
                failing.clear()
                raise LookupError("down")
            return [vector(text) for text in texts]

        model._answer = answer
        first = pool.submit(colour.ask, accel, model, "a")
        model.batch()
        others = [pool.submit(colour.ask, accel, model, "a") for _ in range(3)]
        self.following(accel, 3)
        model.let_go(20)
        with pytest.raises(LookupError):
            self.result(first)
        assert [self.result(one)[0] for one in others] == [vector("a")] * 3
        assert model.asked == [["a"]] * 2
        assert not accel.embeddings._flights

    def test_what_may_not_be_shared_is_asked_by_each(
        self, accel: Accel, colour: Any, pool: ThreadPoolExecutor
    ) -> None:
        """Followers of a vector that cannot be kept ask for themselves, and nobody hangs."""
        model = Held()
        model._answer = lambda texts: [[math.nan]] * len(texts)
        first = pool.submit(colour.ask, accel, model, "a")
        model.batch()
        others = [pool.submit(colour.ask, accel, model, "a") for _ in range(3)]
        self.following(accel, 3)
        model.let_go(4)
        assert all(math.isnan(self.result(one)[0][0]) for one in (first, *others))
        assert model.asked == [["a"]] * 4

    async def test_a_cancelled_caller_harms_nobody(self, accel: Accel) -> None:
        """Cancelled while it asks, its followers ask; while it follows, nothing happens."""
        model = Held()
        call = EmbeddingCall(accel, KIND, model, Model)
        first, second, third = (
            asyncio.create_task(call.avectors(["a"], model.aembed)) for _ in range(3)
        )
        while model.asked or held[id(model)][0].empty():
            await asyncio.sleep(0)
        third.cancel()
        first.cancel()
        model.let_go()
        async with asyncio.timeout(WAIT_S):
            assert await second == [vector("a")]
        assert [task.cancelled() for task in (first, third)] == [True, True]
        assert model.asked == [["a"]]
        assert not accel.embeddings._flights

    def test_inside_a_model_nobody_waits(self, accel: Accel, colour: Any) -> None:
        """A model that embeds through another accelerated one, and again itself, cannot hang."""
        inner = Model("inner")

        def answer(texts: list[str]) -> Any:
            nested = EmbeddingCall(accel, KIND, outer, Model).vectors(texts, inner.embed)
            other = EmbeddingCall(accel, KIND, inner, Model).vectors(texts, inner.embed)
            assert nested == other
            return other

        outer = Model("outer", answer)
        assert colour.ask(accel, outer, "a", "b") == [vector("a"), vector("b")]
        assert colour.ask(accel, outer, "a", "b") == [vector("a"), vector("b")]
        assert outer.asked == [["a", "b"]]
