"""Time and dice of what the package makes, in one value that tests and simulations replace."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Time and dice, injected so that tests need not wait.

    Attributes:
        wall_now: seconds since the epoch, for stamps that are stored.
        mono_now: monotonic seconds, for durations.
        chance: uniform in [0, 1).
    """

    wall_now: Callable[[], float] = time.time
    mono_now: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
