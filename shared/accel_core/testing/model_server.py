"""A local OpenAI-compatible server: real clients, no network, no cost, every call counted.

::

    with ModelServer() as server:
        model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key="any")
        model.invoke("What is the capital of France?")
        assert server.call_count == 1

What is answered is decided by one callable (`replies`), how it looks by `openai_wire`, the sockets
are `http_listener`'s; this module owns the record of calls, and the gates that let a test hold
several calls at once without sleeping. A latency is a wait that closing the server ends.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING

from accel_core.testing import openai_wire as wire
from accel_core.testing.http_listener import Listener
from accel_core.testing.replies import Reply, echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from accel_core.testing.replies import Answer, Request

_POLL_S = 0.02
"""How soon the accepting thread notices that it is to end; it sleeps in ``select`` otherwise."""


class ModelServer:
    """A model behind HTTP, to be used as a context manager.

    Args:
        answer: what each call is answered, from its parsed body; one that raises makes a 400,
            which no client retries, and is raised again where the ``with`` block ends. Called once
            per choice (``n``, or the prompts of a legacy completion), from several threads.
        latency_s: time before every answer, seconds.
    """

    def __init__(self, answer: Answer = echo, *, latency_s: float = 0.0) -> None:
        self._answer, self._latency_s = answer, latency_s
        self._changed = Condition()
        self._calls: list[Request] = []
        self._embedding_calls: list[Request] = []
        self._usage = wire.Usage()
        self._failure: Exception | None = None
        self._holds = 0
        self._closing = Event()
        self._listener: Listener | None = None
        self._thread: Thread | None = None

    def __repr__(self) -> str:
        where = self.url if self._listener else "closed"
        return f"<ModelServer {where}, {self.call_count} calls>"

    def __enter__(self) -> ModelServer:
        if self._listener is not None:
            msg = "this server is running already"
            raise RuntimeError(msg)
        self._closing.clear()
        self._listener = Listener(self._complete, self._embed, self._closing.wait)
        self._thread = Thread(
            target=self._listener.serve_forever, args=(_POLL_S,), name="model-server", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is None and self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End every connection, calls on hold and delays included; again does nothing."""
        if self._listener is None or self._thread is None:
            return
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._listener.close()
        self._thread.join()
        self._listener = self._thread = None

    @property
    def url(self) -> str:
        """The base URL that clients are given, ending in ``/v1``."""
        if self._listener is None:
            msg = "the server is closed: enter it with `with` first"
            raise RuntimeError(msg)
        return f"http://127.0.0.1:{self._listener.server_address[1]}/v1"

    @property
    def calls(self) -> list[Request]:
        """Bodies of the chat and text completions asked for, in the order of arrival."""
        with self._changed:
            return list(self._calls)

    @property
    def call_count(self) -> int:
        """How many completions were asked for, those on hold and those refused included."""
        with self._changed:
            return len(self._calls)

    @property
    def embedding_calls(self) -> list[Request]:
        """Bodies of the embeddings asked for, in the order of arrival."""
        with self._changed:
            return list(self._embedding_calls)

    @property
    def usage(self) -> wire.Usage:
        """Tokens of all completions answered, a stream's also where the client did not ask."""
        with self._changed:
            return self._usage

    def reset(self) -> None:
        """Forget the calls and their usage."""
        with self._changed:
            self._calls.clear()
            self._embedding_calls.clear()
            self._usage = wire.Usage()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Receive and count completions, but answer none before the block ends."""
        with self._changed:
            self._holds += 1
        try:
            yield
        finally:
            with self._changed:
                self._holds -= 1
                self._changed.notify_all()

    def wait_for_calls(self, count: int, timeout_s: float = 5.0) -> None:
        """Return once `count` completions have arrived; blocks, so keep it off an event loop.

        Raises:
            TimeoutError: fewer have arrived after `timeout_s` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._calls) >= count, timeout_s):
                msg = f"{len(self._calls)} of {count} calls arrived within {timeout_s} s"
                raise TimeoutError(msg)

    def _complete(self, request: Request) -> list[Reply] | None:
        """Record a completion and return its choices when it is time; None: hang up."""
        with self._changed:
            self._calls.append(request)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._holds or self._closing.is_set())
        replies = self._choices(request)
        delay_s = self._latency_s + max(_silence_s(reply, request) for reply in replies)
        if self._closing.wait(delay_s) if delay_s > 0 else self._closing.is_set():
            return None
        if replies[0].status == HTTPStatus.OK:
            with self._changed:
                self._usage += wire.charge(request, replies)
        return replies

    def _choices(self, request: Request) -> list[Reply]:
        """Ask for the answer, once per choice."""
        prompts = wire.prompts(request)
        asked = [{**request, "prompt": p} for p in prompts] if prompts else [request]
        try:
            answers = [self._answer(r) for r in asked for _ in range(request.get("n") or 1)]
        except Exception as error:  # the caller's own failure: told to it where the block ends
            self._failure = error
            return [Reply(status=HTTPStatus.BAD_REQUEST, content=f"answer raised {error!r}")]
        replies = [Reply(content=a) if isinstance(a, str) else a for a in answers]
        return [wire.finished(reply, request) for reply in replies]

    def _embed(self, request: Request) -> None:
        with self._changed:
            self._embedding_calls.append(request)


def _silence_s(reply: Reply, request: Request) -> float:
    """Return the time before anything of `reply` is sent."""
    chunks = 0 if request.get("stream") else len(reply.chunks or ())
    return reply.delay_s + reply.chunk_s * max(0, chunks - 1)
