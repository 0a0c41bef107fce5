"""`Accel.explain`, and what it is given: named as a call would name it, leaving no trace of that.

An accelerated class says itself how its calls are named (`asking.NAMES`): so whatever an
application asks can be explained by the object it asks, and the core knows no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core import events
from accel_core.asking import NAMES, Asking
from accel_core.explaining import Subject
from accel_core.payload import told_by
from accel_core.policy.controls import DEFAULT
from accel_core.recording import passes_by
from accel_core.retrieval import Ask

if TYPE_CHECKING:
    from accel_core.asking import NamedPrompts
    from accel_core.config import AccelConfig
    from accel_core.explaining import Explainer
    from accel_core.explanation import Explanation
    from accel_core.policy.identity import Identifier, Prompt, Request
    from accel_core.whose import Whose

_EXPECTED = (
    "explain() takes the id of a hit, an answer that says where it came from, or an accelerated "
    "model, retriever or query engine and what it is asked: accel.explain(llm, messages); got {}"
)


class Naming(Asking):
    """Names one call as `Asking` does, and keeps what is reported instead of telling it.

    Args:
        config: the configuration.
        identifier: names requests.
        whose: says who asks.
        named: the prompts that the application's own calls were named by.
        answers: whether the cache answers at all.
    """

    def __init__(
        self,
        config: AccelConfig,
        identifier: Identifier,
        whose: Whose,
        named: NamedPrompts,
        *,
        answers: bool,
    ) -> None:
        self._reported: list[Any] = []
        super().__init__(config, identifier, whose, self._reported.append, None)
        self._open, self._others = answers, named
        self._prompt: Prompt | None = None

    def identify(self, prompt: Prompt, *, report: bool = True) -> Request | None:
        """Name a request, and keep what it was named by."""
        self._prompt = prompt
        return super().identify(prompt, report=report)

    def subject(self, what: Any, asked: tuple[Any, ...], options: dict[str, Any]) -> Subject:
        """Return what is to be explained.

        Args:
            what: a hit's id, an answer, or what is asked.
            asked: what it is asked.
            options: of that call.

        Raises:
            TenantRequiredError: tenants are required, none is set, and it is no call.
            TypeError: it is none of these.
            ValueError: the id is not one.
        """
        configs: list[Any] = []
        # What is bound to a model is asked with it: LangChain's `bind_tools`, `with_config`.
        while not hasattr(type(what), NAMES) and hasattr(what, "bound"):
            configs.append(what.config)
            options = {**what.kwargs, **options, "bound": configs}
            what = what.bound
        if hasattr(type(what), NAMES):
            return self._call(what, asked, options)
        told = told_by(what)
        if told is None or asked or options:
            raise TypeError(_EXPECTED.format(type(what).__name__))
        named = told.get("id") or told.get("request")
        key = None if named is None else bytes.fromhex(named)
        tenants = self._whose.tenants()
        others = self._others.of_tenants(tenants)
        known = next((pair for pair in others if pair[1].key == key), (None, None))
        telling = {} if isinstance(what, str) else told
        return Subject(tenants, known[1], key=key, told=telling, prompt=known[0], others=others)

    def _call(self, what: Any, asked: tuple[Any, ...], options: dict[str, Any]) -> Subject:
        named, controls = getattr(type(what), NAMES)(self, what, *asked, **options)
        ask = named if isinstance(named, Ask) else None
        request = named if ask is None else ask.request
        passes_by()  # a later call would take the reason for its own
        problems = tuple(
            f"{one.name} must be {one.expected}, and is left out"
            for one in self._reported
            if isinstance(one, events.ControlIgnored)
        )
        bypasses = (one.reason for one in self._reported if isinstance(one, events.CacheBypassed))
        bypass = next(bypasses, "" if request is not None else "unidentifiable")
        if bypass:
            return Subject((), bypass=bypass, problems=problems)
        tenants = self._whose.tenants()
        return Subject(
            tenants,
            request,
            controls or DEFAULT,
            ask,
            problems=problems,
            prompt=self._prompt,
            others=self._others.of_tenants(tenants),
        )


class Explaining(Asking):
    """The side of `Accel` that says why.

    Attributes:
        explainer: explains; set by whoever builds it.
    """

    explainer: Explainer

    def explain(self, what: object, *asked: Any, **options: Any) -> Explanation:
        """Say why an answer was served or not, or would be now; nothing changes by asking.

        No answer of another tenant's is looked at. The question is encoded, as for a lookup.

        Args:
            what: an answer, a hit's id, or an accelerated chat model, LLM, retriever or query
                engine. A chain or chat engine asks these: each of them is explained.
            *asked: what that is asked, as its own method takes it: LangChain's ``invoke``,
                LlamaIndex's ``chat`` (messages), ``complete`` (a text), ``retrieve``, ``query``.
            **options: of that call, such as ``config`` or ``tools``.

        Raises:
            TenantRequiredError: tenants are required, none is set, and it is an answer.
            TypeError: it cannot be explained; the message names what can.
            ValueError: the id is not one.

        Example:
            >>> print(accel.explain(llm, "How long does a refund take?"))  # doctest: +SKIP
        """
        return self.explainer.explain(self._subject(what, asked, options))

    async def aexplain(self, what: object, *asked: Any, **options: Any) -> Explanation:
        """Async form of `explain`."""
        return await self.explainer.aexplain(self._subject(what, asked, options))

    def _subject(self, what: object, asked: tuple[Any, ...], options: dict[str, Any]) -> Subject:
        naming = Naming(self.config, self._identifier, self._whose, self._named, answers=self._open)
        return naming.subject(what, asked, options)
