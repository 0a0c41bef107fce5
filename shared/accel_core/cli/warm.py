"""``accel warm``: ask questions before users do, so that caches are full when they come."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from accel_core import config, tenancy
from accel_core.build import build_store
from accel_core.cli.terminal import asides, fail, mistakes_told, told
from accel_core.clocks import Clocks
from accel_core.files.warm_progress import WarmProgress
from accel_core.observer.log import LoggingObserver
from accel_core.secrecy import build_identifier, read_secrets
from accel_core.warming import sources
from accel_core.warming.run import Terms, warm
from accel_core.warming.target import load_target, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accel_core.config import AccelConfig
    from accel_core.warming.run import Standing, Warmed

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?")
_SECONDS = {"s": 1, None: 1, "m": 60, "h": 3600}


def warm_up(
    app: Annotated[str, typer.Option(help="what is asked: module:attribute, as app:engine")],
    source: Annotated[
        str, typer.Option("--from", help="questions: a .jsonl file, log (shadow log), or store")
    ],
    top: Annotated[int, typer.Option(help="so many, the most frequent first")] = 5_000,
    rate: Annotated[str, typer.Option(help="as 20/s, 300/m")] = "20/s",
    settings: Annotated[
        Path | None, typer.Option("--config", help="accel.yaml: where log and store are")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="in whose name is asked")] = None,
    key: Annotated[str | None, typer.Option(help="a chain's name for its question")] = None,
    progress: Annotated[
        Path | None, typer.Option(help="goes on from here; default: under .accel")
    ] = None,
    max_failures: Annotated[int, typer.Option(help="one after the other that end it")] = 20,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="ask nothing, say what would")] = False,
) -> None:
    """Ask the most frequent questions once, evenly paced; an interrupted run goes on."""
    rate_per_s = _rate_per_s(rate)
    if top < 1:
        fail(f"--top: must be at least 1, got {top}")
    # As ``python -m`` has it: the application lies where the command is given.
    sys.path.insert(0, str(Path.cwd()))
    with mistakes_told(), ExitStack() as inside:
        read = config.from_yaml(settings) if settings else config.from_mapping(None)
        questions = sources.most_asked(_questions(source, read, tenant), top)
        path = progress or _progress_path(app, source, tenant)
        record = WarmProgress(path)
        done = sum(question in record for question in questions)
        target = load_target(app)
        method = target_of(target, key).name
        if dry_run:
            _tell_plan(len(questions), done, rate_per_s, f"{app}.{method}")
            return
        if tenant is not None:
            inside.enter_context(tenancy.tenant(tenant))
        report = inside.enter_context(_shown(len(questions), done))
        try:
            warmed = warm(
                target, questions, rate_per_s=rate_per_s, key=key, progress=path,
                terms=Terms(max_failures=max_failures), report=report,
            )  # fmt: skip
        except KeyboardInterrupt:
            asides.print(f"interrupted: the same command goes on from {path}", highlight=False)
            raise typer.Exit(130) from None
    _tell(warmed, path)


def _rate_per_s(spelled: str) -> float:
    match = _RATE.fullmatch(spelled.strip())
    if match is None or not float(match[1]) > 0:
        fail(f"--rate: must be as 20/s or 300/m, got {spelled!r}")
    return float(match[1]) / _SECONDS[match[2]]


def _questions(source: str, read: AccelConfig, tenant: str | None) -> list[tuple[str, int]]:
    if source not in ("log", "store"):
        return sources.from_file(Path(source))
    secrets = read_secrets(read.security)
    tenants = [b""] if tenant is None else build_identifier(secrets).tenants(tenant)
    if source == "log":
        log = read.cache.semantic.shadow_log
        if log is None:
            fail("--from log: name a configuration with cache.semantic.shadow_log as --config")
        return sources.from_log(Path(log), tenants)
    where = read.cache.store
    if not Path(where.path).is_file():
        fail(f"--from store: there is no {where.path}; name its configuration as --config")
    kept = config.StoreConfig(kind="sqlite", path=where.path, max_entries=where.max_entries)
    store = build_store(kept, secrets, LoggingObserver(), Clocks())
    if store is None:
        return []
    try:
        return sources.from_store(store, tenants)
    finally:
        store.close()


def _progress_path(app: str, source: str, tenant: str | None) -> Path:
    run = hashlib.blake2b(repr((app, source, tenant)).encode(), digest_size=6).hexdigest()
    return Path(".accel") / f"warm-{run}.progress"


@contextmanager
def _shown(total: int, done: int) -> Iterator[Callable[[Standing], None]]:
    """Show a bar with counts and the time left on standard error."""
    columns = (
        TextColumn("asking"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.description}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=asides, transient=True) as bar:
        task = bar.add_task("", total=total, completed=done)

        def report(at: Standing) -> None:
            said = f"{at.failed:,} failed, {at.refused:,} refused"
            bar.update(task, completed=at.done + at.failed, description=said)

        yield report


def _tell_plan(total: int, done: int, rate_per_s: float, asked: str) -> None:
    left = total - done
    took = time.strftime("%H:%M:%S", time.gmtime(left / rate_per_s))
    told.print(
        f"{left:,} of {total:,} questions would be asked of {asked}, {done:,} are done:"
        f" {took} at {rate_per_s:g} a second.",
        highlight=False,
    )


def _tell(warmed: Warmed, path: Path) -> None:
    told.print(
        f"{warmed.asked:,} questions answered, {warmed.already:,} were before;"
        f" {sum(warmed.errors.values()):,} failed, {warmed.refused:,} times refused.",
        highlight=False,
    )
    for name, count in sorted(warmed.errors.items()):
        told.print(f"  {name}: {count:,}", highlight=False)
    if warmed.left:
        fail(
            f"too many failed one after the other; {warmed.left:,} questions are left:"
            f" the same command goes on from {path}"
        )
