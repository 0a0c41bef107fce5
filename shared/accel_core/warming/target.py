"""How a target is asked a question: through its own public method, whatever framework it is of.

Known are the methods of LangChain's runnables (chains, chat models, retrievers) and of LlamaIndex's
query engines, retrievers and models, and plain functions of one text. Chat engines are left out:
asking them would fill their history. An answer that streams is read to its end, because what is
not read to its end is not stored.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import ConfigError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor

_METHODS = ("invoke", "query", "retrieve", "complete")
"""In the order of asking: query engines also retrieve."""


class Target(NamedTuple):
    """What is asked.

    Attributes:
        name: of the method, for people.
        ask: blocks; None where there is no such method.
        aask: its async form, likewise.
        key: under which name the question is given; None: as a plain text.
    """

    name: str
    ask: Callable[[Any], Any] | None
    aask: Callable[[Any], Awaitable[Any]] | None
    key: str | None = None

    def blocking(self, pool: Executor) -> Callable[[str], Awaitable[None]]:
        """Return what asks in the threads of `pool`, in the caller's context."""

        async def ask(question: str) -> None:
            job = partial(contextvars.copy_context().run, self._ask_to_the_end, question)
            await asyncio.get_running_loop().run_in_executor(pool, job)

        return ask

    def awaited(self, pool: Executor) -> Callable[[str], Awaitable[None]]:
        """Return what awaits the target's own async method; what has none asks in `pool`."""
        aask = self.aask
        if aask is None:
            return self.blocking(pool)

        async def ask(question: str) -> None:
            answer = await aask(self._given(question))
            stream = getattr(answer, "async_response_gen", None)
            if stream is not None:
                async for _ in stream():
                    pass
                return
            await asyncio.get_running_loop().run_in_executor(pool, _read, answer)

        return ask

    def _ask_to_the_end(self, question: str) -> None:
        if self.ask is not None:
            _read(self.ask(self._given(question)))
        elif self.aask is not None:
            asyncio.run(_awaited(self.aask(self._given(question))))

    def _given(self, question: str) -> Any:
        return question if self.key is None else {self.key: question}


def target_of(asked: Any, key: str | None = None) -> Target:
    """Return how `asked` is asked.

    Args:
        asked: a retriever, query engine, chain, model, or function of one text.
        key: under which name a chain wants its question; None: as a plain text.

    Raises:
        UnsupportedError: it has no method that is known.
    """
    for name in _METHODS:
        method, amethod = getattr(asked, name, None), getattr(asked, f"a{name}", None)
        if callable(method):
            return Target(name, method, amethod if callable(amethod) else None, key)
    if inspect.iscoroutinefunction(asked):
        return Target(asked.__name__, None, asked, key)
    if inspect.isroutine(asked):
        return Target(asked.__name__, asked, None, key)
    expected = ", ".join(_METHODS)
    raise UnsupportedError(
        f"a {type(asked).__name__} cannot be warmed: it has none of {expected}; "
        "give the retriever, query engine, chain or model, or a function of one text"
    )


def load_target(spelled: str) -> Any:
    """Return what ``module:attribute`` names; the attribute may have dots.

    Raises:
        ConfigError: there is no such module or attribute.
    """
    module, colon, attribute = spelled.partition(":")
    if not (module and colon and attribute):
        raise ConfigError("app", spelled, "must be module:attribute, for example app:engine")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module != error.name and not module.startswith(error.name):
            raise  # a module that the application itself lacks
        raise ConfigError("app", spelled, f"module {module!r} must be importable") from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise ConfigError("app", spelled, f"{found!r} must have an attribute {name!r}")
        found = getattr(found, name)
    return found


def _read(answer: Any) -> None:
    """Read an answer that streams to its end."""
    for _ in getattr(answer, "response_gen", None) or ():
        pass


async def _awaited(answer: Awaitable[Any]) -> None:
    await answer
