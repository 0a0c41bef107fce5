"""What all commands of ``accel`` say things with: two consoles, progress, and one way to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from accel_core.errors import AccelError

told, asides = Console(), Console(stderr=True)

Step = Callable[[str], Callable[[float], None]]


@contextmanager
def progress() -> Iterator[Step]:
    """Show a bar on standard error for every step that is begun."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=asides, transient=True) as shown:

        def step(description: str) -> Callable[[float], None]:
            task = shown.add_task(escape(description), total=1.0)
            return lambda share: shown.update(task, completed=share)

        yield step


@contextmanager
def mistakes_told(*more: type[Exception]) -> Iterator[None]:
    """End the command where a file or a setting is wrong, or what `more` names is raised."""
    mistakes: tuple[type[Exception], ...] = (AccelError, *more)
    try:
        yield
    except mistakes as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """End the command with `message` and code 2."""
    say_wrong(message)
    raise typer.Exit(2)


def say_wrong(message: str) -> None:
    """Say what is wrong, on standard error."""
    asides.print(f"[bold red]accel:[/] {escape(message)}", highlight=False)
