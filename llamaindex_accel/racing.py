"""`race` for LlamaIndex: several ways to an answer side by side, of which the first acceptable one.

A path is called the way its kind is: engines are queried, LLMs asked, workflows and agents run. A
workflow goes on when its waiter is cancelled, so that one is cancelled itself; a coroutine function
does best to return the handler instead of awaiting it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.workflow import Workflow
from llama_index_instrumentation import get_dispatcher
from workflows.handler import WorkflowHandler

from accel_core.drive.aio import in_own_thread
from accel_core.drive.colour import is_async
from accel_core.errors import UnsupportedError
from accel_core.racing import TIMEOUT_S, Accept, Path, Terms, named, terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from llama_index.core.base.response.schema import RESPONSE_TYPE
    from llama_index.core.schema import QueryBundle

    from accel_core.accel import Accel

dispatcher = get_dispatcher(__name__)

_WORKS = "race() takes query engines, LLMs, workflows and agents, functions and coroutine functions"


def race(
    paths: Mapping[str, Any] | Iterable[Any],
    *,
    accept: Accept,
    timeout_s: float = TIMEOUT_S,
    after_s: Sequence[float] = (),
    accel: Accel | None = None,
) -> Race:
    """Return what asks several `paths` at once and returns the first acceptable answer.

    The last path is the standard one: what you would ask without a race. Its answer is returned as
    it is, what it raises is raised (unless another answer was accepted), and no time is set to it.
    The answers of the others count only if `accept` says so; one that fails, is refused or is late
    changes nothing. The rest are cancelled, and give back what they hold of a limiter.

    Every path that starts is really gone: none should change anything outside, nor what it is
    given; chat engines, which remember, are not taken.

    Args:
        paths: query engines, LLMs, workflows, agents, functions (under asyncio called in a thread)
            or coroutine functions (for `Race.arun` alone), by name or in order; at least two. Their
            names are those in events.
        accept: whether an answer is good enough; may be a coroutine function where the race is only
            run by `Race.arun`. What it raises refuses the answer.
        timeout_s: how long the others may take in all, seconds, > 0.
        after_s: when each path starts, seconds, one for each path, in [0, timeout_s); earlier where
            nothing runs any more. Empty: all at once. What has not started costs nothing.
        accel: receives what became of each race (`race_events.PathsRaced`, ``stats().raced``); None
            takes this process's default.

    Raises:
        ConfigError: there are fewer than two paths, or a time is out of range.
        UnsupportedError: a path is none of these.
        TypeError: `accept` is no function.

    Example:
        >>> answer = race(  # doctest: +SKIP
        ...     {"small": small_llm, "large": large_llm},
        ...     accept=lambda response: "I don't know" not in response.text,
        ...     after_s=(0, 0.5),
        ... )
        >>> answer.run("When is a refund paid?")  # doctest: +SKIP
    """
    from accel_core.default import chosen_accel

    found = named(paths, _name)
    for path in found.values():
        _checked(path)
    agreed = terms(len(found), accept, timeout_s, after_s)
    return Race(found, agreed, chosen_accel(accel))


class Race:
    """What `race` returns.

    Attributes:
        paths: by name, the standard one last.
        terms: by which the race is run.
    """

    def __init__(self, paths: Mapping[str, Any], agreed: Terms, accel: Accel) -> None:
        self.paths, self.terms, self._accel = paths, agreed, accel

    @dispatcher.span
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Return the first acceptable answer to these arguments; each path in a thread.

        Raises:
            UnsupportedError: a path, or `accept`, is for asyncio alone.
        """
        calls = {name: _blocking(name, path) for name, path in self.paths.items()}

        def way(name: str, call: Callable[..., Any]) -> Path:
            async def run() -> Any:
                return call(*args, **kwargs)

            return Path(name, run)

        ways = [way(name, call) for name, call in calls.items()]
        return self._accel.racing.run(ways, self.terms)

    @dispatcher.span
    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        """Async form of `run`: each path in a task."""

        def way(name: str, call: Callable[..., Any]) -> Path:
            async def run() -> Any:
                return await _ended(call(*args, **kwargs))

            return Path(name, run)

        ways = [way(name, _waiting(path)) for name, path in self.paths.items()]
        return await self._accel.racing.arun(ways, self.terms)

    def as_query_engine(self) -> BaseQueryEngine:
        """Return the race as a query engine, to be used wherever one is.

        Raises:
            UnsupportedError: a path is none.
        """
        for name, path in self.paths.items():
            if not isinstance(path, BaseQueryEngine):
                raise UnsupportedError(f"path {name!r} is no query engine: {type(path).__name__}")
        return _RacingQueryEngine(self)

    def __repr__(self) -> str:
        return f"Race({', '.join(self.paths)})"


class _RacingQueryEngine(BaseQueryEngine):
    """Asks a race of query engines."""

    def __init__(self, raced: Race) -> None:
        engines = list(raced.paths.values())
        super().__init__(engines[-1].callback_manager)
        self._raced = raced

    def _get_prompt_modules(self) -> dict[str, Any]:
        return dict(self._raced.paths)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        answer: RESPONSE_TYPE = self._raced.run(query_bundle)
        return answer

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        answer: RESPONSE_TYPE = await self._raced.arun(query_bundle)
        return answer


def _name(path: Any) -> str:
    name = getattr(path, "__name__", "") or type(path).__name__
    return "function" if name == "<lambda>" else str(name)


def _checked(path: Any) -> None:
    if not isinstance(path, (BaseQueryEngine, BaseLLM, Workflow)) and not callable(path):
        raise UnsupportedError(f"{_WORKS}; got {type(path).__name__}")


def _blocking(name: str, path: Any) -> Callable[..., Any]:
    """Return what a thread calls to go `path`."""
    if isinstance(path, BaseQueryEngine):
        return path.query
    if isinstance(path, BaseLLM):
        return lambda asked, **options: (path.complete if isinstance(asked, str) else path.chat)(
            asked, **options
        )
    if isinstance(path, Workflow) or is_async(path):
        raise UnsupportedError(f"path {name!r} runs under asyncio alone: await arun()")
    call: Callable[..., Any] = path
    return call


def _waiting(path: Any) -> Callable[..., Awaitable[Any]]:
    """Return what a task calls to go `path`."""
    if isinstance(path, BaseQueryEngine):
        return path.aquery
    if isinstance(path, BaseLLM):
        return lambda asked, **options: (path.acomplete if isinstance(asked, str) else path.achat)(
            asked, **options
        )
    if isinstance(path, Workflow):
        return path.run
    if is_async(path):
        call: Callable[..., Awaitable[Any]] = path
        return call
    return functools.partial(in_own_thread, path)


async def _ended(awaited: Awaitable[Any]) -> Any:
    """Return what comes of a path; where it is a workflow's run, end that with its waiter."""
    answer = awaited if isinstance(awaited, WorkflowHandler) else await awaited
    while inspect.isawaitable(answer):
        answer = await (_run_of(answer) if isinstance(answer, WorkflowHandler) else answer)
    return answer


async def _run_of(handler: WorkflowHandler) -> Any:
    # A task of its own, so that what cancels this one leaves the run to be ended in order.
    result = asyncio.ensure_future(handler.stop_event_result())
    result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    try:
        await asyncio.shield(result)
    except asyncio.CancelledError:
        await handler.cancel_run()
        raise
    return await handler
