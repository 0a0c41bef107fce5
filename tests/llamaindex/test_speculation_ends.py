"""However a run ends, nothing of it is left, and predictors learn what it did."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.mock import MockFunctionCallingLLM

from accel_core.permits import speculatable
from accel_core.policy.trajectory import Observed, Said
from llamaindex_accel.speculation import speculate
from tests.llamaindex.speculating import Foresight, said_in_turns

if TYPE_CHECKING:
    from tests.llamaindex.speculating import World

SLOW = (("slow", {"name": "guessed"}),)


class Slow:
    """A tool that ends when it is let to, or is cancelled."""

    def __init__(self) -> None:
        self.began, self.cancelled = asyncio.Event(), asyncio.Event()
        self.let = asyncio.Event()

    def tool(self) -> Any:
        @speculatable
        async def slow(name: str) -> str:
            """Take as long as it takes."""
            self.began.set()
            try:
                await self.let.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
            return name

        return slow


class ThinkingLLM(MockFunctionCallingLLM):
    """Answers when it is let to."""

    _let: Any = None

    async def achat(self, messages: Any, **kwargs: Any) -> Any:
        await self._let.wait()
        return self.chat(messages, **kwargs)


def asked(*turns: Any) -> tuple[ThinkingLLM, asyncio.Event]:
    """Return a model of these turns, and what lets it answer."""
    llm = ThinkingLLM(response_generator=said_in_turns(*turns))
    llm._let = asyncio.Event()
    return llm, llm._let


def under_way(accel_tools: list[Any]) -> int:
    """Return how many guesses are under way."""
    from llamaindex_accel._speculative_tools import copied_of

    copied = copied_of(accel_tools[0])
    assert copied is not None
    return copied.runs.speculator.state().guesses_under_way


async def others() -> set[asyncio.Task[Any]]:
    """Return the tasks beside this one, once those that are ending have.

    LlamaIndex leaves the running step of a run whose handler was cancelled.
    """
    for _ in range(10):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return {task for task in tasks if "_run_worker" not in repr(task.get_coro())}


@pytest.mark.parametrize("end", ["cancel_run", "timeout", "task"])
async def test_a_cancelled_run_cancels_its_guesses(end: str, world: World) -> None:
    """A run that ends while the model thinks leaves no task, whoever ends it."""
    slow = Slow()
    llm, _ = asked("never said")
    tools, llm = world.speculate([slow.tool()], llm, Foresight(SLOW))
    timeout = 0.05 if end == "timeout" else None
    agent = FunctionAgent(tools=tools, llm=llm, streaming=False, timeout=timeout)
    handler = agent.run(user_msg="Go.")
    if end == "task":
        waiting = asyncio.create_task(_result(handler))
    await slow.began.wait()
    assert under_way(tools) == 1
    if end == "cancel_run":
        await handler.cancel_run()
    elif end == "task":
        handler.cancel()
        waiting.cancel()
    with pytest.raises((Exception, asyncio.CancelledError)):
        await handler
    await slow.cancelled.wait()
    assert await others() == set()
    assert under_way(tools) == 0


async def _result(handler: Any) -> Any:
    return await handler


async def test_a_run_that_fails_ends_its_guesses(world: World) -> None:
    """A guess that the model did ask for is not left when the agent may not ask any more."""
    slow = Slow()
    llm, let = asked(SLOW, SLOW)
    tools, llm = world.speculate([slow.tool()], llm, Foresight(SLOW))
    agent = FunctionAgent(tools=tools, llm=llm, streaming=False)
    handler = agent.run(user_msg="Go.", max_iterations=1)
    await slow.began.wait()
    let.set()
    with pytest.raises(Exception, match="Max iterations"):
        await handler
    await slow.cancelled.wait()
    assert await others() == set()


async def test_a_model_that_fails_leaves_nothing(world: World) -> None:
    """The error is the agent's, and the guess is cancelled."""
    slow = Slow()
    llm, let = asked()
    tools, llm = world.speculate([slow.tool()], llm, Foresight(SLOW))
    handler = FunctionAgent(tools=tools, llm=llm, streaming=False).run(user_msg="Go.")
    await slow.began.wait()
    let.set()
    with pytest.raises(IndexError):
        await handler
    await slow.cancelled.wait()
    assert await others() == set()


async def test_predictors_learn_each_run_once(world: World) -> None:
    """Two runs of one agent at once are two trajectories, with arguments and what came back."""
    slow = Slow()
    slow.let.set()
    llm, let = asked(SLOW, "Done.")
    let.set()
    predictor = Foresight()
    tools, llm = world.speculate([slow.tool()], llm, predictor)
    agent = FunctionAgent(tools=tools, llm=llm, streaming=False)
    await asyncio.gather(*(agent.run(user_msg=text) for text in ("a", "b")))
    rest = (
        Observed("slow", {"name": "guessed"}, "guessed", failed=False, turn=0),
        Said("assistant", "Done."),
    )
    expected = [(Said("user", text), *rest) for text in ("a", "b")]
    assert sorted(predictor.learned, key=repr) == expected


async def test_what_failed_is_learned_as_failed(world: World) -> None:
    """A tool that raised is told from one that returned the same text."""
    desk = world.desk("desk")
    llm, let = asked((("orders_of", {"customer": "x"}),), "Done.")
    let.set()
    predictor = Foresight()
    tools, llm = world.speculate(desk.tools(), llm, predictor)
    await FunctionAgent(tools=tools, llm=llm, streaming=False).run(user_msg="Go.")
    ((_, observed, _),) = predictor.learned
    assert observed.failed
    assert observed.observation == "there is no customer x"


async def test_runs_of_tenants_share_nothing(world: World) -> None:
    """The same call of another tenant is executed again; of the same one, it is not."""
    called: list[str] = []

    @speculatable
    async def look(name: str) -> str:
        """Look."""
        called.append(name)
        return name

    look_up = (("look", {"name": "n"}),)
    llm, let = asked(look_up, "Done.")
    let.set()
    tools, llm = world.speculate([look], llm, Foresight())
    for tenant, calls in (("a", 1), ("b", 2), ("b", 2)):
        with world.accel.tenant(tenant):
            await FunctionAgent(tools=tools, llm=llm, streaming=False).run(user_msg="Go.")
        assert len(called) == calls


async def test_agents_at_once_join_one_execution(world: World) -> None:
    """Two agents with one function ask for the same at once: it is called once."""
    slow = Slow()
    tool = slow.tool()
    called: list[str] = []
    original = tool

    @speculatable
    async def counted(name: str) -> str:
        """Count."""
        called.append(name)
        return await original(name)

    agents = []
    for _ in range(2):
        llm, let = asked((("counted", {"name": "n"}),), "Done.")
        let.set()
        tools, llm = speculate([counted], llm, world.accel)
        agents.append(FunctionAgent(tools=tools, llm=llm, streaming=False))
    with world.accel.tenant("north"):
        handlers = [agent.run(user_msg="Go.") for agent in agents]
    await slow.began.wait()
    await others()
    slow.let.set()
    assert [str(await handler) for handler in handlers] == ["Done.", "Done."]
    assert called == ["n"]


async def test_another_agents_change_is_a_change(world: World) -> None:
    """What was found before another agent of the same `Accel` wrote is not served after."""
    state = {"n": 0}

    @speculatable
    async def read() -> int:
        """Read."""
        return state["n"]

    async def write() -> str:
        """Write."""
        state["n"] += 1
        return "written"

    reading, let = asked((("read", {}),), (("read", {}),), "Done.")
    let.set()
    writing, let = asked((("write", {}),), "Done.")
    let.set()
    (reader,), _ = world.speculate([read], reading, Foresight())
    (writer,), _ = world.speculate([write], writing, Foresight())
    assert (await reader.acall()).raw_output == 0
    assert (await writer.acall()).raw_output == "written"
    assert (await reader.acall()).raw_output == 1
