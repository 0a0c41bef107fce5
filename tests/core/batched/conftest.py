"""Callers of both colours, and what they call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core.batched.rig import Backend, Tasks, Threads

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[Threads, Tasks])
def callers(request: pytest.FixtureRequest) -> Iterator[Threads | Tasks]:
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.let_go(1000)
