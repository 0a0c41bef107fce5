"""What is kept in Redis, under which names, and the scripts that change and read it as one.

Names, of which ``{PREFIX}`` is the hash tag, so that all are in one slot of a cluster; the number
is the format's version, and another version's names are others:

==============================  ======  =======================================================
``{PREFIX}:1:entry:KEY``        string  `codec` bytes; expires with its entry
``{PREFIX}:1:order``            zset    key by the revision that stored it
``{PREFIX}:1:expiry``           zset    key by the moment it expires, milliseconds
``{PREFIX}:1:found``            hash    key to what selects it: `fingerprint`
``{PREFIX}:1:removed``          zset    removed keys by revision, the last `HISTORY_REVISIONS`
``{PREFIX}:1:counter``          hash    ``revision`` given last; ``horizon`` of ``removed``
``{PREFIX}:1:corpus:CORPUS``    hash    ``revision``; ``everything``, the last that concerned all
``{PREFIX}:1:documents:CORPUS`` zset    changed documents by revision
``{PREFIX}:1:news``             channel ``entries WRITER REVISION`` or ``corpora WRITER``
``{PREFIX}:1:outdated``         zset    the last invalidations by number (``outdated`` in counter)
``{PREFIX}:1:flight:NAME``      hash    a lease, and ``{PREFIX}:1:waiting:PROCESS``, a channel:
                                        `redis_flight_scripts`
==============================  ======  =======================================================

Keys and corpora are in hexadecimal, everything else of an entry is hashed: no name holds text of a
user. Revisions begin at the server's clock in microseconds, so those of a server that lost its data
are above all that it gave before, and whoever knows an older one is told to start again.

Removing begins with a command that a full server accepts, and so is possible there.
"""

from __future__ import annotations

from hashlib import blake2b, sha1
from typing import TYPE_CHECKING

from accel_core.errors import ConfigError
from accel_core.policy.corpus import MAX_NAMED
from accel_core.store.codec import utf8

if TYPE_CHECKING:
    from accel_core.ports import Entry, Selector

FORMAT = 1
HISTORY_REVISIONS = 20_000
"""How far back removals can be asked for; who is further behind is told to start again."""

_SWEPT = 200
"""The most entries that one call of `SAVE` lets go because they expired, or for space."""

_LATE_MS = 60_000
"""How long after its expiry what finds an entry is cleaned away at the latest, while any are saved.

Not at once: then every save would let one go, and have all readers ask what.
"""

_DIGEST_BYTES = 16


class Script:
    """A Lua script, and the digest by which a server knows it."""

    def __init__(self, *parts: str) -> None:
        self.text = "\n".join(parts)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


# Lua's numbers are float64 and print 14 digits, of which revisions have 16.
_STATE = """
local counter, order, expiry, found, removed, news, outdated = unpack(KEYS)
local entry, writer = ARGV[1], ARGV[2]
local function digits(number) return string.format('%.0f', number) end
local state = redis.call('HMGET', counter, 'revision', 'horizon')
local revision, horizon = tonumber(state[1]), tonumber(state[2])
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
local function remove(key)
    local there = redis.call('DEL', entry .. key)
    redis.call('ZREM', order, key)
    redis.call('ZREM', expiry, key)
    if redis.call('HDEL', found, key) + there > 0 then tell_removed(key) end
    return there
end
local function finish()
    if revision == began then return end
    local oldest = digits(revision - {HISTORY_REVISIONS})
    if redis.call('ZREMRANGEBYSCORE', removed, '-inf', oldest) > 0 then horizon = oldest end
    redis.call('HSET', counter, 'revision', digits(revision), 'horizon', digits(horizon))
    redis.call('PUBLISH', news, 'entries ' .. writer .. ' ' .. digits(revision))
end
"""

_HAS = """
local function has(print, place, wanted)
    if place > 0 then return string.sub(print, place, place + #wanted - 1) == wanted end
    for at = -place, #print, #wanted do
        if string.sub(print, at, at + #wanted - 1) == wanted then return true end
    end
    return false
end
"""

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
_LANDING = """
local function means(packed, key, print)
    local meant = cmsgpack.unpack(packed)
    local fits = meant[2] == '' or meant[2] == key
    for c = 3, #meant, 2 do fits = fits and has(print, tonumber(meant[c]), meant[c + 1]) end
    return fits
end
local function is_outdated(key, print, mark)
    local last = tonumber(redis.call('HGET', counter, 'outdated')) or 0
    if mark == last then return false end
    local later = redis.call('ZRANGEBYSCORE', outdated, '(' .. digits(mark), '+inf')
    if mark > last or #later < last - mark then return true end
    for _, packed in ipairs(later) do
        local read, fits = pcall(means, packed, key, print)
        if fits or not read then return true end
    end
    return false
end
"""

SAVE = Script(
    _STATE,
    _CHANGING,
    _HAS,
    END_FLIGHT,
    _LANDING,
    f"""
local most, leaving = tonumber(ARGV[3]), 0
for i = 4, #ARGV, 7 do
    local key, body, expires_ms, print, flight, token, mark = unpack(ARGV, i, i + 6)
    local how = 'over'
    if flight ~= '' and is_outdated(key, print, tonumber(mark)) then
        how, leaving = 'declined', leaving + 1
        tell_removed(key)
    elseif tonumber(expires_ms) <= now_ms then
        remove(key)
    else
        redis.call('SET', entry .. key, body)
        redis.call('PEXPIREAT', entry .. key, expires_ms)
        if string.sub(print, 1, 1) == '1' then
            redis.call('ZREM', removed, key)
        elseif redis.call('HEXISTS', found, key) == 1 then
            tell_removed(key)
        end
        revision = revision + 1
        redis.call('ZADD', order, digits(revision), key)
        redis.call('ZADD', expiry, expires_ms, key)
        redis.call('HSET', found, key, print)
    end
    if flight ~= '' then end_flight(flight, token, how) end
end
local function let_go(keys)
    for _, key in ipairs(keys) do remove(key) end
    leaving = leaving + #keys
end
local over = redis.call('ZCARD', order) - most
if over > 0 or redis.call('ZCOUNT', expiry, '-inf', now_ms - {_LATE_MS}) > 0 then
    let_go(redis.call('ZRANGEBYSCORE', expiry, '-inf', now_ms, 'LIMIT', 0, {_SWEPT}))
    over = redis.call('ZCARD', order) - most
end
if over > 0 then
    local some = math.min(over + math.floor(most / 64), {_SWEPT})
    let_go(redis.call('ZRANGE', order, 0, some - 1))
end
finish()
return leaving
""",
)
"""ARGV: entry prefix, writer, most entries; then key, bytes, expiry in ms, fingerprint of each, and
the flight, token and mark of the lease that it ends, or nothing three times.

Returns how many were let go, for time or space, or outdated.
"""

REMOVE = Script(
    _STATE,
    _CHANGING,
    """
local gone = 0
for i = 3, #ARGV do gone = gone + remove(ARGV[i]) end
finish()
return gone
""",
)
"""ARGV: entry prefix, writer, keys. Returns how many were there."""

CHANGES = Script(
    _STATE,
    """
local told, after = tonumber(ARGV[3]), tonumber(ARGV[4])
local most, first, reset = tonumber(ARGV[5]), ARGV[6] == '1', 0
revision, horizon = revision or 0, horizon or 0
if told > 0 and (told < horizon or told > revision) then
    told, after, reset = 0, 0, 1
end
local gone = {}
if first then gone = redis.call('ZRANGEBYSCORE', removed, '(' .. digits(told), '+inf') end
local page = redis.call(
    'ZRANGEBYSCORE', order, '(' .. digits(after), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local located = {}
for i = 1, #page, 2 do
    after = tonumber(page[i + 1])
    local print = redis.call('HGET', found, page[i])
    local body = print and string.sub(print, 1, 1) == '1' and redis.call('GET', entry .. page[i])
    if body then
        located[#located + 1] = page[i]
        located[#located + 1] = body
    end
end
return {digits(revision), reset, gone, digits(after), #page / 2, located}
""",
)
"""ARGV: entry prefix, writer, told, after, page, 1 for the first page.

Returns the revision, whether to start again, the keys removed after `told`, how far this page
went, how many it looked at, and key and bytes of each that can be located.
"""

SELECT = Script(
    _STATE,
    _HAS,
    """
local after, most, key = ARGV[3], ARGV[4], ARGV[5]
local page = {key, '0'}
if key == '' then
    page = redis.call(
        'ZRANGEBYSCORE', order, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
end
local meant = {}
for i = 1, #page, 2 do
    after = page[i + 1]
    local print = redis.call('HGET', found, page[i])
    local fits = print
    for c = 6, #ARGV, 2 do
        fits = fits and has(print, tonumber(ARGV[c]), ARGV[c + 1])
    end
    if fits and redis.call('EXISTS', entry .. page[i]) == 1 then meant[#meant + 1] = page[i] end
end
return {after, #page / 2, meant}
""",
)
"""ARGV: entry prefix, writer, after, page, a key or nothing, place and digest of each condition.

Returns how far this page went, how many it looked at, and the keys that are meant.
"""

ADD_CHANGE = Script(
    f"""
local corpus, documents, news = unpack(KEYS)
local revision = redis.call('HINCRBY', corpus, 'revision', 1)
local named = #ARGV - 2
if ARGV[2] == '1' and redis.call('ZCARD', documents) + named <= {MAX_NAMED} then
    for i = 3, #ARGV do redis.call('ZADD', documents, revision, ARGV[i]) end
else
    redis.call('HSET', corpus, 'everything', revision)
    redis.call('DEL', documents)
end
redis.call('PUBLISH', news, 'corpora ' .. ARGV[1])
return revision
"""
)
"""ARGV: writer, 1 where documents are known, the documents. Returns the change's revision."""

READ_CHANGES = Script(
    """
local state = redis.call('HMGET', KEYS[1], 'revision', 'everything')
local after = '(' .. ARGV[1]
local changed = redis.call('ZRANGEBYSCORE', KEYS[2], after, '+inf', 'WITHSCORES')
return {state[1] or '0', state[2] or '0', changed}
"""
)
"""ARGV: the revision asked from. Returns revision, everything, then documents and revisions."""

_LATEST_MS = 1 << 52
"""Expiry stamps stay below, which float64 and Redis hold exactly; it is the year 144,683."""

_PLACES = {"tenant": 2, "namespace": 18, "scope": 34, "text": 50, "tag": -66}
"""Where a fingerprint holds which digest, from 1 on as Lua counts; below 0: there or later."""


class Names:
    """The names of what one store keeps.

    Args:
        prefix: stores of different prefixes share nothing.

    Raises:
        ConfigError: it would not be the hash tag.
    """

    def __init__(self, prefix: str) -> None:
        if not prefix or set(prefix) & set("{}"):
            raise ConfigError("prefix", prefix, "must be a text without braces")
        self.root = f"{{{prefix}}}:{FORMAT}:"
        self.entry = f"{self.root}entry:"
        self.news = f"{self.root}news"
        kept = ("counter", "order", "expiry", "found", "removed", "news", "outdated")
        self.entries = tuple(self.root + name for name in kept)
        self.counter, self.expiry, self.outdated = (
            self.root + name for name in ("counter", "expiry", "outdated")
        )

    def corpus(self, corpus: bytes) -> tuple[str, str, str]:
        """Return the names of what is kept of a corpus."""
        name = corpus.hex()
        return f"{self.root}corpus:{name}", f"{self.root}documents:{name}", self.news

    def flight(self, name: bytes) -> str:
        """Return the name of a flight's lease."""
        return f"{self.root}flight:{_digest(name).hex()}"

    def waiting(self, process: str) -> str:
        """Return the channel of a process that waits for flights."""
        return f"{self.root}waiting:{process}"


def expires_ms(entry: Entry) -> int:
    """Return when `entry` expires, in milliseconds since the epoch."""
    return int(min(entry.expires_s * 1000, _LATEST_MS))


def fingerprint(entry: Entry) -> bytes:
    """Return what selects `entry`: ``1`` where it can be located, else ``0``; then 16 bytes each of
    tenant, namespace, scope, text and every tag.
    """  # noqa: D205
    fields = (entry.tenant, utf8(entry.namespace), entry.scope, utf8(entry.text))
    tags = (utf8(tag) for tag in entry.tags)
    located = b"0" if entry.vector is None else b"1"
    return located + b"".join(_digest(field) for field in (*fields, *tags))


def conditions(selector: Selector) -> list[int | bytes]:
    """Return place and digest of each condition of `selector` but its key, for `SELECT`."""
    wanted = {
        "tenant": selector.tenant,
        "namespace": None if selector.namespace is None else utf8(selector.namespace),
        "scope": selector.scope,
        "text": None if selector.text is None else utf8(selector.text),
        "tag": None if selector.tag is None else utf8(selector.tag),
    }
    given = ((_PLACES[name], value) for name, value in wanted.items() if value is not None)
    return [part for place, value in given for part in (place, _digest(value))]


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=_DIGEST_BYTES).digest()
