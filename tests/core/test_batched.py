"""`batched`: who shares a call with whom, who waits, and who gets which error."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import queue
import select
import signal
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core import batched as module
from accel_core import tenancy
from accel_core.batched import batched
from accel_core.errors import BatchError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.drive.gathering import Gathering

WAIT_S = 20.0  # never reached by a test that passes
LONG_S = 1000.0  # how long a line waits in tests in which nothing may hang on it


class Backend:
    """A function of a list that stays inside until it is let go; says with what it was entered."""

    def __init__(self) -> None:
        self.entered: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._gate = threading.Semaphore(0)
        self.answer: Callable[[list[Any]], Any] = lambda items: [f"<{item}>" for item in items]

    def call(self, items: list[Any]) -> Any:
        self.entered.put(list(items))
        assert self._gate.acquire(timeout=WAIT_S)
        return self.answer(items)

    async def acall(self, items: list[Any]) -> Any:
        self.entered.put(list(items))
        while not self._gate.acquire(blocking=False):
            await asyncio.sleep(0.001)
        return self.answer(items)

    def let_go(self, calls: int = 1) -> None:
        self._gate.release(calls)

    def batch(self) -> list[Any]:
        return self.entered.get(timeout=WAIT_S)

    @property
    def idle(self) -> bool:
        return self.entered.empty()


class Threads:
    """Callers that are threads."""

    def __init__(self, threads: int = 10) -> None:
        self._pool = ThreadPoolExecutor(threads)

    def wrap(self, backend: Backend, **limits: Any) -> Any:
        return batched(backend.call, **limits)

    def ask(self, function: Any, items: Any) -> Future[Any]:
        return self._pool.submit(function, items)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Tasks:
    """Callers that are tasks of one loop, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def wrap(self, backend: Backend, **limits: Any) -> Any:
        return batched(backend.acall, **limits)

    def ask(self, function: Any, items: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(function(items), self.loop)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_S)
        self.loop.close()


@pytest.fixture(params=[Threads, Tasks])
def callers(request: pytest.FixtureRequest) -> Iterator[Threads | Tasks]:
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.let_go(1000)


def lined_up(function: Any, count: int) -> None:
    """Return once `count` items stand in line."""
    shared = _shared(function)
    for _ in range(int(WAIT_S * 1000)):
        gatherings = [shared._threads, *shared._loops.values()]
        groups = [group for one in gatherings for group in list(one._groups.values())]
        if sum(group.line.size for group in groups if group.line) >= count:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{count} items never lined up")


def _shared(function: Any) -> Any:
    cells = function.__closure__ or ()
    return next(cell.cell_contents for cell in cells if hasattr(cell.cell_contents, "acall"))


def forgotten(function: Any) -> bool:
    """Whether nothing is kept of any call."""
    shared = _shared(function)
    gatherings: list[Gathering] = [shared._threads, *shared._loops.values()]
    return not any(one._groups or one._inside for one in gatherings)


def result(future: Future[Any]) -> Any:
    return future.result(timeout=WAIT_S)


class TestSharing:
    """Who goes when, and with whom."""

    def test_a_lone_call_goes_at_once_as_it_is(self, callers: Any, backend: Backend) -> None:
        """With nothing under way, every call is the function's own, one after the other."""
        function = callers.wrap(backend, max_wait_s=LONG_S)
        for items in (["a"], ["b", "c"], ["d"]):
            asked = callers.ask(function, items)
            assert backend.batch() == items
            backend.let_go()
            assert result(asked) == [f"<{item}>" for item in items]
        assert forgotten(function)

    def test_a_full_line_goes_though_a_call_is_under_way(
        self, callers: Any, backend: Backend
    ) -> None:
        """As many items as fit make one call, which waits for nobody; each gets its own results."""
        function = callers.wrap(backend, max_items=4, max_wait_s=LONG_S)
        first = callers.ask(function, ["a"])
        assert backend.batch() == ["a"]
        asked = []
        for n, items in enumerate((["b"], ["c", "d"], ["e"])):
            asked.append(callers.ask(function, items))
            if n < 2:
                lined_up(function, 1 + 2 * n)
        assert backend.batch() == ["b", "c", "d", "e"]
        backend.let_go(2)
        assert result(first) == ["<a>"]
        assert [result(one) for one in asked] == [["<b>"], ["<c>", "<d>"], ["<e>"]]
        assert forgotten(function)

    def test_the_line_goes_when_nothing_is_under_way(self, callers: Any, backend: Backend) -> None:
        """The end of the last call sends those who lined up behind it, however few."""
        function = callers.wrap(backend, max_wait_s=LONG_S)
        first = callers.ask(function, ["a"])
        backend.batch()
        second, third = callers.ask(function, ["b"]), callers.ask(function, ["c"])
        lined_up(function, 2)
        assert backend.idle
        backend.let_go()
        assert result(first) == ["<a>"]
        assert sorted(backend.batch()) == ["b", "c"]
        backend.let_go()
        assert (result(second), result(third)) == (["<b>"], ["<c>"])
        assert forgotten(function)

    def test_nobody_waits_longer_than_said(self, callers: Any, backend: Backend) -> None:
        """A line goes after `max_wait_s` though it is not full and the first call hangs."""
        function = callers.wrap(backend, max_wait_s=0.01)
        callers.ask(function, ["a"])
        backend.batch()
        second = callers.ask(function, ["b"])
        assert backend.batch() == ["b"]
        backend.let_go(2)
        assert result(second) == ["<b>"]

    def test_calls_are_never_split(self, callers: Any, backend: Backend) -> None:
        """Who does not fit any more begins the next line; who fills one goes alone; none too."""
        function = callers.wrap(backend, max_items=3, max_wait_s=LONG_S)
        asked = [callers.ask(function, ["a"])]
        backend.batch()
        asked.append(callers.ask(function, ["b", "c"]))
        lined_up(function, 2)
        asked.append(callers.ask(function, ["d", "e"]))
        assert backend.batch() == ["b", "c"]
        for items in (["f", "g", "h", "i"], ["j", "k", "l"], []):
            asked.append(callers.ask(function, items))
            assert backend.batch() == items
        backend.let_go(10)
        assert [len(result(one)) for one in asked] == [1, 2, 2, 4, 3, 0]
        assert forgotten(function)

    def test_a_crowd(self, callers: Any, backend: Backend) -> None:
        """200 concurrent callers of a slow function make 11 calls; each gets its own result."""
        if isinstance(callers, Threads):
            callers = Threads(200)
        function = callers.wrap(backend, max_wait_s=0.2)
        backend.answer = lambda items: [item * 2 for item in items]
        asked = [callers.ask(function, [0])]
        sizes = [len(backend.batch())]
        asked += [callers.ask(function, [n]) for n in range(1, 200)]
        sizes += [len(backend.batch()) for _ in range(10)]
        backend.let_go(11)
        assert [result(one) for one in asked] == [[n * 2] for n in range(200)]
        assert sizes == [1, *[20] * 9, 19]
        assert forgotten(function)

    def test_tenants_do_not_share(self, callers: Any, backend: Backend) -> None:
        """A call carries items of one tenant only, and runs as that tenant."""
        seen = []

        def answer(items: list[Any]) -> list[Any]:
            now = tenancy.current()
            seen.append((sorted(items), now and now.id))
            return items

        backend.answer = answer
        function = callers.wrap(backend, max_wait_s=0.05)

        def of(tenant: str, item: str) -> Future[Any]:
            with tenancy.tenant(tenant):
                if isinstance(callers, Tasks):
                    return callers.ask(function, [item])
                return callers.ask(partial(contextvars.copy_context().run, function), [item])

        asked = [of("one", "a"), of("two", "b")]
        assert sorted(backend.batch() + backend.batch()) == ["a", "b"]
        asked += [of("one", "c"), of("two", "d"), of("one", "e")]
        lined_up(function, 3)
        backend.let_go(10)
        assert [result(one) for one in asked] == [["a"], ["b"], ["c"], ["d"], ["e"]]
        assert sorted(seen) == [
            (["a"], "one"), (["b"], "two"), (["c", "e"], "one"), (["d"], "two"),
        ]  # fmt: skip

    def test_objects_do_not_share(self, callers: Any) -> None:
        """A batched method is called on the object it was asked of."""
        inside, gate = threading.Semaphore(0), threading.Event()

        class Model:
            def __init__(self, name: str) -> None:
                self.name = name

            @batched(max_wait_s=LONG_S)
            def embed(self, texts: list[str]) -> list[str]:
                inside.release()
                assert gate.wait(WAIT_S)
                return [f"{self.name} {text}" for text in texts]

        one, two = Model("one"), Model("two")
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(one.embed, ["a"]), pool.submit(two.embed, ["b"])]
            assert inside.acquire(timeout=WAIT_S)
            assert inside.acquire(timeout=WAIT_S)
            gate.set()
            assert [result(ask) for ask in asked] == [["one a"], ["two b"]]

    def test_items_of_any_kind(self, callers: Any, backend: Backend) -> None:
        """Items are neither hashed nor compared nor changed: lists, dicts, objects, mixed."""
        backend.answer = list
        function = callers.wrap(backend, max_wait_s=LONG_S)
        kinds: list[Any] = [[1], {"a": {2}}, None, object(), np.zeros(3), "text", float("nan")]
        asked = [callers.ask(function, ["first"])]
        backend.batch()
        asked += [callers.ask(function, [item]) for item in kinds]
        lined_up(function, len(kinds))
        backend.let_go(2)
        assert all(result(one)[0] is item for one, item in zip(asked[1:], kinds, strict=True))

    def test_arrays_come_back_as_arrays(self, callers: Any, backend: Backend) -> None:
        """Results are cut as they are: rows of an array, parts of a tuple."""
        function = callers.wrap(backend, max_wait_s=LONG_S)
        for answer, kind in ((np.array, np.ndarray), (tuple, tuple)):
            backend.answer = answer
            asked = [callers.ask(function, [n]) for n in range(1)]
            backend.batch()
            asked += [callers.ask(function, [n, n]) for n in range(1, 4)]
            lined_up(function, 6)
            backend.let_go(2)
            backend.batch()
            assert all(isinstance(result(one), kind) for one in asked)
            assert [len(result(one)) for one in asked] == [1, 2, 2, 2]


class TestErrors:
    """What goes wrong, and for whom."""

    def test_what_is_raised_reaches_the_callers_of_that_call(
        self, callers: Any, backend: Backend
    ) -> None:
        """A failing call fails all its callers, is not made again, and nobody else's fails."""

        def answer(items: list[Any]) -> list[Any]:
            if "bad" in items:
                raise LookupError("no such item")
            return items

        backend.answer = answer
        function = callers.wrap(backend, max_wait_s=LONG_S)
        first = callers.ask(function, ["a"])
        backend.batch()
        asked = [callers.ask(function, [item]) for item in ("bad", "good")]
        lined_up(function, 2)
        backend.let_go(2)
        backend.batch()
        assert result(first) == ["a"]
        for one in asked:
            with pytest.raises(LookupError, match="no such item"):
                result(one)
        assert backend.idle
        assert forgotten(function)
        backend.let_go()
        assert result(callers.ask(function, ["after"])) == ["after"]

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (lambda items: items[1:], "results for"),
            (lambda items: [*items, 1], "results for"),
            (lambda items: None, "NoneType"),
            (dict.fromkeys, "dict"),
            (set, "set"),
            (iter, "iterator"),
        ],
    )
    def test_results_must_be_one_for_each_item(
        self, callers: Any, backend: Backend, answer: Any, said: str
    ) -> None:
        """Too few, too many, or nothing that has an order: an error that names the function."""
        backend.answer = answer
        function = callers.wrap(backend, max_wait_s=LONG_S)
        asked = [callers.ask(function, ["a"])]
        backend.batch()
        asked += [callers.ask(function, [item]) for item in "bc"]
        lined_up(function, 2)
        backend.let_go(2)
        for one in asked:
            with pytest.raises(BatchError, match=f"call.*{said}"):
                result(one)
        assert forgotten(function)

    def test_only_lists_are_taken(self, callers: Any, backend: Backend) -> None:
        """A text is refused, rather than taken apart into its letters; so is what has no order."""
        function = callers.wrap(backend)
        for wrong in ("text", {"a"}, {"a": 1}, None, iter([])):
            with pytest.raises(TypeError, match="a list or tuple"):
                result(callers.ask(function, wrong))
        assert backend.idle

    def test_the_list_may_be_named(self, callers: Any, backend: Backend) -> None:
        """Tools are called by the names of their arguments; anything beside the list is refused."""
        function = callers.wrap(backend, max_wait_s=LONG_S)
        backend.let_go(2)
        by_name = partial(function, items=["a"])
        assert result(callers.ask(lambda _: by_name(), None)) == ["<a>"]
        for wrong in ({"items": ["a"], "more": 1}, {"items": "a"}):
            with pytest.raises(TypeError, match="a list or tuple of items and nothing else"):
                result(callers.ask(lambda _: function(**wrong), None))  # noqa: B023

    def test_the_caller_may_change_its_list(self, callers: Any, backend: Backend) -> None:
        """What was asked is what stood in the list when it was asked."""
        function = callers.wrap(backend, max_wait_s=LONG_S)
        asked = [callers.ask(function, ["a"])]
        backend.batch()
        items = ["b"]
        asked.append(callers.ask(function, items))
        lined_up(function, 1)
        items.append("c")
        backend.let_go(2)
        assert result(asked[1]) == ["<b>"]

    @pytest.mark.parametrize(("name", "value"), [("max_items", 0), ("max_wait_s", -1.0)])
    def test_wrong_limits(self, name: str, value: float) -> None:
        """A limit out of range is named."""
        with pytest.raises(ConfigError, match=name):
            batched(list, **{name: value})

    def test_only_functions_are_batched(self) -> None:
        """What cannot be called is refused at once."""
        with pytest.raises(TypeError, match="takes a function"):
            batched("embed")  # type: ignore[call-overload]

    def test_no_wait_is_no_wait(self, callers: Any, backend: Backend) -> None:
        """With a wait of nothing, calls still work, together or alone."""
        function = callers.wrap(backend, max_wait_s=0)
        backend.let_go(100)
        asked = [callers.ask(function, [n]) for n in range(30)]
        assert [result(one) for one in asked] == [[f"<{n}>"] for n in range(30)]
        assert forgotten(function)


class TestLeaving:
    """Who leaves, and what the others notice."""

    def lines(self, backend: Backend) -> tuple[Tasks, Any, list[Future[Any]]]:
        callers = Tasks()
        function = callers.wrap(backend, max_wait_s=LONG_S)
        asked = [callers.ask(function, ["a"])]
        backend.batch()
        for item in "bcd":
            asked.append(callers.ask(function, [item]))
            lined_up(function, len(asked) - 1)
        return callers, function, asked

    @pytest.mark.parametrize("leaver", [1, 2, 3])
    def test_one_leaves_the_line(self, backend: Backend, leaver: int) -> None:
        """Whoever is cancelled while it waits, also who was first: the others are served."""
        callers, function, asked = self.lines(backend)
        asked[leaver].cancel()
        backend.let_go()
        assert result(asked[0]) == ["<a>"]
        served = [item for n, item in enumerate("bcd", 1) if n != leaver]
        assert backend.batch() == served
        backend.let_go()
        stayed = [one for n, one in enumerate(asked[1:], 1) if n != leaver]
        assert [result(one) for one in stayed] == [[f"<{item}>"] for item in served]
        assert forgotten(function)
        callers.close()

    @pytest.mark.parametrize("leaver", [1, 2, 3])
    def test_one_leaves_the_call(self, backend: Backend, leaver: int) -> None:
        """Whoever is cancelled while its call is under way: the call goes on for the others."""
        callers, function, asked = self.lines(backend)
        backend.let_go()
        assert result(asked[0]) == ["<a>"]
        assert backend.batch() == ["b", "c", "d"]
        asked[leaver].cancel()
        backend.let_go()
        stayed = [(one, "bcd"[n]) for n, one in enumerate(asked[1:]) if n + 1 != leaver]
        assert [result(one) for one, _ in stayed] == [[f"<{item}>"] for _, item in stayed]
        assert forgotten(function)
        callers.close()

    @pytest.mark.parametrize("under_way", [False, True])
    def test_all_leave(self, backend: Backend, *, under_way: bool) -> None:
        """A call that nobody waits for is stopped, or never made; the next goes at once."""
        callers, function, asked = self.lines(backend)
        if under_way:
            backend.let_go()
            assert result(asked[0]) == ["<a>"]
            assert backend.batch() == ["b", "c", "d"]
        for one in asked[1:]:
            one.cancel()
        if not under_way:
            backend.let_go()
            assert result(asked[0]) == ["<a>"]

        async def settled() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        result(asyncio.run_coroutine_threadsafe(settled(), callers.loop))
        assert forgotten(function)
        assert backend.idle
        after = callers.ask(function, ["after"])
        assert backend.batch() == ["after"]
        backend.let_go()
        assert result(after) == ["<after>"]
        callers.close()

    def test_the_lone_caller_leaves(self, backend: Backend) -> None:
        """Cancelling a lone call cancels it, and sends whoever lined up behind it."""
        callers, function, asked = self.lines(backend)
        asked[0].cancel()
        assert backend.batch() == ["b", "c", "d"]
        backend.let_go()
        assert [result(one) for one in asked[1:]] == [["<b>"], ["<c>"], ["<d>"]]
        assert forgotten(function)
        callers.close()

    def test_an_interrupt_is_not_passed_on(self) -> None:
        """What ends the thread that makes a call is an error of ours to the others who share it."""
        inside, gate = threading.Event(), threading.Event()

        def answer(items: list[Any]) -> list[Any]:
            if items == ["first"]:
                inside.set()
                assert gate.wait(WAIT_S)
                return items
            raise SystemExit

        function = batched(answer, max_wait_s=LONG_S)
        with ThreadPoolExecutor(3) as pool:
            first = pool.submit(function, ["first"])
            assert inside.wait(WAIT_S)
            carrier = pool.submit(function, ["b"])
            lined_up(function, 1)
            other = pool.submit(function, ["c"])
            lined_up(function, 2)
            gate.set()
            assert result(first) == ["first"]
            with pytest.raises(SystemExit):
                result(carrier)
            with pytest.raises(BatchError, match="SystemExit"):
                result(other)
        assert forgotten(function)

    def test_an_interrupted_first_leaves_the_line_to_the_others(
        self, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who was first in line and is interrupted before it went: the others go without it."""
        from accel_core.drive.blocking import BlockingSignal

        own = BlockingSignal.wait
        raised = [KeyboardInterrupt]

        async def wait(self: Any, timeout_s: float) -> None:
            await own(self, timeout_s)
            if raised:
                raise raised.pop()

        function = batched(backend.call, max_wait_s=LONG_S)
        with ThreadPoolExecutor(3) as pool, monkeypatch.context() as patch:
            first = pool.submit(function, ["a"])
            backend.batch()
            patch.setattr(BlockingSignal, "wait", wait)
            carrier = pool.submit(function, ["b"])
            lined_up(function, 1)
            other = pool.submit(function, ["c"])
            lined_up(function, 2)
            backend.let_go()
            assert result(first) == ["<a>"]
            with pytest.raises(KeyboardInterrupt):
                result(carrier)
            assert backend.batch() == ["c"]
            backend.let_go()
            assert result(other) == ["<c>"]
        assert forgotten(function)


class TestPlaces:
    """Loops, nesting, forks."""

    def test_a_call_inside_a_call_goes_at_once(self) -> None:
        """A function that calls itself through its batched form waits for nobody."""
        asked: list[list[int]] = []

        def count_down(items: list[int]) -> list[int]:
            asked.append(items)
            left = [n - 1 for n in items if n]
            if left:
                function(left)
            return items

        function = batched(count_down, max_wait_s=LONG_S)
        assert function([3]) == [3]
        assert asked == [[3], [2], [1], [0]]
        assert forgotten(function)

    async def test_a_call_inside_an_async_call(self) -> None:
        """The same on a loop; what it starts as tasks of their own waits no longer than said."""
        asked: list[list[int]] = []

        @batched(max_wait_s=0.01)
        async def count_down(items: list[int]) -> list[int]:
            asked.append(items)
            left = [n - 1 for n in items if n]
            if left:
                await asyncio.gather(count_down(left), asyncio.create_task(count_down(left)))
            return items

        async with asyncio.timeout(WAIT_S):
            assert await count_down([2]) == [2]
        assert [2] in asked
        assert forgotten(count_down)

    async def test_a_blocking_call_on_a_loop_never_waits(self) -> None:
        """On a thread that runs a loop nobody lines up, though a call is under way."""
        inside, gate = threading.Event(), threading.Event()

        def answer(items: list[str]) -> list[str]:
            if items == ["a"]:
                inside.set()
                assert gate.wait(WAIT_S)
            return items

        function = batched(answer, max_wait_s=LONG_S)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(function, ["a"])
            assert inside.wait(WAIT_S)
            rescue = threading.Timer(WAIT_S / 4, gate.set)  # lets a call that waits fail, not hang
            rescue.start()
            assert function(["b"]) == ["b"]
            assert not gate.is_set()
            rescue.cancel()
            gate.set()
            assert result(first) == ["a"]
        assert forgotten(function)

    def test_loops_do_not_share(self, backend: Backend) -> None:
        """Each loop has its own calls, so that the end of one harms no other and leaves nothing."""
        one, two = Tasks(), Tasks()
        function = one.wrap(backend, max_wait_s=LONG_S)
        hanging = [one.ask(function, ["a"])]
        assert backend.batch() == ["a"]
        hanging.append(one.ask(function, ["b"]))
        lined_up(function, 1)
        other = two.ask(function, ["c"])
        assert backend.batch() == ["c"]
        one.close()  # with a call under way and one in line
        backend.let_go(1)
        backend.let_go(1)
        assert result(other) == ["<c>"]
        two.close()
        three = Tasks()
        after = three.ask(function, ["d"])
        backend.let_go()
        assert result(after) == ["<d>"]
        three.close()
        gone = weakref.ref(one.loop)
        del one, hanging
        gc.collect()
        assert gone() is None

    def test_what_is_an_async_function(self) -> None:
        """Coroutine functions are told from others through partials and callable objects."""

        async def plain(items: list[int]) -> list[int]:
            return items

        class Callable_:
            async def __call__(self, items: list[int]) -> list[int]:
                return items

        for function in (plain, partial(plain), Callable_()):
            wrapped: Any = batched(function)
            assert asyncio.run(wrapped([1])) == [1]

    def test_it_looks_like_the_function(self) -> None:
        """Name and docstring stay, so that a batched tool is still described by its own words."""

        @batched
        def embed(texts: list[str]) -> list[int]:
            """Embed."""
            return [len(text) for text in texts]

        assert (embed.__name__, embed.__doc__) == ("embed", "Embed.")

    def test_nothing_is_kept_of_a_function_that_is_gone(self) -> None:
        """A batched function can be collected with all that belonged to it."""
        before = len(module._alive)
        function = batched(lambda items: items)
        function([1])
        del function
        gc.collect()
        assert len(module._alive) <= before

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_child_waits_for_nobody(self, backend: Backend) -> None:
        """After a fork the parent's call under way, and its lock, mean nothing to the child."""
        function = batched(backend.call, max_wait_s=LONG_S)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(function, ["a"])
            backend.batch()
            with _shared(function)._threads._lock:  # a thread may hold it at that moment
                read, write = os.pipe()
                pid = os.fork()
                if not pid:
                    backend.let_go(10)
                    os.write(write, repr(function(["b"])).encode())
                    os._exit(0)
            ready, _, _ = select.select([read], [], [], WAIT_S)
            if not ready:
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            assert ready
            assert os.read(read, 100) == b"['<b>']"
            backend.let_go()
            assert result(first) == ["<a>"]


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(), max_size=7), min_size=1, max_size=30),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.001]),
)
def test_everybody_gets_what_is_his(
    asked: list[list[int]], max_items: int, max_wait_s: float
) -> None:
    """Whatever is asked together, under any limits: own results, in order, and small calls."""
    sizes: list[int] = []

    async def function(items: list[int]) -> list[int]:
        sizes.append(len(items))
        await asyncio.sleep(0)
        return [n + 1 for n in items]

    shared: Any = batched(function, max_items=max_items, max_wait_s=max_wait_s)

    async def crowd() -> list[Any]:
        return await asyncio.gather(*map(shared, asked))

    assert asyncio.run(crowd()) == [[n + 1 for n in items] for items in asked]
    assert sum(sizes) == sum(map(len, asked))
    assert max(sizes) <= max(max_items, *map(len, asked))
