"""The scripts of leases on a Redis server; the save that ends one is among `redis_scripts`.

A lease is the hash ``{PREFIX}:1:flight:NAME`` (NAME hashed), gone as the lease ends: its field
``leader`` holds the leader's token, and each other field is the channel of a process that waits,
``{PREFIX}:1:waiting:PROCESS``, which is told ``over FLIGHT``, or ``declined FLIGHT``.
"""

from __future__ import annotations

from accel_core.store.redis_scripts import END_FLIGHT, Script

_REMEMBERED = 64
"""Invalidations that are told apart; what was claimed before them is not stored."""

CLAIM = Script(
    """
local flight, counter, expiry = unpack(KEYS)
local entry, key, token, waiting, lease_ms, passed_over = unpack(ARGV)
local body = redis.call('GET', entry .. key)
if body then
    local expires_ms = redis.call('ZSCORE', expiry, key) or ''
    if tonumber(expires_ms) ~= tonumber(passed_over) then
        return {'entry', body, expires_ms}
    end
end
if redis.call('HEXISTS', flight, 'leader') == 1 then
    if waiting ~= '' then redis.call('HSET', flight, waiting, '') end
    return {'led', redis.call('PTTL', flight)}
end
redis.call('HSET', flight, 'leader', token)
redis.call('PEXPIRE', flight, lease_ms)
local mark = redis.call('HGET', counter, 'outdated')
if not mark then
    local now = redis.call('TIME')
    mark = string.format('%.0f', now[1] * 1000000 + now[2])
    redis.call('HSET', counter, 'outdated', mark)
end
return {'lease', mark}
"""
)
"""KEYS: the flight, the counter, when entries expire. ARGV: entry prefix, key, token, the channel
of this process where it listens, how long the lease is, when the entry expires that is passed over.

Returns ``entry`` with its bytes and when it expires; ``led`` with the rest of the lease in ms; or
``lease`` with the number of the last invalidation.
"""

RENEW = Script(
    """
for i, flight in ipairs(KEYS) do
    if redis.call('HGET', flight, 'leader') == ARGV[i + 1] then
        redis.call('PEXPIRE', flight, ARGV[1])
    end
end
"""
)
"""KEYS: flights. ARGV: how long a lease is, in ms; the token of each."""

END = Script(
    END_FLIGHT,
    """
for i, flight in ipairs(KEYS) do end_flight(flight, ARGV[2 * i - 1], ARGV[2 * i]) end
""",
)
"""KEYS: flights. ARGV: token, and ``over`` or ``declined``, of each."""

OUTDATE = Script(
    f"""
local counter, outdated = unpack(KEYS)
-- First, for a full server accepts it, and then what follows.
redis.call('ZREMRANGEBYRANK', outdated, 0, {-_REMEMBERED})
if redis.call('HEXISTS', counter, 'outdated') == 0 then
    local now = redis.call('TIME')
    redis.call('HSET', counter, 'outdated', string.format('%.0f', now[1] * 1000000 + now[2]))
end
local number = redis.call('HINCRBY', counter, 'outdated', 1)
local digits = string.format('%.0f', number)
redis.call('ZADD', outdated, digits, cmsgpack.pack({{digits, unpack(ARGV)}}))
"""
)
"""KEYS: the counter, the invalidations. ARGV: a key or nothing, place and digest of each condition
of what is meant.
"""
