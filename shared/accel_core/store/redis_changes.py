"""The scripts that change entries, and tell what was changed: each whole or not at all.

Revisions begin at the server's clock in microseconds, so those of a server that lost its data are
above all that it gave before, and whoever knows an older one is told to start again.

Removing begins with a command that a full server accepts, and so is possible there; saving with one
that it refuses.

Where vector sets search, a save places an entry in its scope's set and a removal takes it out. An
element does not expire: its entry outlives its time by `OUTLIVES_MS`, so that the save that cleans
it away still finds in it where it was placed; a set ends with its last entry; and what was left
behind all the same is removed where it is met, and by a look at some with every save.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from accel_core.store.redis_flight_scripts import END_FLIGHT, IS_OUTDATED
from accel_core.store.redis_scripts import Script
from accel_core.store.redis_selection import MEANS

HISTORY_REVISIONS = 20_000
"""How far back removals can be asked for; who is further behind is told to start again."""

_CLEANED = 200
"""The most entries that one call of `SAVE` lets go because they expired, or for space."""

_LATE_MS = 60_000
"""How long after its expiry what finds an entry is cleaned away at the latest, while any are saved.

Not at once: then every save would let one go, and have all readers ask what.
"""

OUTLIVES_MS = 2 * _LATE_MS
"""How much longer than its time an entry is kept where vector sets search."""

_LOOKED_AT = 8
"""Elements of one set, and entries without one, that a save looks at for what was left behind."""

_CREATED_AT = 3
"""Where in an entry's bytes it says when it was created (`codec`), from 1 on as Lua counts."""

LINKS = 8
"""M of a graph: 64 bytes an entry less than with the servers' 16 in an index, 150 in a set."""

_LATE = 16
"""Entries that a save gives to be placed late, more than are saved at once: so it gets done."""

# Lua's numbers are float64 and print 14 digits, of which revisions have 16.
_STATE = """
local counter, order, expiry, removed, lone, sets, news, outdated = unpack(KEYS)
local entry, writer, near = ARGV[1], ARGV[2], ARGV[3]
local function digits(number) return string.format('%.0f', number) end
local state = redis.call('HMGET', counter, 'revision', 'horizon')
local revision, horizon = tonumber(state[1]), tonumber(state[2])
"""

_PLACING = f"""
local problem = ''
local function unplace(key, place)
    if near == '' or not place then return end
    if redis.call('HGET', lone, place) == key then
        redis.call('HDEL', lone, place)
    else
        redis.pcall('VREM', near .. place, key)
    end
end
local function put(key, place, vector, expires_ms)
    local holder = redis.call('HGET', lone, place)
    if holder == key then return end
    local set = near .. place
    if not holder or redis.call('EXISTS', entry .. holder) == 0 then
        redis.pcall('VREM', set, key)
        redis.call('HSET', lone, place, key)
        return
    end
    local added = redis.pcall('VADD', set, 'FP32', vector, key, 'Q8', 'M', {LINKS})
    if type(added) == 'table' then
        problem = added.err
        return
    end
    redis.call('SADD', sets, place)
    if redis.call('PEXPIRETIME', set) < expires_ms then
        redis.call('PEXPIREAT', set, digits(expires_ms))
    end
end
local function missing(key) return redis.call('EXISTS', entry .. key) == 0 end
local function sweep()
    local swept = 0
    if near == '' then return swept end
    local some = redis.call('HRANDFIELD', lone, {_LOOKED_AT}, 'WITHVALUES')
    for i = 1, #some, 2 do
        if missing(some[i + 1]) then swept = swept + redis.call('HDEL', lone, some[i]) end
    end
    local place = redis.call('SRANDMEMBER', sets)
    if not place then return swept end
    local keys = redis.pcall('VRANDMEMBER', near .. place, {_LOOKED_AT})
    if keys.err or #keys == 0 then redis.call('SREM', sets, place) end
    for _, key in ipairs(keys) do
        if missing(key) then swept = swept + redis.call('VREM', near .. place, key) end
    end
    return swept
end
"""

_CHANGING = f"""
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
if not (revision and horizon) then
    revision = now[1] * 1000000 + now[2]
    horizon = revision
end
local began = revision
local function tell_removed(key)
    revision = revision + 1
    redis.call('ZADD', removed, digits(revision), key)
end
local function placed(key)
    if near == '' then return nil end
    local place = redis.pcall('HGET', entry .. key, 'place')
    return type(place) == 'string' and place
end
local function remove(key)
    local place = placed(key)
    local there = redis.call('DEL', entry .. key)
    unplace(key, place)
    redis.call('ZREM', expiry, key)
    if redis.call('ZREM', order, key) + there > 0 then tell_removed(key) end
    return there
end
local function created(body) return (struct.unpack('<d', body, {_CREATED_AT})) end
local function is_older(key, created_s)
    local kept = redis.pcall('HGET', entry .. key, 'body')
    if type(kept) ~= 'string' then return false end
    local read, kept_s = pcall(created, kept)
    return read and kept_s > created_s
end
local function finish()
    if revision == began then return end
    local oldest = digits(revision - {HISTORY_REVISIONS})
    if redis.call('ZREMRANGEBYSCORE', removed, '-inf', oldest) > 0 then horizon = oldest end
    redis.call('HSET', counter, 'revision', digits(revision), 'horizon', digits(horizon))
    redis.call('PUBLISH', news, 'entries ' .. writer .. ' ' .. digits(revision))
end
"""

SAVE = Script(
    _STATE,
    _PLACING,
    _CHANGING,
    MEANS,
    END_FLIGHT,
    IS_OUTDATED,
    f"""
local function store(key, body, print, place, short, expires_ms)
    local name, before = entry .. key, placed(key)
    local kind = redis.call('TYPE', name).ok
    if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', name) end
    redis.call('HSET', name, 'body', body, 'print', print)
    for field, value in pairs({{vector = near == '' and short or '', place = place}}) do
        redis.call(value == '' and 'HDEL' or 'HSET', name, field, value)
    end
    local leaves_ms = expires_ms
    if near ~= '' then leaves_ms = expires_ms + {OUTLIVES_MS} end
    redis.call('PEXPIREAT', name, digits(leaves_ms))
    if before and before ~= place then unplace(key, before) end
    if near ~= '' and short ~= '' then put(key, place, short, leaves_ms) end
end
local by, most, leaving, refused = ARGV[4], tonumber(ARGV[5]), 0, 0
local function is_late()
    if by == 'process' then return false end
    local placed = tonumber(redis.call('HGET', counter, by)) or 0
    return redis.call('ZCOUNT', order, '(' .. digits(placed), '+inf') > 0
end
local function some_late()
    local placed = tonumber(redis.call('HGET', counter, by)) or 0
    local page = redis.call(
        'ZRANGEBYSCORE', order, '(' .. digits(placed), '+inf', 'WITHSCORES', 'LIMIT', 0, {_LATE})
    local rows = {{}}
    for i = 1, #page, 2 do
        local fields = redis.pcall('HMGET', entry .. page[i], 'body', 'place')
        if fields[1] and fields[2] then rows[#rows + 1] = {{page[i], fields[1]}} end
    end
    return rows, page[#page] or ''
end
local has_late = is_late()
for i = 6, #ARGV, 9 do
    local key, body, expires_ms, print, place, short = unpack(ARGV, i, i + 5)
    local flight, token, mark = unpack(ARGV, i + 6, i + 8)
    local how = 'over'
    expires_ms = tonumber(expires_ms)
    if is_older(key, created(body)) then
        refused = refused + 1
        tell_removed(key)
    elseif flight ~= '' and is_outdated(key, print, tonumber(mark)) then
        how, refused = 'declined', refused + 1
        tell_removed(key)
    elseif expires_ms <= now_ms then
        remove(key)
    else
        store(key, body, print, place, short, expires_ms)
        if place ~= '' then
            redis.call('ZREM', removed, key)
        elseif redis.call('ZSCORE', order, key) then
            tell_removed(key)
        end
        revision = revision + 1
        redis.call('ZADD', order, digits(revision), key)
        redis.call('ZADD', expiry, digits(expires_ms), key)
    end
    if flight ~= '' then end_flight(flight, token, how) end
end
local function let_go(keys)
    for _, key in ipairs(keys) do remove(key) end
    leaving = leaving + #keys
end
local over = redis.call('ZCARD', order) - most
if over > 0 or redis.call('ZCOUNT', expiry, '-inf', now_ms - {_LATE_MS}) > 0 then
    let_go(redis.call('ZRANGEBYSCORE', expiry, '-inf', now_ms, 'LIMIT', 0, {_CLEANED}))
    over = redis.call('ZCARD', order) - most
end
if over > 0 then
    local some = math.min(over + math.floor(most / 64), {_CLEANED})
    let_go(redis.call('ZRANGE', order, 0, some - 1))
end
local swept = sweep()
local late, reached = {{}}, ''
if has_late then
    late, reached = some_late()
elseif by ~= 'process' then
    redis.call('HSET', counter, by, digits(revision))
end
finish()
return {{leaving, refused, swept, problem, late, reached}}
""",
)
"""ARGV: entry prefix, writer, set prefix or nothing, who searches, most entries; then of each
entry key, bytes, expiry in ms, fingerprint, place where it has one, its shortened vector as who
searches takes it, and the flight, token and mark of the lease that it ends, or nothing three times.

What is older than the entry that is there does not replace it: it was asked for before that, and
delivered late. Returns how many were let go for time or space, how many were outdated or older, how
many vectors without an entry were removed, why one could not be placed, some entries that may have
no place yet in what searches, key and bytes of each, and up to which revision there are no others.
"""

PLACE = Script(
    _STATE,
    _PLACING,
    f"""
local by, reached = ARGV[4], tonumber(ARGV[5])
for i = 6, #ARGV, 3 do
    local key, place, short = unpack(ARGV, i, i + 2)
    local name, expires_ms = entry .. key, redis.call('ZSCORE', expiry, key)
    if expires_ms and redis.pcall('HGET', name, 'place') == place then
        if near == '' then
            redis.call('HSET', name, 'vector', short)
        else
            local leaves_ms = tonumber(expires_ms) + {OUTLIVES_MS}
            redis.call('PEXPIREAT', name, digits(leaves_ms))
            put(key, place, short, leaves_ms)
        end
    end
end
if reached > (tonumber(redis.call('HGET', counter, by)) or 0) then
    redis.call('HSET', counter, by, digits(reached))
end
return problem
""",
)
"""ARGV: entry prefix, writer, set prefix or nothing, who searches, up to which revision all are
placed afterwards; key, place and shortened vector of each. Returns why one could not be placed.
"""

REMOVE = Script(
    _STATE,
    _PLACING,
    _CHANGING,
    """
local gone = 0
for i = 4, #ARGV, 2 do
    local created_s = tonumber(ARGV[i + 1])
    if not (created_s and is_older(ARGV[i], created_s)) then gone = gone + remove(ARGV[i]) end
end
finish()
return gone
""",
)
"""ARGV: entry prefix, writer, set prefix or nothing; keys, each with nothing, or with the moment
after which what was stored there stays. Returns how many were removed.
"""

CHANGES = Script(
    _STATE,
    """
local told, after = tonumber(ARGV[4]), tonumber(ARGV[5])
local most, first, bodies, reset = tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8] == '1', 0
local heard = ARGV[9]
revision, horizon = revision or 0, horizon or 0
if told > 0 and (told < horizon or told > revision) then
    told, after, reset = 0, 0, 1
end
local gone = {}
if first then gone = redis.call('ZRANGEBYSCORE', removed, '(' .. digits(told), '+inf') end
local page = redis.call(
    'ZRANGEBYSCORE', order, '(' .. digits(after), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local stored = {}
for i = 1, #page, 2 do
    after = tonumber(page[i + 1])
    if not bodies then
        stored[#stored + 1] = page[i]
    else
        local fields = redis.pcall('HMGET', entry .. page[i], 'body', 'place')
        if fields.err or fields[2] then stored[#stored + 1] = {page[i], fields[1] or ''} end
    end
end
local last = tonumber(redis.call('HGET', counter, 'outdated')) or 0
local later = {}
if last ~= tonumber(heard) then
    later = redis.call('ZRANGEBYSCORE', outdated, '(' .. heard, '+inf')
end
return {digits(revision), reset, gone, digits(after), #page / 2, stored, digits(last), later}
""",
)
"""ARGV: entry prefix, writer, set prefix, told, after, page, 1 for the first page, 1 for bodies,
the last invalidation heard of.

Returns the revision, whether to start again, the keys removed after `told`, how far this page
went, how many it looked at, what was stored: keys; with bodies, key and bytes of each that
can be located; the number of the last invalidation; and the records of those not heard of.
"""


class Page(NamedTuple):
    """Some of the changes, as of one moment.

    Attributes:
        revision: the last one given.
        reset: whether the history asked for is gone.
        removed: keys that were removed.
        after: the revision of the last entry looked at.
        last: whether there are no later ones.
        stored: keys of what was stored, or where vectors are wanted, rows of what can be located.
    """

    revision: int
    reset: bool
    removed: list[bytes]
    after: int
    last: bool
    stored: list[Any]
