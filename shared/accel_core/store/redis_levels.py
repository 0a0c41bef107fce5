"""A limiter's levels on a Redis server, of which all processes that use one key take.

A reservation is one script (`redis_reserve`): it refills every limit by the server's clock, takes
in what was settled since, and takes the charge of all limits or of none.

While the server cannot be asked, a process keeps to its share of the limits (`OwnShare`), or lets
nobody through, and tries again every two seconds. Settlements then count for the share, and what is
left of that is told with the first answer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from hashlib import blake2b
from secrets import token_hex
from typing import TYPE_CHECKING, Literal, NamedTuple

from accel_core.errors import StoreError
from accel_core.forking import renewed_in_children
from accel_core.policy.breaker import Breaker
from accel_core.policy.limits.charge import NOTHING, Charge
from accel_core.policy.limits.limit_store import Limit, Reserved
from accel_core.policy.limits.own_share import Known, OwnShare
from accel_core.store.codec import utf8
from accel_core.store.redis_link import RedisLink
from accel_core.store.redis_reserve import LEAVE, RESERVE
from accel_core.store.redis_scripts import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.store.redis_access import Server

WhenAway = Literal["degraded", "closed"]

REST_S = 2.0
"""For how long a server that did not answer is left alone."""

_NO_BOUND = 1e300
_PATIENCE = 2.0
"""Times the timeout after which nobody waits for an answer: to be connected, and to be answered."""


class _Told(NamedTuple):
    """What was settled in all, by unit, up to the call of this number."""

    number: int
    total: Charge


class _Ask(NamedTuple):
    """What one call tells the server.

    Attributes:
        limits: there are.
        known: of each of them.
        told: what was settled in all.
        heard: how much of that the server is known to have heard.
        valid_us: until when it may be carried out, by the server's clock; 0: whenever.
        away_us: since when this handle is alone, by the server's clock; 0: it was never answered,
            -1: it is not alone.
        share: of this handle, if it is alone.
        closed_s: for how long the provider takes no calls.
    """

    limits: tuple[Limit, ...]
    known: list[Known]
    told: _Told
    heard: _Told
    valid_us: int
    away_us: int
    share: float
    closed_s: float


class RedisLevels:
    """A `LimitStore` on a server.

    Args:
        server: as for `RedisStore`.
        name: whose limits: all that name the same share them. One per provider's key and model.
        prefix: what its names on the server begin with.
        when_away: while the server cannot be asked, ``degraded``: each process keeps to its share
            of the limits, by the number of processes that asked in the minute before; ``closed``:
            nobody is let through.
        timeout_s: the longest wait for a connection, and for each answer.
        mono_now: monotonic clock, seconds.

    Raises:
        ConfigError: the URL, or the prefix, is none.

    Example:
        >>> from accel_core import Limiter, RedisLevels
        >>> levels = RedisLevels("redis://localhost:6379/0", "openai: gpt-4o-mini")
        >>> limiter = Limiter("openai", tokens_per_minute=60_000, store=levels)
    """

    def __init__(
        self,
        server: Server,
        name: str,
        *,
        prefix: str = "accel",
        when_away: WhenAway = "degraded",
        timeout_s: float = 0.1,
        mono_now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = RedisLink(server, lookup_timeout_s=timeout_s, write_timeout_s=timeout_s)
        self._root = Names(prefix).root
        self._name = blake2b(utf8(name), digest_size=16).hexdigest()
        self._closes, self._timeout_s, self._mono_now = when_away == "closed", timeout_s, mono_now
        # Appended to from anywhere, while garbage is collected too: so without the lock.
        self._shapes: deque[tuple[Limit, ...]] = deque()
        self._limits: tuple[Limit, ...] = ()
        self.after_fork()
        renewed_in_children(self)

    def shape(self, limits: Sequence[Limit], now_s: float) -> None:  # noqa: ARG002  # the port's
        """Take `limits` for all there are from now on; levels of those that were known stay."""
        self._shapes.append(tuple(limits))

    def reserve(self, charge: Charge, now_s: float, max_wait_s: float) -> Reserved:  # noqa: ARG002
        """Take `charge` if it may be used within `max_wait_s`, and say when.

        Where the server cannot be asked, of this process's share, or not at all.
        """
        began_s = self._mono_now()
        with self._lock:
            ask = self._next(began_s)
            if not ask.limits:
                return Reserved(0.0)
            if not self._breaker.allows(began_s):
                return self._decided_alone(charge, began_s, max_wait_s)
        try:
            answer = self._asked(ask, charge, max_wait_s)
            if len(answer) == 1:
                # Its clock was put forward. It has changed nothing, and is believed.
                ask = ask._replace(valid_us=0)
                answer = self._asked(ask, charge, max_wait_s)
        except StoreError as error:
            with self._lock:
                self._left(self._mono_now())
                answered = self._decided_alone(charge, began_s, max_wait_s)
            return answered._replace(problem=str(error))
        with self._lock:
            return self._answered(ask, answer, began_s)

    def settle(self, held: Charge, charged: Charge) -> None:
        """Return what was taken beyond what was `charged`; take what is missing."""
        self._settled.append(Charge(*(was - used for was, used in zip(held, charged, strict=True))))

    def hold_off(self, until_s: float, now_s: float) -> None:
        """Promise nothing for before `until_s`, by the caller's clock: the provider said so."""
        self._closings.append(self._mono_now() + until_s - now_s)

    def after_fork(self) -> None:
        """Be another handle in a child process; what was not told yet is the parent's to tell."""
        self._lock, self._handle = threading.Lock(), token_hex(8)
        self._settled: deque[Charge] = deque()
        self._closings: deque[float] = deque()
        self._closed_until_s = float("-inf")
        self._told = self._heard = _Told(0, NOTHING)
        self._share = OwnShare()
        self._share.shape(self._limits, self._mono_now())
        self._breaker = Breaker(1, REST_S)
        self._servers_us, self._answered_s, self._away_us = 0, 0.0, -1

    def close(self) -> None:
        """Take leave of the other processes, and close the connections."""
        if self._servers_us and not self._share.is_alone:
            with suppress(StoreError):
                self._link.ask("leave", LEAVE, [self._named("takers")], self._handle)
        self._link.close()

    def __repr__(self) -> str:
        return f"RedisLevels({self._link!r})"

    def _next(self, now_s: float) -> _Ask:
        """Take in what was said since, and return what to tell."""
        while self._shapes:
            self._limits = self._shapes.popleft()
            self._share.shape(self._limits, now_s)
        total = self._told.total
        while self._settled:
            given = self._settled.popleft()
            if self._share.is_alone:
                self._share.settle(given)
            else:
                total = Charge(*map(sum, zip(total, given, strict=True)))
        while self._closings:
            self._closed_until_s = max(self._closed_until_s, self._closings.popleft())
        self._told = _Told(self._told.number + 1, total)
        valid_us = self._at_server_us(now_s + _PATIENCE * self._timeout_s)
        return _Ask(
            limits=self._limits,
            known=self._share.known(now_s),
            told=self._told,
            heard=self._heard,
            valid_us=valid_us,
            away_us=self._away_us,
            share=self._share.share,
            closed_s=max(0.0, self._closed_until_s - now_s),
        )

    def _asked(self, ask: _Ask, charge: Charge, max_wait_s: float) -> Sequence[bytes]:
        """Ask the server; return its clock alone where it came too late."""
        answer: Sequence[bytes] = self._link.ask(
            "reserve",
            RESERVE,
            [
                self._named("heard", self._handle),
                self._named("takers"),
                self._named("closed"),
                *(self._named("level", f"{one.unit}:{one.per_s:g}") for one in ask.limits),
            ],
            *(self._handle, max_wait_s, ask.told.number, ask.valid_us, ask.away_us, ask.share),
            int(1000 * ask.closed_s),
            *(value for at in range(len(ask.limits)) for value in _spelled(ask, at, charge)),
        )
        return answer

    def _answered(self, ask: _Ask, answer: Sequence[bytes], began_s: float) -> Reserved:
        servers_us, wait_s, takers, *levels = map(float, answer)
        self._breaker.succeeded()
        self._servers_us, self._answered_s, self._away_us = int(servers_us), began_s, -1
        if ask.told.number > self._heard.number:
            self._heard = ask.told
        if self._limits is ask.limits:
            # A level is lowered once.
            self._limits = tuple(limit._replace(at_most=_NO_BOUND) for limit in ask.limits)
            self._share.shape(self._limits, began_s)
        self._share.heard(levels, int(takers), began_s)
        return Reserved(wait_s, tuple(levels), int(takers))

    def _left(self, now_s: float) -> None:
        self._breaker.failed(now_s)
        if not self._share.is_alone:
            self._share.leave(now_s)
            self._away_us = self._at_server_us(now_s)

    def _at_server_us(self, now_s: float) -> int:
        """Return what the server's clock shows at `now_s`, or a little more; 0: nobody knows."""
        if not self._servers_us:
            return 0
        return self._servers_us + int(1e6 * (now_s - self._answered_s))

    def _decided_alone(self, charge: Charge, now_s: float, max_wait_s: float) -> Reserved:
        if self._closes:
            return Reserved(max_wait_s + REST_S, (), self._share.processes, share=0.0)
        return self._share.reserve(charge, now_s, max_wait_s)

    def _named(self, kind: str, what: str = "") -> str:
        name = f"{self._root}{kind}:{self._name}"
        return f"{name}:{what}" if what else name


def _spelled(ask: _Ask, at: int, charge: Charge) -> tuple[float, ...]:
    """Return what a call tells of one limit."""
    limit, known = ask.limits[at], ask.known[at]
    unit = limit.unit
    totals = ask.told.total[unit], ask.heard.total[unit]
    bounds = min(limit.at_most, _NO_BOUND), min(known.level, _NO_BOUND)
    return charge[unit], *totals, limit.amount, limit.rate_per_s, *bounds, known.taken
