"""A stored entry as a line of JSON, and back.

A file begins with a line that names the format and ends with one that counts the entries, so that
one that was cut short is noticed. Between them is an object for each entry, in which what an entry
has not is left out:

====================  ========================================================================
``id`` ``scope``      digests, hexadecimal
``tenant``            the tenant's digest, hexadecimal
``namespace``         text
``text``              the question
``payload``           the answer as an adapter spelled it; ``payload_base64`` where it is no text
``created_s``         seconds since the epoch
``expires_s``         the same; null: never
``fresh_until_s``     the same
``cost_s``            seconds
``tags``              list of texts
``semantic``          false where it may be served to its own question only
``encoder``           name of the encoder of ``vector``: base64 of little-endian float16
``source``            text
``seal``              code of all of that, hexadecimal, where a key is set
====================  ========================================================================

What an entry rests on is not spelled: such entries stay where they are (`tally`). Reading never
raises: a line that is no entry is refused with a reason, which quotes nothing of it.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from accel_core.ports import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.policy.seal import Seal

FORMAT = "accel-store"
VERSION = 1

T = TypeVar("T")
Row = dict[str, Any]


class Refused(NamedTuple):
    """Why a line is no entry.

    Attributes:
        reason: ``malformed``, or ``seal``: not signed with a key we have.
        problem: the same in words.
    """

    reason: str
    problem: str


def head() -> str:
    """Return a file's first line."""
    return _json({"format": FORMAT, "version": VERSION})


def foot(entries: int) -> str:
    """Return a file's last line."""
    return _json({"end": FORMAT, "entries": entries})


def check_head(line: bytes) -> str | None:
    """Return why `line` does not begin a file that can be read here, or None."""
    row = _row(line)
    if row is None or row.get("format") != FORMAT:
        return "was not written by `accel store export`"
    if row.get("version") != VERSION:
        return f"has format {row.get('version')!r:.20}, and this llm-accel reads {VERSION}"
    return None


def counted(line: bytes) -> int | None:
    """Return how many entries the last line of a file says it has; None: it is no such line."""
    row = _row(line)
    if row is None or row.get("end") != FORMAT or not isinstance(row.get("entries"), int):
        return None
    entries: int = row["entries"]
    return entries


def spell(entry: Entry, seal: Seal) -> str:
    """Return `entry`, which may be carried (`tally.stays`), as a line; signed with a key."""
    row = row_of(entry)
    code = seal.sign(_json(row).encode())
    if code:
        row["seal"] = code.hex()
    return _json(row)


def row_of(entry: Entry) -> Row:
    """Return `entry` as JSON has it, unsigned; what it rests on is left out."""
    row: Row = {
        "id": entry.id,
        "scope": entry.scope.hex(),
        "tenant": entry.tenant.hex(),
        "namespace": entry.namespace,
        "text": entry.text,
        **_payload_row(entry.payload),
        "created_s": _number(entry.created_s),
        "expires_s": _number(entry.expires_s),
        "fresh_until_s": _number(entry.fresh_until_s),
        "cost_s": _number(entry.cost_s),
        "tags": list(entry.tags),
        "semantic": entry.semantic,
        "source": entry.source,
    }
    if entry.vector is not None:
        row |= {"encoder": entry.encoder, "vector": b64encode(entry.vector).decode()}
    return {name: value for name, value in row.items() if not _left_out(name, value)}


def read(line: bytes, seal: Seal) -> Entry | Refused:
    """Return the entry that `line` spells, or why it spells none."""
    row = _row(line)
    if row is None:
        return Refused("malformed", "is not a JSON object")
    try:
        signed = _read(_digest, "seal", row.pop("seal", ""))
        entry = _entry(row)
    except ValueError as error:
        return Refused("malformed", str(error))
    if not seal.verifies(_json(row_of(entry)).encode(), signed):
        return Refused("seal", "is not sealed with a key that is set here")
    return entry


def _json(row: Row) -> str:
    # ASCII: a lone surrogate survives, and no reader takes a character for the end of a line.
    return json.dumps(row, separators=(",", ":"), allow_nan=False)


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _number(seconds: float | None) -> float | None:
    return float(seconds) if seconds is not None and math.isfinite(seconds) else None


def _payload_row(payload: bytes) -> Row:
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": b64encode(payload).decode()}


_NEVER = object()
_DEFAULTS: dict[str, object] = {
    "tenant": "", "namespace": "", "text": "", "fresh_until_s": None, "cost_s": 0.0, "tags": [],
    "semantic": True, "source": "",
}  # fmt: skip


def _left_out(name: str, value: object) -> bool:
    return value == _DEFAULTS.get(name, _NEVER)


def _entry(row: Row) -> Entry:
    """Return the entry of a row, all of whose members must be known.

    Raises:
        ValueError: one is missing, unknown, or not what belongs there.
    """
    unknown = row.keys() - _MEMBERS.keys()
    if unknown:
        raise ValueError(f"has an unknown member {min(unknown)!r:.40}")
    if ("payload" in row) == ("payload_base64" in row):
        raise ValueError("needs either 'payload' or 'payload_base64'")
    if ("vector" in row) != ("encoder" in row):
        raise ValueError("needs 'encoder' where it has 'vector', and only there")
    values: dict[str, Any] = {}
    for name in {**dict.fromkeys(_REQUIRED), **row}:
        if name not in row:
            raise ValueError(f"has no member {name!r}")
        field, reads = _MEMBERS[name]
        values[field] = _read(reads, name, row[name])
    return Entry(**values)


def _read(reads: Callable[[object], T], name: str, value: object) -> T:
    try:
        return reads(value)
    except ValueError as error:
        raise ValueError(f"{name!r} {error}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    return value


def _digest(value: object) -> bytes:
    text = _text(value)
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ValueError("is not hexadecimal") from error


def _name(value: object) -> bytes:
    return _digest(value) or _refuse("is empty")


def _base64(value: object) -> bytes:
    text = _text(value)
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError("is not base64") from error


def _payload(value: object) -> bytes:
    text = _text(value)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half a character") from error


def _vector(value: object) -> bytes:
    vector = _base64(value)
    return vector if vector and len(vector) % 2 == 0 else _refuse("is not a vector of float16")


def _seconds(value: object) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        seconds = float(value) if number else math.nan  # type: ignore[arg-type]
    except OverflowError:
        seconds = math.nan
    return seconds if math.isfinite(seconds) else _refuse("is not a number of seconds")


def _moment(value: object) -> float:
    return math.inf if value is None else _seconds(value)


def _bool(value: object) -> bool:
    return value if isinstance(value, bool) else _refuse("is neither true nor false")


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        _refuse("is not a list of texts")
    return tuple(value)


def _refuse(problem: str) -> NoReturn:
    raise ValueError(problem)


_REQUIRED = ("id", "scope", "created_s", "expires_s")
_MEMBERS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "id": ("key", _name),
    "scope": ("scope", _digest),
    "tenant": ("tenant", _digest),
    "namespace": ("namespace", _text),
    "text": ("text", _text),
    "payload": ("payload", _payload),
    "payload_base64": ("payload", _base64),
    "created_s": ("created_s", _seconds),
    "expires_s": ("expires_s", _moment),
    "fresh_until_s": ("fresh_until_s", _seconds),
    "cost_s": ("cost_s", _seconds),
    "tags": ("tags", _tags),
    "semantic": ("semantic", _bool),
    "encoder": ("encoder", _text),
    "vector": ("vector", _vector),
    "source": ("source", _text),
}
"""Of each member: the entry's field, and what reads it."""
