"""A limiter in the place that LangChain has for one: ``ChatOpenAI(rate_limiter=...)``.

LangChain asks a rate limiter for room without a word of the prompt, and never comes back. The
inline callback of `_context` sees what is asked and how it ends; between the two a run's lease is
held by the run's id.

Invariant: a lease ends with its run, with the task that was cancelled in the midst of it, or, where
LangChain says nothing more of a run, when too many are held.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.rate_limiters import BaseRateLimiter

from accel_core.errors import LimitExceededError
from accel_core.model_calls import Held
from accel_core.policy.limits.model_request import model_request
from langchain_accel._context import asking_run, listen
from langchain_accel._limits import UsageReader, spelled_request, text_of, usage_in

if TYPE_CHECKING:
    from uuid import UUID

    from accel_core.limiter import Limiter
    from accel_core.model_calls import Answer
    from accel_core.policy.limits.model_request import ModelRequest
    from langchain_accel._context import Run


class TokenRateLimiter(BaseRateLimiter):
    """Lets a chat model ask when its provider's limits have room for the prompt and its answer.

    Each call reserves its prompt's estimated tokens and its maximum of output, and settles by what
    the answer states, or by its text. What LangChain answers from a cache takes nothing.

    It sees less than ``accelerate(model, limiter=...)``, which is preferable: no headers, so limits
    and others' use of the key are not learned; refusals as exceptions only, and they are not sent
    again; nor does it see what the model's own client repeats (set its ``max_retries=0``). Of one
    ``generate()`` with several prompts, some of which a cache answers, a prompt may be taken for
    its neighbour. When there is no room in time, ``stream`` raises without ending its run in
    traces. Calls outside a chat model's run count as one request of an unknown size.

    Args:
        limiter: the key's limits; share it between all that use the key.

    Example:
        >>> limiter = Limiter("openai", tokens_per_minute=60_000)  # doctest: +SKIP
        >>> llm = ChatOpenAI(rate_limiter=TokenRateLimiter(limiter))  # doctest: +SKIP
    """

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self._calls = limiter.model_calls(UsageReader, once=True)
        self._held = Held()
        listen(runs=self)

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait until there is room; return whether there is, where not `blocking`.

        Raises:
            RequestTooLargeError: a limit can never take the call.
            LimitExceededError: it cannot be let through in time.
        """
        run = asking_run()
        try:
            answer = self._calls.enter(_asked(run), None if blocking else 0.0)
        except Exception as error:
            return self._refuse(run, error, blocking=blocking)
        self._hold(run, answer)
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Async form of `acquire`."""
        run = asking_run()
        try:
            answer = await self._calls.aenter(_asked(run), None if blocking else 0.0)
        except Exception as error:
            return self._refuse(run, error, blocking=blocking)
        self._hold(run, answer, asyncio.current_task())
        return True

    def run_ended(self, run_id: UUID, response: Any) -> None:
        """Settle by an answer; called for every run of a model."""
        answer = self._held.take(run_id)
        if answer is not None:
            _take(answer, response)
            answer.end(whole=True)

    def run_failed(self, run_id: UUID, error: BaseException | None, response: Any) -> None:
        """Settle by what was streamed, or else by what an error says."""
        answer = self._held.take(run_id)
        if answer is None:
            return
        if response is not None and _take(answer, response):
            answer.end(whole=False)
        else:
            answer.fail(error)

    def _hold(self, run: Run | None, answer: Answer, task: asyncio.Task[Any] | None = None) -> None:
        if run is None:
            answer.fail(None)
            return
        held, name = self._held, run.run_id

        def done(ended: asyncio.Task[Any]) -> None:
            if ended.cancelled():  # LangChain then says nothing of an ``ainvoke``
                held.lose(name)

        if task is None:
            held.hold(name, answer)
        else:
            task.add_done_callback(done)
            held.hold(name, answer, lambda: task.remove_done_callback(done))

    def _refuse(self, run: Run | None, error: Exception, *, blocking: bool) -> bool:
        """Return False where that says all, or raise `error`."""
        if run is not None:
            run.asked = False
        if not blocking and isinstance(error, LimitExceededError):
            return False
        if run is not None:
            run.ended = True  # where LangChain streams, it does not say so
        raise error


def _asked(run: Run | None) -> ModelRequest:
    if run is None:
        return model_request("", ())
    return spelled_request(run.messages, run.metadata or {}, run.params)


def _take(answer: Answer, response: Any) -> bool:
    """Read a result; return whether it says anything."""
    generations = [generation for prompt in response.generations for generation in prompt]
    usage, text = usage_in(generations, response.llm_output), text_of(generations)
    answer.take(usage, text)
    return usage is not None or bool(text)
