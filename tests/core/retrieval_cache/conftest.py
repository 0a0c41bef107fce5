"""Desks in both colours."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.core.retrieval_cache.rig import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as close:
        yield lambda **options: Desk(request.param, close, **options)
