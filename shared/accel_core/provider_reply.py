"""A provider's response as a transport hands it over, and the error that its stream begins with.

Nothing of a response is handed on before it is known whether it is an answer: a stream that begins
with an error was refused, though its status says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from accel_core.policy.limits.stream_error import error_in, first_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.policy.limits.stream_error import StreamError

_LONGEST_BEGINNING = 65_536
"""Bytes in which a stream's first event is looked for."""


class Reply(Protocol):
    """A provider's response, whose body has not been read."""

    @property
    def status(self) -> int:
        """Its HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, their names in any case."""

    async def read(self) -> bytes:
        """Read the body to its end, keep it for the caller, and return it decoded."""

    async def peek(self) -> bytes:
        """Wait for more of the body and return all that has come; at its end, the same again."""

    async def close(self) -> None:
        """Give up what it holds; what has come is kept for the caller, and nothing else comes."""


R_co = TypeVar("R_co", bound=Reply, covariant=True)


class Sender(Protocol[R_co]):
    """Sends one request, as often as asked."""

    @property
    def unsent(self) -> tuple[type[Exception], ...]:
        """What `send` raises when nothing reached the provider."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What `send`, `Reply.read` and `Reply.peek` raise when the connection fails."""

    async def send(self, within_s: float) -> R_co:
        """Send it and return the response as soon as its headers are there.

        Args:
            within_s: seconds above 0 until the call's deadline: to connect, to send, and to wait
                for what comes next; infinity: as long as the client itself allows.
        """


def is_readable(headers: Mapping[str, str]) -> bool:
    """Whether a body's bytes are what they say, and not encoded."""
    return headers.get("content-encoding", "identity") in ("", "identity")


def is_streamed(headers: Mapping[str, str]) -> bool:
    """Whether a body comes as events."""
    return "event-stream" in headers.get("content-type", "")


async def first_error(reply: Reply) -> StreamError | None:
    """Return the error that a stream begins with; None: it is an answer, or no stream.

    Waits for the first event, and for no more: whatever a caller may be shown is not held back.
    """
    if not (is_readable(reply.headers) and is_streamed(reply.headers)):
        return None
    before = -1
    while before < len(beginning := await reply.peek()) <= _LONGEST_BEGINNING:
        event = first_event(beginning)
        if event is not None:
            return error_in(event)
        before = len(beginning)
    return None
