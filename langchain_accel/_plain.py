"""Plain language models as the cache they are given to names their calls, to explain one.

LangChain hands a cache two texts, and how it makes them is its own: so a copy of the model is asked
whose cache takes these texts and ends the call, before any callback is told and the model is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from langchain_core.caches import BaseCache

from accel_core.asking import NAMES
from langchain_accel._requests import name_dump

if TYPE_CHECKING:
    from langchain_core.language_models.llms import BaseLLM

    from accel_core.asking import Asking
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request


class Plain:
    """A plain language model that asks through an `AccelCache`; see `asking.NAMES`."""

    def __init__(self, llm: BaseLLM) -> None:
        self.llm = llm


def _named(
    accel: Asking,
    plain: Plain,
    asked: Any,
    config: Any = None,
    *,
    bound: object = (),  # noqa: ARG001 - of which no cache is told
    **kwargs: Any,
) -> tuple[Request | None, Controls | None]:
    """Name the call that ``llm.invoke`` would make.

    LangChain asks the cache before any callback: neither tags nor metadata are known then.
    """
    controls = accel.controls(None, None)
    if controls is None:
        return None, None
    copy = plain.llm.model_copy(update={"cache": _Taking()})
    try:
        copy.invoke(asked, config, **kwargs)
    except _Taken as taken:
        return name_dump(accel, taken.given, None, controls), controls
    raise AssertionError("LangChain asked the model before its cache")


setattr(Plain, NAMES, staticmethod(_named))


class _Taken(Exception):  # noqa: N818 - no error
    """Carries what a cache was given."""

    def __init__(self, given: tuple[str, str]) -> None:
        super().__init__()
        self.given = given


class _Taking(BaseCache):
    """A cache that ends the call which asks it."""

    def lookup(self, prompt: str, llm_string: str) -> NoReturn:
        """End the call."""
        raise _Taken((prompt, llm_string))

    def update(self, *_: Any) -> None:
        """Nothing is ever stored."""

    def clear(self, **_: Any) -> None:
        """There is nothing."""
