"""`batched`: who leaves, who waits, where it is called from, and that everybody gets his own."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core import batched as module
from accel_core.batched import batched
from accel_core.errors import BatchError
from tests.core.batched.rig import (
    LONG_S,
    WAIT_S,
    Backend,
    Tasks,
    _shared,
    forgotten,
    lined_up,
    result,
)


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
