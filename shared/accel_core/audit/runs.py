"""Logs of runs as `accel learn-tools` reads them: lists of messages, without times.

Every message of an assistant is a call, and what stands before it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from accel_core.audit.fields import tenant_in
from accel_core.audit.logged import LoggedCall, Stated
from accel_core.audit.responses import read_response
from accel_core.audit.turns import turn_of
from accel_core.policy.identity import Prompt
from accel_core.prediction.messages import opened
from accel_core.prediction.traces import messages_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_NAMED = frozenset({"role", "type", "lc"})


def is_messages(record: Any) -> bool:
    """Whether `record` is a run's messages, or holds them."""
    try:
        messages = messages_of(record)
    except (TypeError, KeyError):
        return False
    return bool(messages) and all(isinstance(message, Mapping) for message in messages)


def is_message(record: Any) -> bool:
    """Whether `record` is one message: then its file is one run."""
    return isinstance(record, Mapping) and not _NAMED.isdisjoint(record) and is_messages([record])


def calls_in(record: Any, tenant_fields: Sequence[str]) -> Iterator[LoggedCall]:
    """Yield the calls of a run.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: something in it is no message.
    """
    named = record if isinstance(record, Mapping) else {}
    tenant = tenant_in(tenant_fields, named, named.get("metadata"))
    messages = messages_of(record)
    turns = tuple(map(turn_of, messages))
    for place, (message, turn) in enumerate(zip(messages, turns, strict=True)):
        if turn.role != "assistant" or not place:
            continue
        _, fields = opened(message)
        metadata = fields.get("response_metadata") or {}
        response = read_response(message)
        answer, text = response.answer or (None, "")
        model = metadata.get("model_name") or metadata.get("model") or named.get("model") or ""
        prompt = Prompt("audit.chat", {"model": model}, turns[:place], tenant, source=str(model))
        yield LoggedCall(prompt, answer, text, Stated(tokens=response.tokens))
