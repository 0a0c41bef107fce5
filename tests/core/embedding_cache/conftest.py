"""A cache of vectors in both colours, with a clock turned by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accel_core.accel import Accel
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.encoders import HashEncoder
from tests.core.embedding_cache.rig import Asyncio, Blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=[Blocking, Asyncio])
def colour(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def observed() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def make(observed: RecordingObserver, clock: ManualClock) -> Iterator[Callable[..., Accel]]:
    made: list[Accel] = []

    def make(settings: dict[str, Any] | None = None, **options: Any) -> Accel:
        defaults = {"encoder": HashEncoder(), "observers": [observed], "clocks": clock.clocks()}
        made.append(Accel.from_mapping(settings or {}, **{**defaults, **options}))
        return made[-1]

    yield make
    for accel in made:
        accel.close()


@pytest.fixture
def accel(make: Callable[..., Accel]) -> Accel:
    return make()
