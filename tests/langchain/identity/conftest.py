"""A model that names what it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.langchain.identity.rig import Namer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def name() -> Iterator[Namer]:
    namer = Namer()
    yield namer
    namer.accel.close()
