"""Subclasses generated of the application's own classes.

An accelerated or watched object is an instance of one, so ``isinstance`` and everything that looks
at its class sees what it always saw: the name, the module, the text. State lives on the generated
class and not on the instance, since frameworks copy instances in ways of their own.
"""

from __future__ import annotations

import types
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from accel_core.accel import Accel

T = TypeVar("T")

MARK = "__accel__"
"""Class attribute of accelerated classes: the `Accel`, or the place in one, they answer from."""

_running: ContextVar[frozenset[int]] = ContextVar("accel_running", default=frozenset())
"""Objects whose own method runs."""


def subclass(base: type[T], namespace: Mapping[str, Any]) -> type[T]:
    """Return a new subclass of `base` that goes by its name, with `namespace` in it."""
    shown = {name: getattr(base, name) for name in ("__module__", "__qualname__", "__doc__")}
    # Its objects are copies that Pydantic has validated: a validator is built when it is needed.
    config = {"defer_build": True} if hasattr(base, "__pydantic_validator__") else {}
    return types.new_class(
        base.__name__, (base,), config, lambda body: body.update({**shown, **namespace})
    )


def generated(accel: Accel, key: Hashable, make: Callable[[], type[T]]) -> type[T]:
    """Return what `make` returned when `accel` was first asked for `key`, in whichever thread."""
    made: type[T] | None = accel.generated.get(key)
    return accel.generated.setdefault(key, make()) if made is None else made


def own_class(kind: type[T]) -> type[T]:
    """Return the application's own class, where `kind` is an accelerated one."""
    return kind.__mro__[1] if MARK in vars(kind) else kind


def runs_own_method(value: object) -> bool:
    """Whether `value` is called by its own method, which may call another of the overridden."""
    return id(value) in _running.get()


@contextmanager
def own_method(value: object) -> Iterator[None]:
    """Let calls of `value` to itself pass, in this context, while its own method runs."""
    token = _running.set(_running.get() | {id(value)})
    try:
        yield
    finally:
        _running.reset(token)
