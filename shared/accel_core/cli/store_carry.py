"""``accel store export``, ``import`` and ``copy``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from accel_core.cli.encoders import encoder_of
from accel_core.cli.store_options import AsJson, DryRun, Namespace, Tag, Tenant, selectors
from accel_core.cli.store_places import (
    At,
    Embeddings,
    Settings,
    check_key,
    check_secrets,
    opened,
    place_of,
    places_of,
)
from accel_core.cli.store_told import tell_json, tell_tally
from accel_core.cli.terminal import asides, mistakes_told, progress
from accel_core.clocks import Clocks
from accel_core.ports import Selector
from accel_core.store.memory import MemoryStore
from accel_core.transfer.files import reading, writing
from accel_core.transfer.leaving import arriving, export, leaving
from accel_core.transfer.taking import Taking
from accel_core.transfer.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from accel_core.cli.store_places import Place
    from accel_core.ports import Entry, Store

Replace = Annotated[
    bool, typer.Option("--replace", help="also where the store has another under the same name")
]
NewEncoder = Annotated[
    str | None,
    typer.Option("--encoder", help="make vectors anew: minilm, static, or config: the target's"),
]


class Terms(NamedTuple):
    """How entries are taken: the options that import and copy share."""

    replace: bool
    encoder: str | None
    dry_run: bool


def export_store(
    file: Annotated[Path, typer.Argument(help="to write: .jsonl, or compressed as .jsonl.zst")],
    settings: Settings = None,
    at: At = None,
    embeddings: Embeddings = False,
    namespace: Namespace = None,
    tag: Tag = None,
    tenant: Tenant = None,
    vectors: Annotated[bool, typer.Option(help="with the vectors of questions")] = True,
    force: Annotated[bool, typer.Option("--force", help="replace the file")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write entries into a file of lines, which only its owner can read."""
    tally = Tally()
    with mistakes_told(), _interruptible(f"{file} was not written"), progress() as step:
        place = place_of(settings, at, embeddings=embeddings)
        meant = selectors(place, namespace=namespace, tag=tag, tenant=tenant)
        with opened(place, read_only=True) as store:
            check_key(store, place)
            leaves = leaving(
                store, meant, tally, wall_now=Clocks().wall_now, report=step("exporting")
            )
            with writing(file, replace=force, dry_run=dry_run) as out:
                export(leaves, out, place.seal, tally, vectors=vectors)
    done = "would be written" if dry_run else "written"
    about = {"place": place, "file": file, "dry_run": dry_run}
    _tell(tally, f"{done} to {file}", about, as_json)


def import_file(
    file: Annotated[Path, typer.Argument(help="which accel store export wrote")],
    settings: Settings = None,
    at: At = None,
    embeddings: Embeddings = False,
    replace: Replace = False,
    encoder: NewEncoder = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Store the entries of a file: they keep their names, tenants, tags and expiry."""
    tally, terms = Tally(), Terms(replace, encoder, dry_run)
    with mistakes_told(), _interruptible("the same command goes on"), progress() as step:
        place = place_of(settings, at, embeddings=embeddings)
        with reading(file) as written:
            _take(
                arriving(
                    file, written, place.seal, tally,
                    wall_now=Clocks().wall_now, report=step("importing"),
                ),
                place, terms, tally,
            )  # fmt: skip
    done = "would be stored" if dry_run else "stored"
    about = {"file": file, "place": place, "dry_run": dry_run}
    _tell(tally, f"{done} in {place}", about, as_json)


def copy_store(
    source: Annotated[str, typer.Argument(help="accel.yaml, an SQLite file, or a URL")],
    target: Annotated[str, typer.Argument(help="the same; a file is made where there is none")],
    settings: Annotated[
        Path | None, typer.Option("--config", help="accel.yaml with the keys of files and URLs")
    ] = None,
    embeddings: Embeddings = False,
    namespace: Namespace = None,
    tag: Tag = None,
    tenant: Tenant = None,
    replace: Replace = False,
    encoder: NewEncoder = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Carry entries from one store to another, or to another encoder."""
    tally, terms = Tally(), Terms(replace, encoder, dry_run)
    with mistakes_told(), _interruptible("the same command goes on"), progress() as step:
        old, new = places_of(source, target, settings, embeddings=embeddings)
        check_secrets(old, new)
        meant = selectors(old, namespace=namespace, tag=tag, tenant=tenant)
        with opened(old, read_only=True) as store:
            check_key(store, old)
            leaves = leaving(
                store, meant, tally, wall_now=Clocks().wall_now, report=step("copying")
            )
            _take(leaves, new, terms, tally)
    done = "would be copied" if dry_run else "copied"
    about = {"source": old, "target": new, "dry_run": dry_run}
    _tell(tally, f"{done} to {new}", about, as_json)


def _take(pages: Iterable[list[Entry]], place: Place, terms: Terms, tally: Tally) -> None:
    """Put entries into the store at `place`."""
    encodes = None if terms.encoder is None else encoder_of(terms.encoder, place.encoder)
    with _target(place, dry_run=terms.dry_run) as store:
        taking = Taking(
            store, tally,
            wall_now=Clocks().wall_now,
            replaces=terms.replace, encoder=encodes, dry_run=terms.dry_run,
        )  # fmt: skip
        for page in pages:
            taking.take(page)
        tally.full = len(store.select(Selector())) >= place.full_entries


@contextmanager
def _target(place: Place, *, dry_run: bool) -> Iterator[Store]:
    """Open the store that takes entries; a dry run makes no file."""
    if dry_run and place.missing:
        yield MemoryStore()
        return
    with opened(place, read_only=dry_run) as store:
        check_key(store, place)
        yield store


@contextmanager
def _interruptible(what: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        asides.print(f"interrupted: {what}", highlight=False, markup=False)
        raise typer.Exit(130) from None


def _tell(tally: Tally, done: str, about: dict[str, Any], as_json: bool) -> None:
    """Say what became of entries; code 1 where some that should be there are not readable."""
    if as_json:
        named = {name: value if name == "dry_run" else str(value) for name, value in about.items()}
        tell_json({**named, **tally.to_json()})
    else:
        tell_tally(tally, done, str(about.get("file", "")))
    if tally.damaged:
        raise typer.Exit(1)
