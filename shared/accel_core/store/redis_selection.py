"""Which entries a selector means: what each shows of itself, and the script that compares it.

An entry shows digests, never a text, and not more than its selectors ask for.
"""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING

from accel_core.store.codec import utf8
from accel_core.store.redis_scripts import Script

if TYPE_CHECKING:
    from accel_core.ports import Entry, Selector

_DIGEST_BYTES = 16
_CONDITION = Struct(f"<b{_DIGEST_BYTES}s")

_PLACES = {"tenant": 1, "namespace": 17, "scope": 33, "text": 49, "tag": -65}
"""Where a fingerprint holds which digest, from 1 on as Lua counts; below 0: there or later."""

HAS = """
local function has(print, place, wanted)
    if place > 0 then return string.sub(print, place, place + #wanted - 1) == wanted end
    for at = -place, #print, #wanted do
        if string.sub(print, at, at + #wanted - 1) == wanted then return true end
    end
    return false
end
"""
"""Whether a fingerprint meets one condition of a selector."""

SELECT = Script(
    HAS,
    """
local order = KEYS[1]
local entry, after, most, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local page = {key, '0'}
if key == '' then
    page = redis.call(
        'ZRANGEBYSCORE', order, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
end
local meant = {}
for i = 1, #page, 2 do
    after = page[i + 1]
    local print = redis.pcall('HGET', entry .. page[i], 'print')
    local fits = type(print) == 'string'
    for c = 5, #ARGV, 2 do
        fits = fits and has(print, tonumber(ARGV[c]), ARGV[c + 1])
    end
    if fits then meant[#meant + 1] = page[i] end
end
return {after, #page / 2, meant}
""",
)
"""KEYS: order. ARGV: entry prefix, after, page, a key or nothing, place and digest of conditions.

Returns how far this page went, how many it looked at, and the keys that are meant.
"""


MEANS = (
    HAS
    + f"""
local function means(record, key, print)
    local at = string.find(record, ' ', 1, true) + 1
    local size = string.byte(record, at)
    local fits = size == 0 or string.sub(record, at + 1, at + size) == key
    for c = at + 1 + size, #record, {1 + _DIGEST_BYTES} do
        local wanted = string.sub(record, c + 1, c + {_DIGEST_BYTES})
        fits = fits and has(print, (struct.unpack('b', record, c)), wanted)
    end
    return fits
end
"""
)
"""Whether the record of an invalidation, its number before a `meaning`, means an entry; as `means`.

It raises where it is none.
"""


def meaning(selector: Selector) -> bytes:
    """Return what `selector` means, as an invalidation is recorded: its key, its conditions."""
    key = selector.key or b""
    told = conditions(selector)
    pairs = zip(told[::2], told[1::2], strict=True)
    return b"".join((bytes([len(key)]), key, *(_CONDITION.pack(*pair) for pair in pairs)))


def means(meaning: bytes, entry: Entry) -> bool:
    """Whether `meaning` is what `meaning` makes of a selector, and means `entry`.

    Raises:
        struct.error: it is none.
        IndexError: it is none.
    """
    start = 1 + meaning[0]
    if meaning[1:start] not in (b"", entry.key):
        return False
    print_ = fingerprint(entry)
    return all(
        print_.startswith(digest, place - 1) if place > 0 else print_.find(digest, -place - 1) >= 0
        for place, digest in _CONDITION.iter_unpack(meaning[start:])
    )


def fingerprint(entry: Entry) -> bytes:
    """Return what selects `entry`: 16 bytes each of tenant, namespace, scope, text, every tag."""
    fields = (entry.tenant, utf8(entry.namespace), entry.scope, utf8(entry.text))
    tags = (utf8(tag) for tag in entry.tags)
    return b"".join(_digest(field) for field in (*fields, *tags))


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
