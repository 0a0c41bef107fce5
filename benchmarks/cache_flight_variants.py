"""Identical calls at the same time: in threads, in tasks, and in trouble.

Each variant sends 100 calls through the real client to a local server that holds its answers back
until the calls are under way, and counts what reaches the model. A variant passes when the model
was asked as often as it should be, only those fail who should, and nobody hangs.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_openai import OpenAI
from pydantic import SecretStr

from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply, echo
from langchain_accel import AccelCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.outputs import LLMResult

    from accel_core.accel import Accel
    from accel_core.testing.replies import Answer, Request

    Make = Callable[[str], BaseChatModel]
    """Returns the model under test, asking the server at a URL."""
    Answers = list[str | BaseException]
    Variant = Callable[[Make], "Outcome"]

CALLS = 100
_QUESTION, _OTHER = "What is the capital of France?", "How high is the Matterhorn?"
_RIGHT = {f"Answer to: {_QUESTION}", f"Answer to: {_OTHER}"}
_SETTLED_S = 0.4  # for 100 callers to reach the flight they are to wait for
HANGS_S = 20.0  # below the 30 s after which a lease sets free who waits


class Outcome(NamedTuple):
    """What a variant led to, and what it should have."""

    model_calls: int
    answers: Answers
    expected_calls: int = 1
    expected_failures: int = 0

    @property
    def wrong(self) -> str:
        """What is wrong with it, in words; empty where nothing is."""
        failures = [answer for answer in self.answers if isinstance(answer, BaseException)]
        if self.model_calls != self.expected_calls:
            return f"{self.model_calls} model calls, not {self.expected_calls}"
        if len(failures) != self.expected_failures:
            return f"{len(failures)} callers failed, not {self.expected_failures}: {failures[:1]}"
        wrong = {answer for answer in self.answers if isinstance(answer, str)} - _RIGHT
        return f"answered {wrong}" if wrong else ""


def _settle(server: ModelServer, calls: int = 1) -> None:
    """Wait until `calls` have reached the model, and everybody else waits for them."""
    server.wait_for_calls(calls)
    time.sleep(_SETTLED_S)


def _fails_at_first() -> Answer:
    """Return an answer that is an error once."""
    failures = [Reply(status=500, content="not now")]

    def answer(request: Request) -> Reply:
        return failures.pop() if failures else echo(request)

    return answer


def _kept(future: Future[str]) -> str | BaseException:
    return future.exception() or future.result()


def _threads(server: ModelServer, model: BaseChatModel, count: int = CALLS) -> Answers:
    with ThreadPoolExecutor(count) as pool:
        with server.hold():
            futures = [
                pool.submit(lambda: str(model.invoke(_QUESTION).content)) for _ in range(count)
            ]
            _settle(server)
        return [_kept(future) for future in futures]


def _begin(model: BaseChatModel, count: int) -> list[asyncio.Task[BaseMessage]]:
    return [asyncio.ensure_future(model.ainvoke(_QUESTION)) for _ in range(count)]


async def _finish(tasks: Sequence[asyncio.Task[BaseMessage]]) -> Answers:
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [one if isinstance(one, BaseException) else str(one.content) for one in done]


async def _tasks(server: ModelServer, model: BaseChatModel, count: int = CALLS) -> Answers:
    with server.hold():
        tasks = _begin(model, count)
        await asyncio.to_thread(_settle, server)
    return await _finish(tasks)


def threads(make: Make) -> Outcome:
    with ModelServer() as server:
        answers = _threads(server, make(server.url))
        return Outcome(server.call_count, answers)


def tasks(make: Make) -> Outcome:
    with ModelServer() as server:
        answers = asyncio.run(_tasks(server, make(server.url)))
        return Outcome(server.call_count, answers)


def threads_and_tasks(make: Make) -> Outcome:
    with ModelServer() as server, ThreadPoolExecutor(1) as pool:
        model = make(server.url)
        # Both hold the server, which answers when the later of them has settled.
        others = pool.submit(_threads, server, model, CALLS // 2)
        answers = asyncio.run(_tasks(server, model, CALLS // 2))
        return Outcome(server.call_count, answers + others.result())


def leader_fails_in_threads(make: Make) -> Outcome:
    with ModelServer(_fails_at_first()) as server:
        answers = _threads(server, make(server.url))
        return Outcome(server.call_count, answers, expected_calls=2, expected_failures=1)


def leader_fails_in_tasks(make: Make) -> Outcome:
    with ModelServer(_fails_at_first()) as server:
        answers = asyncio.run(_tasks(server, make(server.url)))
        return Outcome(server.call_count, answers, expected_calls=2, expected_failures=1)


def leader_is_cancelled(make: Make) -> Outcome:
    async def run(server: ModelServer, model: BaseChatModel) -> Answers:
        with server.hold():
            leader = _begin(model, 1)
            await asyncio.to_thread(server.wait_for_calls, 1)
            followers = _begin(model, CALLS - 1)
            await asyncio.sleep(_SETTLED_S)
            leader[0].cancel()
            await asyncio.to_thread(_settle, server, 2)
        return await _finish(leader + followers)

    with ModelServer() as server:
        answers = asyncio.run(run(server, make(server.url)))
        return Outcome(server.call_count, answers, expected_calls=2, expected_failures=1)


def crossing_generates(make: Make) -> Outcome:
    """Half ask one question and then another, half the other way round: one call for each."""
    orders = ((_QUESTION, _OTHER), (_OTHER, _QUESTION))

    def generate(number: int) -> Answers:
        return _texts(model.generate([[HumanMessage(text)] for text in orders[number % 2]]))

    with ModelServer() as server, ThreadPoolExecutor(CALLS) as pool:
        model = make(server.url)
        with server.hold():
            futures = [pool.submit(generate, number) for number in range(CALLS)]
            _settle(server, 2)
        answers = [answer for future in futures for answer in future.result()]
        return Outcome(server.call_count, answers, expected_calls=2)


def sync_call_on_a_running_loop(make: Make) -> Outcome:
    """Call blockingly in a task while another task leads: to wait for it would be for ever.

    The model is asked twice, by the leader and by whoever could not wait.
    """

    def release(server: ModelServer, held: threading.Event) -> None:
        with server.hold():
            held.set()
            _settle(server, 2)

    async def run(server: ModelServer, model: BaseChatModel) -> Answers:
        held = threading.Event()
        releasing = asyncio.create_task(asyncio.to_thread(release, server, held))
        await asyncio.to_thread(held.wait)
        tasks = _begin(model, CALLS - 1)
        await asyncio.to_thread(_settle, server)
        answered = str(model.invoke(_QUESTION).content)
        await releasing
        return [answered, *await _finish(tasks)]

    with ModelServer() as server:
        answers = asyncio.run(run(server, make(server.url)))
        return Outcome(server.call_count, answers, expected_calls=2)


class _MeetingCache(AccelCache):
    """Lets two callers pass each their first lookup before either goes on."""

    def __init__(self, accel: Accel) -> None:
        super().__init__(accel)
        self._meeting = threading.Barrier(2)
        self._met = threading.local()

    def lookup(self, prompt: str, llm_string: str) -> Any:
        """Look up, and wait for the other caller after the first lookup."""
        found = super().lookup(prompt, llm_string)
        if not hasattr(self._met, "before"):
            self._met.before = True
            self._meeting.wait(HANGS_S)
        return found


def crossing_completions(accel: Accel) -> Outcome:
    """Two plain language models each lead what the other wants next: neither waits, both ask.

    A plain language model looks up all of its prompts before it asks for the missing ones in one
    call, so each makes one.
    """

    def generate(prompts: list[str]) -> Answers:
        return _texts(model.generate(prompts))

    with ModelServer() as server, ThreadPoolExecutor(2) as pool:
        model = OpenAI(
            base_url=server.url,
            api_key=SecretStr("none"),
            temperature=0,
            max_retries=0,
            cache=_MeetingCache(accel),
        )
        found = list(pool.map(generate, ([_QUESTION, _OTHER], [_OTHER, _QUESTION])))
        return Outcome(server.call_count, found[0] + found[1], expected_calls=2)


def _texts(result: LLMResult) -> Answers:
    return [str(choices[0].text) for choices in result.generations]


VARIANTS: tuple[Variant, ...] = (
    threads,
    tasks,
    threads_and_tasks,
    leader_fails_in_threads,
    leader_fails_in_tasks,
    leader_is_cancelled,
    crossing_generates,
    sync_call_on_a_running_loop,
)
