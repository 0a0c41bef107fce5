"""A request in progress: what it is, where its time goes, what became of it.

Whoever carries a request out finds its `Record` in a context variable and adds to it: the cache,
the limiter, a reader of streams. Where nothing is recorded there is none, and nothing costs
anything. A record belongs to one flow; it is not shared between threads.

Invariant: a record becomes a `RequestEnded` once.
"""

from __future__ import annotations

import sys
from asyncio import CancelledError
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Protocol

from accel_core.events.requests import Parts, RequestEnded, Tokens, read_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    Ended = Callable[..., RequestEnded]
    """Makes the event of a request, of what was put down with it, and of when it ended by its own
    clock and by the wall's."""

    Used = tuple[Tokens | None, float]
    """What was stated, and what of the output was seen, in tokens."""

    Begun = tuple[str, float, bool, str, "Told | None"]
    """Of a call: its operation, when it began, whether it is streamed, its service tier, and what
    its framework tells of it. A plain tuple, since every hit makes one."""


class Told(Protocol):
    """What a framework tells of a call; read when it has ended."""

    @property
    def provider(self) -> str:
        """The provider's name, or ``""``."""

    @property
    def tags(self) -> Sequence[str] | None:
        """The call's tags."""


Part = Literal["lookup_s", "encode_s", "shared_s", "verify_s", "queue_s", "backoff_s"]
_CANCELLED = (CancelledError, GeneratorExit, KeyboardInterrupt)
_NO_PARTS = Parts()
_OWN_PARTS = {
    "embeddings": "embed_s",
    "retrieval": "retrieval_s",
    "query": "retrieval_s",
    "execute_tool": "tool_s",
}
"""Of operations that ask no language model: the part that what they ask takes."""


class Put(Protocol):
    """Puts down a request that ends now (`observer.ledger`)."""

    def __call__(self, ended: Ended, *facts: Any) -> None:
        """Put it down; ``ended(*facts, …)`` makes its event."""


class Record:
    """One request in progress.

    Args:
        operation: as of `RequestEnded`, as are the attributes that are not described here.
        put: is given it when it ends.
        mono_now: monotonic clock, seconds.
        began_s: when it began.

    Attributes:
        told: what the framework told of the call; None: nothing.
        bypass: why the cache was not asked; ``""``: it was.
        asked_s: when the model was first asked; None: it was not.
        attempts: how often something was sent; None: nobody counts.
        sent_s: when the last attempt was sent.
        key: of a miss, under which its answer is kept.
        answered: whether an answer was had whole.
        target_s: when its first token should be there, after its beginning; None: no limiter let
            it through, or turned it away.
        turned_away: whether a limiter did.
    """

    # Defaults are the class's own: most requests set a handful of them.
    model = name = service_tier = bypass = ""
    tenant = b""
    told: Told | None = None
    streamed = answered = ended = False
    attempts: int | None = None
    lookup_s = encode_s = shared_s = verify_s = queue_s = backoff_s = 0.0
    asked_s: float | None = None
    sent_s: float | None = None
    first_s: float | None = None
    last_s: float | None = None
    miss = ""
    key = b""
    similarity: float | None = None
    target_s: float | None = None
    turned_away = False

    def __init__(
        self, operation: str, put: Put, mono_now: Callable[[], float], began_s: float
    ) -> None:
        self.operation, self._put, self.mono_now = operation, put, mono_now
        self.began_s = began_s

    def ask(self) -> None:
        """Note that the model is asked."""
        if self.asked_s is None:
            self.asked_s = self.mono_now()

    def sent(self) -> None:
        """Note that an attempt is sent."""
        self.attempts = (self.attempts or 0) + 1
        self.sent_s = self.mono_now()

    def limited(self, tier: str, target_s: float) -> None:
        """Note that a limiter is asked for room for a call of a tier."""
        self.service_tier, self.target_s = tier, target_s

    def unsent(self) -> None:
        """Note that the last attempt never reached anybody."""
        self.attempts = (self.attempts or 1) - 1

    def passed(self) -> None:
        """Note that a part of a stream has come."""
        self.last_s = self.mono_now()
        if self.first_s is None:
            self.first_s = self.last_s

    def served(self, hit: Any, saved: object) -> None:
        """End, answered by `hit`; `saved`: what its payload says that its answer had used."""
        if not self.ended:
            self.ended = True
            self._put(self.as_hit, hit, saved)

    def reused(self, reason: str, *, saved_s: float | None = None, shared: bool = False) -> None:
        """End, answered by what was there and is no entry."""
        if not self.ended:
            self.ended = True
            self._put(self._as_reused, reason, saved_s, shared)

    def end(
        self, read: Callable[[], Used] | None = None, error: BaseException | None = None
    ) -> None:
        """End, where it was no hit.

        Args:
            read: returns what an answer used.
            error: what was raised; None: what is handled just now, if anything.
        """
        if self.ended:
            return
        self.ended = True
        used: Used = (None, 0.0)
        if read is not None:
            # Foreign objects raise what they like when they are read: their usage is not stated.
            with suppress(Exception):
                used = read()
        raised = error or sys.exception()
        # Its class alone: an error holds the frames that it passed through.
        self._put(self._as_asked, *used, None if raised is None else type(raised))

    def model_s(self, now_s: float) -> float:
        """Return how long the model has been at it, waits left out; 0: it was not asked."""
        if self.asked_s is None:
            return 0.0
        return max(0.0, now_s - self.asked_s - self.queue_s - self.backoff_s)

    def as_hit(self, hit: Any, saved: object, now_s: float, ended_s: float) -> RequestEnded:
        """Return the event of a hit; as `Ended`."""
        entry = hit.entry
        provider, tags = self._told()
        parts = _NO_PARTS
        if self.encode_s or self.shared_s or self.verify_s:
            parts = Parts(self.lookup_s, self.encode_s, self.shared_s, self.verify_s)
        return RequestEnded(
            self.operation,
            "hit",
            "answered",
            hit.reason,
            now_s - self.began_s,
            ended_s,
            "" if self.name else entry.source,
            provider,
            entry.tenant.hex(),
            tags,
            self.service_tier,
            self.streamed,
            hit.tier,
            entry.key.hex(),
            hit.similarity,
            hit.age_s,
            hit.shared,
            parts,
            0,
            None,
            0.0,
            read_tokens(saved),
            entry.cost_s or None,
            "",
            self.name,
        )

    def _as_reused(
        self,
        reason: str,
        saved_s: float | None,
        shared: bool,  # noqa: FBT001 - put down as it will be called
        now_s: float,
        ended_s: float,
    ) -> RequestEnded:
        provider, tags = self._told()
        return RequestEnded(
            operation=self.operation,
            outcome="hit",
            ending="answered",
            reason=reason,
            total_s=now_s - self.began_s,
            ended_s=ended_s,
            model=self.model,
            provider=provider,
            tenant=self.tenant.hex(),
            tags=tags,
            service_tier=self.service_tier,
            shared=shared,
            parts=Parts(self.lookup_s, shared_s=self.shared_s),
            saved_s=saved_s,
            name=self.name,
        )

    def _as_asked(
        self,
        used: Tokens | None,
        seen_tokens: float,
        raised: type[BaseException] | None,
        now_s: float,
        ended_s: float,
    ) -> RequestEnded:
        provider, tags = self._told()
        ending: Literal["answered", "failed", "cancelled"] = "answered"
        if not self.answered:
            given_up = raised is None or issubclass(raised, _CANCELLED)
            ending = "cancelled" if given_up else "failed"
        return RequestEnded(
            operation=self.operation,
            outcome="bypass" if self.bypass else "miss",
            ending=ending,
            reason=self.bypass or self.miss,
            total_s=now_s - self.began_s,
            ended_s=ended_s,
            model=self.model,
            provider=provider,
            tenant=self.tenant.hex(),
            tags=tags,
            service_tier=self.service_tier,
            streamed=self.streamed,
            entry_id=self.key.hex(),
            similarity=self.similarity,
            parts=self._parts(now_s),
            attempts=self._attempts(),
            used=used,
            seen_tokens=0.0 if used is not None else seen_tokens,
            error=raised.__name__ if raised is not None and ending == "failed" else "",
            name=self.name,
            attained=self._attained(now_s),
        )

    def _attained(self, now_s: float) -> Literal["kept", "late", "rejected", ""]:
        if self.target_s is None:
            return ""
        if self.first_s is None and not self.answered:
            return "rejected" if self.turned_away else ""
        first_s = now_s if self.first_s is None else self.first_s
        return "kept" if first_s - self.began_s <= self.target_s else "late"

    def _attempts(self) -> int:
        if self.attempts is None:  # what has a name of its own asks no provider
            return int(self.asked_s is not None and not self.name)
        return self.attempts

    def _told(self) -> tuple[str, tuple[str, ...]]:
        told = self.told
        return ("", ()) if told is None else (told.provider, tuple(told.tags or ()))

    def _parts(self, now_s: float) -> Parts:
        sent_s = self.asked_s if self.sent_s is None else self.sent_s
        first_token_s = stream_s = None
        if sent_s is not None and self.first_s is not None and self.last_s is not None:
            first_token_s, stream_s = self.first_s - sent_s, self.last_s - self.first_s
        asking: dict[str, float] = {_OWN_PARTS.get(self.operation, "model_s"): self.model_s(now_s)}
        return Parts(
            self.lookup_s,
            self.encode_s,
            self.shared_s,
            self.verify_s,
            self.queue_s,
            self.backoff_s,
            first_token_s=first_token_s,
            stream_s=stream_s,
            **asking,
        )


def bypassed(reason: str) -> None:
    """Note why the call that is made here passes the cache by; `passes_by` takes it up."""
    _bypass.set(reason)


def passes_by() -> str:
    """Return why the call that was just named passes the cache by."""
    reason = _bypass.get()
    _bypass.set("")
    return reason


_bypass: ContextVar[str] = ContextVar("accel_bypass", default="")
_current: ContextVar[Record | None] = ContextVar("accel_record", default=None)


def current() -> Record | None:
    """Return the request that is carried out here, if it is recorded."""
    return _current.get()


def missed(reason: str, similarity: float | None = None) -> None:
    """Note why nothing is served to the current request, if any is recorded."""
    record = _current.get()
    if record is not None:
        record.miss, record.similarity = reason, similarity


def reused(reason: str, saved_s: float, *, shared: bool) -> None:
    """End the current request, if any is recorded, answered by what had taken `saved_s`."""
    record = _current.get()
    if record is not None:
        record.reused(reason, saved_s=saved_s, shared=shared)


class carrying_out:  # noqa: N801 - used as a function is: with carrying_out(record)
    """Make `record` the current one inside the ``with`` block."""

    __slots__ = ("_outer", "_record")

    def __init__(self, record: Record | None) -> None:
        self._record = record

    def __enter__(self) -> Record | None:
        self._outer = _current.get()
        _current.set(self._record)
        return self._record

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # No token: a stream may be closed in another context than it was begun in.
        _current.set(self._outer)


class timed:  # noqa: N801 - as above
    """Add the time that the ``with`` block takes to a part of the current request, if any."""

    __slots__ = ("_began_s", "_part", "_record")

    def __init__(self, part: Part) -> None:
        self._part, self._record = part, _current.get()

    def __enter__(self) -> None:
        if self._record is not None:
            self._began_s = self._record.mono_now()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        record = self._record
        if record is not None:
            spent_s = record.mono_now() - self._began_s
            setattr(record, self._part, getattr(record, self._part) + spent_s)
