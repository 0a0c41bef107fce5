"""`SpeculativeToolRunnable`: a loop's tool calls done before its model asks for them.

It stands in the model's place in any loop that calls tools, and hears what is asked and written.
In the tools' place stand its own, `SpeculativeToolRunnable.tools`, whose calls are answered by what
was begun meanwhile, or made as ever.
"""

from __future__ import annotations

from contextlib import aclosing, closing
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.tools import BaseTool
from pydantic import PrivateAttr

from accel_core.errors import UnsupportedError
from accel_core.permits import names_of
from langchain_accel._speculation_context import heard_by
from langchain_accel._speculation_wiring import name_of, speculation_of

if TYPE_CHECKING:
    import os
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Generator,
        Iterable,
        Iterator,
    )
    from contextlib import AbstractContextManager

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.runnables import Runnable, RunnableConfig

    from accel_core.accel import Accel
    from accel_core.speculating import Predictor
    from langchain_accel._speculation import Speculation
    from langchain_accel._speculation_listener import Listener

_END: Any = object()


class SpeculativeToolRunnable(RunnableBindingBase[Any, Any]):
    """Does what `runnable` does, and begins likely tool calls meanwhile.

    Which tools may be called unasked, and what a call may be answered by, is as for
    `SpeculativeTools`; give it every tool that the loop calls, so that it sees what may change
    something, and let the loop call the tools in `tools`.

    Args:
        runnable: a chat model with tools bound to it, or a chain around one.
        tools: all that the loop calls.
        allowed: names of further tools that are free of side effects, or such tools.
        never: names of tools, or tools, that are not called unasked, whatever they were declared:
            those that the loop asks somebody to approve.
        predictors: who guesses; None: who learns from every run that ends.
        learned: a file of what they know already, as ``accel learn-tools`` writes it.
        draft: a small, fast model that is asked beside the agent's, and whose calls are guesses.
        accel: the configured object; None takes this process's default.

    Raises:
        ConfigError: both `predictors` and `learned` are given.
        FileError: `learned` is not such a file.
        UnsupportedError: an argument is of the wrong kind; the message names what works.

    Example:
        >>> model = SpeculativeToolRunnable(llm.bind_tools(tools), tools)  # doctest: +SKIP
        >>> node = ToolNode(model.tools)  # doctest: +SKIP
    """

    _speculation: Speculation = PrivateAttr()
    _tools: tuple[BaseTool, ...] = PrivateAttr()

    def __init__(
        self,
        runnable: Runnable[Any, Any],
        tools: Iterable[BaseTool],
        *,
        allowed: Iterable[BaseTool | str] = (),
        never: Iterable[BaseTool | str] = (),
        predictors: Iterable[Predictor] | None = None,
        learned: str | os.PathLike[str] | None = None,
        draft: BaseChatModel | None = None,
        accel: Accel | None = None,
    ) -> None:
        super().__init__(bound=runnable)
        named = {
            "allowed": names_of("allowed", allowed, name_of),
            "never": names_of("never", never, name_of),
        }
        self._speculation = speculation_of(named["allowed"], predictors, learned, draft, accel)
        self._speculation.bar(named["never"])
        self._tools = tuple(self._speculation.copied(_tool(tool)) for tool in tools)
        self._speculation.check(named, {tool.name for tool in self._tools})

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return False: what it learned, and who guesses, is not LangChain's to write down."""
        return False

    @property
    def tools(self) -> list[BaseTool]:
        """The tools that the loop is to call: copies that go by the same names."""
        return list(self._tools)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """As the runnable's own."""
        with self._hearing(config, looped=False):
            return super().invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """As the runnable's own."""
        with self._hearing(config, looped=True):
            return await super().ainvoke(input, config, **kwargs)

    def batch(self, inputs: list[Any], config: Any = None, **kwargs: Any) -> list[Any]:
        """As the runnable's own."""
        with self._hearing(config, looped=False):
            return super().batch(inputs, config, **kwargs)

    async def abatch(self, inputs: list[Any], config: Any = None, **kwargs: Any) -> list[Any]:
        """As the runnable's own."""
        with self._hearing(config, looped=True):
            return await super().abatch(inputs, config, **kwargs)

    def stream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """As the runnable's own."""
        yield from _heard(self._listener(config), super().stream(input, config, **kwargs))

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """As the runnable's own."""
        listener = self._listener(config, looped=True)
        async with aclosing(_aheard(listener, super().astream(input, config, **kwargs))) as parts:
            async for part in parts:
                yield part

    def transform(
        self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """As the runnable's own."""
        yield from _heard(self._listener(config), super().transform(input, config, **kwargs))

    async def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """As the runnable's own."""
        listener = self._listener(config, looped=True)
        stream = super().atransform(input, config, **kwargs)
        async with aclosing(_aheard(listener, stream)) as parts:
            async for part in parts:
                yield part

    def stream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """As the runnable's own."""
        listener = self._listener(config)
        with heard_by(listener):
            made = super().stream_events(input, config, **kwargs)
        return _heard(listener, made) if isinstance(made, GeneratorType) else made

    def astream_events(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """As the runnable's own."""
        listener = self._listener(config, looped=True)
        made = super().astream_events(input, config, **kwargs)
        return _aheard(listener, made) if hasattr(made, "__aiter__") else _opened(listener, made)

    def _hearing(self, config: Any, *, looped: bool) -> AbstractContextManager[Listener]:
        # What tells the members of a batch apart belongs to none of its guesses: such are not used.
        config = None if isinstance(config, list) else self._merge_configs(config)
        return self._speculation.hearing(self._tools, config, looped=looped)

    def _listener(self, config: Any, *, looped: bool = False) -> Listener:
        return self._speculation.listener(self._tools, self._merge_configs(config), looped=looped)


def _tool(given: object) -> BaseTool:
    if isinstance(given, BaseTool):
        return given
    msg = f"tools= takes tools; make one of a function by @tool; got {given!r}"
    raise UnsupportedError(msg)


def _heard(listener: Listener, stream: Iterator[Any]) -> Generator[Any]:
    """Iterate `stream`, heard by `listener` while it runs, and by nobody between."""
    try:
        with closing(stream):  # type: ignore[type-var]
            while True:
                with heard_by(listener):
                    part = next(stream, _END)
                if part is _END:
                    return
                yield part
    finally:
        listener.close()


async def _opened(listener: Listener, stream: Awaitable[Any]) -> Any:
    """Await a stream that says by itself when it is read, and is heard from its beginning."""
    with heard_by(listener):
        return await stream


async def _aheard(listener: Listener, stream: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """Async form of `_heard`."""
    try:
        async with aclosing(stream):  # type: ignore[type-var]
            while True:
                with heard_by(listener):
                    part = await anext(stream, _END)
                if part is _END:
                    return
                yield part
    finally:
        listener.close()
