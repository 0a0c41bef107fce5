"""Levels on a real server whose clock the tests step, as several processes' handles share them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from unittest import mock

from accel_core.errors import StoreError
from accel_core.store import redis_levels
from accel_core.store.redis_levels import RedisLevels
from accel_core.store.redis_reserve import RESERVE
from accel_core.store.redis_scripts import Script
from accel_core.testing.doubles import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.redis_cluster import Running


_TIME = "{accel}:time"


class ServersClock(ManualClock):
    """What a server's clock shows, kept on the server: the scripts read it there instead."""

    def __init__(self, server: Running) -> None:
        self._client = server.client()
        super().__init__(5_000.0)
        self.show()

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.show()

    def close(self) -> None:
        self._client.close()

    def lose_data(self) -> None:
        """Empty the server, as one that was started again is."""
        self._client.flushall()
        self.show()

    def show(self) -> None:
        shown = (0, repr(self.now_s * 1e6))
        self._client.pipeline().delete(_TIME).rpush(_TIME, *shown).execute()


class Wire:
    """Between one handle and the server.

    Attributes:
        is_cut: whether nothing gets through.
        loses_answers: whether what got through is not answered.
        late: what was on its way when it was cut; `deliver` has the server carry it out.
    """

    def __init__(self, levels: RedisLevels) -> None:
        self.is_cut = self.loses_answers = False
        self.late: list[tuple[Any, ...]] = []
        self._ask = levels._link.ask
        levels._link.ask = self.ask  # type: ignore[method-assign]

    def ask(self, *asked: Any) -> Any:
        if self.is_cut:
            self.late.append(asked)
            raise StoreError("redis", "reserve", "cut")
        answer = self._ask(*asked)
        if self.loses_answers:
            raise StoreError("redis", "reserve", "the answer was lost")
        return answer

    def deliver(self) -> None:
        for asked in self.late:
            self._ask(*asked)
        self.late.clear()


@contextmanager
def stepped(server: Running) -> Iterator[tuple[ServersClock, Callable[..., RedisLevels]]]:
    """Yield the clock of server and handles, and what makes a handle on a named key's levels."""
    text = RESERVE.text.replace("redis.call('TIME')", f"redis.call('LRANGE', '{_TIME}', 0, 1)")
    with (
        mock.patch.object(redis_levels, "RESERVE", Script(text)),
        # Of one connection, or every example would make new ones.
        server.client() as client,
        ExitStack() as close,
    ):
        clock = ServersClock(server)
        close.callback(clock.close)

        def make(name: str = "", **options: Any) -> RedisLevels:
            levels = RedisLevels(
                client,
                name or token_hex(8),
                timeout_s=10.0,
                mono_now=lambda: clock.now_s,
                **options,
            )
            close.callback(levels.close)
            return levels

        yield clock, make
