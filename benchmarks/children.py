"""Processes of their own: for rows that need a clean interpreter, and for peers.

`measure` runs a module of this package and returns its last line of output, which is JSON; lines
before it may tell progress. `Child` keeps a process running and asks it; `Peer` is one in another
environment, asked so that its rounds can alternate with ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

ROOT = Path(__file__).resolve().parents[1]
_TAIL_CHARS = 2_000


class ChildError(Exception):
    """A child process failed; the message ends with what it said last."""


def measure(
    module: str, *arguments: str, report: Callable[[float], None] = lambda _: None
) -> dict[str, Any]:
    """Run ``python -m MODULE ARGUMENTS`` and return the object it prints last.

    Args:
        module: a module of this package.
        arguments: passed on.
        report: told of every line ``{"progress": share}`` on the way.

    Raises:
        ChildError: it failed, or printed no object.
    """
    command = [sys.executable, "-m", module, *arguments]
    found: dict[str, Any] = {}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                found = json.loads(line)
                if "progress" in found:
                    report(found["progress"])
        if child.returncode or not found:
            raise ChildError(f"{module} ended with {child.returncode}: {_tail(errors)}")
    return found


def run_code(code: str) -> dict[str, Any]:
    """Run `code` in a fresh interpreter and return the object it prints last.

    Raises:
        ChildError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        raise ChildError(f"ended with {done.returncode}: {done.stderr[-_TAIL_CHARS:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Child:
    """A process that answers lines of JSON, running as long as this is entered.

    Its native libraries get one thread each, as ours do.

    Args:
        name: what it is called in errors.
        command: starts it.
    """

    def __init__(self, name: str, *command: str | Path) -> None:
        self._name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send `request` and return its answer.

        Raises:
            ChildError: the child has ended.
        """
        assert self._child.stdin is not None
        # Where it has ended, that is told by its answer missing.
        with suppress(BrokenPipeError):
            print(json.dumps(request), file=self._child.stdin, flush=True)
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Return the next line it says.

        Raises:
            ChildError: the child has ended.
        """
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise ChildError(f"{self._name} ended with {self._child.wait()}: {_tail(self._errors)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.communicate()  # the end of its input is the end of it
        self._errors.close()


class Peer(Child):
    """A script run by the Python of an environment of its own.

    Args:
        name: ``.venv-NAME`` is its environment's folder, made by ``make bench-setup``.
        script: a file in ``benchmarks/peers``.

    Raises:
        UnavailableError: there is no such environment.
    """

    def __init__(self, name: str, script: str) -> None:
        python = _python_of(ROOT / f".venv-{name}")
        if python is None:
            raise UnavailableError(f"needs {name} in .venv-{name}: make bench-setup")
        super().__init__(name, python, Path(__file__).with_name("peers") / script)


def _python_of(environment: Path) -> Path | None:
    for place in ("bin/python", "Scripts/python.exe"):
        if (environment / place).exists():
            return environment / place
    return None


def _tail(errors: Any) -> str:
    errors.seek(0)
    tail: str = errors.read()[-_TAIL_CHARS:]
    return tail.strip()


def resident_bytes() -> int:
    """Return the memory this process holds, as the operating system counts it.

    Raises:
        UnavailableError: this operating system has no way to ask.
    """
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        asked = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError("needs /proc or ps to see the memory of a process") from error
    return int(asked.stdout) << 10
