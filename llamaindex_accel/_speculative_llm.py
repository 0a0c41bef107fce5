"""Language models that let likely tool calls be begun while they think.

A copy in a generated subclass of the application's own class, or of the accelerated one. Overridden
are the four methods that ask with tools, and the four that chat, since ReAct agents offer their
tools in the prompt. What the application asks otherwise passes. The state is the instance's, as
Pydantic copies it with the fields and writes it nowhere.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from llama_index.core.agent.react.output_parser import ReActOutputParser
from llama_index.core.agent.react.types import ActionReasoningStep
from llama_index.core.base.llms.types import ChatMessage
from llama_index_instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR

from accel_core.policy.trajectory import ToolCall
from accel_core.subclasses import generated, own_method, runs_own_method, subclass
from llamaindex_accel._speculative_draft import at_hand
from llamaindex_accel._speculative_tools import copied_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.accel import Accel
    from llamaindex_accel._speculative_state import Speculation
    from llamaindex_accel._speculative_tools import Copied
    from llamaindex_accel._speculative_turn import Reader, Turn

L = TypeVar("L", bound="BaseLLM")

_STATE = "__accel_speculation__"
_END: Any = object()
_OFFERED = re.compile(r"^> Tool Name: (.+)$", re.MULTILINE)
"""How LlamaIndex offers a tool in ReAct's prompt."""


def speculative_llm(llm: L, speculation: Speculation, accel: Accel) -> L:
    """Return a copy of `llm` whose asking is known to `speculation`."""
    made = plain_llm(llm)
    base = type(made)
    kind: type = generated(accel, (_STATE, base), lambda: _subclass(base))
    object.__setattr__(made, "__class__", kind)  # a frozen model would refuse
    vars(made)[_STATE] = speculation
    return made


def plain_llm(llm: L) -> L:
    """Return a copy of `llm` that does not speculate."""
    made = llm.model_copy()
    if _STATE in vars(type(llm)):
        object.__setattr__(made, "__class__", type(llm).__mro__[1])
    vars(made).pop(_STATE, None)
    return made


def _subclass(base: Any) -> type[BaseLLM]:
    namespace: dict[str, Any] = {_STATE: None, "__reduce__": _reduce}
    for name, (read, make) in _METHODS.items():
        if hasattr(base, name):
            method = functools.update_wrapper(make(read, base, name), getattr(base, name))
            setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
            namespace[name] = method
    return subclass(base, namespace)


def _reduce(self: BaseLLM) -> tuple[Any, ...]:
    """Leave speculation behind: tools and runs do not cross to another process."""
    return _itself, (plain_llm(self),)


def _itself(llm: BaseLLM) -> BaseLLM:
    return llm


class _Asked(NamedTuple):
    """What a model is asked, where it is an agent's turn.

    Attributes:
        messages: the conversation.
        tools: the copies that it is offered, by name.
        read: reads its answers.
    """

    messages: Sequence[Any]
    tools: Mapping[str, Copied]
    read: Reader


def _asked_with_tools(llm: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Asked | None:
    """Read the arguments of a method that asks with tools."""
    names = ("tools", "user_msg", "chat_history")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    offered = given.get("tools") or ()
    tools = {copied.aio.name: copied for copied in map(copied_of, offered) if copied is not None}
    if not tools:
        return None
    last = given.get("user_msg")
    if isinstance(last, str):
        last = ChatMessage(role="user", content=last)
    messages = [*(given.get("chat_history") or ()), *([] if last is None else [last])]
    return _Asked(messages, tools, functools.partial(_called, llm))


def _asked_in_text(llm: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Asked | None:
    """Read the arguments of a chat; None: it is no turn of a ReAct agent."""
    messages = args[0] if args else kwargs.get("messages") or ()
    first = messages[0] if isinstance(messages, Sequence) and messages else None
    if not isinstance(first, ChatMessage) or first.role != "system":
        return None
    offered = set(_OFFERED.findall(first.content or ""))
    known: Mapping[str, Copied] = vars(llm)[_STATE].tools
    tools = {name: tool for name, tool in known.items() if name in offered}
    return _Asked(messages, tools, _reasoned) if tools else None


def _called(llm: Any, response: Any) -> Sequence[ToolCall] | None:
    try:
        found = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    except Exception:  # an integration's reading of what a model wrote
        return None
    return [ToolCall(call.tool_name, call.tool_kwargs) for call in found]


def _reasoned(response: Any) -> Sequence[ToolCall] | None:
    text = response.message.content
    try:
        step = ReActOutputParser().parse(text) if text else None
    except ValueError:  # the agent will ask again
        return None
    if isinstance(step, ActionReasoningStep):
        return [ToolCall(step.action, step.action_input)]
    return None if step is None else ()


def _turn(
    llm: Any, read: Callable[..., _Asked | None], args: Any, kwargs: Any, *, waits: bool
) -> Turn | None:
    """Begin a turn; None: it is none, or part of one."""
    speculation: Speculation | None = vars(llm).get(_STATE)
    if speculation is None or runs_own_method(llm) or at_hand.get() is not None:
        return None  # what a guess or a draft asks is not guessed about
    try:
        asked = read(llm, args, kwargs)
        if asked is None:
            return None
        return speculation.begin(asked.messages, asked.tools, asked.read, waits=waits)
    except Exception as error:  # the model is asked all the same
        speculation.failed(error)
        return None


def _make_whole(read: Callable[..., Any], base: Any, name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        turn = _turn(self, read, args, kwargs, waits=False)
        if turn is None:
            return getattr(base, name)(self, *args, **kwargs)
        with turn:
            with own_method(self):
                response = getattr(base, name)(self, *args, **kwargs)
            turn.answered(response)
            return response

    return method


def _make_awhole(read: Callable[..., Any], base: Any, name: str) -> Any:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        turn = _turn(self, read, args, kwargs, waits=True)
        if turn is None:
            return await getattr(base, name)(self, *args, **kwargs)
        with turn:
            with own_method(self):
                response = await getattr(base, name)(self, *args, **kwargs)
            turn.answered(response)
            return response

    return method


def _make_stream(read: Callable[..., Any], base: Any, name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        turn = _turn(self, read, args, kwargs, waits=False)
        if turn is None:
            return getattr(base, name)(self, *args, **kwargs)
        stream = _followed(self, turn, lambda: getattr(base, name)(self, *args, **kwargs))
        next(stream)
        return stream

    return method


def _make_astream(read: Callable[..., Any], base: Any, name: str) -> Any:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        turn = _turn(self, read, args, kwargs, waits=True)
        if turn is None:
            return await getattr(base, name)(self, *args, **kwargs)
        stream = _afollowed(self, turn, lambda: getattr(base, name)(self, *args, **kwargs))
        await anext(stream)
        return stream

    return method


def _followed(llm: Any, turn: Turn, ask: Callable[[], Any]) -> Generator[Any, None, None]:
    """Pass a stream on, and show it to its turn.

    What it yields first is nothing: the model is then asked, and this generator has begun, so that
    it ends the turn however it is given up.
    """
    chunks: Any = ()
    with turn:
        try:
            with own_method(llm):
                chunks = iter(ask())
            yield None
            while True:
                with own_method(llm):
                    chunk = next(chunks, _END)
                if chunk is _END:
                    break
                turn.saw(chunk)
                yield chunk
            turn.over()
        finally:
            if hasattr(chunks, "close"):
                chunks.close()


async def _afollowed(llm: Any, turn: Turn, ask: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    """Async form of `_followed`."""
    chunks: Any = ()
    with turn:
        try:
            with own_method(llm):
                chunks = aiter(await ask())
            yield None
            while True:
                with own_method(llm):
                    chunk = await anext(chunks, _END)
                if chunk is _END:
                    break
                turn.saw(chunk)
                yield chunk
            turn.over()
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()


_METHODS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "chat_with_tools": (_asked_with_tools, _make_whole),
    "achat_with_tools": (_asked_with_tools, _make_awhole),
    "stream_chat_with_tools": (_asked_with_tools, _make_stream),
    "astream_chat_with_tools": (_asked_with_tools, _make_astream),
    "chat": (_asked_in_text, _make_whole),
    "achat": (_asked_in_text, _make_awhole),
    "stream_chat": (_asked_in_text, _make_stream),
    "astream_chat": (_asked_in_text, _make_astream),
}
