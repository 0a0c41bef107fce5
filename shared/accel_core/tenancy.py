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
    from collections.abc import Callable, Iterator


class Tenant(NamedTuple):
    """Who is asking. `user` is a person inside the tenant, for ``forget``."""

    id: str
    user: str = ""


_current: ContextVar[Tenant | None] = ContextVar("accel_tenant", default=None)
_met: ContextVar[set[Tenant] | None] = ContextVar("accel_tenants_met", default=None)
"""Who was asking inside `as_each_inside`; shared with the threads and tasks that begin there."""


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
    who, met = Tenant(tenant_id, user), _met.get()
    if met is not None:
        met.add(who)
    with _as(who):
        yield


@contextmanager
def as_each_inside(call: Callable[[], object]) -> Iterator[None]:
    """Call `call` now, and at the end as everybody who was asking at any moment inside."""
    before, outer = current(), _met.get()
    met: set[Tenant] = set()
    token = _met.set(met)
    call()
    try:
        yield
    finally:
        _met.reset(token)
        if outer is not None:
            outer |= met
        for who in {before, current(), *met}:
            with _as(who):
                call()


@contextmanager
def _as(who: Tenant | None) -> Iterator[None]:
    token = _current.set(who)
    try:
        yield
    finally:
        _current.reset(token)
