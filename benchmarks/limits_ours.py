"""Our limiter behind the scenarios' protocol: the one place that knows its interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import UnavailableError
from benchmarks.limits_protocol import Contender

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.limits_protocol import Limiter, Setting

RETRY_BUDGET = 0.1
"""Share of the calls that may be tried again after failures of the service."""


def _make(setting: Setting) -> Limiter:
    msg = f"needs accel_core.token_limiter, for {setting.profile}"
    raise UnavailableError(msg)


OURS = Contender(name="ours", make=_make)
"""Limits tokens and requests, with tiers."""
OURS_ADAPTIVE = Contender(name="ours, adaptive", make=_make)
"""The same with adaptive concurrency, and no other limit where the setting has none."""


def reserve_and_settle() -> Callable[[], object]:
    """Return one call that reserves and settles three dimensions that have room."""
    msg = "needs accel_core.token_limiter"
    raise UnavailableError(msg)
