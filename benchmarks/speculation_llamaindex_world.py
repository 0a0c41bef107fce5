"""Random agents of LlamaIndex by script, and a model that says what the script says.

What an agent asks for next follows from its number and from all that it has been told, so a single
wrong observation leads it astray, and shows in every request that comes after.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import AsyncBaseTool, FunctionTool, ToolMetadata, ToolOutput
from pydantic import BaseModel

from accel_core import tenancy
from accel_core.policy.trajectory import Guess, Observed, ToolCall
from benchmarks.speculation_who import first_under, is_guess, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from llama_index.core.tools import BaseTool

    from accel_core.policy.trajectory import Trajectory
    from accel_core.tenancy import Tenant

READS = ("read", "find", "slow")
_MOST_TURNS, _KEYS = 5, 3
_OBSERVATION = "Observation: "
_HANGS_S = 3600.0


class Written(NamedTuple):
    """A number that was written."""

    who: Tenant | None
    key: str
    number: int


class Notes:
    """Numbers by key and by who asks, read and written by tools.

    Args:
        dice: how long calls take, and which guesses fail or hang, where the real call would not.
    """

    def __init__(self, dice: random.Random) -> None:
        self._numbers: dict[tuple[Tenant | None, str], int] = {}
        self._dice = dice
        self.written: list[Written] = []
        self.unasked = 0
        """Writes that were begun as guesses."""
        self.released = threading.Event()
        """Lets guesses go on that hang in threads."""

    def tools(self) -> list[BaseTool]:
        """Return the tools, of which only `write` changes anything."""
        functions = [
            FunctionTool.from_defaults(
                fn=getattr(self, name),
                async_fn=getattr(self, f"a{name}"),
                name=name,
                description="-",
            )
            for name in ("read", "find", "write")
        ]
        return [*functions, Slow(self)]

    def read(self, key: str) -> dict[str, Any]:
        self._meets_its_fate()
        return {"key": key, "number": self.under(key)}

    def find(self, key: str, below: int = 3) -> list[int]:
        self._meets_its_fate()
        if self.under(key) % 5 >= below:
            raise LookupError(f"nothing is below {below}")
        return list(range(self.under(key) % 5))

    def slow(self, key: str) -> ToolOutput:
        self._meets_its_fate()
        number = self.under(key)
        return ToolOutput(
            content=f"slowly {number}",
            tool_name="slow",
            raw_input={"key": key},
            raw_output=number,
            is_error=number % 7 == 3,
        )

    def write(self, key: str, number: int) -> str:
        self.unasked += is_guess()
        self.written.append(Written(tenancy.current(), key, number))
        if number % 4 == 0:
            raise PermissionError(f"{number} is not allowed")
        self._numbers[tenancy.current(), key] = number
        return f"{key} is {number}"

    async def aread(self, key: str) -> dict[str, Any]:
        await self._takes(1.0)
        return self.read(key)

    async def afind(self, key: str, below: int = 3) -> list[int]:
        await self._takes(1.0)
        return self.find(key, below)

    async def aslow(self, key: str) -> ToolOutput:
        await self._takes(4.0)
        return self.slow(key)

    async def awrite(self, key: str, number: int) -> str:
        await asyncio.sleep(self._dice.random() / 2)
        said = self.write(key, number)
        await asyncio.sleep(self._dice.random() / 2)
        return said

    def under(self, key: str) -> int:
        """Return the number under `key` of who is asking."""
        found = self._numbers.get((tenancy.current(), key))
        return first_under(key) if found is None else found

    async def _takes(self, most_s: float) -> None:
        hangs = is_guess() and self._dice.random() < 0.05
        await asyncio.sleep(_HANGS_S if hangs else most_s * self._dice.random())

    def _meets_its_fate(self) -> None:
        if not is_guess():
            return
        fate = self._dice.random()
        if fate < 0.05 and asyncio._get_running_loop() is None:
            self.released.wait()
        if fate < 0.1:
            raise ConnectionError("a guess")


class Key(BaseModel):
    """What `Slow` takes."""

    key: str


class Slow(AsyncBaseTool):
    """A tool that is no function, and says itself where it failed."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    @property
    def metadata(self) -> ToolMetadata:
        return ToolMetadata("-", name="slow", fn_schema=Key)

    def call(self, key: str) -> ToolOutput:  # type: ignore[override]
        return self._notes.slow(key)

    async def acall(self, key: str) -> ToolOutput:  # type: ignore[override]
        return await self._notes.aslow(key)


def asks(number: int, seen: Sequence[str], *, single: bool) -> list[ToolCall]:
    """Return what agent `number` asks for, having been told `seen`; nothing: it answers.

    Args:
        number: which agent.
        seen: what each turn was told, one text a turn.
        single: whether it asks for one call at a time.
    """
    dice = random.Random(f"{number} {seen}")
    if len(seen) >= random.Random(number).randint(0, _MOST_TURNS):
        return []
    if dice.random() < 0.25:
        key = key_of(number, dice.randrange(_KEYS))
        return [ToolCall("write", {"key": key, "number": dice.randrange(100)})]
    if dice.random() < 0.06:
        return [ToolCall(*dice.choice([("nowhere", {"key": "x"}), ("read", {"name": "x"})]))]
    several = 1 if single else dice.choice([1, 1, 2, 3])
    return [_reading(number, dice) for _ in range(several)]


def _reading(number: int, dice: random.Random) -> ToolCall:
    arguments: dict[str, Any] = {"key": key_of(number, dice.randrange(_KEYS))}
    name = dice.choice(READS)
    if name == "find" and dice.random() < 0.5:
        arguments["below"] = dice.randrange(5)
    return ToolCall(name, arguments)


def told(messages: Iterable[ChatMessage]) -> tuple[int, tuple[str, ...]]:
    """Return which agent asks, and what each of its turns was told.

    Results of one turn are sorted: LlamaIndex lists them as they end.
    """
    number, turns, turn = 0, [], []
    for message in messages:
        role, text = str(message.role.value), message.content or ""
        if role == "user" and not text.startswith(_OBSERVATION):
            number = int(text)
        elif role in {"tool", "user"}:
            turn.append(text.removeprefix(_OBSERVATION))
        elif role == "assistant" and turn:
            turns.append(turn)
            turn = []
    turns += [turn] if turn else []
    return number, tuple(" | ".join(sorted(texts)) for texts in turns)


def shape(messages: Iterable[ChatMessage]) -> list[Any]:
    """Return a conversation, message by message; results of one turn are sorted, as in `told`."""
    found: list[Any] = []
    for role, group in itertools.groupby(messages, key=lambda message: message.role.value):
        said = [(role, repr(m.blocks), sorted(m.additional_kwargs.items())) for m in group]
        found += sorted(said) if role == "tool" else said
    return found


class ScriptedLLM(MockFunctionCallingLLM):
    """Says what `asks` says, in its time, and keeps what it was asked."""

    _dice: Any = None
    _asked: Any = None

    @classmethod
    def of(cls, dice: random.Random) -> ScriptedLLM:
        """Return one that takes its time by `dice`."""
        llm = cls()
        llm._dice, llm._asked = dice, defaultdict(list)
        return llm

    @property
    def asked(self) -> dict[int, list[Any]]:
        """The conversations that it was asked with, by agent, as `shape` gives them."""
        found: dict[int, list[Any]] = self._asked
        return found

    def chat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=self._says(messages, kwargs))

    async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        await asyncio.sleep(self._dice.random())
        return self.chat(messages, **kwargs)

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        message = self._says(messages, kwargs)

        async def chunks() -> Any:
            for end in range(len(message.blocks) + 1):
                await asyncio.sleep(self._dice.random() / 2)
                yield ChatResponse(
                    message=ChatMessage(role="assistant", blocks=message.blocks[:end])
                )

        return chunks()

    def _says(self, messages: Any, kwargs: Any) -> ChatMessage:
        number, seen = told(messages)
        self._asked[number].append(shape(messages))
        in_text = not kwargs.get("tools")
        calls = asks(number, seen, single=in_text)
        if in_text:
            return ChatMessage(role="assistant", content=_reasoned(calls, seen))
        if not calls:
            return ChatMessage(role="assistant", content=f"Done: {seen}")
        return ChatMessage(
            role="assistant",
            blocks=[
                ToolCallBlock(
                    tool_call_id=f"{len(seen)}-{at}",
                    tool_name=call.tool,
                    tool_kwargs=dict(call.arguments),
                )
                for at, call in enumerate(calls)
            ],
        )


def _reasoned(calls: Sequence[ToolCall], seen: Sequence[str]) -> str:
    """Return a turn in ReAct's form."""
    if not calls:
        return f"Thought: I know.\nAnswer: Done: {list(seen)}"
    (call,) = calls
    return f"Thought: I look.\nAction: {call.tool}\nAction Input: {json.dumps(call.arguments)}"


class Oracle:
    """A predictor that knows the script, and lies, and misbehaves.

    Args:
        dice: says when.
        single: whether its agents ask for one call at a time.
    """

    name = "oracle"

    def __init__(self, dice: random.Random, *, single: bool) -> None:
        self._dice, self._single = dice, single

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Any:  # noqa: ARG002
        dice = self._dice
        if dice.random() < 0.05:
            raise LookupError("no idea")
        said, *rest = trajectory
        number = int(said.text)  # type: ignore[union-attr]
        by_turn = itertools.groupby(
            (item for item in rest if isinstance(item, Observed)), key=lambda item: item.turn
        )
        seen = [" | ".join(sorted(item.observation for item in turn)) for _, turn in by_turn]
        right = asks(number, tuple(seen), single=self._single)
        wrong = [
            ToolCall(dice.choice([*READS, "write", "nowhere"]), {"key": key_of(number, 0)}),
            ToolCall("write", {"key": key_of(number, 0), "number": 7}),
            ToolCall("read", {"key": dice.choice([None, 1, ["x"]])}),
        ]
        return [
            Guess(call, dice.choice([0.5, 0.75, 0.9, 1.0]), self.name)
            for call in (*right, *wrong)
            if dice.random() < 0.8
        ]

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:  # noqa: ARG002
        if self._dice.random() < 0.1:
            raise LookupError("no memory")
