"""What a call of an embedding model used: its provider states it, and frameworks drop it.

Where a model asks through OpenAI's clients, its copy asks through copies of theirs whose answers
are overheard. The user's model and its clients stay untouched.

Invariant: what is told is the sum of all answers to a call, as stated, or nothing: never a part of
it, and never an estimate.
"""

from __future__ import annotations

import copy
import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from accel_core.events.requests import Tokens
from accel_core.policy.limits.usage_reader import usage_of

if TYPE_CHECKING:
    from accel_core.recording import Used

T = TypeVar("T")

heard: ContextVar[Answers | None] = ContextVar("accel_embedding_answers", default=None)
"""Where the answers to the call that is made here are noted; None: nobody wants to know."""


class Answers:
    """What the answers to one call state; several, where its texts are sent in parts."""

    def __init__(self) -> None:
        self._stated: list[Tokens | None] = []

    def note(self, answer: Any) -> None:
        """Note an answer, an object of OpenAI's library."""
        usage = getattr(answer, "usage", None)
        names = ("prompt_tokens", "total_tokens")
        read = usage_of({"usage": {name: getattr(usage, name, None) for name in names}})
        self._stated.append(None if read is None else Tokens(*read))

    def used(self) -> Used:
        """Return what was used; None where an answer does not say, or none was heard."""
        known = [tokens for tokens in self._stated if tokens is not None]
        if not known or len(known) < len(self._stated):
            return None, 0.0
        return Tokens(*map(sum, zip(*known, strict=True))), 0.0


def overheard(resource: T) -> T:
    """Return a copy of ``client.embeddings`` whose answers are noted; as it is, if not OpenAI's."""
    libraries = {base.__module__.partition(".")[0] for base in type(resource).__mro__}
    if "openai" not in libraries or "create" in vars(resource):
        return resource
    made: Any = copy.copy(resource)
    own = made.create

    @functools.wraps(own)
    def create(*args: Any, **kwargs: Any) -> Any:
        return _noted(own(*args, **kwargs))

    @functools.wraps(own)
    async def acreate(*args: Any, **kwargs: Any) -> Any:
        return _noted(await own(*args, **kwargs))

    made.create = acreate if inspect.iscoroutinefunction(own) else create
    result: T = made
    return result


def _noted(answer: T) -> T:
    answers = heard.get()
    if answers is not None:
        answers.note(answer)
    return answer
