"""A limiter's levels on a Redis server, of which all processes that use one key take.

A reservation is one script: it refills every limit by the server's clock, takes in what was settled
since, and takes the charge of all limits or of none. Levels may fall below zero, and a level that
has risen to its full amount is forgotten, for that is how it would begin.

What is settled is told as a running total, numbered, so it counts once: a handle that got no answer
tells its total again, and the server remembers up to which number it has heard this handle.

Names: ``{PREFIX}:1:level:NAME:UNIT:SECONDS`` (hash) per limit, and ``{PREFIX}:1:heard:NAME:HANDLE``
(hash) per handle that was here lately; NAME is hashed.
"""

from __future__ import annotations

import threading
from collections import deque
from hashlib import blake2b
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

from accel_core.forking import renewed_in_children
from accel_core.policy.limits.charge import NOTHING, Charge
from accel_core.policy.limits.limit_store import Limit, Reserved
from accel_core.store.codec import utf8
from accel_core.store.redis_link import RedisLink
from accel_core.store.redis_scripts import Names, Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.store.redis_access import Server

_NO_BOUND = 1e300
_HEARD_MS = 3_600_000
"""How long the server remembers a handle: far longer than an answer may be late."""

_FULL_MS = 60_000
"""How long a level that is full is kept."""

RESERVE = Script(
    f"""
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local max_wait_s, number = tonumber(ARGV[1]), tonumber(ARGV[2])
local handle, wait_s, limits, totals = KEYS[1], 0, {{}}, {{}}
local function digits(value) return string.format('%.17g', value) end
local last = tonumber(redis.call('HGET', handle, 'number') or 0)
for i = 2, #KEYS do
    local first = 6 * i - 9
    local values = {{}}
    for field = 0, 5 do values[field + 1] = tonumber(ARGV[first + field]) end
    local charge, total, told, amount, rate, at_most = unpack(values)
    local state = redis.call('HMGET', KEYS[i], 'level', 'at_us', 'rate')
    local level, at_us = tonumber(state[1]), tonumber(state[2])
    if not (level and at_us) then
        level = amount
    elseif now_us > at_us then
        level = level + (now_us - at_us) / 1000000 * tonumber(state[3] or rate)
    end
    level = math.min(level, amount, at_most)
    if number > last then
        local heard = tonumber(redis.call('HGET', handle, KEYS[i]) or told)
        level = math.min(level + total - heard, amount)
        totals[#totals + 1] = KEYS[i]
        totals[#totals + 1] = ARGV[first + 1]
    end
    local missing = math.min(charge - level, amount - level)
    if missing > amount * 1e-9 then wait_s = math.max(wait_s, missing / rate) end
    limits[i] = {{charge, level, amount, rate}}
end
if number > last then
    -- Anew: what was heard of a limit that is no longer told must not count when it is again.
    redis.call('DEL', handle)
    redis.call('HSET', handle, 'number', ARGV[2], unpack(totals))
    redis.call('PEXPIRE', handle, {_HEARD_MS})
end
local answer = {{digits(wait_s)}}
for i = 2, #KEYS do
    local charge, level, amount, rate = unpack(limits[i])
    if wait_s <= max_wait_s then level = level - charge end
    redis.call(
        'HSET', KEYS[i], 'level', digits(level), 'at_us', digits(now_us), 'rate', digits(rate))
    local full_ms = math.ceil((amount - level) / rate * 1000) + {_FULL_MS}
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', math.min(full_ms, 1e14)))
    answer[#answer + 1] = digits(level)
end
return answer
"""
)
"""KEYS: the handle, the limits. ARGV: longest wait, number; then of each limit: what is charged,
what was settled in all, how much of that was heard, its amount, its rate, what it is lowered to.

Returns the wait in seconds, and the level of each limit.
"""


class _Told(NamedTuple):
    """What was settled in all, by unit, up to the call of this number."""

    number: int
    total: Charge


class RedisLevels:
    """A `LimitStore` on a server.

    Args:
        server: as for `RedisStore`.
        name: whose limits: all that name the same share them. One per provider's key and model.
        prefix: what its names on the server begin with.
        timeout_s: the longest wait for a connection, and for each answer.

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
        timeout_s: float = 0.25,
    ) -> None:
        self._link = RedisLink(server, lookup_timeout_s=timeout_s, write_timeout_s=timeout_s)
        self._root = Names(prefix).root
        self._name = blake2b(utf8(name), digest_size=16).hexdigest()
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

        Raises:
            StoreError: the server could not be asked, or did not answer in time.
        """
        limits, told, heard = self._next()
        if not limits:
            return Reserved(0.0)
        wait_s, *levels = self._link.ask(
            "reserve",
            RESERVE,
            [self._named("heard", self._handle), *map(self._level, limits)],
            *(max_wait_s, told.number),
            *(value for limit in limits for value in _spelled(limit, charge, told, heard)),
        )
        self._answered(limits, told)
        return Reserved(float(wait_s), tuple(map(float, levels)))

    def settle(self, held: Charge, charged: Charge) -> None:
        """Return what was taken beyond what was `charged`; take what is missing."""
        self._settled.append(Charge(*(was - used for was, used in zip(held, charged, strict=True))))

    def after_fork(self) -> None:
        """Be another handle in a child process; what was not told yet is the parent's to tell."""
        self._lock, self._handle = threading.Lock(), token_hex(8)
        self._settled: deque[Charge] = deque()
        self._told = self._heard = _Told(0, NOTHING)

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def __repr__(self) -> str:
        return f"RedisLevels({self._link!r})"

    def _next(self) -> tuple[tuple[Limit, ...], _Told, _Told]:
        """Return what to tell: the limits, what was settled, and how much of that was heard."""
        with self._lock:
            while self._shapes:
                self._limits = self._shapes.popleft()
            total = self._told.total
            while self._settled:
                total = Charge(*map(sum, zip(total, self._settled.popleft(), strict=True)))
            self._told = _Told(self._told.number + 1, total)
            return self._limits, self._told, self._heard

    def _answered(self, limits: tuple[Limit, ...], told: _Told) -> None:
        with self._lock:
            if told.number > self._heard.number:
                self._heard = told
            if self._limits is limits:
                # A level is lowered once.
                self._limits = tuple(limit._replace(at_most=_NO_BOUND) for limit in limits)

    def _level(self, limit: Limit) -> str:
        return self._named("level", f"{limit.unit}:{limit.per_s:g}")

    def _named(self, kind: str, what: str) -> str:
        return f"{self._root}{kind}:{self._name}:{what}"


def _spelled(limit: Limit, charge: Charge, told: _Told, heard: _Told) -> tuple[float, ...]:
    unit = limit.unit
    totals = told.total[unit], heard.total[unit]
    at_most = min(limit.at_most, _NO_BOUND)
    return charge[unit], *totals, limit.amount, limit.rate_per_s, at_most
