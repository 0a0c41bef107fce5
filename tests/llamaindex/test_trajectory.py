"""Conversations as trajectories: in blocks, in provider's objects, in text; as they grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.react.types import ActionReasoningStep, ObservationReasoningStep
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from openai.types.chat import ChatCompletionMessageToolCall

from accel_core.permits import speculatable
from accel_core.policy.trajectory import Observed, Said
from llamaindex_accel._trajectory import History
from tests.llamaindex.speculating import Foresight, said_in_turns

if TYPE_CHECKING:
    from tests.llamaindex.speculating import World

ARGUMENTS = {"name": "n", "more": [1, None, True]}
SPELLED = '{"name": "n", "more": [1, null, true]}'
EXPECTED = (
    Said("user", "Hello?"),
    Observed("look", ARGUMENTS, "seen", failed=False, turn=0),
    Said("assistant", "Bye."),
)


def told(text: str, call_id: str = "c1") -> ChatMessage:
    """Return a tool's result."""
    return ChatMessage(role="tool", content=text, additional_kwargs={"tool_call_id": call_id})


def kwargs_call(call: Any) -> ChatMessage:
    """Return a message that asks by a provider's object."""
    return ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [call]})


FUNCTION = {"name": "look", "arguments": SPELLED}
ASKING: dict[str, list[ChatMessage]] = {
    "block": [
        ChatMessage(
            role="assistant",
            blocks=[ToolCallBlock(tool_call_id="c1", tool_name="look", tool_kwargs=ARGUMENTS)],
        ),
        told("seen"),
    ],
    "block with text": [
        ChatMessage(
            role="assistant",
            blocks=[ToolCallBlock(tool_call_id="c1", tool_name="look", tool_kwargs=SPELLED)],
        ),
        told("seen"),
    ],
    "OpenAI's object": [
        kwargs_call(ChatCompletionMessageToolCall(id="c1", type="function", function=FUNCTION)),
        told("seen"),
    ],
    "dict": [kwargs_call({"id": "c1", "type": "function", "function": FUNCTION}), told("seen")],
    "selection": [
        kwargs_call(ToolSelection(tool_id="c1", tool_name="look", tool_kwargs=ARGUMENTS)),
        told("seen"),
    ],
    "ReAct": [
        ChatMessage(
            role="assistant",
            content=ActionReasoningStep(
                thought="t", action="look", action_input=ARGUMENTS
            ).get_content(),
        ),
        ChatMessage(
            role="user", content=ObservationReasoningStep(observation="seen").get_content()
        ),
    ],
}


@pytest.mark.parametrize("form", ASKING)
def test_every_form_is_read_alike(form: str) -> None:
    """Whoever spells calls and results, the trajectory is the same."""
    messages = [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="Hello?"),
        *ASKING[form],
        ChatMessage(role="assistant", content="Bye."),
    ]
    assert History().read(messages) == EXPECTED


@pytest.mark.parametrize("form", ASKING)
def test_what_grows_is_read_on(form: str) -> None:
    """Read message by message, a conversation is what it is read at once; another begins anew."""
    history = History()
    messages = [ChatMessage(role="user", content="Hello?"), *ASKING[form]]
    for end in range(len(messages) + 1):
        found = history.read(messages[:end])
    assert found == EXPECTED[:2]
    assert history.read([ChatMessage(role="user", content="Else?")]) == (Said("user", "Else?"),)


def test_parallel_results_are_told_apart() -> None:
    """Results belong to their calls by id, in whichever order they come; calls share a turn."""
    blocks = [
        ToolCallBlock(tool_call_id=f"c{n}", tool_name="look", tool_kwargs={"n": n}) for n in (1, 2)
    ]
    messages = [ChatMessage(role="assistant", blocks=blocks), told("two", "c2"), told("one", "c1")]
    assert History().read(messages) == (
        Observed("look", {"n": 2}, "two", failed=False, turn=0),
        Observed("look", {"n": 1}, "one", failed=False, turn=0),
    )


async def test_a_tool_that_was_not_handed_over_is_a_change(world: World) -> None:
    """Nothing found before it was asked for is served after, nor while it may be under way."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.llms.mock import MockFunctionCallingLLM
    from llama_index.core.tools import FunctionTool

    state, read_of = {"n": 0}, []

    @speculatable
    async def read() -> int:
        """Read."""
        read_of.append(state["n"])
        return state["n"]

    async def write() -> str:
        """Write."""
        state["n"] += 1
        return "written"

    reads, writes = (("read", {}),), (("write", {}),)
    llm: Any = MockFunctionCallingLLM(response_generator=said_in_turns(reads, writes, reads, "."))
    tools, llm = world.speculate([read], llm, Foresight(reads, reads, reads))
    agent = FunctionAgent(
        tools=[*tools, FunctionTool.from_defaults(write)], llm=llm, streaming=False
    )
    answer = await agent.run(user_msg="Go.")
    assert [call.tool_output.raw_output for call in answer.tool_calls] == [0, "written", 1]


async def test_what_no_model_is_told_is_not_learned(world: World) -> None:
    """Partial parameters, which may be secrets, reach no predictor."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.llms.mock import MockFunctionCallingLLM
    from llama_index.core.tools import FunctionTool

    def look(name: str, key: str) -> str:
        """Look."""
        return name

    tool = FunctionTool.from_defaults(look, partial_params={"key": "secret"}, return_direct=True)
    llm: Any = MockFunctionCallingLLM(response_generator=said_in_turns((("look", {"name": "n"}),)))
    predictor = Foresight()
    tools, llm = world.speculate([tool], llm, predictor, allowed=["look"])
    await FunctionAgent(tools=tools, llm=llm).run(user_msg="Go.")
    ((_, observed),) = predictor.learned
    assert observed == Observed("look", {"name": "n"}, "n", failed=False, turn=0)
