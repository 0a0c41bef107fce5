"""Caches with a verifier, in both colours."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.core.verification.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Rig]]:
    """Make rigs of one colour; all are closed at the end."""
    with ExitStack() as close:
        yield lambda verifier, **options: Rig(
            colour=request.param, close=close, verifier=verifier, **options
        )
