"""`batched`: who shares a call with whom, and who gets which error."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from accel_core import tenancy
from accel_core.batched import batched
from accel_core.errors import BatchError, ConfigError
from tests.core.batched.rig import (
    LONG_S,
    WAIT_S,
    Backend,
    Tasks,
    Threads,
    forgotten,
    lined_up,
    result,
)


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
