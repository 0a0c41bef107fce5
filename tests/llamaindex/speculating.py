"""An agent's world for the tests of speculation: a database, a carrier behind HTTP, scripts."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from accel_core.permits import speculatable
from accel_core.policy.trajectory import Guess, Observed, ToolCall
from accel_core.testing.replies import Reply
from llamaindex_accel.speculation import speculate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.policy.trajectory import Trajectory
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

Calls = tuple[tuple[str, dict[str, Any]], ...]


class Carrier:
    """A service behind HTTP that tells where a parcel is when it is let to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._changed = threading.Condition()
        self._held = False
        carrier = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = carrier._answer(self.path.rpartition("/")[2]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Carrier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Receive questions, and answer none before the block ends."""
        self._held = True
        try:
            yield
        finally:
            self._release()

    def wait_for(self, count: int, timeout_s: float = 20.0) -> None:
        """Return once so many have asked; blocks, so keep it off a loop."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.asked) >= count, timeout_s):
                raise TimeoutError(f"{len(self.asked)} of {count} questions arrived")

    def _release(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def _answer(self, parcel: str) -> str:
        with self._changed:
            self.asked.append(parcel)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._held)
        return f"parcel {parcel} is in Lyon"


class Desk:
    """Three tools over a database and the carrier; two change nothing.

    Attributes:
        called: names and arguments of the tools' functions, in the order they began.
    """

    def __init__(self, path: Path, carrier: Carrier) -> None:
        self._path, self._carrier = path, carrier
        self.called: list[tuple[str, Any]] = []
        with sqlite3.connect(path) as database:
            database.execute("create table orders (id text, customer text, state text)")
            rows = [(str(n), "ada" if n < 4 else "bob", "open") for n in range(1, 7)]
            database.executemany("insert into orders values (?, ?, ?)", rows)
        database.close()

    def tools(self) -> list[Callable[..., Any]]:
        """Return the functions: what an application writes."""

        @speculatable
        def orders_of(customer: str) -> list[dict[str, str]]:
            """List the orders of a customer."""
            self.called.append(("orders_of", customer))
            rows = self._rows("select id, state from orders where customer = ?", customer)
            if not rows:
                raise LookupError(f"there is no customer {customer}")
            return rows

        @speculatable
        async def track(parcel: str) -> str:
            """Ask the carrier where a parcel is."""
            self.called.append(("track", parcel))
            async with httpx.AsyncClient(verify=False, trust_env=False) as client:
                return (await client.get(f"{self._carrier.url}/{parcel}")).text

        def cancel(order: str) -> str:
            """Cancel an order."""
            self.called.append(("cancel", order))
            if not self._rows("select id from orders where id = ?", order):
                raise LookupError(f"there is no order {order}")
            self._rows("update orders set state = 'cancelled' where id = ?", order)
            return f"order {order} is cancelled"

        return [orders_of, track, cancel]

    def _rows(self, query: str, *values: str) -> list[dict[str, str]]:
        database = sqlite3.connect(self._path)
        try:
            with database:
                database.row_factory = sqlite3.Row
                return [dict(row) for row in database.execute(query, values)]
        finally:
            database.close()


def scripted(*turns: Calls | str) -> Callable[[dict[str, Any]], Reply]:
    """Return a model that says its turns in order, whoever asks, with tools or in ReAct's form."""

    def answer(request: dict[str, Any]) -> Reply:
        said = sum(message["role"] == "assistant" for message in request["messages"])
        turn = turns[said]
        if "tools" in request:
            return Reply(content=turn) if isinstance(turn, str) else Reply(tool_calls=turn)
        return Reply(content=reasoned(turn))

    return answer


def reasoned(turn: Calls | str) -> str:
    """Return a turn as ReAct agents read it."""
    if isinstance(turn, str):
        return f"Thought: I know.\nAnswer: {turn}"
    ((name, arguments),) = turn
    spelled = str(arguments).replace("'", '"')
    return f"Thought: I look.\nAction: {name}\nAction Input: {spelled}"


class Foresight:
    """A predictor that says what it was told to, turn by turn, and keeps what it should learn."""

    name = "foresight"

    def __init__(self, *turns: Calls) -> None:
        self._turns = turns
        self.learned: list[Trajectory] = []

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        turn = len({item.turn for item in trajectory if isinstance(item, Observed)})
        calls = self._turns[turn] if turn < len(self._turns) else ()
        return [Guess(ToolCall(name, given), 0.9, self.name) for name, given in calls]

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        self.learned.append(trajectory)


class World:
    """What these tests need, together."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        folder: Path,
        carrier: Carrier,
        make_llm: Callable[..., OpenAI],
        accel: Accel,
        ask: Caller,
        observed: RecordingObserver,
    ) -> None:
        self.carrier, self.accel, self.ask = carrier, accel, ask
        self._folder, self._make_llm, self._observed = folder, make_llm, observed

    def events(self) -> list[Any]:
        """Return the events of the core so far."""
        return list(self._observed.events)

    def desk(self, name: str) -> Desk:
        """Return a new desk with a database of its own."""
        return Desk(self._folder / f"{name}.sqlite", self.carrier)

    def llm(self, server: ModelServer) -> OpenAI:
        """Return a real client of `server`."""
        return self._make_llm(api_base=server.url)

    def speculate(self, tools: Any, llm: Any, predictor: Any, **options: Any) -> tuple[Any, Any]:
        """Return speculative copies."""
        predictors = [] if predictor is None else [predictor]
        return speculate(tools, llm, self.accel, predictors=predictors, **options)


def said_in_turns(*turns: Calls | str) -> Callable[..., ChatMessage]:
    """Return what a `MockFunctionCallingLLM` says, turn by turn, whoever asks."""

    def generate(messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
        number = sum(message.role == "assistant" for message in messages)
        return as_message(turns[number], number)

    return generate


def as_message(turn: Calls | str, number: int = 0) -> ChatMessage:
    """Return a turn as LlamaIndex's models say it."""
    if isinstance(turn, str):
        return ChatMessage(role="assistant", content=turn)
    calls = [
        ToolCallBlock(tool_call_id=f"call_{number}_{at}", tool_name=name, tool_kwargs=given)
        for at, (name, given) in enumerate(turn)
    ]
    return ChatMessage(role="assistant", blocks=calls)
