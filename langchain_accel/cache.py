"""`AccelCache`: LangChain's cache interface over the core, for ``set_llm_cache``.

Streams do not reach this interface: LangChain never consults a cache for them; `accelerate` does.
Importing this module loads nothing of the core; constructing the cache does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.outputs import Generation
    from langchain_core.runnables import Runnable, RunnableConfig

    from accel_core.accel import Accel
    from accel_core.explanation import Explanation


class AccelCache(BaseCache):
    """Answers cached exactly and by meaning, for chat models and plain language models.

    LangChain tells a cache only how a model describes itself. Two models of a class of your own
    that describe themselves alike share answers here; under `accelerate`, which sees the model,
    they do not.

    Args:
        accel: the configured object; None makes one with default settings.

    Example:
        >>> from langchain_core.globals import set_llm_cache
        >>> set_llm_cache(AccelCache())  # doctest: +SKIP
    """

    def __init__(self, accel: Accel | None = None) -> None:
        from accel_core.accel import Accel
        from accel_core.default import chosen_accel
        from langchain_accel._bridge import Bridge

        self.accel = chosen_accel(accel, Accel)
        self._bridge = Bridge(self.accel)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer as fresh generations, or None."""
        return self._bridge.lookup(prompt, llm_string)

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Async form of `lookup`."""
        return await self._bridge.alookup(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store an answer; returns at once."""
        self._bridge.update(prompt, llm_string, return_val)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Async form of `update`."""
        await self._bridge.aupdate(prompt, llm_string, return_val)

    def explain(
        self,
        model: Runnable[Any, Any],
        asked: Any,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Explanation:
        """Say why ``model.invoke(asked, config)`` would be answered from here, or not.

        As `Accel.explain` does of an accelerated model.

        Args:
            model: a chat model or a plain language model; what is bound to it counts.
            asked: as its ``invoke`` takes it, as are the others.
            config: of a plain language model no cache is told of it.
            **kwargs: such as ``stop``.

        Raises:
            TypeError: it is neither.
        """
        return self.accel.explain(self._named(model), asked, config, **kwargs)

    async def aexplain(
        self,
        model: Runnable[Any, Any],
        asked: Any,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Explanation:
        """Async form of `explain`."""
        return await self.accel.aexplain(self._named(model), asked, config, **kwargs)

    def _named(self, model: Runnable[Any, Any]) -> object:
        """Return what names the calls of `model` as the cache does."""
        from langchain_core.language_models.chat_models import BaseChatModel
        from langchain_core.language_models.llms import BaseLLM

        from langchain_accel._accelerate import replaced
        from langchain_accel._plain import Plain
        from langchain_accel.chat_model import accelerate_chat_model

        named: dict[type, Callable[[Any], Any]] = {
            BaseChatModel: lambda chat: accelerate_chat_model(chat, self.accel),
            BaseLLM: Plain,
        }
        made = replaced(model, named)
        return model if made is None else made

    def clear(self, **kwargs: Any) -> None:
        """Remove every entry, or with ``tag``, ``namespace``, ``scope`` or ``id`` those it means.

        Inside ``accel.tenant(...)``, entries of that tenant only.
        """
        self.accel.invalidate(**kwargs)

    async def aclear(self, **kwargs: Any) -> None:
        """Async form of `clear`."""
        await self.accel.ainvalidate(**kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.accel,))

    def __repr__(self) -> str:
        return f"AccelCache({self.accel!r})"
