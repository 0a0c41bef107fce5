"""The scripts that search by meaning on a Redis server, and claim a lease where nothing is near.

A lookup is one of them, hence one round trip: the entries under its keys, the nearest of its place,
the bytes of all, and where none of these could be served, the lease of its flight
(`redis_flight_scripts`). Whatever prevents the search or the claim is told, and raises nothing.
"""

from __future__ import annotations

from accel_core.store.redis_changes import LINKS, OUTLIVES_MS
from accel_core.store.redis_flight_scripts import TAKE
from accel_core.store.redis_scripts import Script
from accel_core.vectors import SHORT_DIMENSIONS

_DEVIATIONS = 4.7
"""How many standard deviations a cosine by shortened vectors may be from that by whole ones: more
are met by one in 400,000. One is (1 - c²) / √96 (`vectors.shortened`): at 0.72, 0.05.
"""

_FOUND = 50
"""How many of its elements a graph looks at (EF): over 10,000 real questions, the nearest of 99.8 %
of those that have one at 0.72 or nearer; looking at 30, 99.2 %.
"""

_BUILT = 100
"""The same while the index is built: the servers' 200 take twice as long, and find no more."""

_READ = f"""
local entry, place, short, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local flight, below, whole, enough = ARGV[6], tonumber(ARGV[11]), ARGV[12], tonumber(ARGV[13])
local exact, near, seen, swept, problem = {{}}, {{}}, {{}}, 0, ''
local best, nearest, numbers = -2, ''
local roughly = {_DEVIATIONS} * (1 - below * below) / math.sqrt({SHORT_DIMENSIONS})
local function part(value) return struct.pack('<I4', #value) .. value end
local function spelled(key, body) return part(key) .. part(body) end
-- By the vector in an entry's body, a byte a number (`vectors.coarse`).
local function cosine_of(body)
    local at, count = 59, #whole / 4
    for i = 19, 47, 4 do at = at + struct.unpack('<I4', body, i) end
    -- Whatever it says its length is: the server waits for this.
    if struct.unpack('<I4', body, 51) ~= 4 + count then error('another length') end
    numbers = numbers or {{struct.unpack('<' .. string.rep('f', count), whole)}}
    local others, sum = {{struct.unpack(string.rep('b', count), body, at + 4)}}, 0
    for i = 1, count do sum = sum + numbers[i] * others[i] end
    return sum * (struct.unpack('<f', body, at))
end
-- Shortened vectors say how near it is, or nothing does; where that leaves open whether it is too
-- near for the claim, it is worked out.
local function meet(key, body, cosine)
    if flight ~= '' and best < below and math.abs(cosine - below) < roughly then
        local read, exactly = pcall(cosine_of, body)
        cosine = read and exactly or 1
    end
    local row = spelled(key, body)
    near[#near + 1] = row
    if cosine > best then best, nearest = cosine, row end
end
local function is_enough(cosine)
    if #near == most then return true end
    return #near >= enough and flight ~= '' and cosine < below - roughly
end
for i = 14, #ARGV do
    local key = ARGV[i]
    seen[key] = true
    local body = redis.pcall('HGET', entry .. key, 'body')
    if body then exact[#exact + 1] = spelled(key, type(body) == 'string' and body or '') end
end
"""

# In one piece: redis-py takes 100 microseconds more for a list of three rows.
_ANSWER = """
local claimed = {}
if flight ~= '' and problem == '' and #exact == 0 and best < below
    and redis.call('EXISTS', entry .. ARGV[7]) == 0 then
    local took, answer = pcall(take, flight, KEYS[2], ARGV[8], ARGV[9], ARGV[10])
    if took then claimed, near = answer, {nearest} end
end
local parts = {table.concat(exact), table.concat(near), tostring(swept), problem, unpack(claimed)}
for i, value in ipairs(parts) do parts[i] = part(tostring(value)) end
return table.concat(parts)
"""

FETCH = Script(
    """
local rows = {}
for i, name in ipairs(KEYS) do
    local body = redis.pcall('HGET', name, 'body')
    rows[i] = body and {type(body) == 'string' and body or ''} or {}
end
return rows
"""
)
"""KEYS: entries. Returns the bytes of each, nothing where there is none."""

FIND_BY_INDEX = Script(
    TAKE,
    _READ,
    f"""
local done = false
local function search(which, policy, count)
    local found = redis.pcall(
        'FT.SEARCH', ARGV[5], which .. '=>[KNN ' .. count .. ' @vector $short' .. policy .. ']',
        'PARAMS', 2, 'short', short, 'SORTBY', '__vector_score', 'RETURN', 1, '__vector_score',
        'LIMIT', 0, count, 'DIALECT', 2)
    problem = found.err or ''
    for i = 2, #found, 2 do
        local cosine = 1 - (tonumber(found[i + 1][2]) or -1)
        if is_enough(cosine) then
            done = true
            return
        end
        local key = string.sub(found[i], #entry + 1)
        local fields = {{}}
        if not seen[key] then fields = redis.pcall('HMGET', entry .. key, 'place', 'body') end
        if fields[1] == place and fields[2] then
            seen[key] = true
            meet(key, fields[2], cosine)
        end
    end
end
search('*', ' EF_RUNTIME {_FOUND}', 2 * most)
if #near < most and not done and problem == '' then
    search('@place:{{' .. place .. '}}', ' HYBRID_POLICY ADHOC_BF', most)
end
""",
    _ANSWER,
)
"""KEYS: lone, the counter, the flight. ARGV: entry prefix, place, vector shortened, float16, most,
index; flight or nothing, key of its entry, token, the channel of this process where it listens, how
long the lease is in ms, the cosine that the nearest must be below; vector as float32; how many of
the nearest are wanted however far they are; keys.

Returns in one piece, each preceded by its length: the entries under the keys, and the nearest of
the place, as key and bytes likewise; how many vectors without an entry were removed; what prevented
the search; and what `redis_flight_scripts.TAKE` returned, or nothing.
"""

FIND_IN_SET = Script(
    TAKE,
    _READ,
    f"""
local time = redis.call('TIME')
local over_ms = time[1] * 1000 + math.floor(time[2] / 1000) + {OUTLIVES_MS}
local function is_over(key)
    local leaves_ms = redis.call('PEXPIRETIME', entry .. key)
    return leaves_ms >= 0 and leaves_ms <= over_ms
end
local function read(key, cosine)
    seen[key] = true
    local body = redis.pcall('HGET', entry .. key, 'body')
    if type(body) ~= 'string' then return false end
    meet(key, body, cosine)
    return true
end
local set = ARGV[5] .. place
local found = redis.pcall(
    'VSIM', set, 'FP32', short, 'WITHSCORES', 'COUNT', 4 * most, 'EF', {_FOUND})
if found.err then
    problem = found.err
else
    for i = 1, #found, 2 do
        local key, cosine = found[i], 2 * (tonumber(found[i + 1]) or 1) - 1
        if is_enough(cosine) then break end
        if not seen[key] and not is_over(key)
            and not read(key, cosine) then
            local gone = redis.pcall('VREM', set, key)
            if type(gone) == 'number' then swept = swept + gone end
        end
    end
end
-- Last, for nothing says how near this one is.
local lone = redis.pcall('HGET', KEYS[1], place)
if type(lone) == 'string' and not seen[lone] and not is_over(lone) then read(lone, below) end
""",
    _ANSWER,
)
"""The same by a vector set: the shortened vector as float32, the prefix of sets for the index.

Elements whose entry is past its time are passed over: they must not stand for those that are not.
"""

FIND_BY_KEYS = Script(
    TAKE,
    _READ,
    """
for i = 4, #KEYS do
    local key = string.sub(KEYS[i], #entry + 1)
    local body = redis.pcall('HGET', KEYS[i], 'body')
    if body and not seen[key] then meet(key, type(body) == 'string' and body or '', -1) end
end
""",
    _ANSWER,
)
"""The same where the process has searched: the names of what it found follow the flight, the
nearest first. None of them is near enough to be served where a lease is wanted.
"""

PROBE = Script(
    """
local function refusal(...)
    local answer = redis.pcall(...)
    return type(answer) == 'table' and answer.err or ''
end
return {
    refusal('FT.SEARCH', ARGV[1], '*', 'NOCONTENT', 'LIMIT', 0, 0),
    refusal('VCARD', KEYS[1]),
}
"""
)
"""KEYS: a vector set that may be missing. ARGV: an index that may be.

Returns what the query engine, and what vector sets, say against being used; nothing where they can.
"""

CREATE_INDEX = Script(
    f"""
local made = redis.pcall(
    'FT.CREATE', ARGV[1], 'ON', 'HASH', 'PREFIX', 1, ARGV[2],
    'NOOFFSETS', 'NOHL', 'NOFIELDS', 'NOFREQS', 'SCHEMA', 'place', 'TAG', 'vector', 'VECTOR',
    'HNSW', 10, 'TYPE', 'FLOAT16', 'DIM', {SHORT_DIMENSIONS}, 'DISTANCE_METRIC', 'COSINE',
    'M', {LINKS}, 'EF_CONSTRUCTION', {_BUILT})
return made.err or ''
"""
)
"""KEYS: any of the store's. ARGV: index, entry prefix. Returns what stood against it.

Entries that are there already are taken in by the server, in the background.
"""
