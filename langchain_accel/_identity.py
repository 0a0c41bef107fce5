"""Which request an accelerated model's call is, read from the live model and messages.

The model's fields are read afresh at every call, so a changed or copied model never keeps the name
of what it was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel

from accel_core.policy.canonical import canonical_json
from accel_core.policy.identity import Prompt
from accel_core.policy.nameless import class_name, named
from langchain_accel._requests import identify, seen, source, temperature
from langchain_accel._turns import from_messages

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from accel_core.accel import Accel
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request

_INFRASTRUCTURE = frozenset(BaseChatModel.model_fields)
"""Fields every chat model has: callbacks, cache, limiter and the like; none changes an answer."""


def request_of(
    accel: Accel,
    model: BaseChatModel,
    messages: list[BaseMessage],
    arguments: dict[str, Any],
    controls: Controls,
) -> Request | None:
    """Name a call; None: it bypasses the cache.

    Args:
        accel: names it.
        model: is asked.
        messages: what it is asked.
        arguments: the call's own parameters, ``stop`` among them.
        controls: the call's wishes.
    """
    params = seen(model._get_invocation_params(**arguments))
    described = describe(model, arguments)
    if not accel.admits(temperature(params, described)):
        return None
    # LangChain turns the content into blocks after the model's methods, and before its cache.
    whole = getattr(model, "output_version", None) != "v1"
    named = Prompt(
        "langchain.chat" if whole else "langchain.chat.unblocked",
        {"llm": described, "params": params},
        from_messages(messages),
        source=source(params),
    )
    return identify(accel, named, controls)


def describe(model: BaseChatModel, arguments: dict[str, Any]) -> str:
    """Spell a model as LangChain does for its cache, or by its fields where that is too little.

    A model that LangChain cannot serialise is named by parameters that instances may share.
    """
    # Computed once, so it would keep the name of what the model was before.
    model.__dict__.pop("_serialized", None)
    if model.is_lc_serializable():
        return model._get_llm_string(**arguments) + _unserialised(model)
    fields = {
        name: named(value)
        for name, value in vars(model).items()
        if name in type(model).model_fields and name not in _INFRASTRUCTURE
    }
    private = named(model.__pydantic_private__ or {})
    return canonical_json({"class": class_name(type(model)), "fields": fields, "private": private})


def _unserialised(model: BaseChatModel) -> str:
    """Spell the fields that LangChain leaves out because it cannot serialise them."""
    left_out = {
        name: named(getattr(model, name, None))
        for name, spelled in model._serialized.get("kwargs", {}).items()
        if isinstance(spelled, dict) and spelled.get("type") == "not_implemented"
    }
    return canonical_json(left_out) if left_out else ""
