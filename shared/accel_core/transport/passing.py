"""What passes a limited client: which requests are counted, and an answer nobody reads to its end.

Counted are POSTs whose JSON body names a model; everything else passes unchanged.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from accel_core.response_body import Body


def may_count(method: str, content_type: str) -> bool:
    """Whether a request's body is worth reading."""
    return method == "POST" and "json" in content_type


def document_of(content: bytes) -> dict[str, Any] | None:
    """Return the JSON of a request that asks a model; None: it asks none."""
    try:
        document = orjson.loads(content)
    except ValueError:
        return None
    names_model = isinstance(document, dict) and isinstance(document.get("model"), str)
    return document if names_model else None


def end_when_garbage(holder: object, body: Body) -> None:
    """End `body` with `holder`, through which it is read."""
    weakref.finalize(holder, body.end, whole=False).atexit = False
