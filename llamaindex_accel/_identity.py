"""Which request a call is: the live model, the call's own arguments and the conversation.

The model's fields are read afresh at every call, private ones too: some integrations keep what they
were made of there. Left out is what cannot change an answer: secrets, clients, timeouts, callbacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.tools.types import AsyncBaseTool, BaseTool
from llama_index_instrumentation.dispatcher import active_instrument_tags

from accel_core.policy.identity import Prompt
from accel_core.policy.model_fields import counts, described
from accel_core.policy.model_names import model_named
from accel_core.subclasses import own_class
from llamaindex_accel._turns import from_messages, from_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.asking import Asking
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request, Turn

_SWITCHES = ("accel:no-cache", "accel:no-store", "accel:refresh")


def controls_of_call(accel: Asking) -> Controls | None:
    """Read a call's own wishes from LlamaIndex's instrument tags; None: it bypasses the cache."""
    tags = active_instrument_tags.get()
    if not tags:
        return accel.controls(None, None)
    return accel.controls(tags, [switch for switch in _SWITCHES if tags.get(switch)])


def chat_request(
    accel: Asking, llm: BaseLLM, messages: Any, arguments: Mapping[str, Any], controls: Controls
) -> Request | None:
    """Name a chat call; None: it bypasses the cache."""
    if not accel.admits(temperature(llm, arguments)):
        return None
    turns = from_messages(messages)
    return _name(accel, llm, Prompt("llamaindex.chat", seen(arguments), turns), controls)


def completion_request(
    accel: Asking, llm: BaseLLM, prompt: Any, arguments: Mapping[str, Any], controls: Controls
) -> Request | None:
    """Name a completion call; None: it bypasses the cache. ``formatted`` is an argument."""
    if not accel.admits(temperature(llm, arguments)):
        return None
    turns: tuple[Turn, ...] = from_prompt(prompt)
    arguments = {"formatted": False, **arguments}
    return _name(accel, llm, Prompt("llamaindex.complete", seen(arguments), turns), controls)


def _name(accel: Asking, llm: BaseLLM, prompt: Prompt, controls: Controls) -> Request | None:
    return accel.identify(
        prompt._replace(
            model={"llm": describe(llm), "call": prompt.model},
            tenant=accel.current_tenant(),
            namespace=accel.namespace(controls.namespace),
            source=model_name(llm),
        )
    )


def model_name(llm: BaseLLM) -> str:
    """Return a readable name of the model."""
    # The second only where it is needed: Pydantic takes microseconds to say that there is none.
    return model_named(getattr(llm, "model", None)) or model_named(getattr(llm, "model_name", None))


def describe(llm: BaseLLM) -> dict[str, Any]:
    """Spell a model: its own class and every field that can change an answer."""
    return described(llm, own_class(type(llm)))


def seen(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that can change an answer, tools as what the model is told of them."""
    return {name: _argument(value) for name, value in arguments.items() if counts(name)}


def _argument(value: Any) -> Any:
    """Spell an argument; a tool is what the model is told of it."""
    if isinstance(value, (BaseTool, AsyncBaseTool)):
        return _tool(value)
    if isinstance(value, (list, tuple)):
        return [_argument(item) for item in value]
    return value


def _tool(tool: BaseTool | AsyncBaseTool) -> Any:
    try:
        told = tool.metadata
        return {"tool": told.name, "is": told.description, "takes": told.get_parameters_dict()}
    except Exception:  # an application's schema raises what it likes; the core then refuses it
        return object()


def temperature(llm: BaseLLM, arguments: Mapping[str, Any]) -> float | None:
    """Return the temperature of a call: its own or the model's; None where it is unset.

    Integrations differ in whether an argument or ``additional_kwargs`` wins; the higher one counts.
    """
    nested = [value for value in vars(llm).values() if isinstance(value, dict)]
    told = [options.get("temperature") for options in (arguments, *nested)]
    given = [float(value) for value in told if isinstance(value, (int, float))]
    if given:
        return max(given)
    field = getattr(llm, "temperature", None)
    return float(field) if isinstance(field, (int, float)) else None
