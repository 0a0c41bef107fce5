"""Somebody else's hand in the names of a store: writes what no program of ours would, at random.

It takes the names that are there, whatever they are, so that it needs no list of them: it cuts
values, turns their bits, forges answers with every field right but the seal, puts one value under
the name of another, makes it of another type, invents names like those, lets them expire, drops
indexes, and publishes on the channels that are listened to. One seed means one row of acts.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import redis

from accel_core.policy.seal import Seal
from accel_core.store import codec

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_ANY = 0.15
_LOOKED_AROUND = 25
"""Acts after which names are read anew."""
_NUMBERS = (
    b"0", b"-1", b"nan", b"inf", b"-inf", b"1e308", b"0.5", b"9" * 30, b"", b" 7", b"seven",
)  # fmt: skip
_SCORES = (0.0, -1.0, 0.5, 1e300, -1e300, float("inf"), float("-inf"))


class Hand:
    """Acts on everything a server holds.

    Args:
        client: of the server; it holds nothing but what is to be spoiled.
        dice: decide everything.
    """

    def __init__(self, client: redis.Redis, dice: Random) -> None:
        self._client: Any = client
        self._dice = dice
        self._names: list[bytes] = []
        self._acts: list[Callable[[bytes], object]] = [
            *[self._spoil] * 10,
            *[self._copy] * 6,
            *[self._replace] * 4,
            self._delete,
            self._expire,
            self._publish,
        ]

    def act(self, times: int) -> None:
        """Do `times` things; what the server refuses is none of them."""
        done = 0
        while done < times:
            if done % _LOOKED_AROUND == 0:
                self._names = sorted(self._client.scan_iter(count=1_000)) or [b"{accel}:"]
            act = self._dice.choice(self._acts)
            with suppress(redis.ResponseError):
                act(self._name())
                done += 1

    def drop_index(self) -> None:
        """Drop an index, where there is one."""
        with suppress(redis.ResponseError):
            names = self._client.execute_command("FT._LIST")
            if names:
                self._client.execute_command("FT.DROPINDEX", self._dice.choice(sorted(names)))

    def _name(self) -> bytes:
        """Return a name, mostly one of those of which there are most: entries, not what finds them.

        A store whose counter is gone serves nothing, and there would be nothing to spoil.
        """
        if self._dice.random() < _ANY:
            return self._dice.choice(self._names)
        families = Counter(_family(name) for name in self._names)
        largest = max(families, key=lambda family: families[family])
        return self._dice.choice([name for name in self._names if _family(name) == largest])

    def _spoil(self, name: bytes) -> None:
        """Change a value without changing its type."""
        kind = self._client.type(name)
        spoil = {
            b"string": self._spoil_string,
            b"hash": self._spoil_hash,
            b"zset": self._spoil_sorted,
            b"vectorset": self._spoil_vectors,
        }.get(kind, self._replace)
        spoil(name)

    def _spoil_string(self, name: bytes) -> None:
        self._client.set(name, self._spoilt(self._client.get(name) or b""), keepttl=True)

    def _spoil_hash(self, name: bytes) -> None:
        field, value = self._field(name)
        if self._dice.random() < 0.2:
            self._client.hdel(name, field)
        elif self._dice.random() < 0.3:
            other_field, other = self._field(self._like(name))
            self._client.hset(name, self._dice.choice([field, other_field]), other)
        else:
            self._client.hset(name, field, self._spoilt(value))

    def _field(self, name: bytes) -> tuple[bytes, bytes]:
        fields = sorted(self._client.hgetall(name).items()) or [(b"body", b"")]
        found: tuple[bytes, bytes] = self._dice.choice(fields)
        return found

    def _spoil_sorted(self, name: bytes) -> None:
        members = self._client.zrange(name, 0, 50) or [b""]
        member = self._dice.choice(members)
        if self._dice.random() < 0.3:
            self._client.zrem(name, member)
            return
        spoilt = self._spoilt(member) if self._dice.random() < 0.5 else member
        self._client.zadd(name, {spoilt: self._dice.choice(_SCORES)})

    def _spoil_vectors(self, name: bytes) -> None:
        element = self._client.execute_command("VRANDMEMBER", name)
        do = self._dice.randrange(3)
        if do == 0:
            self._client.execute_command("VREM", name, element)
        elif do == 1:
            self._client.execute_command("VSETATTR", name, element, b'{"scope": [1, "}"]}')
        else:
            size = self._client.execute_command("VDIM", name)
            numbers = [self._dice.gauss(0.0, 1.0) for _ in range(size)]
            spoilt = self._spoilt(element)
            self._client.execute_command("VADD", name, "VALUES", size, *numbers, spoilt)

    def _copy(self, name: bytes) -> None:
        """Put a value under the name of another, or under one that is made up."""
        target = self._like(name) if self._dice.random() < 0.7 else self._invented(name)
        self._client.copy(name, target, replace=True)

    def _replace(self, name: bytes) -> None:
        """Put something of any type under a name."""
        target = name if self._dice.random() < 0.6 else self._invented(name)
        noise, score = self._noise(), self._dice.choice(_SCORES)
        make = {
            "string": lambda: self._client.set(target, noise),
            "list": lambda: self._client.rpush(target, noise, b""),
            "set": lambda: self._client.sadd(target, noise),
            "zset": lambda: self._client.zadd(target, {noise: score}),
            "hash": lambda: self._client.hset(target, noise, noise),
            "stream": lambda: self._client.xadd(target, {b"field": noise}),
            "vectors": lambda: self._client.execute_command(
                "VADD", target, "VALUES", 3, 0.6, 0.8, score % 7, noise
            ),
        }[self._dice.choice(["string", "list", "set", "zset", "hash", "stream", "vectors"])]
        self._client.delete(target)
        make()

    def _delete(self, name: bytes) -> None:
        self._client.delete(name)

    def _expire(self, name: bytes) -> None:
        if self._dice.random() < 0.5:
            self._client.persist(name)
        else:
            self._client.pexpire(name, self._dice.choice([-1, 1, 10**9]))

    def _publish(self, name: bytes) -> None:
        channels = sorted(self._client.pubsub_channels()) or [name]
        said = self._dice.choice(
            [b"", b"entries", b"entries x", b"entries x y", b"corpora", self._noise(), name]
        )
        self._client.publish(self._dice.choice(channels), said)

    def _like(self, name: bytes) -> bytes:
        """Return a name of the same family, perhaps another tenant's."""
        alike = [one for one in self._names if _family(one) == _family(name)]
        return self._dice.choice(alike or [name])

    def _invented(self, name: bytes) -> bytes:
        family, _, last = name.rpartition(b":")
        some = self._dice.choice([self._dice.randbytes(24).hex().encode(), last[:-1], b"", b"}{*"])
        return family + b":" + some

    def _spoilt(self, value: bytes) -> bytes:
        place = self._dice.randrange(len(value) + 1)
        do = self._dice.randrange(6)
        if do == 5:
            return self._forged(value)
        if do == 0:
            return value[:place]
        if do == 1:
            return value + self._noise()
        if do == 2:
            return self._noise()
        if do == 3:
            return value[:place] + self._noise() + value[place:]
        turned = bytearray(value or b"\0")
        turned[place % len(turned)] ^= 1 << self._dice.randrange(8)
        return bytes(turned)

    def _forged(self, value: bytes) -> bytes:
        """Return an entry of the same key and place with another answer, sealed with no right."""
        entry = codec.decode(value, Seal())
        if isinstance(entry, str):
            return self._noise()
        seal = Seal(self._dice.choice([None, self._dice.randbytes(32)]))
        return codec.encode(replace(entry, payload=b'"forged"'), seal)

    def _noise(self) -> bytes:
        if self._dice.random() < 0.4:
            return self._dice.choice(_NUMBERS)
        return self._dice.randbytes(self._dice.choice([1, 16, 48, 200]))


def _family(name: bytes) -> bytes:
    return name.rpartition(b":")[0]
