"""Levels in this process, and on a server of the tests', keep every promise of the port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accel_core.policy.limits.levels import Levels
from accel_core.testing.limit_stores import LimitStoreContract, SharedLimitStoreContract
from tests.shared_levels import RemoteLevels, Server

if TYPE_CHECKING:
    from accel_core.testing.doubles import ManualClock
    from accel_core.testing.limit_stores import Stores


class TestLevels(LimitStoreContract):
    @pytest.fixture
    def stores(self) -> Stores:
        def make() -> tuple[Levels, Levels]:
            levels = Levels()
            return levels, levels

        return make


class TestRemoteLevels(SharedLimitStoreContract):
    @pytest.fixture
    def stores(self, clock: ManualClock) -> Stores:
        def make() -> tuple[RemoteLevels, RemoteLevels]:
            server = Server(lambda: clock.now_s)
            return RemoteLevels(server), RemoteLevels(server)

        return make
