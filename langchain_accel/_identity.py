"""Which request an accelerated model's call is, read from the live model and messages.

The model's fields are read afresh at every call, so a changed or copied model never keeps the name
of what it was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.policy.identity import Prompt
from langchain_accel._description import describe
from langchain_accel._requests import identify, seen, source, temperature
from langchain_accel._turns import from_messages

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from accel_core.accel import Accel
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request


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


def model_name(model: BaseChatModel, arguments: dict[str, Any]) -> str:
    """Return a readable name of the model that a call asks."""
    return source(model._get_invocation_params(**arguments))
