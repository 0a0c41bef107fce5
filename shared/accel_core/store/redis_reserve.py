"""The script by which processes take of the limits they share on a Redis server.

Names, of which ``{PREFIX}`` is the hash tag, so that all are in one slot of a cluster; NAME, whose
limits they are, is hashed:

=====================================  ======  ================================================
``{PREFIX}:N:level:NAME:UNIT:SECONDS``  hash    a limit: ``level``, ``at_us``, ``rate``, ``back_us``
``{PREFIX}:N:heard:NAME:HANDLE``        hash    what a handle has told: ``number``, totals by limit
``{PREFIX}:N:takers:NAME``              zset    handles by when they last asked, microseconds
``{PREFIX}:N:closed:NAME``              string  until when the provider takes no calls, microseconds
=====================================  ======  ================================================

A level is what is left, by the server's clock; it may be below zero, and once full it is forgotten,
for that is how it would begin. Nothing here needs to be given back by whoever took it: a process
that dies has its part refilled, and is counted among the takers for `LIVE_S` at most.

**What came back** is told as a running total with a number, so that it counts once though an answer
was lost. **A command that comes too late** (`valid_us`) changes nothing: a server that was frozen
carries out what its clients gave up long ago.

**After an outage** processes come back one by one, each with what is left of its share, and what it
took of it. Until then the others may still be taking of theirs, so whoever comes first leaves its
own rest as the level (``back_us`` says when), and those who follow add theirs, less what has been
refilled here since. Who was away alone, while others asked, has what it took charged, up to a whole
share: what it took longer ago has been refilled.

**What no script of ours wrote** counts as nothing: a name of another type is freed, and a number
that is none, or beyond reason (`_DEEPEST`, `_CLOSED_S`), is as if it were not there.
"""

from __future__ import annotations

from accel_core.store.redis_scripts import Script

LIVE_S = 60.0
"""For how long a process that asks nothing counts among those that take of the limits."""

_HEARD_MS = 3_600_000
"""How long the server remembers a handle: far longer than an answer may be late."""

_FULL_MS = 60_000
"""How long a level that is full is kept."""

FIRST_LEVEL = 3
"""How many names come before those of the limits."""

_DEEPEST = 1_000
"""No level is so many times its limit below nothing."""

_CLOSED_S = 86_400
"""No provider takes no calls for so long."""

RESERVE = Script(
    """
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local handle, takers, closed = KEYS[1], KEYS[2], KEYS[3]
local me = ARGV[1]
local given = {}
for i = 2, 7 do given[i - 1] = tonumber(ARGV[i]) end
local max_wait_s, number, valid_us, away_us, share, closed_ms = unpack(given)
local function digits(value) return string.format('%.17g', value) end
if valid_us > 0 and now_us > valid_us then return {digits(now_us)} end
for i, name in ipairs(KEYS) do
    local kind, ours = redis.call('TYPE', name).ok, ({'hash', 'zset', 'string'})[i] or 'hash'
    if kind ~= ours and kind ~= 'none' then redis.call('DEL', name) end
end

local last = tonumber(redis.call('HGET', handle, 'number')) or 0
local seen_us = tonumber(redis.call('ZSCORE', takers, me)) or 0
-- Away: since when, 0: it was never answered, below: it was not.
local was_away, answer_lost = away_us >= 0, seen_us > away_us

local function come_back(level, at_us, back_us, amount, rate, rest, taken)
    if not at_us or at_us <= away_us then return math.min(level, rest), now_us end
    if back_us > away_us and away_us > 0 and not answer_lost then
        local refilled = share * rate * (now_us - back_us) / 1000000
        return level + math.max(rest - refilled, -taken), back_us
    end
    return level - math.max(0, math.min(taken, share * amount - math.min(0, rest))), back_us
end
""",
    f"""
local wait_s, limits, totals = 0, {{}}, {{}}
for i = {FIRST_LEVEL + 1}, #KEYS do
    local first = 8 * (i - {FIRST_LEVEL + 1}) + 8
    local values = {{}}
    for field = 0, 7 do values[field + 1] = tonumber(ARGV[first + field]) end
    local charge, total, told, amount, rate, at_most, rest, taken = unpack(values)
    local state = redis.call('HMGET', KEYS[i], 'level', 'at_us', 'rate', 'back_us')
    local level, at_us, back_us = tonumber(state[1]), tonumber(state[2]), tonumber(state[4]) or 0
    if level and at_us and now_us > at_us then
        level = level + (now_us - at_us) / 1000000 * (tonumber(state[3]) or rate)
    end
    if not (at_us and level and level > -{_DEEPEST} * amount) then
        -- Full, as far as whoever asks knows: the server may have lost what it held.
        level, at_us = math.min(amount, rest), nil
    end
    level = math.min(level, amount, at_most)
    if was_away then
        level, back_us = come_back(level, at_us, back_us, amount, rate, rest, taken)
        level = math.min(level, amount)
    end
    if number > last then
        local heard = tonumber(redis.call('HGET', handle, KEYS[i])) or told
        level = math.min(level + total - heard, amount)
        totals[#totals + 1] = KEYS[i]
        totals[#totals + 1] = ARGV[first + 1]
    end
    local missing = math.min(charge - level, amount - level)
    if missing > amount * 1e-9 then wait_s = math.max(wait_s, missing / rate) end
    limits[i] = {{charge, level, amount, rate, back_us}}
end

if number > last then
    -- Anew: what was heard of a limit that is no longer told must not count when it is again.
    redis.call('DEL', handle)
    redis.call('HSET', handle, 'number', ARGV[3], unpack(totals))
    redis.call('PEXPIRE', handle, {_HEARD_MS})
end
local closed_us = tonumber(redis.call('GET', closed)) or 0
if not (closed_us < now_us + {_CLOSED_S}e6) then closed_us = 0 end
if closed_ms > 0 and now_us + closed_ms * 1000 > closed_us then
    closed_us = now_us + closed_ms * 1000
    redis.call('SET', closed, digits(closed_us), 'PX', closed_ms)
end
wait_s = math.max(wait_s, (closed_us - now_us) / 1000000)
redis.call('ZADD', takers, digits(now_us), me)
redis.call('ZREMRANGEBYSCORE', takers, '-inf', digits(now_us - {LIVE_S * 1e6:.0f}))
redis.call('PEXPIRE', takers, {_HEARD_MS})

local answer = {{digits(now_us), digits(wait_s), redis.call('ZCARD', takers)}}
for i = {FIRST_LEVEL + 1}, #KEYS do
    local charge, level, amount, rate, back_us = unpack(limits[i])
    if wait_s <= max_wait_s then level = level - charge end
    redis.call('HSET', KEYS[i], 'level', digits(level), 'at_us', digits(now_us),
        'rate', digits(rate), 'back_us', digits(back_us))
    local full_ms = math.ceil((amount - level) / rate * 1000) + {_FULL_MS}
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', math.min(full_ms, 1e14)))
    answer[#answer + 1] = digits(level)
end
return answer
""",
)
"""KEYS: the handle, the takers, whether it is closed, the limits.

ARGV: who asks; the longest wait, seconds; the number; until when it may be carried out,
microseconds of the server's clock, 0: whenever; since when this handle was away; its share; for how
long the provider takes no calls, whole milliseconds. Then of each limit: what is charged, what was
settled in all, how much of that was heard, its amount, its rate, what it is lowered to, what may be
left of it (of the share of who was away), what was taken away.

Returns the server's clock; unless it came too late, the wait in seconds, the number of takers, and
the level of each limit.
"""

LEAVE = Script("redis.call('ZREM', KEYS[1], ARGV[1])")
"""KEYS: the takers. ARGV: who leaves."""
