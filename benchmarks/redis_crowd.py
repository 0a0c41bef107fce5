"""Processes that ask the same questions at once, as `redis_asking` does, and what they said."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.children import ROOT, ChildError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAIL_CHARS = 2_000


class Crowd:
    """Processes, to be used as a context manager; they are ready once it is entered.

    Args:
        store: URL of the Redis that they share.
        model: URL of the model's server.
        asks: the wordings of each question.
        processes: how many.
        tasks: in each.
        each: how many of the questions a task asks.
        pause_s: before each, on average.
        semantic: the section ``cache.semantic`` of their configuration.
        seed: of all dice.
    """

    def __init__(
        self,
        store: str,
        model: str,
        asks: Sequence[Sequence[str]],
        *,
        processes: int,
        tasks: int,
        each: int,
        pause_s: float = 0.0,
        semantic: dict[str, Any],
        seed: int = 1,
    ) -> None:
        self._told = [
            {
                "store": store,
                "model": model,
                "asks": asks,
                "tasks": [number * tasks, (number + 1) * tasks],
                "each": each,
                "pause_s": pause_s,
                "seed": seed,
                "semantic": semantic,
            }
            for number in range(processes)
        ]
        self._close = ExitStack()
        self.processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Crowd:
        self._errors = self._close.enter_context(tempfile.TemporaryFile("w+"))
        try:
            for told in self._told:
                child = subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.redis_asking"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    text=True,
                    cwd=ROOT,
                )
                self.processes.append(child)
                self._say(child, json.dumps(told))
            for child in self.processes:
                self._heard(child)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.processes:
            child.kill()
            child.communicate()
        self._close.close()

    def begin(self) -> None:
        """Let all of them ask."""
        for child in self.processes:
            self._say(child, "")

    def counts(self, *without: subprocess.Popen[str]) -> list[dict[str, float]]:
        """Return what each did, once it is done, but for those that were killed.

        Raises:
            ChildError: one failed.
        """
        alive = [child for child in self.processes if child not in without]
        return [json.loads(self._heard(child)) for child in alive]

    def _say(self, child: subprocess.Popen[str], line: str) -> None:
        assert child.stdin is not None
        print(line, file=child.stdin, flush=True)

    def _heard(self, child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise ChildError(f"a process ended: {self._errors.read()[-_TAIL_CHARS:]}")
        return line
