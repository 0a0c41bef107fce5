"""An entry as bytes that explain themselves, and back: the one form every store on disk keeps.

Layout, little-endian: version and flags (a byte each), created and expired (float64 seconds), ten
lengths (uint32), the ten fields in that order, then the code of all of that where a key is set.
Every field is preceded by its length, so no two entries share an encoding, and the code covers
every field. Text is UTF-8 that keeps lone surrogates: any Python string survives.

Reading never raises and never runs anything that was stored: bytes that are not exactly an entry
are refused with a reason.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import TYPE_CHECKING, Literal

from accel_core.policy.seal import MAC_BYTES
from accel_core.ports import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.policy.seal import Seal

Unreadable = Literal["format", "version", "seal"]
"""Why bytes are not an entry: malformed, of another version, or not sealed with a key we have."""

VERSION = 1

_HEAD = Struct("<BBdd10I")
_LENGTH = Struct("<I")
_SEMANTIC, _VECTOR = 1, 2


def utf8(text: str) -> bytes:
    """Return `text` as bytes, whatever it holds: a lone surrogate is kept, not refused."""
    return text.encode("utf-8", "surrogatepass")


def encode(entry: Entry, seal: Seal) -> bytes:
    """Return `entry` as bytes, signed where `seal` has a key."""
    tags = [utf8(tag) for tag in entry.tags]
    fields = (
        entry.key,
        entry.scope,
        entry.tenant,
        utf8(entry.namespace),
        utf8(entry.text),
        b"".join(part for tag in tags for part in (_LENGTH.pack(len(tag)), tag)),
        utf8(entry.encoder),
        utf8(entry.source),
        b"" if entry.vector is None else entry.vector,
        entry.payload,
    )
    flags = entry.semantic * _SEMANTIC + (entry.vector is not None) * _VECTOR
    head = _HEAD.pack(VERSION, flags, entry.created_s, entry.expires_s, *map(len, fields))
    message = b"".join((head, *fields))
    return message + seal.sign(message)


def decode(data: object, seal: Seal) -> Entry | Unreadable:
    """Return the entry that `data` holds, or why it holds none."""
    if not isinstance(data, bytes) or not data:
        return "format"
    if data[0] != VERSION:
        return "version"
    try:
        entry, end = _parse(data)
    except (StructError, UnicodeDecodeError):
        return "format"
    if len(data) - end not in (0, MAC_BYTES):
        return "format"
    return entry if seal.verifies(data[:end], data[end:]) else "seal"


def _parse(data: bytes) -> tuple[Entry, int]:
    _, flags, created_s, expires_s, *lengths = _HEAD.unpack_from(data)
    bounds = [_HEAD.size]
    for length in lengths:
        bounds.append(bounds[-1] + length)
    key, scope, tenant, namespace, text, tags, encoder, source, vector, payload = (
        data[start:end] for start, end in pairwise(bounds)
    )
    entry = Entry(
        key=key,
        scope=scope,
        tenant=tenant,
        namespace=namespace.decode("utf-8", "surrogatepass"),
        text=text.decode("utf-8", "surrogatepass"),
        payload=payload,
        created_s=created_s,
        expires_s=expires_s,
        tags=tuple(_tags(tags)) if tags else (),
        semantic=bool(flags & _SEMANTIC),
        encoder=encoder.decode("utf-8", "surrogatepass"),
        vector=vector if flags & _VECTOR else None,
        source=source.decode("utf-8", "surrogatepass"),
    )
    return entry, bounds[-1]


def _tags(data: bytes) -> Iterator[str]:
    start = 0
    while start < len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size + length
        if start > len(data):
            raise StructError("a tag ends beyond the tags")
        yield data[start - length : start].decode("utf-8", "surrogatepass")
