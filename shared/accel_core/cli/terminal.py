"""What all commands of ``accel`` say things with: two consoles, progress, and one way to fail.

Texts from elsewhere are `shown`: nothing in them moves a cursor, colours anything, or turns round
what stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from accel_core.errors import AccelError

told, asides = Console(), Console(stderr=True)

Step = Callable[[str], Callable[[float], None]]


def shown(text: str) -> Text:
    """Return `text` as it may stand on a terminal: what is not printable is spelled."""
    return Text("".join(map(_printable, text)))


def one_line(text: str) -> Text:
    """Return `text` for one line, or a cell of a table."""
    return shown(" ".join(text.split()))


def _printable(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return character.encode("unicode_escape").decode()


@contextmanager
def progress() -> Iterator[Step]:
    """Show a bar on standard error for every step that is begun."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=asides, transient=True) as bars:

        def step(description: str) -> Callable[[float], None]:
            task = bars.add_task(escape(shown(description).plain), total=1.0)
            return lambda share: bars.update(task, completed=share)

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
    asides.print(Text.assemble(("accel:", "bold red"), " ", shown(message)), highlight=False)
