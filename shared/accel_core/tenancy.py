"""Who is asking, said by the application and by nobody else.

The tenant lives in a context variable that only `tenant` sets: request metadata can come from a
client, and a plain language model looks up its cache before any callback has run, so neither can
carry it. Threads started by the frameworks' executors and asyncio tasks inherit it; a bare
``threading.Thread`` does not, and its calls then belong to nobody.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tenant(NamedTuple):
    """Who is asking. `user` is a person inside the tenant, for ``forget``."""

    id: str
    user: str = ""


_current: ContextVar[Tenant | None] = ContextVar("accel_tenant", default=None)


def current() -> Tenant | None:
    """Return who is asking, or None."""
    return _current.get()


@contextmanager
def tenant(tenant_id: str, *, user: str = "") -> Iterator[None]:
    """Make every call inside belong to `tenant_id`.

    Raises:
        ValueError: `tenant_id` is not a non-empty text.
    """
    if not isinstance(tenant_id, str) or not tenant_id:
        raise ValueError(f"a tenant is a non-empty text, got {tenant_id!r}")
    token = _current.set(Tenant(tenant_id, user))
    try:
        yield
    finally:
        _current.reset(token)
