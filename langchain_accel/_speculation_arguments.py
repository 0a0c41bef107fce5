"""What a tool is called with, as its method takes it and as JSON that tells one call from another.

Invariant: two calls with equal JSON are the same call. What might be spelled like something else (a
field that is left out of dumps, a secret that is printed as stars) is refused instead.
"""

from __future__ import annotations

import copy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel

from accel_core.policy.canonical import Unidentifiable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.tools import BaseTool

_POSITIONAL = "*"
"""Names what a tool takes by position, as no argument can be named."""


class Arguments(dict[str, Any]):
    """Validated arguments, as JSON.

    Attributes:
        args: as the tool's method takes them, by position.
        kwargs: and by name.
    """

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Spell them.

        Raises:
            Unidentifiable: one of them cannot be told from others.
        """
        super().__init__({name: plain(value) for name, value in kwargs.items()})
        if args:
            self[_POSITIONAL] = plain(args)
        self.args, self.kwargs = args, kwargs


def validated(tool: BaseTool, given: Mapping[str, Any]) -> Arguments | None:
    """Return `given` as `tool` validates it, defaults filled; None: it refuses them.

    Raises:
        Unidentifiable: one of them cannot be told from others.
    """
    if isinstance(given, Arguments):
        return given
    try:
        # LangChain writes into what it is given, and validators into what is inside.
        args, kwargs = tool._to_args_and_kwargs(copy.deepcopy(dict(given)), None)
    except Exception:  # a schema raises what it likes; the real call will meet it
        return None
    return Arguments(args, kwargs)


def plain(value: Any) -> Any:
    """Return `value` as JSON that no other value has.

    Raises:
        Unidentifiable: it is of a kind whose meaning is not known here.
    """
    if isinstance(value, Enum):
        return {_named(value): value.name}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, BaseModel):
        fields = {**vars(value), **(value.model_extra or {})}
        return {_named(value): {name: plain(item) for name, item in fields.items()}}
    if isinstance(value, (date, datetime, time, timedelta, Decimal, UUID)):
        return {_named(value): str(value)}
    raise Unidentifiable(type(value).__name__)


def _named(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
