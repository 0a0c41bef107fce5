"""The options that commands of ``accel store`` have in common, and which entries they mean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from accel_core.cli.terminal import fail
from accel_core.ports import Selector
from accel_core.secrecy import build_identifier

if TYPE_CHECKING:
    from accel_core.cli.store_places import Place

AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="change nothing, say what would")]
Namespace = Annotated[str | None, typer.Option(help="of this namespace, as info spells it")]
Tag = Annotated[str | None, typer.Option(help="with this tag")]
Tenant = Annotated[str | None, typer.Option(help="of this tenant; its digest as digest:HEX")]
Scope = Annotated[str | None, typer.Option(help="of this scope, hexadecimal")]
Asked = Annotated[str | None, typer.Option("--text", help="of this question, word for word")]

_DIGEST = "digest:"


def selectors(
    place: Place,
    *,
    id_: str | None = None,
    namespace: str | None = None,
    tag: str | None = None,
    tenant: str | None = None,
    scope: str | None = None,
    text: str | None = None,
) -> list[Selector]:
    """Say which entries are meant; one selector for each secret a tenant's may be under."""
    meant = Selector(
        key=None if id_ is None else hexadecimal("--id", id_),
        scope=None if scope is None else hexadecimal("--scope", scope),
        namespace=namespace,
        tag=tag,
        text=None if text is None else text.strip(),
    )
    if tenant is None:
        return [meant]
    if tenant.startswith(_DIGEST):
        return [replace(meant, tenant=hexadecimal("--tenant", tenant.removeprefix(_DIGEST)))]
    digests = build_identifier(place.secrets).tenants(tenant)
    return [replace(meant, tenant=digest) for digest in digests]


def hexadecimal(option: str, spelled: str, padding: str = "") -> bytes:
    """Return the bytes that `spelled`, followed by `padding`, means, or end the command."""
    try:
        return bytes.fromhex(spelled + padding)
    except ValueError:
        fail(f"{option}: must be hexadecimal, got {spelled!r}")
