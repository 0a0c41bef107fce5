"""Which request an accelerated model's call is, read from the live model and messages.

The model's fields are read afresh at every call, so a changed or copied model never keeps the name
of what it was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.policy.identity import Prompt
from langchain_accel._description import describe
from langchain_accel._requests import configured, identify, seen, source, temperature
from langchain_accel._turns import from_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import RunnableConfig

    from accel_core.asking import Asking
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request


EXACT = "__accel_exact__"
"""Class attribute of generated classes: whether their questions are not compared by meaning."""


def request_of(
    accel: Asking,
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
    request = identify(accel, named, controls)
    if request is not None and getattr(type(model), EXACT, False):
        return request._replace(exact=True)
    return request


def explained(
    accel: Asking,
    model: BaseChatModel,
    asked: LanguageModelInput,
    config: RunnableConfig | None = None,
    *,
    stop: list[str] | None = None,
    bound: Sequence[RunnableConfig] = (),
    **kwargs: Any,
) -> tuple[Request | None, Controls | None]:
    """Name the call that ``model.invoke`` would make, as `asking.NAMES` demands.

    Args:
        accel: names it.
        model: is asked.
        asked: as ``invoke`` takes it.
        config: likewise.
        stop: likewise.
        bound: configurations that the model is bound with, the outermost first.
        **kwargs: the call's further parameters.
    """
    _, controls = configured(accel, model, config, bound)
    if controls is None:
        return None, None
    messages = model._convert_input(asked).to_messages()
    return request_of(accel, model, messages, {"stop": stop, **kwargs}, controls), controls


def model_name(model: BaseChatModel, arguments: dict[str, Any]) -> str:
    """Return a readable name of the model that a call asks."""
    return source(model._get_invocation_params(**arguments))
