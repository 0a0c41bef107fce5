"""``accel learn-tools``: learn from logs of an agent's runs which calls it will make."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accel_core.cli.terminal import fail, mistakes_told, progress, told
from accel_core.policy.prediction.known import Readers
from accel_core.policy.trajectory import Observed
from accel_core.prediction import file, fitting, traces

if TYPE_CHECKING:
    from accel_core.policy.prediction.model import CallModel


def learn_tools(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRACES...",
            help="runs as .json or .jsonl, also .gz: messages of LangChain, LlamaIndex or OpenAI",
        ),
    ],
    free: Annotated[
        str, typer.Option(help="tools without side effects: names or patterns, with commas between")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="where to write")] = Path("tools.json"),
) -> None:
    """Learn which calls an agent makes next, from logs of its runs."""
    with mistakes_told(), progress() as step:
        runs = [run for log in logs for run in traces.read_runs(log)]
        called = {e.tool for run in runs for e in run.events if isinstance(e, Observed)}
        patterns = [pattern.strip() for pattern in free.split(",") if pattern.strip()]
        named = frozenset(t for t in called if any(fnmatchcase(t, p) for p in patterns))
        if not named:
            fail(f"--free {free!r}: names none of the tools called: {', '.join(sorted(called))}")
        learned = fitting.fit(
            runs, named, file.shipped_forests(), Readers(),
            report=step(f"learning from {len(runs):,} runs"),
        )  # fmt: skip
        file.save(out, learned.to_json())
    _explain(runs, named, called - named, learned, out)


def _explain(
    runs: list[fitting.Run], free: frozenset[str], other: set[str], learned: CallModel, out: Path
) -> None:
    told.print(f"Written to [bold]{out}[/]: what {len(runs):,} runs teach about", highlight=False)
    told.print(f"  tools that may be called unasked: {', '.join(sorted(free))}")
    told.print(
        f"  tools after which everything may be different: {', '.join(sorted(other)) or '-'}"
    )
    if len(runs) < fitting.LEAST_RUNS:
        told.print(
            f"  With {fitting.LEAST_RUNS} runs and more, guesses are judged by these runs, not by"
            " others'."
        )
    for tool in sorted(free):
        rows = learned.tally.rows(("judged", tool))
        if rows:
            told.print(
                f"  {tool}: of {rows['offered']:.0f} likely guesses {rows.get('used', 0):.0f} came"
                f" true, {rows['expected']:.0f} were expected to"
            )
    told.print(f'  To use it: [bold]learned="{out}"[/], of SpeculativeTools or speculate')
