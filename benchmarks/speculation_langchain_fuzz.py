"""Random agents of ``create_agent``, run with speculation and without.

What an agent asks for follows from its number and all that it has read, so one wrong observation
leads it astray. Its tools read and write numbers of its own, fail, and are asked wrongly; its model
fails; it is cancelled. Its predictor knows what it will ask for, and lies, and misbehaves; guesses
fail and hang where the real call would not. Several agents share the middleware, the tools and the
speculator.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from langchain.agents import create_agent
from langchain.agents.middleware import (
    ModelRetryMiddleware,
    ToolCallLimitMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
)
from langchain.tools import InjectedState
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import StructuredTool, ToolException

from accel_core.accel import Accel
from accel_core.clocks import Clocks
from accel_core.config import from_mapping
from accel_core.drive import virtual_time
from accel_core.policy.trajectory import Guess, Observed, Said, ToolCall
from accel_core.testing.encoders import HashEncoder
from langchain_accel import SpeculativeTools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence

    from accel_core.policy.trajectory import Trajectory

_TOGETHER = 3
"""Agents that run at once."""
_BATCHES = 4
"""Of agents that one middleware lives through."""
_MOST_TURNS = 5
_KEYS = 3
_HARMLESS = ("read", "find", "rows", "strict", "counted")
_TICKS = 20
"""Of the loop, in which what was cancelled ends."""

_without: ContextVar[bool] = ContextVar("without", default=False)
"""Set in runs without speculation, whose numbers are their own."""


class Refused(Exception):  # noqa: N818 - what a tool or a model says, not a defect
    """Something cannot be done."""


@dataclass
class Counts:
    """What happened, and what must not."""

    inline: ClassVar[bool] = True

    runs: int = 0
    observations: int = 0
    guesses: int = 0
    adopted: int = 0
    differing: int = 0
    side_effects: int = 0
    alive: int = 0
    differences: list[str] = field(default_factory=list)

    def __call__(self, event: object) -> None:
        """Count an event."""
        self.adopted += type(event).__name__ == "ToolCallReused"


class Script:
    """What an agent asks for, and where it breaks off.

    Args:
        number: who it is.
    """

    def __init__(self, number: int) -> None:
        dice = random.Random(number)
        self.number, self.turns = number, dice.randint(2, _MOST_TURNS)
        self.fails_at = dice.randrange(_MOST_TURNS) if dice.random() < 0.08 else None
        self.stops_at = dice.randrange(_MOST_TURNS) if dice.random() < 0.08 else None

    def asks(self, seen: Sequence[str], turn: int) -> list[ToolCall]:
        """Return what it asks for in a turn, having read this; nothing when it has done."""
        if turn >= self.turns:
            return []
        dice = random.Random(f"{self.number} {turn} {list(seen)}")
        if dice.random() < 0.2:
            return [ToolCall("write", {"key": self._key(dice), "value": dice.randrange(100)})]
        return [self._reads(dice) for _ in range(dice.choice([1, 1, 2, 3]))]

    def _reads(self, dice: random.Random) -> ToolCall:
        name = dice.choice(_HARMLESS)
        arguments: dict[str, Any] = {"key": self._key(dice)}
        if dice.random() < 0.05:
            arguments = {"wrong": 1}
        if name == "strict":
            arguments["count"] = dice.choice([1, "1", 2])
        return ToolCall(name, arguments)

    def _key(self, dice: random.Random) -> str:
        return f"{self.number} {dice.randrange(_KEYS)}"


class World:
    """The numbers, and the tools that read and write them.

    Args:
        counts: of what must not happen.
        dice: which guesses fail or hang, and how long calls take.
        spend: lets time pass, in seconds; async.
        wait: the same, in a thread.
    """

    def __init__(
        self,
        counts: Counts,
        dice: random.Random,
        spend: Callable[[float], Awaitable[None]],
        wait: Callable[[float], object],
    ) -> None:
        self.counts, self.dice = counts, dice
        self._spend, self._wait = spend, wait
        self.values: dict[tuple[bool, str], int] = {}

    def tools(self) -> list[StructuredTool]:
        """Return the tools, in both colours."""
        forms: dict[str, Any] = {
            "find": {"handle_tool_error": True},
            "rows": {"response_format": "content_and_artifact"},
            "write": {"handle_tool_error": True},
        }
        return [self._tool(name, forms.get(name, {})) for name in (*_HARMLESS, "write")]

    def _tool(self, name: str, form: dict[str, Any]) -> StructuredTool:
        signatures: dict[str, Callable[..., dict[str, Any]]] = {
            "write": _key_and_value,
            "strict": _key_and_count,
            "counted": _key_and_state,
        }
        schema = signatures.get(name, _key_alone)

        def blocking(**arguments: Any) -> Any:
            self._begun(name, self._wait)
            return self._result(name, arguments)

        async def looped(**arguments: Any) -> Any:
            await self._abegun(name)
            return self._result(name, arguments)

        made = StructuredTool.from_function(schema, name=name, description=name, **form)
        made.func, made.coroutine = blocking, looped
        return made

    def _begun(self, name: str, wait: Callable[[float], object]) -> None:
        fate = self._fate(name)
        if fate < 0.05:
            wait(3600.0)
        if fate < 0.1:
            raise Refused("a guess")
        wait(self.dice.random())

    async def _abegun(self, name: str) -> None:
        fate = self._fate(name)
        if fate < 0.05:
            await self._spend(3600.0)
        if fate < 0.1:
            raise Refused("a guess")
        await self._spend(self.dice.random())

    def _fate(self, name: str) -> float:
        """Return a number in [0, 1]: a guess below 0.05 hangs, below 0.1 fails; calls do not."""
        if "nostream" not in (ensure_config().get("tags") or ()):
            return 1.0
        self.counts.guesses += 1
        self.counts.side_effects += name in {"write", "counted"}
        return self.dice.random()

    def _result(self, name: str, arguments: dict[str, Any]) -> Any:
        at = (_without.get(), arguments["key"])
        value = self.values.get(at, 0)
        if name == "write":
            if arguments["value"] % 5 == 0:
                raise ToolException(f"{arguments['key']} stays")
            self.values[at] = arguments["value"]
            return "written"
        if name == "find" and value % 3 == 1:
            raise ToolException(f"{value} is not to be found")
        if name == "strict" and value % 4 == 3:
            raise Refused(str(value))
        if name == "rows":
            return f"{value}", {"rows": [value]}
        if name == "counted":
            return f"{value} after {len(arguments['state']['messages'])}"
        return f"{value} {arguments.get('count', '')}"


def _key_alone(key: str) -> dict[str, Any]:
    return {"key": key}


def _key_and_value(key: str, value: int) -> dict[str, Any]:
    return {"key": key, "value": value}


def _key_and_count(key: str, count: int = 1) -> dict[str, Any]:
    return {"key": key, "count": count}


def _key_and_state(key: str, state: Annotated[dict[str, Any], InjectedState]) -> dict[str, Any]:
    return {"key": key, "state": state}


class Model(BaseChatModel):
    """Asks by the script of whoever is speaking; fails, and is stopped, where that says so."""

    spend: Any
    wait: Any
    streaming: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[{"name": tool.name} for tool in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        self.wait(0.5)
        return ChatResult(generations=[ChatGeneration(message=_answer(messages, RuntimeError))])

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        await self.spend(0.5)
        message = _answer(messages, asyncio.CancelledError)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _cut(_answer(messages, RuntimeError)):
            self.wait(0.2)
            run_manager.on_llm_new_token("", chunk=chunk)
            yield chunk

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _cut(_answer(messages, asyncio.CancelledError)):
            await self.spend(0.2)
            await run_manager.on_llm_new_token("", chunk=chunk)
            yield chunk


def _answer(messages: Sequence[BaseMessage], stopped: type[BaseException]) -> AIMessage:
    script = Script(int(str(messages[0].content)))
    turn = sum(isinstance(message, AIMessage) for message in messages)
    if script.fails_at == turn:
        raise Refused(f"no answer to {script.number}")
    if script.stops_at == turn:
        raise stopped(f"{script.number} is stopped")
    seen = [str(m.content) for m in messages if isinstance(m, ToolMessage)]
    calls = script.asks(seen, turn)
    if not calls:
        return AIMessage(f"{script.number} has read {seen}")
    return AIMessage(
        "",
        tool_calls=[
            {
                "name": call.tool,
                "args": dict(call.arguments),
                # Like some servers, which count from 0 in every answer.
                "id": f"call_{at}" if script.number % 5 == 0 else f"{script.number}_{turn}_{at}",
                "type": "tool_call",
            }
            for at, call in enumerate(calls)
        ],
    )


def _cut(answer: AIMessage) -> Iterator[ChatGenerationChunk]:
    import json

    for word in str(answer.content).split():
        yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))
    for index, call in enumerate(answer.tool_calls):
        text = json.dumps(call["args"])
        for name, args, id_ in ((call["name"], text[:3], call["id"]), (None, text[3:], None)):
            part: Any = {"name": name, "args": args, "id": id_, "index": index}
            chunk = AIMessageChunk("", tool_call_chunks=[part | {"type": "tool_call_chunk"}])
            yield ChatGenerationChunk(message=chunk)
    yield ChatGenerationChunk(message=AIMessageChunk("", chunk_position="last"))


class Oracle:
    """A predictor that knows the scripts, and lies, and misbehaves."""

    name = "oracle"

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Any:
        dice = self._dice
        if dice.random() < 0.02:
            raise Refused("no idea")
        said, *observed = trajectory
        assert isinstance(said, Said)
        script = Script(int(said.text))
        seen = [one.observation for one in observed if isinstance(one, Observed)]
        turn = len({one.turn for one in observed if isinstance(one, Observed)})
        lies = [
            ToolCall(dice.choice([*_HARMLESS, "write"]), {"key": f"{script.number} 0", "value": 1})
            for _ in range(2)
        ]
        calls = [*script.asks(seen, turn), *lies]
        guesses = [Guess(call, dice.choice([0.5, 0.8, 1.0]), self.name) for call in calls]
        return [guess for guess in guesses if dice.random() < 0.8] + [None] * (dice.random() < 0.02)

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        if self._dice.random() < 0.1:
            raise Refused("no memory")


def _middlewares(dice: random.Random) -> list[Any]:
    """Return some that others use, in any order."""
    found = [
        ToolRetryMiddleware(max_retries=1, initial_delay=0.0, on_failure="error"),
        ModelRetryMiddleware(max_retries=1, initial_delay=0.0, on_failure="error"),
        ToolCallLimitMiddleware(run_limit=dice.randint(3, 15)),
        ToolErrorMiddleware(lambda error, _: f"handled {error}"),
    ]
    return dice.sample(found, dice.randint(0, len(found)))


def _shape(messages: Sequence[BaseMessage]) -> list[Any]:
    """Return a conversation without the ids that LangChain makes."""
    return [
        (
            m.type,
            m.content,
            getattr(m, "tool_calls", None),
            getattr(m, "tool_call_id", None),
            getattr(m, "status", None),
            getattr(m, "artifact", None),
        )
        for m in messages
    ]


class Bench:
    """Two agents of the same scripts and tools, one of them with speculation.

    Args:
        dice: of everything.
        counts: of what happens.
        clocks: the speculator's.
        spend: lets time pass, in seconds; async.
        wait: the same, in a thread.
        timeout_s: how long a guess may take.
    """

    def __init__(
        self,
        dice: random.Random,
        counts: Counts,
        clocks: Clocks,
        *,
        spend: Callable[[float], Awaitable[None]],
        wait: Callable[[float], object],
        timeout_s: float,
    ) -> None:
        self.counts, self.world = counts, World(counts, dice, spend, wait)
        settings = {
            "threshold": 0.6,
            "at_once": dice.choice([1, 3, 10]),
            "window_s": dice.choice([0.0, 0.5]),
            "timeout_s": timeout_s,
            "waste_share": dice.choice([0.5, 1.0]),
            "audit_share": dice.choice([0.0, 0.2]),
        }
        config = from_mapping({"speculation": settings})
        self.accel = Accel(config, encoder=HashEncoder(), observers=[counts], clocks=clocks)
        ours = SpeculativeTools(_HARMLESS, predictors=[Oracle(dice)], accel=self.accel)
        self.speculator = ours._speculation._runs.speculator
        streaming = dice.random() < 0.5
        model = Model(spend=spend, wait=wait, **({"streaming": True} if streaming else {}))
        others = _middlewares(dice)
        both = list(others)
        both.insert(dice.randint(0, len(others)), ours)
        tools = self.world.tools()
        self.plain = create_agent(model, tools, middleware=others)
        self.speculative = create_agent(model, tools, middleware=both)

    async def acompare(self, number: int) -> None:
        """Run one agent with speculation and without, as tasks."""
        self.compare(number, await self._arun(number, without=False), await self._arun(number))

    async def _arun(self, number: int, *, without: bool = True) -> list[Any]:
        agent = self.plain if without else self.speculative
        token, told = _without.set(without), [[]]
        try:
            async for state in agent.astream(_asked(number), stream_mode="values"):
                told = [_shape(state["messages"])]
        except (asyncio.CancelledError, Exception) as error:
            told.append([repr(error)])
        finally:
            _without.reset(token)
        return told

    def run(self, number: int) -> None:
        """Run one agent with speculation and without, in this thread."""
        self.compare(number, self._run(number, without=False), self._run(number))

    def _run(self, number: int, *, without: bool = True) -> list[Any]:
        agent = self.plain if without else self.speculative
        token, told = _without.set(without), [[]]
        try:
            for state in agent.stream(_asked(number), stream_mode="values"):
                told = [_shape(state["messages"])]
        except Exception as error:
            told.append([repr(error)])
        finally:
            _without.reset(token)
        return told

    def compare(self, number: int, with_it: list[Any], plain: list[Any]) -> None:
        """Count what the two runs of one agent have told, and left behind."""
        left = [
            {key: value for (apart, key), value in self.world.values.items() if apart is without}
            for without in (False, True)
        ]
        own = f"{number} "
        kept = [{k: v for k, v in one.items() if k.startswith(own)} for one in left]
        self.counts.runs += 1
        self.counts.observations += sum(message[0] == "tool" for message in plain[0])
        if with_it != plain or kept[0] != kept[1]:
            self.counts.differing += 1
            self.counts.differences.append(f"{number}: {with_it} {kept[0]}\n  {plain} {kept[1]}")


def _asked(number: int) -> dict[str, Any]:
    return {"messages": [("user", str(number))]}


async def _async_runs(seed: int, counts: Counts) -> None:
    """Run some agents as tasks of the running loop, in virtual time."""
    loop, dice = asyncio.get_running_loop(), random.Random(seed)
    bench = Bench(
        dice,
        counts,
        Clocks(mono_now=loop.time, chance=dice.random),
        spend=asyncio.sleep,
        wait=lambda _: None,
        timeout_s=5.0,
    )
    for batch in range(_BATCHES):
        numbers = [_numbered(seed, batch, n) for n in range(_TOGETHER)]
        await asyncio.gather(*(bench.acompare(number) for number in numbers))
    await asyncio.sleep(2.0)  # what was not asked for goes on for the window, and no longer
    for _ in range(_TICKS):
        await asyncio.sleep(0)
    counts.alive += len(asyncio.all_tasks()) - 1
    counts.alive += bench.speculator.state().guesses_under_way
    bench.accel.close()


def _blocking_runs(seed: int, counts: Counts) -> None:
    """Run some agents in threads, in real time."""
    dice, released = random.Random(seed), threading.Event()

    def wait(seconds: float) -> None:
        if seconds > 60:
            released.wait()
        elif seconds > 0.5:
            time.sleep(0)  # lets another thread go first

    async def spend(_: float) -> None: ...

    clocks = Clocks(chance=dice.random)
    bench = Bench(dice, counts, clocks, spend=spend, wait=wait, timeout_s=0.05)
    for batch in range(_BATCHES):
        numbers = [_numbered(seed, batch, n) for n in range(_TOGETHER)]
        threads = [threading.Thread(target=bench.run, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    released.set()
    for thread in threading.enumerate():
        if thread.name in {"accel-spawned", "accel-guess", "accel-learning"}:
            thread.join(10.0)
            counts.alive += thread.is_alive()
    counts.alive += bench.speculator.state().guesses_under_way
    bench.accel.close()


def _numbered(seed: int, batch: int, agent: int) -> int:
    return (seed * _BATCHES + batch) * _TOGETHER + agent


def fuzz(runs: int, seed: int, report: Callable[[float], None] = lambda _: None) -> Counts:
    """Run so many random agents, half of them in either colour, and return what happened."""
    counts, number = Counts(), seed * 1_000_000
    while counts.runs < runs:
        if number % 2:
            _blocking_runs(number, counts)
        else:
            virtual_time.run(_async_runs(number, counts))
        number += 1
        report(counts.runs / runs)
    return counts
