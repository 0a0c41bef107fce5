"""Chat models kept within a provider's limits.

Where a model asks through clients of OpenAI's library, the copy's own clients are replaced by
limited ones, which see requests and headers. Any other model's calls are limited around the methods
in which it asks, by what LangChain's messages and answers say (`accel_core.model_calls`).

Either way the copy retries nothing itself where that can be switched off, since attempts of two
layers multiply. The user's model, its clients, and an HTTP client that models share stay untouched.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from langchain_core.outputs import ChatGeneration, ChatResult

from accel_core.events.requests import Tokens
from accel_core.model_calls import switch_off_retries
from accel_core.policy.limits.charge import Usage
from accel_core.policy.limits.model_request import model_request
from accel_core.policy.limits.token_estimate import text_tokens
from accel_core.policy.limits.usage_reader import amount, usage_of
from langchain_accel._turns import from_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import Generation

    from accel_core.limiter import Limiter
    from accel_core.model_calls import ModelCalls
    from accel_core.policy.limits.model_request import ModelRequest
    from accel_core.recording import Used

_CLIENTS = (("root_client", "client"), ("root_async_client", "async_client"))
_USAGES = ("token_usage", "usage")


def limit(model: BaseChatModel, limiter: Limiter) -> ModelCalls | None:
    """Let `model`, a copy of the user's, ask through `limiter`.

    Returns:
        What its calls are to be carried out by; None: its clients do that.
    """
    fields = vars(model)
    changed: dict[str, Any] = {}
    for root_name, name in _CLIENTS:
        root = fields.get(root_name)
        if root is None:
            continue
        changed[root_name] = limiter.limited(root)
        changed[name] = changed[root_name].chat.completions
    if not changed:
        return limiter.model_calls(UsageReader, once=not _retries_off(model))
    # Not by attributes: a model may validate what is assigned, and build its clients again.
    fields.update(changed)
    return None


def _retries_off(model: BaseChatModel) -> bool:
    fields = vars(model)
    # A client that was made when it was first needed is made anew, without retries.
    for name in [name for name in fields if _is_cached(type(model), name)]:
        del fields[name]
    return switch_off_retries(fields, (model.__pydantic_private__ or {}).values())


def _is_cached(kind: type[Any], name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)


def call_request(
    model: BaseChatModel, messages: list[BaseMessage], arguments: dict[str, Any]
) -> ModelRequest:
    """Return what a call asks, ``stop`` among its arguments."""
    told: Mapping[str, Any] = model._get_ls_params(**arguments)
    return spelled_request(messages, told, model._get_invocation_params(**arguments))


def spelled_request(
    messages: Iterable[BaseMessage], told: Mapping[str, Any], params: Mapping[str, Any]
) -> ModelRequest:
    """Return what a call asks, as LangChain tells tracers of it.

    Args:
        messages: its prompt.
        told: the parameters that LangChain names alike for all models (``ls_max_tokens``).
        params: the model's fresh parameters, and the call's.
    """
    model = told.get("ls_model_name") or params.get("model") or params.get("model_name") or ""
    maximum = {"max_tokens": told.get("ls_max_tokens")}
    return model_request(str(model), from_messages(messages), maximum, params)


class UsageReader:
    """Reads results, and chunks, whose usage adds up, as LangChain adds it."""

    def __init__(self) -> None:
        self._usage: Usage | None = None

    def __call__(self, part: Any) -> tuple[Usage | None, str]:
        """Return the usage so far, and the text of `part`."""
        if isinstance(part, ChatResult):
            return usage_in(part.generations, part.llm_output), text_of(part.generations)
        usage = usage_in([part], None)
        if usage is not None and self._usage is not None:
            usage = Usage(*(one + more for one, more in zip(self._usage, usage, strict=True)))
        self._usage = usage or self._usage
        return self._usage, text_of([part])


def used_in(generations: Iterable[Generation]) -> Used:
    """Return what a whole answer used, for its record."""
    usage, text = usage_in(generations, None), text_of(generations)
    return (None if usage is None else Tokens(*usage)), text_tokens(text) if text else 0.0


def usage_in(generations: Iterable[Generation], output: Mapping[str, Any] | None) -> Usage | None:
    """Return what an answer says that it used; None: it does not say."""
    for generation in generations:
        message: Any = getattr(generation, "message", None)
        stated = getattr(message, "usage_metadata", None)
        if isinstance(stated, dict):
            return _stated(stated)
        found = _named(getattr(message, "response_metadata", None))
        if found is not None:
            return found
    return _named(output)


def text_of(generations: Iterable[Generation]) -> str:
    """Return what a model wrote: text, thoughts, and the arguments of tool calls."""
    texts: list[str] = []
    for generation in generations:
        if not isinstance(generation, ChatGeneration):
            texts.append(generation.text)
            continue
        message: Any = generation.message
        texts += [message.content] if isinstance(message.content, str) else _blocks(message.content)
        chunks = getattr(message, "tool_call_chunks", None)
        calls = getattr(message, "tool_calls", None) if chunks is None else chunks
        texts += [f"{call.get('name') or ''}{call.get('args') or ''}" for call in calls or ()]
    return "".join(texts)


def _blocks(content: Iterable[Any]) -> list[str]:
    """Return the texts of content in blocks."""
    texts = (
        block if isinstance(block, str) else block.get("text") or block.get(block.get("type"))
        for block in content
    )
    return [text for text in texts if isinstance(text, str)]


def _stated(usage: Mapping[str, Any]) -> Usage:
    """Read LangChain's own usage, whose input includes what was read from a cache."""
    read = amount(usage.get("input_tokens")) or 0.0
    details = usage.get("input_token_details") or {}
    cached = amount(details.get("cache_read")) or 0.0
    return Usage(read, amount(usage.get("output_tokens")) or 0.0, min(cached, read))


def _named(said: Any) -> Usage | None:
    """Read a provider's own usage, where LangChain's is not told."""
    if not isinstance(said, dict):
        return None
    return next((found for name in _USAGES if (found := usage_of({"usage": said.get(name)}))), None)
