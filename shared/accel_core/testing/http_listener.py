"""HTTP for the model server: the listening socket, its connections, and the paths it answers.

What is answered comes from two functions given by the owner; how it looks from `openai_wire`.
Each connection has a thread of its own, keeps alive between calls and sends without Nagle's
delay, so that a round trip is a millisecond. A client may hang up at any moment.
"""

from __future__ import annotations

import json
import math
import socket
import sys
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Condition
from typing import TYPE_CHECKING, Any

from accel_core.testing import openai_wire as wire
from accel_core.testing.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.testing.replies import Request

_GOODBYE_S = 1.0
"""How long closing waits for connections to end."""


class Listener(ThreadingHTTPServer):
    """The listening socket and the connections made through it.

    Args:
        complete: returns the choices that a completion is answered, None to hang up instead.
        embed: is told of every request for embeddings.
        pause: waits so many seconds, or until the owner closes; then it returns True.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        complete: Callable[[Request], list[Reply] | None],
        embed: Callable[[Request], None],
        pause: Callable[[float], bool],
    ) -> None:
        self.complete, self.embed, self.pause = complete, embed, pause
        self._connections: set[socket.socket] = set()
        self._left = Condition()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of a host name: seconds where no DNS answers."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection until its thread has ended."""
        with self._left:
            self._connections.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the connection to its end."""
        super().process_request_thread(request, client_address)
        with self._left:
            self._connections.discard(request)
            self._left.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what a connection died of, unless its client hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Accept nothing more and end every connection."""
        with suppress(OSError):  # where this wakes nobody, the accepting thread looks by itself
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.server_close()
        with self._left:
            for connection in self._connections:
                with suppress(OSError):  # closed from the other side in this very moment
                    connection.shutdown(socket.SHUT_RDWR)
            self._left.wait_for(lambda: not self._connections, _GOODBYE_S)


class _BadRequestError(Exception):
    """The body cannot be answered; the message says why."""


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads requests and writes what the model server says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Listener

    def do_GET(self) -> None:
        """List the models."""
        if self.path == "/v1/models":
            self._send_json(wire.models_body())
        else:
            self._send_error(Reply(status=404, content=f"unknown path {self.path}"))

    def do_POST(self) -> None:
        """Answer one call."""
        try:
            if self.path == "/v1/chat/completions":
                self._complete(self._read("model", "messages"), wire.ChatFormat)
            elif self.path == "/v1/completions":
                self._complete(self._read("model", "prompt"), wire.TextFormat)
            elif self.path == "/v1/embeddings":
                self._embed(self._read("model", "input"))
            else:
                self._read()
                self._send_error(Reply(status=404, content=f"unknown path {self.path}"))
        except _BadRequestError as error:
            self._send_error(Reply(status=400, content=str(error)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent: tests read `calls`, not a log."""

    def _read(self, *needed: str) -> Request:
        text = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            request = json.loads(text)
        except ValueError as error:
            msg = f"the body is not JSON: {error}"
            raise _BadRequestError(msg) from error
        if not isinstance(request, dict):
            msg = "the body is not a JSON object"
            raise _BadRequestError(msg)
        missing = [name for name in needed if request.get(name) in (None, [])]
        if missing:
            msg = f"you must provide {' and '.join(missing)}"
            raise _BadRequestError(msg)
        return request

    def _embed(self, request: Request) -> None:
        self.server.embed(request)
        self._send_json(wire.embeddings_body(request))

    def _complete(self, request: Request, form: type[wire.ChatFormat]) -> None:
        replies = self.server.complete(request)
        if replies is None:
            self.close_connection = True
            return
        try:
            self._answer(request, replies, form)
        finally:
            for reply in replies:
                if reply.ended is not None:
                    reply.ended()

    def _answer(self, request: Request, replies: list[Reply], form: type[wire.ChatFormat]) -> None:
        first = next((reply for reply in replies if reply.status != HTTPStatus.OK), replies[0])
        if first.status != HTTPStatus.OK:
            self._send_error(first)
            return
        shape = form(request, replies)
        if request.get("stream"):
            self._send_stream(shape, first)
        else:
            self._send_json(shape.body(), headers=first.headers, cut=first.break_after is not None)

    def _send_json(
        self,
        body: dict[str, Any],
        status: int = 200,
        headers: dict[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        data = json.dumps(body).encode()
        plain = {"content-type": "application/json", "content-length": str(len(data))}
        self._send_headers(status, plain | (headers or {}))
        if cut:
            self.close_connection = True
        else:
            self.wfile.write(data)

    def _send_error(self, reply: Reply) -> None:
        headers = dict(reply.headers)
        if reply.retry_after_s is not None:
            headers["retry-after"] = str(math.ceil(reply.retry_after_s))
            headers["retry-after-ms"] = str(reply.retry_after_s * 1000)
        body = reply.error or wire.error_body(reply.status, reply.content)
        self._send_json(body, reply.status, headers)

    def _send_stream(self, shape: wire.ChatFormat, reply: Reply) -> None:
        plain = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        self._send_headers(200, plain | reply.headers)
        for number, event in enumerate(_events(shape, reply)):
            if number and reply.chunk_s > 0 and self.server.pause(reply.chunk_s):
                self.close_connection = True
                return
            self._send_chunk(f"data: {json.dumps(event)}\n\n")
        if reply.break_after is not None:
            self.close_connection = True
            return
        if reply.error_after is None:
            self._send_chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _send_chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _send_headers(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("x-request-id", wire.new_id("req", "_"))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _events(shape: wire.ChatFormat, reply: Reply) -> list[dict[str, Any]]:
    """Return what of a stream is sent."""
    events = shape.events()
    if reply.error_after is not None:
        begun = shape.events_before_break(reply.error_after) if reply.error_after else 0
        return [*events[:begun], reply.error or wire.error_body(reply.status, reply.content)]
    if reply.break_after is not None:
        return events[: shape.events_before_break(reply.break_after)]
    return events
