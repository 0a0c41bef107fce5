"""A keyed code over stored bytes: who cannot write the key cannot plant an answer.

The code is keyed BLAKE2b of 16 bytes (RFC 7693), personalised so that the same key used
elsewhere makes other codes. The caller gives the whole message, unambiguously encoded, and keeps
the code beside it. Without a key nothing is signed and everything is accepted.

Two keys serve a rotation: the current one signs, either one verifies. A key is never shown.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

from accel_core.errors import ConfigError

MAC_BYTES = 16
MIN_KEY_BYTES = 32

_PERSON = b"llm-accel entry"


class Seal:
    """Signs with the current key and verifies with the current or the previous one.

    >>> seal = Seal(b"k" * 32)
    >>> seal.verifies(b"message", seal.sign(b"message"))
    True
    >>> seal.verifies(b"massage", seal.sign(b"message"))
    False
    >>> seal
    Seal(current=set, previous=unset)
    """

    __slots__ = ("_current", "_previous")

    def __init__(self, current: bytes | None = None, previous: bytes | None = None) -> None:
        if current is None and previous is not None:
            raise ConfigError("seal.current", None, "a key to sign with beside the previous one")
        self._current = _fitted(current, "seal.current")
        self._previous = _fitted(previous, "seal.previous")

    def sign(self, message: bytes) -> bytes:
        """Return the code of `message`; ``b""`` without a key."""
        return b"" if self._current is None else _mac(self._current, message)

    def verifies(self, message: bytes, mac: bytes) -> bool:
        """Whether `mac` is a code of `message` under either key; always True without a key."""
        if self._current is None:
            return True
        if compare_digest(_mac(self._current, message), mac):
            return True
        return self._previous is not None and compare_digest(_mac(self._previous, message), mac)

    def __repr__(self) -> str:
        current, previous = (
            "unset" if key is None else "set" for key in (self._current, self._previous)
        )
        return f"Seal(current={current}, previous={previous})"


def _mac(key: bytes, message: bytes) -> bytes:
    return blake2b(message, digest_size=MAC_BYTES, key=key, person=_PERSON).digest()


def _fitted(key: bytes | None, path: str) -> bytes | None:
    if key is None:
        return None
    if not isinstance(key, bytes):
        raise ConfigError(path, type(key).__name__, f"bytes, at least {MIN_KEY_BYTES}")
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError(path, f"{len(key)} bytes", f"at least {MIN_KEY_BYTES} bytes")
    # BLAKE2b takes at most 64 bytes of key; a longer one is hashed first, as HMAC does.
    return key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest()
