"""`AccelCallbackHandler`: what calls used and saved, for people who hand callbacks around.

It reads what LangChain tells callbacks of each answer, hits of `AccelCache` and of `accelerate`
among them, and adds it up: altogether, by run, by tag, and by tenant. One handler serves threads
and tasks; its methods do not wait, and run in the caller's own context in both. What LangChain
never tells the end of, as of a task that was cancelled, is forgotten in its turn.
"""

from __future__ import annotations

import threading
from asyncio import CancelledError
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.callbacks import BaseCallbackHandler

from accel_core import tenancy
from accel_core.events.requests import Tokens, read_tokens
from accel_core.forking import renewed_in_children
from accel_core.observer.prices import load_prices
from accel_core.policy.labels import Labels
from accel_core.policy.spending import Spending, saved, spent
from langchain_accel._limits import usage_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from langchain_core.outputs import LLMResult

    from accel_core.policy.prices import PriceTable

_MOST_RUNS = 10_000
_MOST_NAMES = 1_000
_GIVEN_UP = (GeneratorExit, CancelledError, KeyboardInterrupt)


class _Asked(NamedTuple):
    """A call under way."""

    root: UUID
    tags: tuple[str, ...]
    tenant: str | None
    model: str


class AccelCallbackHandler(BaseCallbackHandler):
    """Adds up what the calls it is told of used and saved.

    Args:
        prices: a YAML file of prices, whose rows count before those that are shipped.

    Attributes:
        total: of all calls.
        runs: by run: the outermost one of a chain, agent or graph, or the call's own; of the last
            10,000.
        tags: by the call's tags; beyond 1,000 under ``other``, as is `tenants`.
        tenants: by the tenant that `accel.tenant` had set.

    Raises:
        ConfigError: the file of prices is wrong.

    Example:
        >>> handler = AccelCallbackHandler()
        >>> model.invoke("Hello", {"callbacks": [handler]})  # doctest: +SKIP
        >>> handler.total.saved_cost  # doctest: +SKIP
    """

    run_inline = True

    def __init__(self, prices: str | None = None) -> None:
        self._prices: PriceTable = load_prices(prices)
        self.after_fork()
        renewed_in_children(self)
        self._roots: dict[UUID, UUID] = {}
        self._asked: dict[UUID, _Asked] = {}
        self._tag_names, self._tenant_names = Labels(_MOST_NAMES), Labels(_MOST_NAMES)
        self.total = Spending()
        self.runs: dict[UUID, Spending] = {}
        self.tags: dict[str, Spending] = {}
        self.tenants: dict[str, Spending] = {}

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **details: Any) -> None:
        """Note whose part a run is."""
        self._begin(run_id, details)

    def on_tool_start(
        self, serialized: Any, input_str: Any, *, run_id: UUID, **details: Any
    ) -> None:
        """Note whose part a run is."""
        self._begin(run_id, details)

    def on_retriever_start(
        self, serialized: Any, query: Any, *, run_id: UUID, **details: Any
    ) -> None:
        """Note whose part a run is: some retrievers ask models."""
        self._begin(run_id, details)

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, **details: Any
    ) -> None:
        """Note a call."""
        self._ask(run_id, details)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **details: Any) -> None:
        """Note a call."""
        self._ask(run_id, details)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Add up what an answer used, or saved."""
        with self._lock:
            asked = self._asked.pop(run_id, None)
            if asked is not None:
                self._add(asked, self._came_to(response, asked.model))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Count a failure; who gives a stream up, or is cancelled, has not failed."""
        with self._lock:
            asked = self._asked.pop(run_id, None)
            if asked is not None and not isinstance(error, _GIVEN_UP):
                self._add(asked, Spending(failures=1))

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """Forget whose part a run was."""
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Forget whose part a run was."""
        self._end(run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """Forget whose part a run was."""
        self._end(run_id)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Forget whose part a run was."""
        self._end(run_id)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """Forget whose part a run was."""
        self._end(run_id)

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Forget whose part a run was."""
        self._end(run_id)

    def after_fork(self) -> None:
        """Use a lock of this process."""
        self._lock = threading.Lock()

    def _end(self, run_id: UUID) -> None:
        with self._lock:
            self._roots.pop(run_id, None)

    def _begin(self, run_id: UUID, details: dict[str, Any]) -> UUID:
        parent = details.get("parent_run_id")
        with self._lock:
            root = run_id if parent is None else self._roots.get(parent, parent)
            self._roots[run_id] = root
            # A run whose end nobody tells is forgotten in its turn.
            while len(self._roots) > _MOST_RUNS:
                del self._roots[next(iter(self._roots))]
        return root

    def _ask(self, run_id: UUID, details: dict[str, Any]) -> None:
        root = self._begin(run_id, details)
        tenant, metadata = tenancy.current(), details.get("metadata") or {}
        with self._lock:
            self._roots.pop(run_id, None)
            self._asked[run_id] = _Asked(
                root,
                tuple(details.get("tags") or ()),
                None if tenant is None else tenant.id,
                str(metadata.get("ls_model_name") or ""),
            )
            while len(self._asked) > _MOST_RUNS:
                del self._asked[next(iter(self._asked))]

    def _came_to(self, response: LLMResult, model: str) -> Spending:
        generations: Sequence[Any] = response.generations[0] if response.generations else ()
        message = getattr(generations[0], "message", None) if generations else None
        told = getattr(message, "response_metadata", {}).get("accel")
        if isinstance(told, dict) and told.get("cache") in {"exact", "semantic"}:
            tokens = read_tokens(told.get("saved_tokens"))
            return saved(tokens, told.get("saved_s") or 0.0, model, self._prices)
        usage = usage_in(generations, response.llm_output)
        return spent(None if usage is None else Tokens(*usage), model, self._prices)

    def _add(self, asked: _Asked, came_to: Spending) -> None:
        self.total = self.total.plus(came_to)
        self.runs[asked.root] = self.runs.get(asked.root, Spending()).plus(came_to)
        while len(self.runs) > _MOST_RUNS:
            del self.runs[next(iter(self.runs))]
        for tag in asked.tags:
            name = self._tag_names.of(tag)
            self.tags[name] = self.tags.get(name, Spending()).plus(came_to)
        if asked.tenant is not None:
            name = self._tenant_names.of(asked.tenant)
            self.tenants[name] = self.tenants.get(name, Spending()).plus(came_to)
