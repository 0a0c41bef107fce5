"""What a model is: its own class, and every field that can change what it answers.

Fields are read from the live object, private ones too: some integrations keep there what they were
made of. Left out are secrets, and what carries a request: clients, timeouts, callbacks. A field
that is not known to be one of these counts: a miss too many costs less than a wrong answer.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from accel_core.policy.nameless import class_name, named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_SECRET = re.compile(
    r"(^|_)((api|access|account|auth|private|secret|subscription)_?key|password|secret|credentials?"
    r"|(ad|access|api|auth|bearer|hf|id|refresh|session)_token)(_provider)?$|^_?(key|token)$"
)
"""Names of secrets; not of what merely counts or marks tokens, such as ``max_tokens``."""

_INFRASTRUCTURE = re.compile(
    r"(^|_)(a?client|a?session|callback_manager|callbacks|limiter|lock|retries|retry|retry_policy"
    r"|timeout|verbose|proxy|proxies)$|^(stream|stream_options|show_progress)$"
)
"""Names of what carries a request; how an answer travels is part: streamed and whole are one."""

_CLIENT = re.compile(r"(^|_)a?client$")


@functools.lru_cache(maxsize=1024)
def counts(name: str) -> bool:
    """Whether a field or argument of this name can change an answer.

    >>> [counts(name) for name in ("model", "max_tokens", "api_key", "http_client")]
    [True, True, False, False]
    """
    return not (_SECRET.search(name) or _INFRASTRUCTURE.search(name))


@functools.lru_cache(maxsize=1024)
def _carries(name: str) -> bool:
    """Whether a field of this name holds a client."""
    return _CLIENT.search(name) is not None


def described(model: object, own: type, without: Collection[str] = ()) -> dict[str, Any]:
    """Spell `model`, JSON-like.

    Args:
        model: a Pydantic model, or any object with attributes.
        own: the application's class of it.
        without: fields that are known not to count.
    """
    fields = dict(_fields(model))
    counting = {
        name: named(value) for name, value in fields.items() if counts(name) and name not in without
    }
    return {"class": class_name(own), "fields": counting, "elsewhere": _addresses(fields)}


def _fields(model: Any) -> Iterable[tuple[str, Any]]:
    declared = getattr(type(model), "model_fields", None)
    for name, value in vars(model).items():
        # Pydantic keeps there, too, what properties have cached.
        if declared is None or name in declared:
            yield name, value
    for more in ("__pydantic_extra__", "__pydantic_private__"):
        yield from (getattr(model, more, None) or {}).items()


def _addresses(fields: Mapping[str, Any]) -> list[str]:
    """Return where injected clients send requests, if not where the fields say.

    Most clients are made from the fields when they are first needed, so they must not count.
    """
    known = tuple(value for value in fields.values() if isinstance(value, str) and "://" in value)
    clients = (value for name, value in fields.items() if value is not None and _carries(name))
    found = {str(getattr(client, "base_url", "")) for client in clients} - {""}
    return sorted(address for address in found if not address.startswith(known))
