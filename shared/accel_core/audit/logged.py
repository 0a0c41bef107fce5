"""One call of a log, whatever the log's format: the values that readers make.

What a log does not say is None, never 0: an audit tells it as unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from accel_core.events.requests import Tokens
    from accel_core.policy.admission import Answer
    from accel_core.policy.identity import Prompt
    from accel_core.policy.limits.account import Shown

Failure = Literal["", "failed", "limited"]


class Stated(NamedTuple):
    """What a log says of a call beside question and answer.

    Attributes:
        began_s: wall-clock stamp, seconds since the epoch.
        took_s: how long it took, in seconds.
        tokens: what the provider counted.
        temperature: the request's.
        max_output_tokens: what the request allowed itself.
        failure: ``limited`` where a limit refused it, ``failed`` for whatever else was raised.
        shown: the provider's limits, where headers or a refusal showed them.
    """

    began_s: float | None = None
    took_s: float | None = None
    tokens: Tokens | None = None
    temperature: float | None = None
    max_output_tokens: float | None = None
    failure: Failure = ""
    shown: tuple[Shown, ...] = ()


class LoggedCall(NamedTuple):
    """A call.

    Attributes:
        prompt: what was asked, of whom, by whom.
        answer: what came; None where the log has none.
        text: of the answer, to be shown.
        stated: what else is known.
    """

    prompt: Prompt
    answer: Answer | None
    text: str
    stated: Stated
