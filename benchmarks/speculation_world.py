"""A world of numbers, the tools that agents read and write it with, and agents by script.

What an agent asks for next depends on all that it has seen, so a single wrong observation leads it
astray. Its predictors know what it will ask for, and lie, and misbehave.
"""

from __future__ import annotations

import contextvars
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core import tenancy
from accel_core.policy.trajectory import Guess, Said, ToolCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence

    from accel_core.policy.trajectory import Trajectory
    from accel_core.tool_speculator import Session, ToolSpeculator

MOST_TURNS = 7
_KEYS = 4
_FREE = ("read", "find", "shared", "whose", "report", "schema")
_TENANTS = ("north", "south")

_depth: contextvars.ContextVar[int] = contextvars.ContextVar("depth", default=0)


class Refused(Exception):  # noqa: N818 - what a tool says, not a defect
    """A tool cannot do what it was asked for."""


class Pace(NamedTuple):
    """How time passes in one colour."""

    coloured: bool
    spend: Callable[[float], Awaitable[None]]
    hang: Callable[[], Awaitable[None]]


class Write(NamedTuple):
    """A number that was written: when, and when whoever wrote it was told."""

    value: int
    moment: int
    told: float


@dataclass
class World:
    """Numbers by tenant and key, and what they were at each moment."""

    number: int
    history: dict[tuple[str, str], list[Write]] = field(default_factory=dict)
    moment: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def read(self, key: str) -> int:
        """Return the number under `key` of who is asking."""
        return self._written(key)[-1].value

    def write(self, key: str, value: int) -> None:
        """Make `value` the number under `key`, from now on."""
        with self.lock:
            self.moment += 1
            self._written(key).append(Write(value, self.moment, float("inf")))

    def told(self, key: str, value: int) -> None:
        """Note that whoever wrote `value` knows that it is done, or gave up."""
        with self.lock:
            self.moment += 1
            written = self._written(key)
            for at, write in enumerate(written):
                if write.value == value and write.told == float("inf"):
                    written[at] = write._replace(told=self.moment)

    def was(self, key: str, value: int, since: int) -> bool:
        """Whether `value` was under `key` at any moment `since` then.

        While a number is being written, who asks may still be told the one before.
        """
        written = self._written(key)
        ends = [write.told for write in written[1:]] + [float("inf")]
        return any(
            write.value == value and end > since for write, end in zip(written, ends, strict=True)
        )

    def _written(self, key: str) -> list[Write]:
        return self.history.setdefault((_asking(), key), [Write(0, 0, 0)])


def _asking() -> str:
    tenant = tenancy.current()
    assert tenant is not None
    return tenant.id


class Desk:
    """The tools of one agent, in one colour; a real call and a guess of one do the same.

    Args:
        world: what they look at.
        speculator: what nested agents use; None: the run without.
        pace: how they take their time.
        dice: how long they take, and which guesses fail or hang.
        counts: of what must not happen.
    """

    def __init__(
        self,
        world: World,
        speculator: ToolSpeculator | None,
        pace: Pace,
        dice: random.Random,
        counts: Counts,
    ) -> None:
        self.world, self.speculator, self.pace = world, speculator, pace
        self.dice, self.counts = dice, counts
        self.tools = {name: Tool(self, name) for name in (*_FREE, "write")}

    async def carry_out(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call a tool.

        Raises:
            Refused: the tool will not.
        """
        took = self.dice.random()
        await self.pace.spend(took)
        result = await self._result(name, arguments)
        await self.pace.spend(took)
        return result

    async def _result(self, name: str, arguments: Mapping[str, Any]) -> Any:
        key = arguments.get("key", "")
        if name == "write":
            if arguments["value"] % 5 == 0:
                raise Refused(key)
            self.world.write(key, arguments["value"])
            return "done"
        if name == "find" and self.world.read(key) % 3 == 1:
            raise Refused(f"{key} is {self.world.read(key)}")
        if name == "whose":
            return _asking()
        if name == "schema":
            return ["a", "table"]
        if name == "report":
            await self._nested()
        return {"key": key, "value": self.world.read(key)}

    async def _nested(self) -> None:
        """Run an agent inside a tool, which may ask for what others are executing around it."""
        if _depth.get():
            return
        token = _depth.set(1)
        session = None if self.speculator is None else self.speculator.session()
        try:
            for other in ("s0", "s1"):
                tool, arguments = self.tools["report"], {"key": other}
                await asked(session, self.pace, tool, arguments)
        finally:
            if session is not None:
                session.close()
            _depth.reset(token)


class Tool:
    """One tool as the speculator sees it."""

    def __init__(self, desk: Desk, name: str) -> None:
        self.desk, self.name = desk, name
        self.identity = name, desk.world.number
        self.free, self.static = name != "write", name == "schema"

    def validated(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if "boom" in arguments:
            raise Refused("boom")
        return None if "wrong" in arguments else dict(arguments)

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        """Carry out a guess, which may fail or hang where the real call would not."""
        self.desk.counts.guesses += 1
        self.desk.counts.side_effects += self.name == "write"
        fate = self.desk.dice.random()
        if fate < 0.06:
            await self.desk.pace.hang()
        if fate < 0.12:
            raise (SystemExit if fate < 0.08 else Refused)("a guess")
        return await self.desk.carry_out(self.name, arguments)

    def copied(self, result: Any) -> Any:
        return dict(result) if isinstance(result, dict) else result


@dataclass
class Counts:
    """What happened, and what must not."""

    runs: int = 0
    observations: int = 0
    guesses: int = 0
    adopted: int = 0
    differing: int = 0
    side_effects: int = 0
    alive: int = 0

    def __call__(self, event: object) -> None:
        self.adopted += type(event).__name__ == "ToolCallReused"
        # A result found to differ, or somebody's code blamed for what this file does right.
        self.differing += getattr(event, "same", True) is False


class Agent:
    """An agent by script: what it asks for follows from its number and all that it has seen.

    Args:
        number: who it is.
        turns: after how many turns it answers.
        cancelled: in which turn it is cancelled; None: in none.
    """

    def __init__(self, number: int) -> None:
        dice = random.Random(number)
        self.number, self.tenant = number, dice.choice(_TENANTS)
        self.turns = dice.randint(1, MOST_TURNS)
        self.cancelled = dice.randrange(self.turns) if dice.random() < 0.2 else None
        self.in_tool = dice.random() < 0.5

    def asks(self, seen: Sequence[str]) -> list[ToolCall]:
        """Return the calls that it asks for, having seen this."""
        if len(seen) and sum(text == "turn" for text in seen) >= self.turns:
            return []
        dice = random.Random(f"{self.number} {seen}")
        if dice.random() < 0.3:
            key = dice.choice([self._own(dice), f"s{dice.randrange(_KEYS)}"])
            # No two agents write the same, so that what was read tells whose it was.
            value = 100 * self.number + dice.randrange(1, 100)
            return [ToolCall("write", {"key": key, "value": value})]
        return [self._reads(dice) for _ in range(dice.choice([1, 1, 1, 2, 3]))]

    def _reads(self, dice: random.Random) -> ToolCall:
        name = dice.choice(_FREE)
        if name in {"whose", "schema"}:
            return ToolCall(name, {})
        if name in {"shared", "report"}:
            return ToolCall(name, {"key": f"s{dice.randrange(_KEYS)}"})
        wrong: dict[str, Any] = {"wrong": 1} if dice.random() < 0.05 else {}
        boom: dict[str, Any] = {"boom": 1} if dice.random() < 0.05 else {}
        return ToolCall(name, {"key": self._own(dice), **wrong, **boom})

    def _own(self, dice: random.Random) -> str:
        return f"own {self.number} {dice.randrange(_KEYS)}"


class Oracle:
    """A predictor that knows the agents, and lies, and misbehaves."""

    def __init__(self, dice: random.Random) -> None:
        self.name, self._dice = "oracle", dice

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Any:  # noqa: ARG002
        said, *observed = trajectory
        assert isinstance(said, Said)
        agent = Agent(int(said.text))
        seen = list(seen_in(observed))
        dice = self._dice
        if dice.random() < 0.03:
            raise Refused("no idea")
        if dice.random() < 0.03:
            return [None, 7, Guess(ToolCall("nowhere", {}), 0.9, "x"), Guess(None, 1, "x")]  # type: ignore[arg-type]
        calls = agent.asks(seen)
        later = agent.asks([*seen, "turn"])
        wrong = [ToolCall(dice.choice([*_FREE, "write"]), {"key": f"s{dice.randrange(_KEYS)}"})]
        return [
            Guess(call, dice.choice([0.5, 0.71, 0.9, float("nan"), 1.0]), "oracle")
            for call in (*calls, *wrong, *later, *wrong)
            if dice.random() < 0.8
        ]

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:  # noqa: ARG002
        if self._dice.random() < 0.1:
            raise Refused("no memory")


class Drafting:
    """A drafter that is as good, and often late."""

    name = "drafting"

    def __init__(self, oracle: Oracle, pace: Pace, dice: random.Random) -> None:
        self._oracle, self._pace, self._dice = oracle, pace, dice

    async def draft(self, trajectory: Trajectory, free: Collection[str]) -> Any:
        await self._pace.spend(2 * self._dice.random())
        return self._oracle.predict(trajectory, free)


def seen_in(observed: Sequence[Any]) -> Iterator[str]:
    turn = None
    for each in observed:
        if turn is not None and each.turn != turn:
            yield "turn"
        turn = each.turn
        yield each.observation
    if turn is not None:
        yield "turn"


async def asked(
    session: Session | None, pace: Pace, tool: Tool, arguments: Mapping[str, Any]
) -> Any:
    """Make a real call, through a session or without one."""

    def execute() -> Awaitable[Any]:
        return tool.desk.carry_out(tool.name, arguments)

    if session is None:
        return await execute()
    if pace.coloured:
        return await session.acall(tool, arguments, execute)
    return session.call(tool, arguments, execute)
