"""``python -m benchmarks GROUP [ROW…]``: measure, tell, and exit with 1 where a bound is not kept.

A group is a module of this package with a `GROUP`; rows are named whole or by a pattern.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = ("cache", "decision", "limits", "observability", "redis", "retrieval", "speculation")
"""Modules of this package, in the order of `--list`."""
FILES = ("questions", "pairs", "prompts", "traces", "frugal_traces")
"""Options that name a file."""


def load(name: str) -> harness.Group:
    """Return the group of that name."""
    group: harness.Group = importlib.import_module(f"benchmarks.{name}").GROUP
    return group


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what `arguments` say and return the exit code."""
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    if options.list:
        _list([options.group] if options.group else GROUPS)
        return 0
    if options.group is None:
        parser.error(f"name a group: {', '.join(GROUPS)}")
    files = {name: getattr(options, name) for name in FILES}
    for name, path in files.items():
        if path is not None and not path.is_file():
            parser.error(f"--{name.replace('_', '-')}: there is no file {path}")
    group = load(options.group)
    try:
        rows = group.chosen(options.rows, quick=options.quick)
    except ValueError as error:
        parser.error(str(error))
    context = harness.Context(quick=options.quick, seed=options.seed, **files)
    return run(group, rows, context)


def run(group: harness.Group, rows: Sequence[harness.Row], context: harness.Context) -> int:
    """Measure `rows`, tell the outcome, and return the exit code: 0 where every bound is kept."""
    results = harness.run(group, rows, context)
    harness.tell(group, results, context)
    return 0 if all(result.holds for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("group", nargs="?", choices=GROUPS, help="what to measure")
    add("rows", nargs="*", metavar="ROW", help="rows by name or pattern ('index-*'); default: all")
    add("--list", action="store_true", help="list groups and rows, measure nothing")
    add("--quick", action="store_true", help="fewer rounds, and without the longest rows")
    add("--questions", type=Path, metavar="FILE", help="measure with these questions, not our own")
    add("--pairs", type=Path, metavar="FILE", help="labelled pairs: a, b, same")
    add("--prompts", type=Path, metavar="FILE", help="prompts that repeat nothing: text")
    add("--traces", type=Path, metavar="FILE", help="runs of an agent, learned from and replayed")
    add("--frugal-traces", type=Path, metavar="FILE", help="likewise, of one who must not waste")
    add("--seed", type=int, default=1, help="of all dice (default: 1)")
    return parser


def _list(names: Sequence[str]) -> None:
    for name in names:
        print(name)
        for row in load(name).rows:
            note = "" if row.quick else "  (not in --quick)"
            print(f"  {row.name:<28}{row.what}: {row.op} {row.bound:g}{note}")


if __name__ == "__main__":
    sys.exit(main())
