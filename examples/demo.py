"""What a cache saves two applications whose users ask some questions again in other words.

A LangChain application and a LlamaIndex one, through their real OpenAI clients, answer the same
stream of questions: first without a cache, then with it. The model is a server on this machine that
takes its time and counts its tokens; nothing leaves the machine. Every answer names the question it
was made for, so a wrong hit is seen by what was served, not by how alike two questions look.

Several users ask at once, and nobody waits for the cache to have stored anything. Before the clock
starts each application is greeted once, which opens its connections and loads its encoder.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

# Run as a program, this folder is on the path and the one above it is not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from accel_core import Accel
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import last_user_text
from benchmarks.questions import read_clusters
from benchmarks.stream import question_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.testing.replies import Answer, Request
    from benchmarks.stream import Arrival

SYSTEM = "You are the assistant of a small company. Answer briefly and politely."
MODEL = "gpt-4o-mini"
_ANSWER = "This answers question {}, as well as a model can, in a sentence of some length."
_NAMED = re.compile(r"question (\d+)")
_GREETING = "Hello!"
_WRONG_SHOWN = 3
_COLUMNS = 80  # where standard output is no terminal

Ask = Callable[[str], str]


class App(NamedTuple):
    """An application: `build` returns what answers a question, from `Accel` where there is one."""

    framework: str
    cache: str
    build: Callable[[str, Accel | None], Ask]


def langchain_app(url: str, accel: Accel | None) -> Ask:
    """Return a LangChain chain, its model accelerated."""
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from langchain_accel import accelerate

    model = ChatOpenAI(model=MODEL, base_url=url, api_key=SecretStr("none"), temperature=0)
    if accel is not None:
        model = accelerate(model, accel)
    prompt = ChatPromptTemplate.from_messages([("system", SYSTEM), ("user", "{question}")])
    chain = prompt | model | StrOutputParser()
    return lambda question: chain.invoke({"question": question})


def langchain_app_with_global_cache(url: str, accel: Accel | None) -> Ask:
    """Return the same chain; LangChain itself is given the cache."""
    from langchain_core.globals import set_llm_cache

    from langchain_accel import AccelCache

    set_llm_cache(AccelCache(accel))
    return langchain_app(url, None)


def llamaindex_app(url: str, accel: Accel | None) -> Ask:
    """Return a LlamaIndex LLM with a chat prompt."""
    from llama_index.core import ChatPromptTemplate
    from llama_index.core.llms import ChatMessage, MessageRole
    from llama_index.llms.openai import OpenAI

    from llamaindex_accel import accelerate

    llm = OpenAI(model=MODEL, api_base=url, api_key="none", temperature=0)
    if accel is not None:
        llm = accelerate(llm, accel)
    prompt = ChatPromptTemplate(
        [
            ChatMessage(role=MessageRole.SYSTEM, content=SYSTEM),
            ChatMessage(role=MessageRole.USER, content="{question}"),
        ]
    )
    return lambda question: llm.predict(prompt, question=question)


APPS = (
    App("LangChain", "", langchain_app),
    App("LangChain", "accelerate(model)", langchain_app),
    App("LangChain", "set_llm_cache(...)", langchain_app_with_global_cache),
    App("LlamaIndex", "", llamaindex_app),
    App("LlamaIndex", "accelerate(llm)", llamaindex_app),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one application did with the stream.

    Attributes:
        calls: what the model was asked.
        exact_hits: answers to a question asked before word for word.
        semantic_hits: answers to a question asked before in other words.
        wrong: questions, and the number of the question whose answer they were given.
        tokens: as the model's server counted them.
        seconds: from the first question to the last answer.
    """

    app: App
    calls: int
    exact_hits: int
    semantic_hits: int
    wrong: Sequence[tuple[Arrival, int]]
    tokens: int
    seconds: float


def main() -> int:
    """Run the demo and return the exit code."""
    parser = _parser()
    options = parser.parse_args()
    try:
        clusters = read_clusters(options.questions, options.seed)
        arrivals = question_stream(
            clusters, options.length, Random(options.seed), repeat_share=options.repeat_share
        )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    numbers = {text: cluster.id for cluster in clusters for text in cluster.asks} | {_GREETING: 0}
    outcomes: list[Outcome] = []
    with _progress() as progress:
        for app in APPS:
            title = f"{app.framework}, {app.cache or 'without a cache'}"
            task = progress.add_task(title, total=len(arrivals))
            outcomes.append(run(app, arrivals, numbers, options, partial(progress.advance, task)))
    tell(outcomes, arrivals, {cluster.id: cluster.asks[0] for cluster in clusters})
    return 0


def run(
    app: App,
    arrivals: Sequence[Arrival],
    numbers: dict[str, int],
    options: argparse.Namespace,
    advance: Callable[[], object],
) -> Outcome:
    """Let the application's users ask every question, in order, several at a time."""
    from langchain_core.globals import set_llm_cache

    accel = Accel() if app.cache else None
    with (
        ModelServer(_answer(numbers), latency_s=options.latency_ms / 1e3) as server,
        ThreadPoolExecutor(options.users) as users,
    ):
        ask = app.build(server.url, accel)

        def served(arrival: Arrival) -> int:
            named = _NAMED.search(ask(arrival.text))
            advance()
            return int(named[1]) if named else 0

        ask(_GREETING)
        server.reset()
        began = time.perf_counter()
        answers = list(users.map(served, arrivals))
        seconds = time.perf_counter() - began
        calls, tokens = server.call_count, server.usage.total_tokens
    set_llm_cache(None)
    stats = accel.stats() if accel is not None else None
    if accel is not None:
        accel.close()
    pairs = zip(arrivals, answers, strict=True)
    return Outcome(
        app=app,
        calls=calls,
        exact_hits=stats.exact_hits if stats else 0,
        semantic_hits=stats.semantic_hits if stats else 0,
        wrong=[(arrival, given) for arrival, given in pairs if given != arrival.cluster_id],
        tokens=tokens,
        seconds=seconds,
    )


def _answer(numbers: dict[str, int]) -> Answer:
    """Return a model whose answers name the question they are made for."""

    def answer(request: Request) -> str:
        return _ANSWER.format(numbers[last_user_text(request)])

    return answer


def tell(
    outcomes: Sequence[Outcome], arrivals: Sequence[Arrival], questions: dict[int, str]
) -> None:
    """Print the table, and what was saved in words."""
    console = Console(width=None if sys.stdout.isatty() else _COLUMNS)
    repeats = sum(arrival.repeat for arrival in arrivals)
    table = Table(
        title=f"{len(arrivals)} questions, {repeats} of them asked before in other words",
        title_justify="left",
    )
    table.add_column("application", no_wrap=True)
    for heading in ("calls", "exact\nhits", "semantic\nhits", "wrong\nhits", "tokens", "time"):
        table.add_column(heading, justify="right")
    for outcome, following in zip(outcomes, [*outcomes[1:], None], strict=True):
        last = following is None or not following.app.cache
        table.add_row(*_cells(outcome), end_section=last)
    console.print(table)
    without = {outcome.app.framework: outcome for outcome in outcomes if not outcome.app.cache}
    for outcome in outcomes:
        if outcome.app.cache:
            console.print(_saved(outcome, without[outcome.app.framework]), highlight=False)
    shown = {(arrival.text, given) for outcome in outcomes for arrival, given in outcome.wrong}
    for text, given in sorted(shown)[:_WRONG_SHOWN]:
        console.print(f"Wrong: {text!r} was given the answer to {questions.get(given)!r}.")


def _cells(outcome: Outcome) -> list[str]:
    hits = (outcome.exact_hits, outcome.semantic_hits, len(outcome.wrong))
    return [
        f"+ {outcome.app.cache}" if outcome.app.cache else outcome.app.framework,
        str(outcome.calls),
        *(str(count) if outcome.app.cache else "-" for count in hits),
        f"{outcome.tokens:,}",
        f"{outcome.seconds:.1f} s",
    ]


def _saved(outcome: Outcome, without: Outcome) -> str:
    calls, tokens = without.calls - outcome.calls, without.tokens - outcome.tokens
    seconds = without.seconds - outcome.seconds
    wrong = len(outcome.wrong)
    return (
        f"{outcome.app.framework} with {outcome.app.cache}: {calls / without.calls:.0%} of the"
        f" model calls ({calls}), {tokens:,} tokens and {seconds:.1f} s saved,"
        f" {wrong} {'answer was' if wrong == 1 else 'answers were'} another question's."
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--questions", type=Path, metavar="FILE", help="ask these questions, not our own")
    add("--length", type=int, default=200, help="number of questions (default: 200)")
    add("--repeat-share", type=float, default=0.3, help="share asked again (default: 0.3)")
    add("--users", type=int, default=8, help="who ask at the same time (default: 8)")
    add("--latency-ms", type=float, default=200.0, help="of the model (default: 200)")
    add("--seed", type=int, default=1, help="of the stream (default: 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
