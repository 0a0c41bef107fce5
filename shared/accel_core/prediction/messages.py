"""One message of a run log, in the forms that LangChain, LlamaIndex and OpenAI write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_ROLES = {
    "human": "user", "user": "user", "ai": "assistant", "assistant": "assistant",
    "chatbot": "assistant", "model": "assistant", "tool": "tool", "function": "tool",
    "system": "system", "developer": "system",
}  # fmt: skip


class Asked(NamedTuple):
    """A call that a message asks for; `number` is its id."""

    number: str
    tool: str
    arguments: dict[str, Any]


class Message(NamedTuple):
    """A message.

    Attributes:
        role: "user", "assistant", "tool" or "system".
        text: what it says.
        calls: what it asks for.
        answers: id of the call whose result it is.
        failed: whether that is an error.
    """

    role: str
    text: str
    calls: tuple[Asked, ...] = ()
    answers: str | None = None
    failed: bool = False


def message_of(spelled: Mapping[str, Any]) -> Message:
    """Read a message.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is none.
    """
    role, spelled = opened(spelled)
    more = spelled.get("additional_kwargs") or {}
    blocks = spelled.get("blocks") or spelled.get("content")
    parts = (
        [part for part in blocks if isinstance(part, Mapping)] if isinstance(blocks, list) else []
    )
    text = blocks if isinstance(blocks, str) else "\n".join(_texts(blocks or []))
    asked = spelled.get("tool_calls") or more.get("tool_calls") or []
    calls = {call.number: call for call in map(_asked, [*asked, *filter(_is_call, parts)])}
    answers = None
    if role == "tool":
        answers = str(spelled.get("tool_call_id") or more["tool_call_id"])
    return Message(role, text, tuple(calls.values()), answers, spelled.get("status") == "error")


def opened(spelled: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return a message's role, and its fields without what is wrapped around them.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is none.
    """
    kind = spelled.get("role") or spelled.get("type")
    if spelled.get("type") == "constructor":  # LangChain's dumpd
        kind = spelled["id"][-1].removesuffix("Chunk").removesuffix("Message").lower()
        spelled = spelled["kwargs"]
    elif isinstance(spelled.get("data"), Mapping):  # LangChain's messages_to_dict
        spelled = spelled["data"]
    if isinstance(kind, Mapping):  # an enumeration, dumped whole
        kind = kind["value"]
    name = str(kind).rpartition(".")[2].lower()
    role = _ROLES.get(name.removesuffix("messagechunk"))
    if role is None:
        raise ValueError(f"{kind!r} is no role of a message")
    return role, spelled


def _texts(parts: list[Any]) -> list[str]:
    texts = [part if isinstance(part, str) else part.get("text") for part in parts]
    return [text for text in texts if isinstance(text, str)]


def _is_call(part: Mapping[str, Any]) -> bool:
    return (part.get("block_type") or part.get("type")) in ("tool_call", "tool_use")


def _asked(spelled: Mapping[str, Any]) -> Asked:
    function = spelled.get("function")
    about = function if isinstance(function, Mapping) else spelled
    name = about.get("name") or about["tool_name"]
    arguments: Any = next(
        (about[key] for key in ("args", "arguments", "tool_kwargs", "input") if key in about), {}
    )
    if isinstance(arguments, str):
        arguments = json.loads(arguments or "{}")
    if not isinstance(arguments, Mapping):
        raise TypeError(f"the arguments of {name!r} are no object")
    number = spelled.get("id") or spelled.get("tool_call_id") or spelled["tool_id"]
    return Asked(str(number), str(name), dict(arguments))
