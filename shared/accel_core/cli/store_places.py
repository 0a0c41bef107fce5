"""Which store a command of ``accel store`` works on: a configuration's, a file, or a server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import parse_qs, urlsplit

import typer

from accel_core import build, config
from accel_core.cli.terminal import fail
from accel_core.clocks import Clocks
from accel_core.errors import ConfigError
from accel_core.observer.log import LoggingObserver
from accel_core.policy.seal import Seal
from accel_core.secrecy import Secrets, read_secrets
from accel_core.transfer.looking import other_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.config import EncoderConfig, StoreConfig
    from accel_core.inspection import InspectableStore

Settings = Annotated[
    Path | None, typer.Option("--config", help="accel.yaml: names the store, and its keys")
]
At = Annotated[
    str | None,
    typer.Option("--store", help="another: an SQLite file, or redis://host:6379/0#prefix"),
]
Embeddings = Annotated[
    bool, typer.Option("--embeddings", help="the store of vectors that lies beside it")
]

_CONFIGURATIONS = (".yaml", ".yml")
_SERVERS = ("redis://", "rediss://", "unix://")
_UNBOUNDED_ENTRIES = 1 << 40
"""A store that no configuration describes lets nothing go: its application knows its bound."""

_PATIENCE_S = 10.0
"""How long a server may take to answer: nobody waits for a model here."""


class Place(NamedTuple):
    """A store that may be opened.

    Attributes:
        store: where it is.
        secrets: what its entries are sealed with.
        encoder: what its application compares questions by.
    """

    store: StoreConfig
    secrets: Secrets
    encoder: EncoderConfig

    @property
    def keyed(self) -> bool:
        """Whether its entries are sealed."""
        return self.secrets.current is not None

    @property
    def seal(self) -> Seal:
        """Signs and verifies its entries."""
        return Seal(self.secrets.current, self.secrets.previous)

    @property
    def full_entries(self) -> int:
        """With how many entries it has let some go: a store makes room for several at once."""
        return self.store.max_entries - self.store.max_entries // 64

    @property
    def missing(self) -> bool:
        """Whether it is a file that is not there."""
        return self.store.kind == "sqlite" and not Path(self.store.path).exists()

    @property
    def beside(self) -> Place:
        """The store of vectors that lies beside it."""
        return self._replace(store=build.beside(self.store))

    def __str__(self) -> str:
        if self.store.kind == "sqlite":
            return str(Path(self.store.path).resolve())
        return f"{_server(self.store.url or '')}#{self.store.prefix}"


def place_of(settings: Path | None, at: str | None, *, embeddings: bool = False) -> Place:
    """Return the store that ``--config`` and ``--store`` name.

    Raises:
        ConfigError: the configuration is wrong, or a secret is missing.
    """
    if at is None and settings is None:
        fail("name the store: --config accel.yaml, or --store with a file or a URL")
    read = config.from_yaml(settings) if settings else config.AccelConfig()
    store = read.cache.store if at is None else _named(at)
    if store.kind == "none":
        fail(f"{settings} keeps entries in memory only: set cache.store, or name one by --store")
    place = Place(store, read_secrets(read.security), read.cache.semantic.encoder)
    return place.beside if embeddings else place


def places_of(
    source: str, target: str, settings: Path | None, *, embeddings: bool
) -> tuple[Place, Place]:
    """Return the stores that two arguments name: configurations, files or URLs.

    What is no configuration has the keys of `settings`, or else of the other one.

    Raises:
        ConfigError: a configuration is wrong, or a secret is missing.
    """
    named = [Path(each) for each in (target, source) if each.endswith(_CONFIGURATIONS)]
    keys = settings or (named[0] if named else None)
    old, new = (
        place_of(Path(each), None, embeddings=embeddings)
        if each.endswith(_CONFIGURATIONS)
        else place_of(keys, each, embeddings=embeddings)
        for each in (source, target)
    )
    if str(old) == str(new):
        fail(f"{old} is source and target; name another target")
    return old, new


@contextmanager
def opened(place: Place, *, read_only: bool) -> Iterator[InspectableStore]:
    """Open a store; a file is made only where it is to be written.

    Raises:
        ConfigError: the server's URL is none.
        MissingExtraError: the library of a server's client is not installed.
        StoreError: it cannot be opened.
    """
    patient = replace(place.store, lookup_timeout_s=_PATIENCE_S)
    store = build.build_store(
        patient, place.secrets, LoggingObserver(), Clocks(), read_only=read_only
    )
    assert store is not None
    try:
        yield store
    finally:
        store.close()


def check_key(store: InspectableStore, place: Place) -> None:
    """End the command where the store's application seals its entries with another key."""
    problem = other_key(store, keyed=place.keyed)
    if problem is not None:
        fail(f"{place}: {problem}; name its application's configuration as --config")


def check_secrets(source: Place, target: Place) -> None:
    """End the command where nothing carried would be found: names depend on the secret."""
    if source.secrets.current not in {target.secrets.current, target.secrets.previous}:
        fail(
            f"{source} has another secret than {target}, where its entries would never be found:"
            " name it there as security.previous_key_env"
        )


def _named(at: str) -> StoreConfig:
    """Return the store that ``--store`` names, read as a configuration would be."""
    if at.startswith(_SERVERS) or at.startswith("${"):
        url, _, prefix = at.partition("#")
        named = {"kind": "redis", "url": url, "prefix": prefix or "accel"}
    else:
        named = {"kind": "sqlite", "path": at}
    settings = {"cache": {"store": {**named, "max_entries": _UNBOUNDED_ENTRIES}}}
    return config.from_mapping(settings).cache.store


def _server(url: str) -> str:
    """Return where a server is, with nothing of its user or password."""
    parts = urlsplit(url)
    try:
        port = parts.port or 6379
    except ValueError:
        # Without the cause: it may quote the part of the URL with the password.
        raise ConfigError("url", "(not shown)", "must be percent-encoded") from None
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    asked = parse_qs(parts.query).get("db", [parts.path.strip("/")])[0]
    number = asked if asked.isdigit() else "0"
    return f"{parts.scheme}://{parts.hostname or 'localhost'}:{port}/{number}"
