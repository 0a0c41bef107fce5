"""``accel audit``: what a log's calls would have saved, before anything is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.table import Table

from accel_core import config
from accel_core.audit.fields import TENANT_FIELDS
from accel_core.audit.formats import FORMATS
from accel_core.audit.page import page
from accel_core.audit.run import Terms, audit
from accel_core.audit.tally import TIERS
from accel_core.audit.wording import (
    TIER_NAMES,
    dollars,
    duration,
    refusals_told,
    tokens,
)
from accel_core.cli.encoders import encoder_of
from accel_core.cli.terminal import asides, fail, mistakes_told, progress, shown, told
from accel_core.errors import EncoderError
from accel_core.files import private
from accel_core.policy.limits.account import Limits

if TYPE_CHECKING:
    from rich.text import Text

    from accel_core.audit.findings import Findings
    from accel_core.audit.tally import Sum
    from accel_core.config import AccelConfig
    from accel_core.ports import Encoder

_MOST_MISSES = 6
_QUESTION_SHOWN = 70


def audit_logs(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOGS...",
            help="exports of LangSmith or OpenTelemetry, requests with responses, questions with"
            " answers, or messages: .json or .jsonl, also .gz",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="folder for audit.html, audit.json and accel.yaml")
    ] = Path("accel-audit"),
    pinned: Annotated[
        str | None, typer.Option("--format", help=f"{', '.join(FORMATS)}; default: looked at")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--config", help="accel.yaml to replay under; default: defaults")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="minilm, static, config, or none: only equal requests are hits")
    ] = "minilm",
    tenant_field: Annotated[
        str, typer.Option(help="where a log names whose a call is, with commas between")
    ] = ",".join(TENANT_FIELDS),
    provider: Annotated[
        str, typer.Option(help="how limits count: openai, anthropic, …")
    ] = "openai",
    tokens_per_minute: Annotated[float | None, typer.Option(help="the provider's limit")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="the provider's limit")] = None,
    tokens_per_day: Annotated[float | None, typer.Option(help="the provider's limit")] = None,
    requests_per_day: Annotated[float | None, typer.Option(help="the provider's limit")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Say what a log's calls would have saved; nothing leaves this machine."""
    kind = next((known for known in FORMATS if known == pinned), None)
    if pinned is not None and kind is None:
        fail(f"--format: must be one of {', '.join(FORMATS)}, got {pinned!r}")
    with mistakes_told(EncoderError), progress() as step:
        read = config.from_yaml(settings) if settings else config.from_mapping(None)
        amounts = {
            "tokens_per_minute": tokens_per_minute,
            "requests_per_minute": requests_per_minute,
            "tokens_per_day": tokens_per_day,
            "requests_per_day": requests_per_day,
        }
        named = any(amount is not None for amount in amounts.values())
        terms = Terms(
            config=read,
            limits=Limits(**cast("Any", amounts)) if named else None,
            provider=provider,
            pinned=kind,
            tenant_fields=tuple(filter(None, map(str.strip, tenant_field.split(",")))),
        )
        found = audit(logs, _encoder(encoder, read), terms, step)
        title = f"accel audit {', '.join(log.name for log in logs)}"
        private.replace(out / "audit.html", page(title, found).encode())
        private.replace(out / "audit.json", json.dumps(found.to_json(), indent=1).encode())
        private.replace(out / "accel.yaml", found.settings.encode())
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
    else:
        _tell(found)
    asides.print(shown(f"written to {out}: audit.html, audit.json, accel.yaml"), highlight=False)


def _encoder(name: str, read: AccelConfig) -> Encoder | None:
    """Return what compares questions; one that would send them away is refused."""
    if name == "none" or not read.cache.semantic.enabled:
        return None
    configured = read.cache.semantic.encoder
    if name == "config" and configured.kind == "openai":
        fail("--encoder config: openai's would send the questions out; give minilm, static or none")
    return encoder_of(name, configured)


def _tell(found: Findings) -> None:
    tally = found.tally
    table = _table("what would have been saved", "", "calls", "tokens", "dollars", "time")
    for tier in TIERS:
        one = tally.saved[tier]
        table.add_row(TIER_NAMES[tier], *_cells(one))
    for name, one in (("saved", tally.total), ("of all", tally.asked)):
        table.add_row(name, *_cells(one), style="bold")
    told.print(table)
    told.print(f"{found.hit_share:.1%} of the calls would have been answered without the model.")
    _tell_misses(found)
    for line in refusals_told(found):
        told.print(shown(line))
    _tell_riskiest(found)
    for note in found.notes:
        told.print(shown(f"· {note}"), style="dim")


def _cells(one: Sum) -> list[str]:
    figures = tokens(one), dollars(one), duration(one.time_s)
    return [f"{one.calls:,}", *("not known" if known is None else known for known in figures)]


def _tell_misses(found: Findings) -> None:
    if not found.tally.misses:
        return
    table = _table("why the others would not", "reason", "calls")
    for reason, count in found.tally.misses.most_common(_MOST_MISSES):
        table.add_row(shown(reason or "-"), f"{count:,}")
    told.print(table)


def _tell_riskiest(found: Findings) -> None:
    if not found.riskiest:
        return
    table = _table(
        "the riskiest answers by meaning; the page has them whole", "", "asked", "stored"
    )
    for hit in found.riskiest:
        safety = hit.similarity if hit.probability is None else hit.probability
        table.add_row(f"{safety:.3f}", _short(hit.asked), _short(hit.stored))
    told.print(table)


def _short(text: str) -> Text:
    line = " ".join(text.split())
    return shown(line if len(line) <= _QUESTION_SHOWN else f"{line[:_QUESTION_SHOWN]}…")


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="left" if column in ("asked", "stored") else "right")
    return table
