"""What redis-py raises, as the errors of this package: who is away for now, and what is refused."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from accel_core.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOR_NOW = re.compile(r"(^|: )(BUSY|MISCONF|NOREPLICAS) ")
"""Answers by which a server refuses what it will do later, and for which redis-py has no class."""


def unreachable(error: BaseException) -> bool:
    """Whether `error` says that this node cannot be spoken to, and another one might."""
    import redis

    kinds = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ClusterDownError, OSError)
    return isinstance(error, kinds)


@contextmanager
def reported(operation: str) -> Iterator[None]:
    """Let what redis-py raises leave as a `StoreError`."""
    import redis

    try:
        yield
    except (redis.RedisError, OSError) as error:
        kind = StoreUnavailableError if _for_now(error) else StoreError
        raise kind("redis", operation, f"{type(error).__name__}: {error}") from error


def _for_now(error: Exception) -> bool:
    import redis

    names = redis.exceptions
    kinds = (names.OutOfMemoryError, names.ReadOnlyError, names.ClusterError, names.TryAgainError)
    return unreachable(error) or isinstance(error, kinds) or bool(_FOR_NOW.search(str(error)))
