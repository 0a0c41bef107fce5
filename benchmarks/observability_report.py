"""What a report of a million events takes: `accel report`, from a file of a real observer's."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from accel_core.events import LimitWaited, ToolCallBegun, ToolCallReused
from accel_core.events.requests import Parts, RequestEnded, Tokens
from accel_core.files.statistics_file import StatisticsFile
from accel_core.policy.looked import Looked
from benchmarks.harness import Context, Measured, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.events import Event

_START_S, _SPAN_S = 1_790_000_000.0, 30 * 86_400.0
_QUESTIONS, _MODELS = 50_000, ("gpt-4o-mini", "gpt-4o", "own-model")
_TIERS = ("platinum", "gold", "silver", "best_effort")


class Reported(NamedTuple):
    """A report that was made."""

    took_s: float
    page_bytes: int
    file_bytes: int
    events: int


def _events(count: int, seed: int) -> Iterator[Event | Looked]:
    """Yield what a month of an application tells: half requests, and what belongs to them."""
    dice = random.Random(seed)
    for number in range(count):
        kind, at_s = number % 8, _START_S + _SPAN_S * number / count
        key = dice.randrange(_QUESTIONS).to_bytes(8, "big") * 4
        if kind in (0, 1, 2):
            yield RequestEnded(
                "chat", "hit", "answered", "calibrated", dice.lognormvariate(-7, 1), at_s,
                model=dice.choice(_MODELS), service_tier=dice.choice(_TIERS), tier="semantic",
                entry_id=key.hex(), similarity=0.97, age_s=60.0,
                saved=Tokens(300.0, 80.0), saved_s=dice.lognormvariate(0.4, 0.5),
            )  # fmt: skip
        elif kind in (3, 4, 5):
            took_s = dice.lognormvariate(0.4, 0.5)
            yield RequestEnded(
                "chat", "miss", "answered", "improbable", took_s, at_s,
                model=dice.choice(_MODELS), service_tier=dice.choice(_TIERS), streamed=True,
                entry_id=key.hex(), similarity=0.8, attempts=1, used=Tokens(300.0, 80.0),
                parts=Parts(0.02, 0.01, queue_s=0.1, model_s=took_s, first_token_s=0.3),
            )  # fmt: skip
        elif kind == 6:
            yield Looked(
                key, f"How long does refund {number} take?", b"", "improbable",
                near_key=key[::-1], near_text="How long does a refund take?",
                similarity=dice.uniform(0.6, 0.95), probability=dice.uniform(0.0, 0.9),
            )  # fmt: skip
        else:
            yield dice.choice(
                (
                    LimitWaited(dice.expovariate(2.0), "gold"),
                    ToolCallBegun("find_order", "learned", 0.9),
                    ToolCallReused("find_order", "learned", 0.4),
                )
            )


def _report(context: Context) -> Reported:
    """Make a report, by the command itself, with every text that there is."""
    count = context.pick(1_000_000, 100_000)
    with TemporaryDirectory() as folder:
        path, out = Path(folder, "statistics.jsonl"), Path(folder, "report.html")
        file = StatisticsFile(path, max_bytes=1 << 32, texts=True, wall_now=lambda: _START_S)
        for number, event in enumerate(_events(count, context.seed)):
            file(event)
            if number % 10_000 == 0:
                context.report(number / count)
        file.settle()
        command = [sys.executable, "-m", "accel_core.cli.main", "report", str(path), "--texts"]
        began_s = perf_counter()
        subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
        took_s = perf_counter() - began_s
        return Reported(took_s, out.stat().st_size, path.stat().st_size, count)


def report_time(context: Context) -> Measured:
    """Make the report of a million events."""
    made = context.once(_report)
    note = f"{made.events:,} events, {made.file_bytes / 2**20:.0f} MiB: {made.took_s:.1f} s"
    return Measured(made.took_s, note)


def page_size(context: Context) -> Measured:
    """Say how large its page is."""
    made = context.once(_report)
    return Measured(made.page_bytes / 1e6, f"{made.page_bytes:,} bytes")


ROWS = [
    Row(
        name="report-time",
        what="accel report over 1,000,000 events, s",
        op="<=",
        bound=30,
        measure=report_time,
    ),
    Row(
        name="report-page",
        what="its page, MB",
        op="<=",
        bound=3,
        measure=page_size,
    ),
]
