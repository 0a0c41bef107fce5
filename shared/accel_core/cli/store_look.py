"""``accel store info``, ``list``, ``get`` and ``invalidate``."""

from __future__ import annotations

from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from accel_core.cli import store_told
from accel_core.cli.store_options import (
    AsJson,
    Asked,
    DryRun,
    Namespace,
    Scope,
    Tag,
    Tenant,
    hexadecimal,
    selectors,
)
from accel_core.cli.store_places import At, Embeddings, Settings, opened, place_of
from accel_core.cli.terminal import fail, mistakes_told, progress, say_wrong, shown, told
from accel_core.clocks import Clocks
from accel_core.leases import SharedFlights
from accel_core.ports import Entry, Selector
from accel_core.transfer import looking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accel_core.cli.store_places import Place
    from accel_core.inspection import InspectableStore, Stored

_REMOVED = 1_000
"""Keys removed at a time."""


def store_info(
    settings: Settings = None,
    at: At = None,
    embeddings: Embeddings = False,
    as_json: AsJson = False,
) -> None:
    """Say what the store is, and what lies in it."""
    with mistakes_told(), progress() as step:
        place = place_of(settings, at, embeddings=embeddings)
        with opened(place, read_only=True) as store:
            census = looking.counted(store, now_s=Clocks().wall_now(), report=step("counting"))
    file_bytes = Path(place.store.path).stat().st_size if place.store.kind == "sqlite" else None
    if as_json:
        about = {"kind": place.store.kind, "place": str(place), "file_bytes": file_bytes}
        store_told.tell_json({**about, "keyed": place.keyed, **census.to_json()})
    else:
        store_told.tell_census(str(place), census, file_bytes)


def list_entries(
    settings: Settings = None,
    at: At = None,
    embeddings: Embeddings = False,
    namespace: Namespace = None,
    tag: Tag = None,
    tenant: Tenant = None,
    scope: Scope = None,
    text: Asked = None,
    contains: Annotated[str | None, typer.Option(help="whose text has this in it")] = None,
    source: Annotated[str | None, typer.Option(help="which this produced, a model say")] = None,
    expired: Annotated[
        bool | None, typer.Option("--expired/--live", help="past their time, or in it")
    ] = None,
    limit: Annotated[int, typer.Option(help="so many at most; 0: all")] = 20,
    newest: Annotated[
        bool, typer.Option("--newest", help="the newest first, for which all are looked at")
    ] = False,
    columns: Annotated[
        str, typer.Option(help=f"of {','.join(store_told.COLUMNS)}")
    ] = store_told.DEFAULT_COLUMNS,
    as_json: AsJson = False,
) -> None:
    """Show the entries that fulfil all conditions given."""
    named, now_s = _columns(columns), Clocks().wall_now()
    wanted = looking.Filter(source=source, contains=contains, expired=expired)
    with mistakes_told(), progress() as step:
        place = place_of(settings, at, embeddings=embeddings)
        meant = selectors(
            place, namespace=namespace, tag=tag, tenant=tenant, scope=scope, text=text
        )
        with opened(place, read_only=True) as store:
            all_ = looking.matching(store, meant, wanted, now_s=now_s, report=step("looking"))
            found = _first(all_, limit + 1 if limit > 0 else None, newest=newest)
    more = 0 < limit < len(found)
    found = found[:limit] if more else found
    if as_json:
        rows = [store_told.row_json(*each, now_s) for each in found]
        store_told.tell_json({"place": str(place), "entries": rows, "more": more})
    else:
        store_told.tell_list(found, named, now_s, more=more)


def get_entry(
    id_: Annotated[str, typer.Argument(metavar="ID", help="or its beginning, where no other has")],
    settings: Settings = None,
    at: At = None,
    embeddings: Embeddings = False,
    as_json: AsJson = False,
) -> None:
    """Show one entry, with its question and its answer."""
    with mistakes_told(), progress():
        place = place_of(settings, at, embeddings=embeddings)
        with opened(place, read_only=True) as store:
            keys = _keys(store, id_.lower())
            found = store.inspect(keys) if len(keys) == 1 else {}
    if len(keys) > 1:
        _not_found(f"{len(keys):,} entries begin with {id_}: give more of it")
    if not found:
        _not_found(f"there is no {id_}")
    stored, now_s = found[keys[0]], Clocks().wall_now()
    entry = stored.found
    if not isinstance(entry, Entry):
        _not_found(f"the bytes of {keys[0].hex()} are refused: {entry}")
    if as_json:
        store_told.tell_json(store_told.entry_json(entry, stored, now_s))
    else:
        store_told.tell_entry(entry, stored, now_s)


def invalidate(
    settings: Settings = None,
    at: At = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="in the store of vectors beside it only")
    ] = False,
    id_: Annotated[str | None, typer.Option("--id", help="with this id, whole")] = None,
    namespace: Namespace = None,
    tag: Tag = None,
    tenant: Tenant = None,
    scope: Scope = None,
    text: Asked = None,
    all_: Annotated[bool, typer.Option("--all", help="everything")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove the entries that fulfil all conditions given, also from the vectors beside them.

    Processes that share the store notice, as where one of them removes them; on a server they store
    nothing of it either that they were asking for.
    """
    conditions = {
        "id_": id_, "namespace": namespace, "tag": tag, "tenant": tenant, "scope": scope,
        "text": text,
    }  # fmt: skip
    if all_ == any(value is not None for value in conditions.values()):
        fail("say which entries: by a condition such as --tag, or --all for every one")
    removed: dict[str, list[str]] = {}
    with mistakes_told():
        place = place_of(settings, at, embeddings=embeddings)
        meant = selectors(place, **conditions)
        for each in [place] if embeddings else [place, place.beside]:
            if each is place or not each.missing:
                removed[str(each)] = _removed(each, meant, dry_run=dry_run)
    _tell_removed(removed, dry_run=dry_run, as_json=as_json)
    if id_ is not None and not any(removed.values()):
        _not_found(f"there is no {id_}; --id takes it whole, as get shows it")


def _columns(spelled: str) -> list[str]:
    named = [name.strip() for name in spelled.split(",")]
    for name in named:
        if name not in store_told.COLUMNS:
            fail(f"--columns: must be of {', '.join(store_told.COLUMNS)}, got {name!r}")
    return named


def _first(
    found: Iterator[tuple[Entry, Stored]], limit: int | None, *, newest: bool
) -> list[tuple[Entry, Stored]]:
    """Return so many; None: all."""
    if not newest:
        return list(islice(found, limit))
    if limit is None:
        return sorted(found, key=_stored_s, reverse=True)
    return nlargest(limit, found, key=_stored_s)


def _stored_s(found: tuple[Entry, Stored]) -> float:
    return found[0].created_s


def _keys(store: InspectableStore, id_: str) -> list[bytes]:
    """Return the key that `id_` is, or else all that begin with it."""
    odd = len(id_) % 2 == 1
    whole = hexadecimal("ID", id_, padding="0" if odd else "")
    if not odd and store.inspect([whole]):
        return [whole]
    return [key for key in store.select(Selector()) if key.hex().startswith(id_)]


def _not_found(problem: str) -> NoReturn:
    say_wrong(problem)
    raise typer.Exit(1)


def _removed(place: Place, meant: Sequence[Selector], *, dry_run: bool) -> list[str]:
    """Remove what is meant, and return the ids."""
    # A file that is not there is not made, and said so.
    with opened(place, read_only=dry_run or place.missing) as store, progress() as step:
        if isinstance(store, SharedFlights) and not dry_run:
            # Before removing: what is being asked for now is then removed here, or refused later.
            store.outdate(meant)
        keys = list(dict.fromkeys(key for one in meant for key in store.select(one)))
        report = step("removing")
        for start in range(0, 0 if dry_run else len(keys), _REMOVED):
            store.remove(keys[start : start + _REMOVED])
            report(min(1.0, (start + _REMOVED) / len(keys)))
    return sorted(key.hex() for key in keys)


_SHOWN_IDS = 20


def _tell_removed(removed: dict[str, list[str]], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        store_told.tell_json({"removed": removed, "dry_run": dry_run})
        return
    verb = "would be removed" if dry_run else "removed"
    for place, ids in removed.items():
        told.print(shown(f"{len(ids):,} {verb} from {place}"), highlight=False)
        for id_ in ids[:_SHOWN_IDS] if dry_run else ():
            told.print(f"  {id_}", highlight=False)
