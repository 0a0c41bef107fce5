"""What an agent's messages say it has done: trajectories, as predictors see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from accel_core.policy.trajectory import Observed, Said, ToolCall, Trajectory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage


def trajectory_of(messages: Sequence[BaseMessage]) -> Trajectory:
    """Return what was said, and called with which result; calls without one are left out."""
    found: list[Said | Observed] = []
    results = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
    turn = 0
    for message in messages:
        if isinstance(message, HumanMessage):
            found.append(Said("user", str(message.text)))
        elif isinstance(message, AIMessage):
            if message.tool_calls:
                found.extend(_observed(message, results, turn))
                turn += 1
            else:
                found.append(Said("assistant", str(message.text)))
    return tuple(found)


def calls_of(message: AIMessage) -> list[ToolCall]:
    """Return what a model asked for."""
    return [ToolCall(call["name"], call["args"]) for call in message.tool_calls]


def last_answer(messages: Sequence[BaseMessage]) -> AIMessage | None:
    """Return what a model answered last."""
    return next((m for m in reversed(messages) if isinstance(m, AIMessage)), None)


def _observed(message: AIMessage, results: dict[str, ToolMessage], turn: int) -> list[Observed]:
    found = []
    for call in message.tool_calls:
        result = results.get(call["id"] or "")
        if result is not None:
            failed = result.status == "error"
            found.append(Observed(call["name"], call["args"], str(result.text), failed, turn))
    return found
