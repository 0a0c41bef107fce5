"""Ask a verifier about candidates that the similarity policy alone may not serve.

Between two thresholds (`policy.similarity.Verdict.grey`) a second opinion decides: yes serves, no
refuses, and no verdict is a refusal too. A lookup waits for it at most so long; a caller who may
not wait, and every caller with `background`, gets a miss at once, and the verdict holds from the
next time on (Krites: Singh et al., "Asynchronous Verified Semantic Caching for Tiered LLM
Architectures", arXiv 2602.13165).

Verdicts are remembered as digests with a yes or no, for one answer of one entry: what is stored
anew under its key is judged anew. They are forgotten with their entry, and a verdict under way at
an invalidation is not kept. Scopes cannot mix: a verdict only answers for a candidate, and a
candidate comes from the request's own scope.

In shadow mode nobody waits either, since nothing is served. A candidate whose verdict a lookup
would have waited for stays grey, and `said` tells what became of it once the model has answered:
how long that took stands in for the timeout.

Under a bound the verifier stands *before* `Learning` and is asked about every candidate: what it
does not approve is none, so outcomes are of approved ones and the bound holds whatever the verifier
is worth. The other way round, refusing what the guarantee would serve, a verifier worse than chance
would raise the share of wrong hits and no outcome would tell. A verdict itself is no outcome: it is
an opinion about the stored answer, not a comparison with the model's own, and a lenient one would
move the bound along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core import events
from accel_core.errors import VerifierError
from accel_core.policy.breaker import Breaker
from accel_core.ports import Case
from accel_core.recording import timed
from accel_core.verifier.desk import Asked, Desk, Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from accel_core.drive.invalidations import Invalidations
    from accel_core.policy.identity import Request
    from accel_core.policy.similarity import Verdict
    from accel_core.ports import Entry, Io, Observer, Verifier

_REMEMBERED = 10_000
"""Pairs whose verdict is remembered; the oldest leaves."""


class Terms(NamedTuple):
    """How a verifier is asked.

    Attributes:
        timeout_s: how long a lookup waits for a verdict.
        max_batch: cases in one call of the verifier.
        background: whether no lookup waits, and a verdict holds from the next time on.
        everything: whether also what the policy would serve needs a yes.
        shadow: whether nothing is served, so that no lookup waits.
    """

    timeout_s: float
    max_batch: int
    background: bool = False
    everything: bool = False
    shadow: bool = False


class Verification:
    """Verdicts of one verifier, asked for and remembered.

    Args:
        verifier: what is asked.
        terms: how.
        invalidations: what they mean is not remembered.
        text_of: the text of a payload.
        emit: receives every verdict and failure as an event.
        mono_now: monotonic clock, seconds, for a resting verifier.
        lock: makes the lock around what is remembered.
    """

    def __init__(
        self,
        verifier: Verifier,
        terms: Terms,
        *,
        invalidations: Invalidations,
        text_of: Callable[[bytes], str],
        emit: Observer,
        mono_now: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._terms, self._invalidations, self._text_of = terms, invalidations, text_of
        self._emit, self._mono_now, self._new_lock = emit, mono_now, lock
        self._lock = lock()
        self._breaker, self._late_until_s = Breaker(), float("-inf")
        self._remembered: dict[Pair, bool] = {}
        self._desk = Desk(
            verifier,
            terms.max_batch,
            known=lambda asked: self._remembered.get(asked.pair),
            judged=self._judged,
            failed=self._failed,
        )

    @property
    def name(self) -> str:
        """What is asked, as its refusals name it."""
        return self._desk.name

    async def judge(
        self, io: Io, request: Request, entries: Sequence[Entry], verdict: Verdict
    ) -> Verdict:
        """Return `verdict` with its grey candidate served or refused; others as they are.

        In shadow mode it stays grey, and refused, while its verdict is under way.
        """
        place = self._asked_about(request, entries, verdict)
        if place is None:
            return verdict
        timely = not self._terms.background and io.may_wait()
        waits = timely and not self._terms.shadow
        approved, reason = await self._verdict(io, request, entries[place], waits=waits)
        return verdict._replace(
            chosen=place if approved else None,
            grey=place if timely and reason == "verifying" else None,
            reason=reason,
        )

    def foreseen(self, request: Request, entries: Sequence[Entry], verdict: Verdict) -> Verdict:
        """Return what `judge` would say without asking anybody; grey where it would have to ask."""
        place = self._asked_about(request, entries, verdict)
        if place is None:
            return verdict
        approved, reason = self.said(request.key, entries[place]) or (False, "grey")
        return verdict._replace(chosen=place if approved else None, reason=reason)

    def said(self, asked: bytes, entry: Entry) -> tuple[bool, str] | None:
        """Return whether `entry` may be served to the request under `asked`, and the reason.

        None: there is no verdict.
        """
        approved = self._remembered.get(Pair(asked, entry.key, entry.created_s))
        if approved is None:
            return None
        return approved, self._reason(approved)

    def forget(self, keys: Collection[bytes]) -> None:
        """Forget verdicts that name one of `keys`, and every case that waits: it holds texts."""
        self._desk.drop()
        gone = frozenset(keys)
        with self._lock:
            for pair in [one for one in self._remembered if not gone.isdisjoint(one[:2])]:
                del self._remembered[pair]

    def close(self) -> None:
        """Refuse what comes, and give the case under way a moment."""
        self._desk.close()

    def after_fork(self) -> None:
        """Start anew in a child process; what is remembered holds there too."""
        self._lock = self._new_lock()
        self._desk.after_fork()

    def _asked_about(
        self, request: Request, entries: Sequence[Entry], verdict: Verdict
    ) -> int | None:
        """Return the place of the candidate that needs a verdict, or None."""
        place, chosen = verdict.grey, verdict.chosen
        if self._terms.everything and chosen is not None and entries[chosen].text != request.text:
            return chosen
        return place

    async def _verdict(
        self, io: Io, request: Request, entry: Entry, *, waits: bool
    ) -> tuple[bool, str]:
        """Return whether `entry` may be served, and the reason."""
        said = self.said(request.key, entry)
        if said is not None:
            return said
        pair = Pair(request.key, entry.key, entry.created_s)
        approved = await self._ask(io, pair, request.text, entry, waits=waits)
        if isinstance(approved, str):
            return False, approved
        return approved, self._reason(approved)

    def _reason(self, approved: bool) -> str:  # noqa: FBT001 - a verdict
        return "verified" if approved else f"verifier:{self._desk.name}"

    async def _ask(
        self, io: Io, pair: Pair, question: str, entry: Entry, *, waits: bool
    ) -> bool | str:
        """Return the verifier's verdict, or the reason why there is none now."""
        if not self._breaker.allows(self._mono_now()):
            return "unverified"
        try:
            case = Case(question, entry.text, self._text_of(entry.payload))
            asked = Asked(pair, case, entry, self._invalidations.mark)
            verdict = self._desk.submit(asked, lasting=not waits)
            if not waits:
                return "verifying"
            with timed("verify_s"):
                found = await io.wait(verdict, self._terms.timeout_s)
        except TimeoutError:
            self._late()
            return "unverified"
        except VerifierError as error:
            if error.operation == "queue":  # else the desk has told
                self._emit(events.BackendFailed("verifier", "queue", str(error)))
            return "unverified"
        except ValueError as error:
            self._emit(events.BackendFailed("payload", "read", type(error).__name__))
            return "unverified"
        self._breaker.succeeded()
        return "unverified" if found is None else found

    def _judged(self, asked: Asked, verdict: bool | None) -> None:  # noqa: FBT001 - as the port says it
        """Remember a verdict, unless its entry was removed meanwhile; in the desk's thread."""
        if self._terms.background or self._terms.shadow:
            # Elsewhere only a verdict that came in time counts: one that never does must rest.
            self._breaker.succeeded()
        if verdict is None:
            return
        with self._lock:
            if not self._invalidations.since(asked.mark, asked.entry):
                self._remembered.pop(asked.pair, None)
                if len(self._remembered) >= _REMEMBERED:
                    del self._remembered[next(iter(self._remembered))]
                self._remembered[asked.pair] = verdict
        self._emit(events.CacheVerified(asked.entry.id, self._desk.name, verdict))

    def _late(self) -> None:
        """Report a lookup that waited in vain; those that waited for one batch count once."""
        now_s = self._mono_now()
        if now_s >= self._late_until_s:
            self._breaker.failed(now_s)
            self._late_until_s = now_s + self._terms.timeout_s
        error = VerifierError(self._desk.name, "verify", "too late")
        self._emit(events.BackendFailed("verifier", "verify", str(error)))

    def _failed(self, error: Exception) -> None:
        self._breaker.failed(self._mono_now())
        self._emit(events.BackendFailed("verifier", "verify", str(error)))
