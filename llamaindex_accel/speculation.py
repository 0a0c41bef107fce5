"""`speculate`: an agent's tools called before it asks for them, where that changes nothing.

::

    tools, llm = speculate([list_tables, describe_table, run_query], OpenAI("gpt-4o"))
    agent = FunctionAgent(tools=tools, llm=llm)

What comes back are copies, to be given to the agent together. The agent's messages, outputs, errors
and spans are what they would be without.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from accel_core.accel import default_accel
from accel_core.permits import Permits
from llamaindex_accel._speculative_draft import DraftModel
from llamaindex_accel._speculative_llm import speculative_llm
from llamaindex_accel._speculative_runs import Runs
from llamaindex_accel._speculative_state import Speculation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from llama_index.core.llms import LLM
    from llama_index.core.llms.function_calling import FunctionCallingLLM
    from llama_index.core.tools.types import BaseTool

    from accel_core.accel import Accel
    from accel_core.speculating import Predictor

L = TypeVar("L", bound="LLM")


def speculate(
    tools: Iterable[BaseTool | Callable[..., Any]],
    llm: L,
    accel: Accel | None = None,
    *,
    allowed: Iterable[BaseTool | str] = (),
    never: Collection[str] = (),
    predictors: Sequence[Predictor] | None = None,
    draft: FunctionCallingLLM | None = None,
) -> tuple[list[BaseTool], L]:
    """Return copies of `tools` and `llm` whose agent finds likely calls done when it makes them.

    For ``FunctionAgent``, ``ReActAgent``, each agent of an ``AgentWorkflow``, ``predict_and_call``,
    and loops of one's own over ``chat_with_tools``. Give it all the tools of an agent: while a tool
    that it does not know may be under way, nothing is shared.

    Only tools that were declared free of side effects are ever called unasked: by `speculatable`,
    by the configuration, or by their names here; never those that are given the workflow's
    ``Context``. A call is given another one's result only if tool, arguments and tenant are the
    same, and no tool of any agent of `accel` that may have changed something was called in between.

    Args:
        tools: the agent's; functions are made tools of.
        llm: the agent's; accelerated before or after, or not at all.
        accel: the configured object; None takes this process's default.
        allowed: names of further tools that are free of side effects, or such tools. The
            annotations of MCP servers do not reach LlamaIndex's tools: name theirs here.
        never: names of tools that are not called unasked, whatever they were declared.
        predictors: who guesses, such as ``MinedPredictor.from_file(...)``; None: ones that learn
            from every run that ends, and open the items of lists.
        draft: a small, fast model that is asked beside the agent's, and whose calls are guesses.

    Raises:
        UnsupportedError: `draft` does not call functions.

    Example:
        >>> tools, llm = speculate([order_status], OpenAI())  # doctest: +SKIP
        >>> agent = FunctionAgent(tools=tools, llm=llm)  # doctest: +SKIP
    """
    used = accel if accel is not None else default_accel()
    speculation = Speculation(_runs_of(used, _Guessers(predictors, draft)))
    names = [tool if isinstance(tool, str) else tool.metadata.get_name() for tool in allowed]
    permits = used.permits, Permits(names, enabled=used.config.speculation.enabled)
    copies = [speculation.add(tool, permits, never) for tool in tools]
    return copies, speculative_llm(llm, speculation, used)


class _Guessers(NamedTuple):
    """Who guesses, as `speculate` was told."""

    predictors: Sequence[Predictor] | None
    draft: Any

    def key(self) -> tuple[int, ...]:
        """Return what tells them from others while they live."""
        return tuple(map(id, (*(self.predictors or (None,)), self.draft)))


_known: weakref.WeakKeyDictionary[Accel, weakref.WeakValueDictionary[tuple[int, ...], Runs]]
_known = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def _runs_of(accel: Accel, guessers: _Guessers) -> Runs:
    """Return the runs of agents for whom the same guess; they share one speculator."""
    with _lock:
        beside = _known.setdefault(accel, weakref.WeakValueDictionary())
        runs = beside.get(guessers.key())
        if runs is None:
            drafters = [] if guessers.draft is None else [DraftModel(guessers.draft)]
            predictors = guessers.predictors
            speculator = accel.speculator(
                _default_predictors() if predictors is None else predictors, drafters=drafters
            )
            runs = Runs(speculator, accel, lambda: tuple(beside.values()))
            beside[guessers.key()] = runs
        return runs


def _default_predictors() -> Sequence[Predictor]:
    from accel_core.prediction.mined import FanOutPredictor, MinedPredictor

    return MinedPredictor(), FanOutPredictor()
