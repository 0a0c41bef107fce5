"""Copies of LlamaIndex's objects in generated subclasses of their own classes.

Of retrievers, engines and synthesizers. A generated class belongs to an `Accel`, which holds it,
and to a place there.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import BaseModel
from llama_index_instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR

from accel_core.asking import NAMES
from accel_core.subclasses import MARK, generated, own_class, subclass
from llamaindex_accel._retrieval import watch_stores_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core.place import Place


def placed(
    value: Any,
    place: Place,
    accelerate: Callable[[Any, Place], Any],
    methods: Mapping[str, Callable[[Any, Place, str], Callable[..., Any]]],
    names: Callable[..., Any] | None = None,
) -> Any:
    """Return a copy of `value` whose class overrides `methods`; itself where it is one already.

    Args:
        value: an object of the application's class, or of one generated from that.
        place: where its answers are kept.
        accelerate: makes the copy anew where it was pickled.
        methods: make a method, given the application's class, the place and the method's name.
        names: as `asking.NAMES`; None: its calls cannot be explained.
    """
    if vars(type(value)).get(MARK) == place:
        return value
    watch_stores_in(value, place)
    made = original(value)
    base = type(made)
    key = (base, place.corpus, place.version)
    kind: type = generated(
        place.accel, key, lambda: _subclass(base, place, accelerate, methods, names)
    )
    object.__setattr__(made, "__class__", kind)  # a frozen model would refuse
    return made


def original(value: Any) -> Any:
    """Return a shallow copy of `value` of the application's own class."""
    kind = own_class(type(value))
    if isinstance(value, BaseModel):
        made: Any = value.model_copy()
        object.__setattr__(made, "__class__", kind)
        return made
    made = object.__new__(kind)
    for name, field in vars(value).items():
        bound = isinstance(field, types.MethodType) and field.__self__ is value
        # What it holds of itself is the copy's own.
        made.__dict__[name] = types.MethodType(field.__func__, made) if bound else field
    return made


def _subclass(
    base: Any,
    place: Place,
    accelerate: Callable[[Any, Place], Any],
    methods: Mapping[str, Callable[[Any, Place, str], Callable[..., Any]]],
    names: Callable[..., Any] | None,
) -> type:
    namespace: dict[str, Any] = {
        "__reduce__": lambda self: (accelerate, (original(self), place)),
        MARK: place,
        **({} if names is None else {NAMES: staticmethod(names)}),
    }
    for name, make in methods.items():
        method = functools.update_wrapper(make(base, place, name), getattr(base, name))
        setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
        namespace[name] = method
    return subclass(base, namespace)
