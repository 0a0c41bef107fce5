"""What an object holds, and whether it still holds the same.

Each thing counts by which one it is: what is put in another's place is noticed, also where the two
are equal. A long list of texts, such as the ids of all nodes of an index, counts by what it says,
which takes a twentieth of the time.
"""

from __future__ import annotations

import functools
from operator import is_
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

_LONG = 16


def is_long_list_of_texts(value: Any) -> bool:
    """Whether `value` is spelled, and compared, as a whole."""
    return len(value) > _LONG and set(map(type, value)) == {str}


class Holdings:
    """What an object, list or mapping held when this was made; not the object itself.

    Args:
        value: the object.
    """

    __slots__ = ("_kind", "_look", "_things")

    def __init__(self, value: Any) -> None:
        kind: Any = type(value)
        self._kind = kind
        self._look: Callable[[Any], tuple[object, ...]] | None = _look_of(kind)
        self._things: Any = self._look(value)
        if kind is list and is_long_list_of_texts(value):
            self._look, self._things = None, value.copy()

    def are_still_of(self, value: object) -> bool:
        """Whether `value`, the same object, holds the same things."""
        if type(value) is not self._kind:
            return False
        if self._look is None:
            return bool(value == self._things)
        now = self._look(value)
        return len(now) == len(self._things) and all(map(is_, now, self._things))


@functools.lru_cache(maxsize=1024)
def _look_of(kind: Any) -> Callable[[Any], tuple[object, ...]]:
    """Return what tells all that objects of a class hold."""
    if issubclass(kind, (list, tuple)):
        return tuple
    if issubclass(kind, dict):
        return _of_mapping
    return _of_model if issubclass(kind, BaseModel) else _of_object


def _of_mapping(value: dict[Any, object]) -> tuple[object, ...]:
    return (*value, *value.values())


def _of_object(value: Any) -> tuple[object, ...]:
    return _of_mapping(vars(value))


def _of_model(value: BaseModel) -> tuple[object, ...]:
    held, extra, private = vars(value), value.__pydantic_extra__, value.__pydantic_private__
    own = (*held, *held.values())
    if not extra and not private:
        return own
    return (*own, *_of_mapping(extra or {}), *_of_mapping(private or {}))
