"""Which run of an agent a tool call belongs to, and what happened to it.

Nothing in LangGraph goes through one run and no other, in every colour and loop. What does is the
conversation: a model's answer asks for calls by ids, the tools are called by them, and the next
question holds that answer. So sessions are found by the ids of calls; nothing is written into the
agent's state, and nothing is added to its graph. A run that ends without another word (interrupted,
cancelled, failed in a tool) leaves a session behind, in which nothing is under way; the longest
unused are forgotten.

Ids that two runs share cost guesses and nothing else: what a call may be answered by is said by the
speculator's keys.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from langchain_core.messages import AIMessage

    from accel_core.tool_speculator import Session

_MOST_CALLS = 10_000
_MOST_ANSWERS = 10_000


class _Asked:
    """A call that a model asked for.

    Attributes:
        session: the run.
        harmless: whether it changes nothing.
        begun: whether it was seen to begin.
    """

    __slots__ = ("begun", "harmless", "session")

    def __init__(self, session: Session, *, harmless: bool) -> None:
        self.session, self.harmless, self.begun = session, harmless, False


class Sessions:
    """The sessions of one speculator. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._learned: OrderedDict[str, None] = OrderedDict()

    def asked(self, answer: AIMessage, session: Session, harmless: Collection[str]) -> None:
        """Note the calls that `answer` asks for; the tools named `harmless` change nothing."""
        with self._lock:
            for call in answer.tool_calls:
                asked = _Asked(session, harmless=call["name"] in harmless)
                self._asked[call["id"] or ""] = asked
            while len(self._asked) > _MOST_CALLS:
                self._asked.popitem(last=False)

    def begun(self, call_id: str | None) -> Session | None:
        """Return the run in which a call was asked for, which begins now; None: unknown."""
        with self._lock:
            asked = self._asked.get(call_id or "")
            if asked is None:
                return None
            asked.begun = True
            return asked.session

    def continued(self, answer: AIMessage | None) -> tuple[Session | None, bool]:
        """Return the run that goes on after `answer`, and whether anything may have changed unseen.

        The second is so where a call that was asked for was made by somebody else's tool.
        """
        calls = [] if answer is None else answer.tool_calls
        with self._lock:
            found = [self._asked.pop(call["id"] or "", None) for call in calls]
        asked = [one for one in found if one is not None]
        unseen = any(not (one.harmless or one.begun) for one in asked)
        return (asked[0].session if asked else None), unseen

    def learned(self, answer: AIMessage) -> None:
        """Note that the run which `answer` ended was learned from."""
        if answer.id:
            with self._lock:
                self._learned[answer.id] = None
                while len(self._learned) > _MOST_ANSWERS:
                    self._learned.popitem(last=False)

    def was_learned(self, answer: AIMessage) -> bool:
        """Whether a run that `answer` ended was learned from: a thread's earlier turns."""
        with self._lock:
            return answer.id in self._learned
