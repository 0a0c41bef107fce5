"""An entry as bytes that explain themselves, and back: the one form every store on disk keeps.

Layout, little-endian: version and flags (a byte each), created and expired (float64 seconds), ten
lengths (uint32), the ten fields in that order, what the entry rests on where the flags say so, then
the code of all of that where a key is set. Every field is preceded by its length, so no two entries
share an encoding, and the code covers every field. Text is UTF-8 that keeps lone surrogates: any
Python string survives. A large payload is compressed (Zstandard, RFC 8878).

Reading never raises and never runs anything that was stored: bytes that are not exactly an entry
are refused with a reason.
"""

from __future__ import annotations

import math
from itertools import pairwise
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import TYPE_CHECKING, Literal

from accel_core.inspection import Stored
from accel_core.policy.corpus import Basis
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
_SEMANTIC, _VECTOR, _RESTING, _PACKED = 1, 2, 4, 8

_RESTS = Struct("<ddI")
_BASIS = Struct("<IQIB")

_PACKED_FROM_BYTES = 1024
_MAX_UNPACKED_BYTES = 1 << 28
"""What a payload may say it unpacks to: stored bytes must not fill the memory."""


def utf8(text: str) -> bytes:
    """Return `text` as bytes, whatever it holds: a lone surrogate is kept, not refused."""
    return text.encode("utf-8", "surrogatepass")


def encode(entry: Entry, seal: Seal) -> bytes:
    """Return `entry` as bytes, signed where `seal` has a key."""
    tags = [utf8(tag) for tag in entry.tags]
    payload = _packed(entry.payload)
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
        payload,
    )
    resting = b"".join(_rests(entry))
    flags = (
        entry.semantic * _SEMANTIC
        + (entry.vector is not None) * _VECTOR
        + bool(resting) * _RESTING
        + (payload is not entry.payload) * _PACKED
    )
    head = _HEAD.pack(VERSION, flags, entry.created_s, entry.expires_s, *map(len, fields))
    message = b"".join((head, *fields, resting))
    return message + seal.sign(message)


def decode(data: object, seal: Seal) -> Entry | Unreadable:
    """Return the entry that `data` holds, or why it holds none."""
    return _read(data, seal, bare=False)[0]


def parted(data: object, seal: Seal) -> tuple[Entry | Unreadable, bytes]:
    """Return what `decode` does, without its vector; and that."""
    entry, vector, _ = _read(data, seal, bare=True)
    return entry, vector


def created_s(data: bytes) -> float | None:
    """Return when the entry that `data` should hold was stored; None where it says nothing."""
    return float(_HEAD.unpack_from(data)[2]) if len(data) >= _HEAD.size else None


def inspected(data: bytes, key: bytes, seal: Seal) -> Stored:
    """Return what `data`, kept under `key`, is."""
    found, _, sealed = _read(data, seal, bare=False)
    # A sealed entry copied under another key would verify.
    if not isinstance(found, str) and found.key != key:
        return Stored("key", sealed, len(data))
    return Stored(found, sealed, len(data))


def _read(data: object, seal: Seal, *, bare: bool) -> tuple[Entry | Unreadable, bytes, bool]:
    """Return the entry, its vector, and whether `data` carries a code."""
    if not isinstance(data, bytes) or not data:
        return "format", b"", False
    if data[0] != VERSION:
        return "version", b"", False
    try:
        entry, vector, end = _parse(data, bare=bare)
    except (StructError, UnicodeDecodeError, ValueError):
        return "format", b"", False
    if len(data) - end not in (0, MAC_BYTES):
        return "format", b"", False
    sealed = len(data) > end
    return entry if seal.verifies(data[:end], data[end:]) else "seal", vector, sealed


def _parse(data: bytes, *, bare: bool) -> tuple[Entry, bytes, int]:
    _, flags, created_s, expires_s, *lengths = _HEAD.unpack_from(data)
    bounds = [_HEAD.size]
    for length in lengths:
        bounds.append(bounds[-1] + length)
    key, scope, tenant, namespace, text, tags, encoder, source, vector, payload = (
        data[start:end] for start, end in pairwise(bounds)
    )
    end = bounds[-1]
    fresh_until_s, cost_s, bases, end = (
        _read_rests(data, end) if flags & _RESTING else (None, 0.0, (), end)
    )
    entry = Entry(
        key=key,
        scope=scope,
        tenant=tenant,
        namespace=namespace.decode("utf-8", "surrogatepass"),
        text=text.decode("utf-8", "surrogatepass"),
        payload=_unpacked(payload) if flags & _PACKED else payload,
        created_s=created_s,
        expires_s=expires_s,
        tags=tuple(_tags(tags)) if tags else (),
        semantic=bool(flags & _SEMANTIC),
        encoder=encoder.decode("utf-8", "surrogatepass"),
        vector=vector if flags & _VECTOR and not bare else None,
        source=source.decode("utf-8", "surrogatepass"),
        fresh_until_s=fresh_until_s,
        cost_s=cost_s,
        bases=bases,
    )
    return entry, vector, end


def _rests(entry: Entry) -> Iterator[bytes]:
    """Spell until when an entry is fresh, what it cost, and what it rests on."""
    if entry.fresh_until_s is None and not entry.cost_s and not entry.bases:
        return
    fresh_until_s = math.nan if entry.fresh_until_s is None else entry.fresh_until_s
    yield _RESTS.pack(fresh_until_s, entry.cost_s, len(entry.bases))
    for corpus, revision, documents in entry.bases:
        known = sorted(documents or ())
        yield _BASIS.pack(len(corpus), revision, len(known), documents is not None)
        yield corpus
        for document in known:
            yield _LENGTH.pack(len(document))
            yield document


def _read_rests(data: bytes, start: int) -> tuple[float | None, float, tuple[Basis, ...], int]:
    """Read what `_rests` spelled, and where it ends."""
    fresh_until_s, cost_s, count = _RESTS.unpack_from(data, start)
    start += _RESTS.size
    bases: list[Basis] = []
    for _ in range(count):
        length, revision, documents, known = _BASIS.unpack_from(data, start)
        start += _BASIS.size
        corpus, start = _piece(data, start, length)
        named: list[bytes] = []
        for _ in range(documents):
            (length,) = _LENGTH.unpack_from(data, start)
            document, start = _piece(data, start + _LENGTH.size, length)
            named.append(document)
        bases.append(Basis(corpus, revision, frozenset(named) if known else None))
    return None if math.isnan(fresh_until_s) else fresh_until_s, cost_s, tuple(bases), start


def _piece(data: bytes, start: int, length: int) -> tuple[bytes, int]:
    end = start + length
    if end > len(data):
        raise StructError("a field ends beyond the entry")
    return data[start:end], end


def _packed(payload: bytes) -> bytes:
    """Return `payload` compressed, or itself where that gains nothing."""
    if len(payload) < _PACKED_FROM_BYTES:
        return payload
    import zstandard

    packed = zstandard.ZstdCompressor(level=3).compress(payload)
    return packed if len(packed) < len(payload) else payload


def _unpacked(packed: bytes) -> bytes:
    """Undo `_packed`.

    Raises:
        ValueError: these are not such bytes, or they are too many.
    """
    import zstandard

    try:
        if zstandard.frame_content_size(packed) > _MAX_UNPACKED_BYTES:
            raise ValueError("the payload is too large")
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_UNPACKED_BYTES)
    except zstandard.ZstdError as error:
        raise ValueError("the payload is not compressed") from error


def _tags(data: bytes) -> Iterator[str]:
    start = 0
    while start < len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size + length
        if start > len(data):
            raise StructError("a tag ends beyond the tags")
        yield data[start - length : start].decode("utf-8", "surrogatepass")
