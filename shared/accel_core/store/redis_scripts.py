"""What is kept in Redis under which names, and how a script is known to the server.

Names, of which ``{PREFIX}`` is the hash tag, so that all are in one slot of a cluster; the number
is the format's version, and another version's names are others:

==============================  ==========  ====================================================
``{PREFIX}:3:entry:KEY``        hash        ``body``: `codec` bytes with the vector as int8;
                                            ``place``; ``print``: `fingerprint`; ``vector``, for the
                                            query engine: shortened, float16; expires
``{PREFIX}:3:order``            zset        key by the revision that stored it
``{PREFIX}:3:expiry``           zset        key by the moment it expires, milliseconds
``{PREFIX}:3:removed``          zset        removed keys by revision, the last `HISTORY_REVISIONS`
``{PREFIX}:3:counter``          hash        ``revision`` given last; ``horizon`` of ``removed``;
                                            ``query_engine``, ``vector_sets``: the revision up to
                                            which entries have their place there
``{PREFIX}:3:near:PLACE``       vector set  keys of a scope by vector, from its second entry on
``{PREFIX}:3:lone``             hash        place to the key that its vector set does not hold
``{PREFIX}:3:sets``             set         places that have a vector set
``{PREFIX}:3:index``            index       the query engine's, over the entries
``{PREFIX}:3:corpus:CORPUS``    hash        ``revision``; ``everything``, the last for all
``{PREFIX}:3:documents:CORPUS`` zset        changed documents by revision
``{PREFIX}:3:news``             channel     ``entries WRITER REVISION``, ``corpora WRITER`` or
                                            ``outdated``
``{PREFIX}:3:outdated``         zset        the last invalidations by number (``outdated`` in
                                            ``counter``)
``{PREFIX}:3:flight:NAME``      hash        a lease, and ``{PREFIX}:3:waiting:PROCESS``, a channel:
                                            `redis_flight_scripts`
==============================  ==========  ====================================================

A key is an entry's 24 bytes as they are, a place is 16 letters and figures that stand for scope and
encoder, a corpus is in hexadecimal; all are digests: no name holds text of a user.
"""

from __future__ import annotations

from base64 import b32encode
from functools import lru_cache
from hashlib import blake2b, sha1
from typing import TYPE_CHECKING

from accel_core.errors import ConfigError
from accel_core.store.codec import utf8

if TYPE_CHECKING:
    from accel_core.ports import Entry

FORMAT = 3

_FLIGHT_BYTES = 16

_LATEST_MS = 1 << 52
"""Expiry stamps stay below, which float64 and Redis hold exactly; it is the year 144,683."""

_PLACE_BYTES = 10
"""What is found is compared with what was asked, so places that meet cost neighbours only."""


class Script:
    """A Lua script, and the digest by which a server knows it."""

    def __init__(self, *parts: str) -> None:
        self.text = "\n".join(parts)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


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
        self.entries = f"{self.root}entry:".encode()
        self.near = f"{self.root}near:"
        self.index = f"{self.root}index"
        kept = ("counter", "order", "expiry", "removed", "lone", "sets", "news", "outdated")
        self.kept = tuple(self.root + name for name in kept)
        self.counter, self.order, self.expiry, _, self.lone, _, self.news, self.outdated = self.kept

    def corpus(self, corpus: bytes) -> tuple[str, str, str]:
        """Return the names of what is kept of a corpus."""
        name = corpus.hex()
        return f"{self.root}corpus:{name}", f"{self.root}documents:{name}", self.news

    def flight(self, name: bytes) -> str:
        """Return the name of a flight's lease."""
        digest = blake2b(name, digest_size=_FLIGHT_BYTES).hexdigest()
        return f"{self.root}flight:{digest}"

    def waiting(self, process: str) -> str:
        """Return the channel of a process that waits for flights."""
        return f"{self.root}waiting:{process}"


def expires_ms(entry: Entry) -> int:
    """Return when `entry` expires, in milliseconds since the epoch."""
    return int(min(entry.expires_s * 1000, _LATEST_MS))


@lru_cache(maxsize=1024)
def place(scope: bytes, encoder: str) -> str:
    """Return what stands for a scope as one encoder sees it: 16 of the characters a-z, 2-7."""
    digest = blake2b(scope, digest_size=_PLACE_BYTES, key=_key(encoder)).digest()
    return b32encode(digest).decode().lower()


@lru_cache(maxsize=8)
def _key(encoder: str) -> bytes:
    return blake2b(utf8(encoder), digest_size=32).digest()
