"""One turn of an agent: a model is asked, writes, and has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import AIMessage

from langchain_accel._speculation_messages import calls_of, last_answer, trajectory_of
from langchain_accel._speculation_seals import Seals
from langchain_accel.draft_model import Question, question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from accel_core.policy.trajectory import ToolCall
    from accel_core.speculating import Tool
    from accel_core.tool_speculator import Session, Thinking
    from langchain_accel._speculation_runs import Runs
    from langchain_accel._speculation_tool import CalledTool


class Asking(NamedTuple):
    """What is known of an agent when its model is asked.

    Attributes:
        runs: the agent's.
        tools: its tools by their names, each in both colours: for threads, and for event loops.
    """

    runs: Runs
    tools: Mapping[str, tuple[CalledTool, CalledTool]]

    def begin(self, messages: Sequence[BaseMessage], *, looped: bool) -> Turn:
        """Begin what the model that is asked `messages` will probably ask for."""
        session, unseen = self.runs.sessions.continued(last_answer(messages))
        if session is None:
            session = self.runs.speculator.session()
        if unseen:
            self.runs.changed()
        tools: dict[str, Tool] = {name: tool[looped] for name, tool in self.tools.items()}
        think = session.athink if looped else session.think
        token = question.set(Question(messages, [tool.own for tool, _ in self.tools.values()]))
        try:
            thinking = think(trajectory_of(messages), tools)
        finally:
            question.reset(token)
        return Turn(self, session, thinking, messages)


class Turn:
    """A model at work."""

    def __init__(
        self,
        asking: Asking,
        session: Session,
        thinking: Thinking,
        messages: Sequence[BaseMessage],
    ) -> None:
        self._asking, self._session, self._thinking = asking, session, thinking
        self._messages, self._seals = messages, Seals()
        self._answer: AIMessage | None = None

    def written(self, message: Any) -> None:
        """Begin what the stream's next chunk seals."""
        sealed = self._seals.add(getattr(message, "tool_call_chunks", ()))
        if getattr(message, "chunk_position", None) == "last":
            sealed += self._seals.end()
        self.sealed(sealed)

    def sealed(self, calls: Sequence[ToolCall]) -> None:
        """Begin `calls`, which the model has written to their ends."""
        for call in calls:
            self._thinking.sealed(call)

    def answered(self, answer: AIMessage) -> None:
        """Note what the model asks for, or that the run has ended."""
        calls, tools = calls_of(answer), self._asking.tools
        self._thinking.answered(calls)
        self._answer = answer
        if not calls:
            self.ended()
            return
        if any(call.tool not in tools for call in calls):
            self._asking.runs.changed()
        harmless = {name for name, (tool, _) in tools.items() if tool.harmless}
        self._asking.runs.sessions.asked(answer, self._session, harmless)

    def ended(self) -> None:
        """End the run with the answer, and learn from it."""
        if self._answer is not None:
            self._session.close()
            trajectory = trajectory_of(self._unlearned(self._answer))
            self._asking.runs.learner.learn(self._session, trajectory)
            self._asking.runs.sessions.learned(self._answer)

    def failed(self) -> None:
        """End the run, as far as can be seen."""
        self._thinking.answered(())
        self._session.close()

    def _unlearned(self, answer: AIMessage) -> list[BaseMessage]:
        """Return the run that `answer` ends, without the thread's earlier ones."""
        was_learned = self._asking.runs.sessions.was_learned
        whole = [*self._messages, answer]
        for index in range(len(whole) - 2, -1, -1):
            message = whole[index]
            if isinstance(message, AIMessage) and was_learned(message):
                return whole[index + 1 :]
        return whole
