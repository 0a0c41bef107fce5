"""LlamaIndex conversations as trajectories, converted as they grow.

Function-calling agents say calls in blocks, or in ``additional_kwargs`` as objects of their
provider's SDK, and results in messages of tools; ReAct agents say both in text. Left out is what is
neither said nor done: system prompts, and what a model writes beside a call.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock

from accel_core.policy.trajectory import Observed, Said, ToolCall, Trajectory

_OBSERVATION = "Observation: "
_ACTION, _INPUT, _ANSWER = "\nAction: ", "\nAction Input: ", "\nAnswer: "
"""The parts of ReAct's reasoning as LlamaIndex writes it into a prompt."""


class History:
    """One conversation, read again and again.

    Attributes:
        failures: names of tools and what the model was told when they failed.
    """

    def __init__(self) -> None:
        self.failures: set[tuple[str, str]] = set()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._read: list[Any] = []
        self._items: list[Said | Observed] = []
        self._asked: dict[str, tuple[ToolCall, int]] = {}
        self._turn = -1

    def goes_on(self, messages: Sequence[Any]) -> bool:
        """Whether `messages` begin with those that were read last."""
        return len(messages) >= len(self._read) and all(
            old is new or old == new for old, new in zip(self._read, messages, strict=False)
        )

    def read(self, messages: Sequence[Any]) -> Trajectory:
        """Return the trajectory of `messages`; those that were read before are not read again."""
        if not self.goes_on(messages):
            self._begin_anew()
        for message in messages[len(self._read) :]:
            if isinstance(message, ChatMessage):
                self._add(message)
        self._read = list(messages)
        return tuple(self._items)

    def _add(self, message: ChatMessage) -> None:
        role, text = str(getattr(message.role, "value", message.role)), _text(message)
        if role == "assistant":
            self._add_answer(message, text)
        elif role in {"tool", "function"} or (role == "user" and text.startswith(_OBSERVATION)):
            self._add_result(message, text.removeprefix(_OBSERVATION))
        elif role == "user":
            self._items.append(Said("user", text))

    def _add_answer(self, message: ChatMessage, text: str) -> None:
        self._turn += 1
        self._asked.clear()
        called = calls_of(message) or _reasoned(text)
        for number, (call_id, call) in enumerate(called):
            self._asked[call_id or str(number)] = (call, self._turn)
        if not called and text:
            self._items.append(Said("assistant", said(text)))

    def _add_result(self, message: ChatMessage, text: str) -> None:
        call_id = str(message.additional_kwargs.get("tool_call_id"))
        asked = self._asked.pop(call_id, None)
        if asked is None and self._asked:
            asked = self._asked.pop(next(iter(self._asked)))
        if asked is not None:
            call, turn = asked
            failed = (call.tool, text) in self.failures
            self._items.append(Observed(call.tool, call.arguments, text, failed, turn))


def said(text: str) -> str:
    """Return what an answer says to the user: of ReAct's reasoning, what follows it."""
    return text.rpartition(_ANSWER)[2] if text.startswith("Thought: ") else text


def calls_of(message: ChatMessage) -> list[tuple[str, ToolCall]]:
    """Return the calls that a message asks for, with their ids."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return [
            (block.tool_call_id or "", ToolCall(block.tool_name, _arguments(block.tool_kwargs)))
            for block in blocks
        ]
    told = message.additional_kwargs.get("tool_calls")
    calls = told if isinstance(told, Sequence) else ()
    return [found for found in map(_told, calls) if found is not None]


def _told(call: Any) -> tuple[str, ToolCall] | None:
    """Read a provider's object, or the same as a dict."""
    function = _field(call, "function") or call
    name = _field(function, "name") or _field(function, "tool_name")
    if not isinstance(name, str):
        return None
    given = _field(function, "arguments") or _field(function, "tool_kwargs")
    return str(_field(call, "id") or _field(call, "tool_id") or ""), ToolCall(
        name, _arguments(given)
    )


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _arguments(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return {}
    return dict(given) if isinstance(given, Mapping) else {}


def _reasoned(text: str) -> list[tuple[str, ToolCall]]:
    """Return the call of a ReAct step, whose input LlamaIndex spells as Python's ``repr``."""
    before, found, given = text.rpartition(_INPUT)
    _, acts, action = before.rpartition(_ACTION)
    if not found or not acts:
        return []
    try:
        arguments = ast.literal_eval(given.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        arguments = _arguments(given)
    return [("", ToolCall(action.strip(), _arguments(arguments)))]


def _text(message: ChatMessage) -> str:
    return "\n".join(block.text for block in message.blocks if isinstance(block, TextBlock))
