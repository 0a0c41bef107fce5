"""`speculate`: an agent's tools called before it asks for them, where that changes nothing.

::

    tools, llm = speculate([list_tables, describe_table, run_query], OpenAI("gpt-4o"))
    agent = FunctionAgent(tools=tools, llm=llm)

What comes back are copies, to be given to the agent together. The agent's messages, outputs, errors
and spans are what they would be without.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from llama_index.core.llms import LLM
from llama_index.core.tools.types import BaseTool

from accel_core.default import chosen_accel
from accel_core.errors import UnsupportedError
from accel_core.permits import Permits, names_of, unknown
from llamaindex_accel._speculative_draft import DraftModel
from llamaindex_accel._speculative_llm import speculative_llm
from llamaindex_accel._speculative_runs import Runs
from llamaindex_accel._speculative_state import Speculation

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from llama_index.core.llms.function_calling import FunctionCallingLLM

    from accel_core.accel import Accel
    from accel_core.speculating import Predictor

L = TypeVar("L", bound=LLM)


def speculate(
    tools: Iterable[BaseTool | Callable[..., Any]],
    llm: L,
    accel: Accel | None = None,
    *,
    allowed: Iterable[BaseTool | str] = (),
    never: Iterable[BaseTool | str] = (),
    learned: str | os.PathLike[str] | None = None,
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
        never: names of tools, or tools, that are not called unasked, whatever they were declared.
        learned: what earlier runs have taught: a file of ``accel learn-tools``, or of
            ``MinedPredictor.save``.
        predictors: who guesses, in place of the default ones, which learn from every run that ends
            and open the items of lists.
        draft: a small, fast model that is asked beside the agent's, and whose calls are guesses.

    Raises:
        ConfigError: both `predictors` and `learned` are given.
        FileError: `learned` is not such a file.
        UnsupportedError: an argument is of the wrong kind, such as a `draft` that does not call
            functions; the message names what works.

    Example:
        >>> tools, llm = speculate([order_status], OpenAI())  # doctest: +SKIP
        >>> agent = FunctionAgent(tools=tools, llm=llm)  # doctest: +SKIP
    """
    _check_llm(llm)
    used = chosen_accel(accel)
    speculation = Speculation(_runs_of(used, _Guessers(predictors, learned, draft)))
    names = names_of("allowed", allowed, _name)
    barred = names_of("never", never, _name)
    permits = used.permits, Permits(names, enabled=used.config.speculation.enabled)
    copies = [speculation.add(tool, permits, barred) for tool in tools]
    for told in unknown({"allowed": names, "never": barred}, speculation.tools):
        used._emit(told)
    return copies, speculative_llm(llm, speculation, used)


def _check_llm(given: object) -> None:
    if not isinstance(given, LLM):
        msg = f"speculate(tools, llm) takes an LLM, such as OpenAI(...); got {type(given).__name__}"
        raise UnsupportedError(msg)


def _name(tool: object) -> str | None:
    return tool.metadata.get_name() if isinstance(tool, BaseTool) else None


class _Guessers(NamedTuple):
    """Who guesses, as `speculate` was told."""

    predictors: Sequence[Predictor] | None
    learned: str | os.PathLike[str] | None
    draft: Any

    def key(self) -> tuple[Hashable, ...]:
        """Return what tells them from others while they live."""
        chosen = None if self.predictors is None else tuple(map(id, self.predictors))
        return chosen, None if self.learned is None else os.fspath(self.learned), id(self.draft)

    def predict(self) -> Sequence[Predictor]:
        """Return those who are asked at once."""
        from accel_core.prediction.mined import chosen_predictors

        return chosen_predictors(self.predictors, self.learned)


_known: weakref.WeakKeyDictionary[Accel, weakref.WeakValueDictionary[tuple[Hashable, ...], Runs]]
_known = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def _runs_of(accel: Accel, guessers: _Guessers) -> Runs:
    """Return the runs of agents for whom the same guess; they share one speculator."""
    with _lock:
        beside = _known.setdefault(accel, weakref.WeakValueDictionary())
        runs = beside.get(guessers.key())
        if runs is None:
            drafters = [] if guessers.draft is None else [DraftModel(guessers.draft)]
            speculator = accel.speculator(guessers.predict(), drafters=drafters)
            runs = Runs(speculator, accel, lambda: tuple(beside.values()))
            beside[guessers.key()] = runs
        return runs
