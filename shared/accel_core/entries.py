"""The entry of a request: what it takes over of it is said once, for whatever is stored.

Invariant: an entry bears its request's names and nothing that the request does not say, so that it
is found, listed and removed as what was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.ports import Entry

if TYPE_CHECKING:
    from accel_core.policy.identity import Request


def entry_of(
    request: Request,
    payload: bytes,
    *,
    created_s: float,
    lifetime_s: float,
    tags: tuple[str, ...],
    semantic: bool = False,
    cost_s: float = 0.0,
) -> Entry:
    """Return the entry of what is stored for a request.

    Args:
        request: what was asked.
        payload: what is stored.
        created_s: wall-clock stamp, seconds since the epoch.
        lifetime_s: how long it may be served, seconds.
        tags: names to invalidate it by.
        semantic: whether it may be served to another question of the same meaning.
        cost_s: how long it took to make, seconds.
    """
    return Entry(
        key=request.key,
        scope=request.scope,
        tenant=request.tenant,
        namespace=request.namespace,
        text=request.text,
        payload=payload,
        created_s=created_s,
        expires_s=created_s + lifetime_s,
        tags=tags,
        semantic=semantic,
        source=request.source,
        cost_s=cost_s,
    )
