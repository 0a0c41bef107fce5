"""Whose calls and entries are meant: the tenant who asks, the namespace, what is to be removed.

Inside a tenant nothing of another one can be named, whatever is asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core import tenancy
from accel_core.errors import TenantRequiredError
from accel_core.policy.controls import user_tag
from accel_core.ports import Selector

if TYPE_CHECKING:
    from accel_core.config import AccelConfig
    from accel_core.policy.identity import Identifier
    from accel_core.tenancy import Tenant


class Whose:
    """Says whose.

    Args:
        config: namespace, and whether tenants are required.
        identifier: makes digests of tenants.
        default_tenant: whose every call is where none is set.
    """

    def __init__(
        self, config: AccelConfig, identifier: Identifier, default_tenant: str | None
    ) -> None:
        self._namespace, self._required = config.namespace, config.security.tenant_required
        self._identifier, self._default = identifier, default_tenant

    def current(self) -> str | None:
        """Return whose a call made now would be."""
        found = tenancy.current()
        return self._default if found is None else found.id

    def asking(self) -> Tenant | None:
        """Return who would make a call now, and for which user.

        Raises:
            TenantRequiredError: tenants are required and none is set.
        """
        found = tenancy.current()
        if found is not None:
            return found
        tenant = self._demanded(self._default)
        return None if tenant is None else tenancy.Tenant(tenant)

    def tenants(self) -> list[bytes]:
        """Return the digests of who asks now, the current one first; ``b""`` is nobody's.

        Raises:
            TenantRequiredError: tenants are required and none is set.
        """
        tenant = self._demanded(self.current())
        return [b""] if tenant is None else self._identifier.tenants(tenant)

    def digest(self) -> bytes:
        """Return the digest of whose a call made now would be; ``b""``: nobody's."""
        tenant = self.current()
        return b"" if tenant is None else self._identifier.tenants(tenant)[0]

    def namespace(self, narrower: str) -> str:
        """Return the configured namespace, narrowed by a call's own."""
        # A slash inside a name is escaped, so that no two pairs make one namespace.
        own, asked = (
            part.replace("%", "%25").replace("/", "%2F") for part in (self._namespace, narrower)
        )
        return f"{own}/{asked}" if asked else own

    def forgotten(self, **whom: str) -> list[Selector]:
        """Say what `Accel.forget` means.

        Raises:
            TenantRequiredError, TypeError: as there.
        """
        unknown = set(whom) - {"tenant", "user", "tag", "text"}
        if unknown or not whom or {"user", "tag"} <= set(whom):
            raise TypeError("forget() takes tenant, text, and one of user and tag; at least one")
        if "user" in whom:
            whom["tag"] = user_tag(whom.pop("user"))
        return self.selectors(**whom)

    def selectors(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the name a hit gives it
        scope: str | None = None,
        tenant: str | None = None,
        namespace: str | None = None,
        tag: str | None = None,
        text: str | None = None,
    ) -> list[Selector]:
        """Say what is meant; one selector for each secret a tenant's entries may be under.

        Raises:
            TenantRequiredError: tenants are required, none is set, and none is named.
            ValueError: an id or scope is not one.
        """
        current = self.current()
        if current is not None and tenant not in {None, current}:
            return []
        tenant = self._demanded(tenant or current)
        meant = Selector(
            key=None if id is None else bytes.fromhex(id),
            scope=None if scope is None else bytes.fromhex(scope),
            namespace=None if namespace is None else self.namespace(namespace),
            tag=tag,
            text=None if text is None else text.strip(),
        )
        if tenant is None:
            return [meant]
        return [replace(meant, tenant=digest) for digest in self._identifier.tenants(tenant)]

    def _demanded(self, tenant: str | None) -> str | None:
        if tenant is None and self._required:
            raise TenantRequiredError("tenants are required: call this inside accel.tenant(...)")
        return tenant
