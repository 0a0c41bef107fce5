"""The runs of one path of a race: none begins once its answer is not wanted, and every one ends.

LangChain leaves runs of models, tools and retrievers open in traces where they are cancelled; those
are ended here, with what ended the path.
"""

from __future__ import annotations

from functools import partialmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.manager import ahandle_event, handle_event

from accel_core.drive import work

if TYPE_CHECKING:
    from uuid import UUID

    from langchain_core.callbacks import BaseCallbackManager

_IGNORED = {
    "chain": "ignore_chain",
    "llm": "ignore_llm",
    "retriever": "ignore_retriever",
    "tool": "ignore_agent",
}
"""What a handler says that does not want to hear of a kind of run."""


class _Open(NamedTuple):
    """A run that has begun."""

    kind: str
    run_id: UUID
    parent_run_id: UUID | None
    tags: list[str] | None


class PathRuns:
    """Around a path: ends the runs that are left open where it is cut off.

    Args:
        callbacks: those of the path; its runs are watched.
    """

    def __init__(self, callbacks: BaseCallbackManager) -> None:
        self.callbacks = callbacks
        self._handlers = list(callbacks.handlers)
        self._watch = _Watch(work.current())
        # Before the others, so that no tracer has seen the step that will not be taken.
        callbacks.handlers.insert(0, self._watch)
        callbacks.inheritable_handlers.insert(0, self._watch)

    def __enter__(self) -> PathRuns:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        for run in self._left(error):
            name, ignored, about = _ended(run)
            handle_event(self._handlers, name, ignored, error, **about)

    async def __aenter__(self) -> PathRuns:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        for run in self._left(error):
            name, ignored, about = _ended(run)
            await ahandle_event(self._handlers, name, ignored, error, **about)

    def _left(self, error: BaseException | None) -> list[_Open]:
        """Return the runs to be ended, innermost first: LangChain ends those that fail."""
        if error is None or isinstance(error, Exception):
            return []
        return list(reversed(self._watch.runs.values()))


def _ended(run: _Open) -> tuple[str, str, dict[str, Any]]:
    about = {"run_id": run.run_id, "parent_run_id": run.parent_run_id, "tags": run.tags}
    return f"on_{run.kind}_error", _IGNORED[run.kind], about


class _Watch(BaseCallbackHandler):
    """Keeps the runs that are open; lets none begin that is not wanted."""

    run_inline = True

    def __init__(self, path: work.Work | None) -> None:
        self._path = path
        self.runs: dict[UUID, _Open] = {}

    def _begins(
        self,
        kind: str,
        *args: Any,  # noqa: ARG002
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        if self._path is not None and not self._path.wanted:
            raise work.Unwanted
        self.runs[run_id] = _Open(kind, run_id, parent_run_id, tags)

    def _ends(self, *args: Any, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        self.runs.pop(run_id, None)

    on_chain_start = partialmethod(_begins, "chain")
    on_chat_model_start = on_llm_start = partialmethod(_begins, "llm")
    on_retriever_start = partialmethod(_begins, "retriever")
    on_tool_start = partialmethod(_begins, "tool")
    on_chain_end = on_chain_error = on_llm_end = on_llm_error = _ends
    on_retriever_end = on_retriever_error = on_tool_end = on_tool_error = _ends
