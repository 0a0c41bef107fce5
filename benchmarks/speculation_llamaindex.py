"""Rows of the group ``speculation``: LlamaIndex's agents, with speculation and without.

Random agents (`speculation_llamaindex_world`): ``FunctionAgent``, ``ReActAgent`` and
``AgentWorkflow`` as tasks, several runs of one agent at a time, in virtual time, some of them
cancelled or out of time; and loops over ``chat_with_tools`` in threads. All that each is told, all
that it answers, and all that is written, must be what it is without.
"""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from workflows.errors import WorkflowTimeoutError
from workflows.plugins.basic import InternalAsyncioAdapter

from accel_core.accel import Accel
from accel_core.clocks import Clocks
from accel_core.drive import virtual_time
from benchmarks.harness import Context, Measured, Row
from benchmarks.speculation_llamaindex_world import READS, Notes, Oracle, ScriptedLLM, Written
from benchmarks.speculation_who import asked_by, owned_by
from llamaindex_accel._speculative_tools import copied_of
from llamaindex_accel.speculation import speculate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOGETHER = 4
_KINDS = ("function", "streaming", "react", "workflow", "thread")
_TICKS = 20
"""Of the loop, in which what was cancelled ends."""


@dataclass
class Counts:
    """What happened, and what must not."""

    inline: ClassVar[bool] = True

    runs: int = 0
    turns: int = 0
    cancelled: int = 0
    timed_out: int = 0
    guesses: int = 0
    adopted: int = 0
    differing: int = 0
    side_effects: int = 0
    alive: int = 0

    def __call__(self, event: object) -> None:
        kind = type(event).__name__
        self.guesses += kind == "ToolCallBegun"
        self.adopted += kind == "ToolCallReused"
        self.differing += getattr(event, "same", True) is False


@dataclass
class Batch:
    """Some runs of one agent, at once.

    Attributes:
        kind: of agent.
        seed: of everything.
        counts: None: without speculation.
        clocks: time and dice.
        run_s: how long a run may take, in seconds; None: as long as it takes.
    """

    kind: str
    seed: int
    counts: Counts | None
    clocks: Clocks
    run_s: float | None = None

    def __post_init__(self) -> None:
        dice = random.Random(self.seed)
        self.notes, self.llm = Notes(dice), ScriptedLLM.of(dice)
        self.numbers = [self.seed * _TOGETHER + at for at in range(_TOGETHER)]
        self.answers: dict[int, str] = {}
        self.stopped: set[int] = set()
        """Whoever was cancelled, or out of time."""
        self.tools: Any = self.notes.tools()
        self.model: Any = self.llm
        self.runs: Any = None
        if self.counts is not None:
            self._speculate(dice, self.counts)

    def _speculate(self, dice: random.Random, counts: Counts) -> None:
        self.accel = Accel.from_mapping(
            {
                "cache": {"enabled": False},
                "speculation": {
                    "at_once": dice.choice([1, 3, 10]),
                    "window_s": dice.choice([0.0, 0.5]),
                    "timeout_s": 0.05 if self.kind == "thread" else 5.0,
                    "audit_share": dice.choice([0.0, 0.3]),
                },
            },
            observers=[counts],
            clocks=self.clocks,
        )
        oracle = Oracle(dice, single=self.kind == "react")
        self.tools, self.model = speculate(
            self.tools, self.llm, self.accel, allowed=READS, predictors=[oracle]
        )
        copied = copied_of(self.tools[0])
        assert copied is not None
        self.runs = copied.runs

    def under_way(self) -> int:
        """Return how many guesses are, and how many calls somebody could still wait for."""
        speculator = self.runs.speculator
        found: int = speculator.state().guesses_under_way + len(speculator._executions._under_way)
        return found

    def agent(self) -> Any:
        """Return the agent."""
        given: dict[str, Any] = {"tools": self.tools, "llm": self.model}
        if self.kind == "react":
            return ReActAgent(**given, streaming=False, timeout=self.run_s)
        streaming = self.kind != "function"
        if self.kind != "workflow":
            return FunctionAgent(**given, streaming=streaming, timeout=self.run_s)
        one = FunctionAgent(**given, name="a", description="a", streaming=streaming)
        return AgentWorkflow(agents=[one], root_agent="a", timeout=self.run_s)

    async def run(self, cancelled: dict[int, float]) -> None:
        """Run it for each number at once; some are `cancelled`, after so many seconds."""
        agent = self.agent()

        async def one(number: int) -> None:
            with asked_by(number):
                handler = agent.run(user_msg=str(number))
            if number in cancelled:
                self.stopped.add(number)
                await asyncio.sleep(cancelled[number])
                await handler.cancel_run()
            try:
                self.answers[number] = str(await handler)
            except WorkflowTimeoutError:
                self.stopped.add(number)
            except Exception as error:
                self.answers[number] = repr(error)

        await asyncio.gather(*map(one, self.numbers))

    def loop(self, number: int) -> None:
        """Run a loop of its own over the model, in this thread."""
        with asked_by(number):
            self._loop(number)

    def _loop(self, number: int) -> None:
        tools = {tool.metadata.name: tool for tool in self.tools}
        history: list[Any] = []
        question: Any = str(number)
        while True:
            response = self.model.chat_with_tools(
                self.tools, user_msg=question, chat_history=history
            )
            history += [] if question is None else [_user(question)]
            history.append(response.message)
            question = None
            calls = self.model.get_tool_calls_from_response(response, error_on_no_tool_call=False)
            if not calls:
                self.answers[number] = str(response.message.content)
                return
            for call in calls:
                history.append(_called(tools.get(call.tool_name), call))


def _user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


def _called(tool: Any, call: Any) -> ChatMessage:
    try:
        text = "there is no such tool" if tool is None else tool.call(**call.tool_kwargs).content
    except Exception as error:
        text = str(error)
    return ChatMessage(role="tool", content=text, additional_kwargs={"tool_call_id": call.tool_id})


def _compare(plain: Batch, speculated: Batch, counts: Counts) -> None:
    for number in plain.numbers:
        stopped = number in speculated.stopped
        expected, asked = plain.llm.asked[number], speculated.llm.asked[number]
        would, wrote = _written(plain, number), _written(speculated, number)
        counts.runs += 1
        counts.turns += len(asked)
        if stopped:
            same = asked == expected[: len(asked)] and wrote == would[: len(wrote)]
        else:
            same = asked == expected and wrote == would
            same = same and plain.answers[number] == speculated.answers[number]
        counts.differing += not same
        counts.side_effects += len(wrote) > len(would)
    counts.side_effects += speculated.notes.unasked


def _written(batch: Batch, number: int) -> list[Written]:
    return [each for each in batch.notes.written if owned_by(number, each.who, each.key)]


@contextmanager
def _on_the_loops_clock() -> Iterator[None]:
    """Let time-outs of workflows, which go by the wall clock, come when the loop's clock says."""
    loop = asyncio.get_running_loop()

    async def now_s(_: object) -> float:
        return loop.time()

    with patch.object(InternalAsyncioAdapter, "get_now", now_s):
        yield


async def _tasks(kind: str, seed: int, counts: Counts) -> None:
    """Run a batch as tasks, without and with."""
    loop, dice = asyncio.get_running_loop(), random.Random(seed)
    clocks = Clocks(mono_now=loop.time, chance=dice.random)
    plain = Batch(kind, seed, None, clocks)
    run_s = dice.uniform(1.0, 8.0) if dice.random() < 0.2 else None
    speculated = Batch(kind, seed, counts, clocks, run_s)
    chosen = [number for number in speculated.numbers if dice.random() < 0.25]
    with _on_the_loops_clock():
        await plain.run({})
        await speculated.run({number: 6 * dice.random() for number in chosen})
    counts.cancelled += len(chosen)
    counts.timed_out += len(speculated.stopped.difference(chosen))
    _compare(plain, speculated, counts)
    for _ in range(_TICKS):
        await asyncio.sleep(0)
    counts.alive += len(asyncio.all_tasks()) - 1
    counts.alive += speculated.under_way()
    speculated.accel.close()


def _threads(seed: int, counts: Counts) -> None:
    """Run a batch in threads, without and with."""
    clocks = Clocks(chance=random.Random(seed).random)
    plain, speculated = Batch("thread", seed, None, clocks), Batch("thread", seed, counts, clocks)
    for batch in (plain, speculated):
        threads = [threading.Thread(target=batch.loop, args=(n,)) for n in batch.numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    _compare(plain, speculated, counts)
    speculated.notes.released.set()
    for thread in threading.enumerate():
        if thread.name == "accel-spawned":
            thread.join(10.0)
            counts.alive += thread.is_alive()
    counts.alive += speculated.under_way()
    speculated.accel.close()


def fuzz(runs: int, seed: int, report: Callable[[float], None] = lambda _: None) -> Counts:
    """Run so many random agents, of each kind in turn, and return what happened."""
    counts = Counts()
    number = seed * 1_000_000
    while counts.runs < runs:
        kind = _KINDS[number % len(_KINDS)]
        if kind == "thread":
            _threads(number, counts)
        else:
            virtual_time.run(_tasks(kind, number, counts))
        number += 1
        report(counts.runs / runs)
    return counts


def _fuzzed(context: Context) -> Counts:
    return fuzz(context.pick(10_000, 200), context.seed, context.report)


def _measured(name: str) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        counts = context.once(_fuzzed)
        note = (
            f"{counts.runs:,} runs, {counts.cancelled:,} cancelled, {counts.timed_out:,} out of "
            f"time, {counts.turns:,} turns, {counts.guesses:,} guesses, {counts.adopted:,} calls "
            "answered by another"
        )
        return Measured(getattr(counts, name), note)

    return measure


ROWS = [
    Row(
        name="llamaindex-differing",
        what="LlamaIndex runs that differ from those without speculation, random agents",
        op="==",
        bound=0,
        measure=_measured("differing"),
    ),
    Row(
        name="llamaindex-side-effects",
        what="LlamaIndex tools with side effects that were begun unasked, same runs",
        op="==",
        bound=0,
        measure=_measured("side_effects"),
    ),
    Row(
        name="llamaindex-alive",
        what="tasks, threads and guesses left after those runs",
        op="==",
        bound=0,
        measure=_measured("alive"),
    ),
]
