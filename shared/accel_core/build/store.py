"""The shared store that a configuration names, loaded when it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.seal import Seal

if TYPE_CHECKING:
    from accel_core.clocks import Clocks
    from accel_core.config import StoreConfig
    from accel_core.ports import Observer, Store
    from accel_core.secrecy import Secrets


def build_store(
    config: StoreConfig, secrets: Secrets, emit: Observer, clocks: Clocks
) -> Store | None:
    """Open the shared store `config` names; None for none."""
    if config.kind == "none":
        return None
    from accel_core.store.sqlite import SqliteStore

    return SqliteStore(
        config.path,
        seal=Seal(secrets.current, secrets.previous),
        max_entries=config.max_entries,
        on_event=emit,
        wall_now=clocks.wall_now,
    )
