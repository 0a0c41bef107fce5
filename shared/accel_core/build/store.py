"""The shared store that a configuration names, loaded when it is named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accel_core.errors import ConfigError
from accel_core.policy.seal import Seal

if TYPE_CHECKING:
    from accel_core.clocks import Clocks
    from accel_core.config import StoreConfig
    from accel_core.inspection import InspectableStore
    from accel_core.ports import Observer
    from accel_core.secrecy import Secrets


def build_store(
    config: StoreConfig,
    secrets: Secrets,
    emit: Observer,
    clocks: Clocks,
    *,
    read_only: bool = False,
) -> InspectableStore | None:
    """Open the shared store `config` names; None for none.

    Args:
        config: which one.
        secrets: what its entries are sealed with.
        emit: receives its events.
        clocks: the time it goes by.
        read_only: neither makes nor changes a file, which may be write-protected.

    Raises:
        ConfigError: the server's URL is none.
        MissingExtraError: the library of a server's client is not installed.
        StoreError: the file cannot be opened.
    """
    if config.kind == "none":
        return None
    if config.kind == "redis":
        return _redis(config, secrets, emit, clocks)
    from accel_core.store.sqlite import SqliteStore

    return SqliteStore(
        config.path,
        seal=Seal(secrets.current, secrets.previous),
        max_entries=config.max_entries,
        read_only=read_only,
        on_event=emit,
        wall_now=clocks.wall_now,
    )


def unsearched(config: StoreConfig) -> StoreConfig:
    """Return `config` for a store whose entries have no vectors: nobody searches it."""
    return replace(config, search="process") if config.kind == "redis" else config


def _redis(
    config: StoreConfig, secrets: Secrets, emit: Observer, clocks: Clocks
) -> InspectableStore:
    from accel_core.store.redis_store import RedisStore

    try:
        return RedisStore(
            config.url or "",
            prefix=config.prefix,
            search=config.search,
            seal=Seal(secrets.current, secrets.previous),
            max_entries=config.max_entries,
            lookup_timeout_s=config.lookup_timeout_s,
            on_event=emit,
            mono_now=clocks.mono_now,
        )
    except ConfigError as error:
        raise ConfigError(f"cache.store.{error.path}", error.value, error.expected) from None
