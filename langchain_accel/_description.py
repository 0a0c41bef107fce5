"""How an accelerated model describes itself: spelled anew when it has changed, and not before.

LangChain spells a model once and keeps the text though the model changes. Spelling it at each call
instead costs more than the rest of a hit. So a text is kept under the state it was spelled from:
every field that LangChain spells and what the class adds, by value, so that a change in place is a
change. A model that holds more than plain data is spelled at each call.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from langchain_core.language_models.chat_models import BaseChatModel

from accel_core.policy.canonical import canonical_json
from accel_core.policy.nameless import class_name, named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INFRASTRUCTURE = frozenset(BaseChatModel.model_fields)
"""Fields every chat model has: callbacks, cache, limiter and the like; none changes an answer."""

_KEPT = 64
"""States of one class whose texts are kept."""


class _Text(NamedTuple):
    """A model as LangChain spells it, and the fields that it leaves out."""

    spelled: str
    left_out: str


class _Kind(NamedTuple):
    """What the texts of a class's models are made of, and those that are known, by state."""

    fields: tuple[str, ...]
    attributes: tuple[Callable[[BaseChatModel], Mapping[str, Any]], ...]
    texts: dict[bytes, _Text]


_kinds: WeakKeyDictionary[type[BaseChatModel], _Kind | None] = WeakKeyDictionary()


def describe(model: BaseChatModel, arguments: dict[str, Any]) -> str:
    """Spell `model` as LangChain does for its cache, or by its fields where that is too little.

    A model that LangChain cannot serialise is named by parameters that instances may share.

    Args:
        model: as it is now.
        arguments: the call's own parameters, ``stop`` among them.
    """
    if not model.is_lc_serializable():
        return _by_fields(model)
    kind = _kind(type(model))
    state = None if kind is None else _state(model, kind)
    asked = f"---{sorted(arguments.items())}"
    if kind is not None and state is not None and (known := kind.texts.get(state)) is not None:
        return f"{known.spelled}{asked}{known.left_out}"
    # Spelled from a copy: the model keeps its text where another thread may put an older one.
    fresh = model.model_copy()
    for one in (model, fresh):
        one.__dict__.pop("_serialized", None)
    whole, left_out = fresh._get_llm_string(**arguments), _left_out(fresh)
    if kind is not None and state is not None and whole.endswith(asked):
        if state != _state(model, kind):
            return whole + left_out  # changed meanwhile: of which state it is, nobody knows
        if len(kind.texts) >= _KEPT:
            kind.texts.clear()
        kind.texts[state] = _Text(whole.removesuffix(asked), left_out)
    return whole + left_out


def _kind(made: type[BaseChatModel]) -> _Kind | None:
    """Return what is known of a class; None where it spells its models in a way of its own."""
    if made not in _kinds:
        own = any(
            getattr(made, name) is not getattr(BaseChatModel, name)
            for name in ("to_json", "get_name", "_serialized", "_get_llm_string")
        )
        adding = [
            vars(base)["lc_attributes"] for base in made.__mro__ if "lc_attributes" in vars(base)
        ]
        if own or not all(isinstance(added, property) for added in adding):
            _kinds[made] = None
        else:
            fields = (name for name, field in made.model_fields.items() if not field.exclude)
            _kinds[made] = _Kind(tuple(fields), tuple(added.fget for added in adding), {})
    return _kinds[made]


def _state(model: BaseChatModel, kind: _Kind) -> bytes | None:
    """Spell all that the text of `model` is made of; None where it is not all plain data.

    Two states that differ have two spellings. Version 2 of the format does not depend on which
    objects are shared. Of a secret LangChain spells that it is there.
    """
    held, secrets = vars(model), model.lc_secrets
    values = [
        bool(held.get(name)) if name in secrets else held.get(name, ...) for name in kind.fields
    ]
    try:
        return marshal.dumps([values, secrets, [added(model) for added in kind.attributes]], 2)
    except ValueError:
        return None


def _left_out(model: BaseChatModel) -> str:
    """Spell the fields that LangChain leaves out because it cannot serialise them."""
    left_out = {
        name: named(getattr(model, name, None))
        for name, spelled in model._serialized.get("kwargs", {}).items()
        if isinstance(spelled, dict) and spelled.get("type") == "not_implemented"
    }
    return canonical_json(left_out) if left_out else ""


def _by_fields(model: BaseChatModel) -> str:
    fields = {
        name: named(value)
        for name, value in vars(model).items()
        if name in type(model).model_fields and name not in _INFRASTRUCTURE
    }
    private = named(model.__pydantic_private__ or {})
    return canonical_json({"class": class_name(type(model)), "fields": fields, "private": private})
