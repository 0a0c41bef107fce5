"""The scripts of leases on a Redis server; the save that ends one is among `redis_changes`.

A lease is the hash ``{PREFIX}:3:flight:NAME`` (NAME hashed), gone as the lease ends: its field
``leader`` holds the leader's token, and each other field is the channel of a process that waits,
``{PREFIX}:3:waiting:PROCESS``, which is told ``over FLIGHT``, or ``declined FLIGHT``. A claim whose
answer nobody waited for leaves the string ``{PREFIX}:3:flight:NAME:TOKEN``, or it could still take
the lease when it arrives.
"""

from __future__ import annotations

from accel_core.store.redis_scripts import Script

REMEMBERED = 64
"""Invalidations that are told apart; what was claimed before them is not stored."""

END_FLIGHT = """
local function end_flight(flight, token, how)
    if redis.pcall('HGET', flight, 'leader') ~= token then return end
    local waiting = redis.call('HKEYS', flight)
    redis.call('DEL', flight)
    for _, channel in ipairs(waiting) do
        if channel ~= 'leader' then redis.call('PUBLISH', channel, how .. ' ' .. flight) end
    end
end
"""
"""Ends the lease that `token` holds, and tells who waits ``over`` or ``declined``."""

# Where what was invalidated later is lost, forgotten or no record of ours, it may have been meant.
IS_OUTDATED = f"""
local function is_outdated(key, print, mark)
    local last = tonumber(redis.call('HGET', counter, 'outdated')) or 0
    if mark == last then return false end
    local later = redis.call('ZRANGEBYSCORE', outdated, '(' .. digits(mark), '+inf')
    local lost = mark > 0 and #later < last - mark or #later >= {REMEMBERED}
    if mark > last or lost then return true end
    for _, record in ipairs(later) do
        local read, fits = pcall(means, record, key, print)
        if fits or not read then return true end
    end
    return false
end
"""
"""Whether an invalidation after `mark` means an entry; it needs `redis_selection.MEANS`."""

TAKE = """
local function take(flight, counter, token, waiting, lease_ms)
    if redis.call('HEXISTS', flight, 'leader') == 1 then
        if waiting ~= '' then redis.call('HSET', flight, waiting, '') end
        return {'led', redis.call('PTTL', flight)}
    end
    if redis.call('EXISTS', flight .. ':' .. token) == 1 then return {'led', 0} end
    redis.call('HSET', flight, 'leader', token)
    redis.call('PEXPIRE', flight, lease_ms)
    local mark = redis.call('HGET', counter, 'outdated')
    if not mark then
        local now = redis.call('TIME')
        mark = string.format('%.0f', now[1] * 1000000 + now[2])
        redis.call('HSET', counter, 'outdated', mark)
    end
    return {'lease', mark}
end
"""
"""Takes a lease, or lines up with who waits for it.

Returns ``led`` with the rest of the lease in ms, or ``lease`` with the number of the last
invalidation.
"""

CLAIM = Script(
    TAKE,
    """
local flight, counter, expiry = unpack(KEYS)
local entry, key, token, waiting, lease_ms, passed_over = unpack(ARGV)
local body = redis.pcall('HGET', entry .. key, 'body')
if type(body) == 'string' then
    local expires_ms = redis.call('ZSCORE', expiry, key) or ''
    if tonumber(expires_ms) ~= tonumber(passed_over) then
        return {'entry', body, expires_ms}
    end
end
return take(flight, counter, token, waiting, lease_ms)
""",
)
"""KEYS: the flight, the counter, when entries expire. ARGV: entry prefix, key, token, the channel
of this process where it listens, how long the lease is, when the entry expires that is passed over.

Returns ``entry`` with its bytes and when it expires; or what `TAKE` does.
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
for i, flight in ipairs(KEYS) do
    local token, how = ARGV[2 * i], ARGV[2 * i + 1]
    end_flight(flight, token, how == 'unheard' and 'over' or how)
    if how == 'unheard' then redis.pcall('SET', flight .. ':' .. token, '', 'PX', ARGV[1]) end
end
""",
)
"""KEYS: flights. ARGV: how long a lease is, in ms; token, and ``over``, ``declined`` or
``unheard``, of each: nobody waits for the answer to its claim.
"""

OUTDATE = Script(
    f"""
local counter, outdated, news = unpack(KEYS)
-- First, for a full server accepts it, and then what follows.
redis.call('ZREMRANGEBYRANK', outdated, 0, {-REMEMBERED})
if redis.call('HEXISTS', counter, 'outdated') == 0 then
    local now = redis.call('TIME')
    redis.call('HSET', counter, 'outdated', string.format('%.0f', now[1] * 1000000 + now[2]))
end
local number = redis.call('HINCRBY', counter, 'outdated', 1)
local digits = string.format('%.0f', number)
redis.call('ZADD', outdated, digits, digits .. ' ' .. ARGV[1])
redis.call('PUBLISH', news, 'outdated')
"""
)
"""KEYS: the counter, the invalidations, the channel of news. ARGV: a `redis_selection.meaning`."""
