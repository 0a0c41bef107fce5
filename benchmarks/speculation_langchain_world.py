"""Random agents of LangChain by script: their tools, their model, and a predictor that knows it.

What an agent asks for follows from its number and all that it has read, so one wrong observation
leads it astray. Its tools read and write numbers of its own, which others have under the same keys;
they fail, and are asked wrongly; its model fails, and is stopped.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

from langchain.tools import InjectedState
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import StructuredTool, ToolException

from accel_core import tenancy
from accel_core.policy.trajectory import Guess, Observed, Said, ToolCall
from benchmarks.speculation_who import first_under, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence

    from accel_core.policy.trajectory import Trajectory
    from accel_core.tenancy import Tenant

_MOST_TURNS = 5
_KEYS = 3
_HANDLED = ("read", "find", "rows", "counted")
HARMLESS = (*_HANDLED, "strict")

without: ContextVar[bool] = ContextVar("without", default=False)
"""Set in runs without speculation, whose numbers are their own."""


class Refused(Exception):  # noqa: N818 - what a tool or a model says, not a defect
    """Something cannot be done."""


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
        # One at most that may end the run: of several, whichever fails first would.
        names = [dice.choice(HARMLESS), *dice.choices(_HANDLED, k=dice.choice([0, 0, 1, 2]))]
        return [self._reads(name, dice) for name in dice.sample(names, len(names))]

    def _reads(self, name: str, dice: random.Random) -> ToolCall:
        arguments: dict[str, Any] = {"key": self._key(dice)}
        if dice.random() < 0.05:
            arguments = {"wrong": 1}
        if name == "strict":
            arguments["count"] = dice.choice([1, "1", 2])
        return ToolCall(name, arguments)

    def _key(self, dice: random.Random) -> str:
        return key_of(self.number, dice.randrange(_KEYS))


class World:
    """The numbers, and the tools that read and write them.

    Args:
        dice: which guesses fail or hang, and how long calls take.
        spend: lets time pass, in seconds; async.
        wait: the same, in a thread.

    Attributes:
        written: what was written, by whom, and whether without speculation.
        guesses: tools begun unasked.
        unasked: of them, those with side effects.
    """

    def __init__(
        self,
        dice: random.Random,
        spend: Callable[[float], Awaitable[None]],
        wait: Callable[[float], object],
    ) -> None:
        self.dice = dice
        self.guesses = self.unasked = 0
        self._spend, self._wait = spend, wait
        self._values: dict[tuple[bool, Tenant | None, str], int] = {}
        self.written: list[tuple[bool, Tenant | None, str, int]] = []

    def tools(self) -> list[StructuredTool]:
        """Return the tools, in both colours."""
        forms: dict[str, Any] = {
            "find": {"handle_tool_error": True},
            "rows": {"response_format": "content_and_artifact"},
            "write": {"handle_tool_error": True},
        }
        return [self._tool(name, forms.get(name, {})) for name in (*HARMLESS, "write")]

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
        self.guesses += 1
        self.unasked += name in {"write", "counted"}
        return self.dice.random()

    def _result(self, name: str, arguments: dict[str, Any]) -> Any:
        at = (without.get(), tenancy.current(), arguments["key"])
        value = self._values.get(at)
        value = first_under(arguments["key"]) if value is None else value
        if name == "write":
            self.written.append((*at, arguments["value"]))
            if arguments["value"] % 5 == 0:
                raise ToolException(f"{arguments['key']} stays")
            self._values[at] = arguments["value"]
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
            yield chunk

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _cut(_answer(messages, asyncio.CancelledError)):
            await self.spend(0.2)
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
            ToolCall(
                dice.choice([*HARMLESS, "write"]), {"key": key_of(script.number, 0), "value": 1}
            )
            for _ in range(2)
        ]
        calls = [*script.asks(seen, turn), *lies]
        guesses = [Guess(call, dice.choice([0.5, 0.8, 1.0]), self.name) for call in calls]
        return [guess for guess in guesses if dice.random() < 0.8] + [None] * (dice.random() < 0.02)

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        if self._dice.random() < 0.1:
            raise Refused("no memory")
