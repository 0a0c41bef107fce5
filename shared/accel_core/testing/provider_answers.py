"""A simulated provider over HTTP: what `ModelServer` is given to refuse and to take its time.

::

    rules = faster(openai(tokens=30_000), speed=10)
    with ModelServer(ProviderAnswers(SimulatedProvider(rules))) as server:
        ChatOpenAI(base_url=server.url, ...)    # meets its 429s, headers and latency

A token is a word, as everywhere in the model server. A call with several choices is charged once
for each. Many threads may call at once; each asks the provider under one lock.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from threading import Condition
from typing import TYPE_CHECKING

from accel_core.testing import openai_wire as wire
from accel_core.testing.provider import Admitted
from accel_core.testing.provider_rules import Ask
from accel_core.testing.replies import Reply, echo

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.testing.provider import Refused, SimulatedProvider
    from accel_core.testing.replies import Answer, Request


class ProviderAnswers:
    """Answers of a model behind a provider.

    Args:
        provider: decides whether a call is admitted; nobody else may use it meanwhile.
        answer: what admitted calls are answered.
        mono_now: its clock.
    """

    def __init__(
        self,
        provider: SimulatedProvider,
        answer: Answer = echo,
        *,
        mono_now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider, self._answer, self._mono_now = provider, answer, mono_now
        self._changed = Condition()
        self.refused: list[Refused] = []
        """Every refusal so far."""

    def __call__(self, request: Request) -> Reply:
        """Answer `request`, or refuse it as the provider would."""
        answered = self._answer(request)
        reply = Reply(content=answered) if isinstance(answered, str) else answered
        if reply.status != 200:
            return reply
        with self._changed:
            verdict = self._provider.admit(_ask(request, reply), self._mono_now())
            if not isinstance(verdict, Admitted):
                self.refused.append(verdict)
                refusal = Reply(status=verdict.status, headers=verdict.headers, error=verdict.body)
                in_stream = self._provider.rules.refuses_in_stream and request.get("stream")
                return replace(refusal, status=200, error_after=0) if in_stream else refusal
        if verdict.cut_after is not None:
            overload = self._provider.rules.dialect.failed(529)
            reply = replace(reply, error=overload, error_after=verdict.cut_after)
        return replace(
            reply,
            headers=verdict.headers,
            delay_s=reply.delay_s + verdict.course.first_s,
            chunk_s=verdict.course.token_s,
            ended=partial(self._end, verdict),
        )

    def wait_until_idle(self, timeout_s: float = 5.0) -> bool:
        """Return whether no call is running any more, once that is so or the time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._provider.in_flight, timeout_s)

    def _end(self, call: Admitted) -> None:
        with self._changed:
            self._provider.finish(call, self._mono_now())
            self._changed.notify_all()


def _ask(request: Request, reply: Reply) -> Ask:
    used = wire.charge(request, [reply])
    return Ask(
        prompt_tokens=used.prompt_tokens,
        output_tokens=used.completion_tokens,
        max_tokens=request.get("max_completion_tokens") or request.get("max_tokens"),
        chars=len(str(request.get("messages") or request.get("prompt") or "")),
    )
