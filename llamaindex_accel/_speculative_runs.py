"""Which run of an agent a call belongs to, and when that run is over.

No hook hands a run to an LLM or to a tool, and what one step of a workflow sets in its context the
next does not see. But every step is inside instrument tags that name its run, whose end is heard of
(`_run_ends`). Outside workflows whoever asks the model calls the tools in the same context; there a
run ends when the model asks for nothing, or when another conversation begins.

Invariant: a run whose end nobody saw costs memory until newer ones take its place, and nothing
else: what it began ends with the model's turn, and what is shared does not depend on runs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from accel_core.forking import renewed_in_children
from accel_core.policy.trajectory import Observed, Said
from llamaindex_accel import _run_ends
from llamaindex_accel._trajectory import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from accel_core.accel import Accel
    from accel_core.policy.trajectory import Trajectory
    from accel_core.tool_speculator import Session, ToolSpeculator

_MOST_RUNS = 1_000
_MOST_CALLS = 64
"""Kept of one turn; who asks for more is not learned from."""

_here: ContextVar[tuple[Runs | None, Run | None]] = ContextVar(
    "accel_llamaindex_run", default=(None, None)
)
"""The run outside any workflow, and whose it is."""


class Made:
    """A call that an agent made.

    Attributes:
        result: what came back; the exception where it failed.
    """

    __slots__ = ("arguments", "failed", "result", "tool")

    def __init__(self, tool: str, arguments: Mapping[str, Any]) -> None:
        self.tool, self.arguments = tool, arguments
        self.result: Any = None
        self.failed = False

    def text(self) -> str:
        """Return what the model reads of the result, unless the tool makes something else of it."""
        try:
            return str(self.result)
        except Exception:  # an application's object
            return ""


class Run:
    """One run of an agent.

    Attributes:
        blind: a tool that is not known here may be under way: nothing is shared meanwhile.
    """

    def __init__(self, session: Session) -> None:
        self.session, self.blind, self.ended = session, False, False
        self._history = History()
        self._known: Trajectory = ()
        self._made: deque[Made] = deque(maxlen=_MOST_CALLS)

    @contextmanager
    def making(self, tool: str, arguments: Mapping[str, Any]) -> Iterator[Made]:
        """Note a call, while it is made."""
        made = Made(tool, arguments)
        try:
            yield made
        except Exception as error:
            made.result, made.failed = error, True
            raise
        finally:
            self._made.append(made)

    def read(self, messages: Sequence[Any]) -> Trajectory:
        """Return what is known, where the model is asked with `messages`."""
        self._history.failures |= {(m.tool, m.text()) for m in self._made if m.failed}
        self._made.clear()
        self._known = self._history.read(messages)
        return self._known

    def continues(self, messages: Sequence[Any]) -> bool:
        """Whether `messages` go on from where they were when the model was last asked."""
        return self._history.goes_on(messages)

    def end(self, answer: str = "") -> None:
        """End it: what is under way stops, and predictors learn.

        Args:
            answer: the model's last.
        """
        if self.ended:
            return
        self.ended = True
        turn = 1 + max((i.turn for i in self._known if isinstance(i, Observed)), default=-1)
        last = [Observed(m.tool, m.arguments, m.text(), m.failed, turn) for m in self._made]
        said = [Said("assistant", answer)] if answer else []
        self.session.close((*self._known, *last, *said))


class Runs:
    """The runs that one speculator takes part in. Safe to share between threads and loops.

    Args:
        speculator: the one.
        accel: what it was made of.
        beside: returns those of all speculators whose tools may change the same data, this one's
            included.
    """

    def __init__(
        self, speculator: ToolSpeculator, accel: Accel, beside: Callable[[], Iterable[Runs]]
    ) -> None:
        self.speculator, self.accel = speculator, accel
        self._beside = beside
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()
        _run_ends.listen(self)
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Forget the parent's runs, whose tasks and threads do not exist here."""
        self._lock = threading.Lock()
        self._runs.clear()

    def current(self) -> Run:
        """Return the run that a tool is called in."""
        run_id = _run_ends.run_id()
        if run_id is not None:
            return self._named(run_id)
        return self._here() or Run(self.speculator.session())

    def asking(self, messages: Sequence[Any]) -> Run:
        """Return the run in which a model is asked with `messages`."""
        run_id = _run_ends.run_id()
        if run_id is not None:
            return self._named(run_id)
        here = self._here()
        if here is not None:
            if here.continues(messages):
                return here
            here.end()
        here = Run(self.speculator.session())
        _here.set((self, here))
        return here

    def lose_sight(self, run: Run) -> None:
        """Share nothing more in `run`: a tool that is not known here may change anything now."""
        run.blind = True
        self.change()

    def regain_sight(self, run: Run) -> None:
        """Share again what begins from now on."""
        if run.blind:
            self.change()
            run.blind = False

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let every speculator know of a call that may change something; it may set tenants."""
        with ExitStack() as stack:
            for runs in self._beside():
                stack.enter_context(runs.speculator.changing())
            yield

    def change(self) -> None:
        """Let every speculator know that something may change now, or has."""
        for runs in self._beside():
            with runs.speculator.changing():
                pass

    def ended(self, run_id: str) -> None:
        """Take note that the run of this id is over."""
        with self._lock:
            run = self._runs.pop(run_id, None)
        if run is not None:
            run.end()

    def _here(self) -> Run | None:
        runs, run = _here.get()
        return run if runs is self and run is not None and not run.ended else None

    def _named(self, run_id: str) -> Run:
        oldest = None
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.ended:
                run = self._runs[run_id] = Run(self.speculator.session())
            self._runs.move_to_end(run_id)
            if len(self._runs) > _MOST_RUNS:
                _, oldest = self._runs.popitem(last=False)
        if oldest is not None:
            oldest.end()
        return run
