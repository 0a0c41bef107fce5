"""``accel report``: what happened, as one page, from files, endpoints and stores."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accel_core import config
from accel_core.cli.store_places import Settings, check_key, opened, place_of
from accel_core.cli.terminal import fail, mistakes_told, progress, shown, told
from accel_core.files import private
from accel_core.observer.prices import load_prices
from accel_core.report import merged
from accel_core.report.endpoint import read_endpoint
from accel_core.report.page import page
from accel_core.report.statistics import read_statistics
from accel_core.report.stored import read_store
from accel_core.report.texts import with_texts, without_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.cli.terminal import Step
    from accel_core.report import Report

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="what observe.file wrote; a process's http://…/metrics; a Prometheus server; a store:"
        " an SQLite file, or redis://host:6379/0#prefix. Several are put together"
    ),
]
_SERVERS = ("redis://", "rediss://", "unix://")
_ENDPOINTS = ("http://", "https://")
_SQLITE = b"SQLite format 3\0"
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(m|h|d|w)")
_UNITS_S = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def report(
    sources: Sources = None,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="where to write; accel-report.html")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a page")] = False,
    texts: Annotated[
        bool, typer.Option("--texts", help="with questions in plain text, where they are known")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="what happened since: 24h, 7d, or 2026-06-21")
    ] = None,
) -> None:
    """Draw what the cache did: what it served and saved, how soon, and what it refused."""
    now_s = time.time()
    since_s = None if since is None else _moment(since, now_s)
    with mistakes_told(), progress() as step:
        found = _Reading(settings, since_s, now_s, step).of(sources or ())
        found = found if texts else without_texts(found)
    if as_json:
        written = json.dumps(found.to_json())
        if out is None:
            typer.echo(written)
            return
    else:
        written, out = page(found), out or Path("accel-report.html")
    try:
        private.replace(out, written.encode())  # tenants' figures, and texts if asked for
    except OSError as error:
        fail(f"{out}: cannot be written ({error.strerror}); name another by --out")
    told.print(shown(f"Written to {out}, {len(written.encode()):,} bytes"), highlight=False)


class _Reading:
    """Reads sources, one after the other."""

    def __init__(
        self, settings: Path | None, since_s: float | None, now_s: float, step: Step
    ) -> None:
        self._settings, self._since_s = settings, since_s
        self._now_s, self._step = now_s, step
        self._config = config.from_yaml(settings) if settings else config.AccelConfig()
        self._texts: dict[str, str] = {}

    def of(self, sources: Sequence[str]) -> Report:
        """Return the report of all sources; of none, of those that the configuration names."""
        named = list(sources) or self._configured()
        files = [Path(one) for one in named if _is_file(one)]
        found = [self._statistics(files)] if files else []
        for one in named:
            if one.startswith(_ENDPOINTS):
                bar = self._step("asking an endpoint")  # an address may hold a password
                found.append(
                    read_endpoint(one, since_s=self._since_s, now_s=self._now_s, progress=bar)
                )
            elif not _is_file(one):
                found.append(self._store(one))
        return with_texts(merged(found), self._texts)

    def _configured(self) -> list[str]:
        if self._settings is None:
            fail("name a source, or --config accel.yaml with observe.file.path or cache.store")
        path = self._config.observe.file.path
        found = [path] if path is not None and Path(path).exists() else []
        kind = self._config.cache.store.kind
        if kind == "redis" or (kind == "sqlite" and Path(self._config.cache.store.path).exists()):
            found.append("")
        if not found:
            fail(f"{self._settings} names no file of observe.file and no store that is there yet")
        return found

    def _statistics(self, files: Sequence[Path]) -> Report:
        return read_statistics(
            files,
            since_s=self._since_s,
            limits=self._config.limits,
            prices=load_prices(self._config.observe.prices),
            now_s=self._now_s,
            progress=self._step("reading statistics"),
        )

    def _store(self, at: str) -> Report:
        place = place_of(self._settings, at or None)
        with opened(place, read_only=True) as store:
            check_key(store, place)
            found, texts = read_store(
                store, str(place), now_s=self._now_s, progress=self._step(f"reading {place}")
            )
        self._texts.update(texts)
        return found


def _is_file(source: str) -> bool:
    """Whether `source` is taken for a statistics file: it is no address and no SQLite file."""
    if not source or source.startswith((*_SERVERS, *_ENDPOINTS)):
        return False
    try:
        with Path(source).open("rb") as file:
            return file.read(len(_SQLITE)) != _SQLITE
    except OSError:
        return True  # its reader says what is wrong with it


def _moment(since: str, now_s: float) -> float:
    ago = _AGO.fullmatch(since.strip())
    if ago is not None:
        return now_s - float(ago[1]) * _UNITS_S[ago[2]]
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        fail(f"--since: must be as 24h, 7d or 2026-06-21, got {since!r}")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
