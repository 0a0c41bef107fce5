"""Which `Accel` an argument means: the one that was given, or the one of this process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from accel_core.accel import Accel
from accel_core.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable


@functools.cache
def default_accel() -> Accel:
    """Return the `Accel` of this process that is used where none is given."""
    return Accel()


def chosen_accel(given: Accel | None, otherwise: Callable[[], Accel] = default_accel) -> Accel:
    """Return `given`; None: what `otherwise` returns.

    Raises:
        UnsupportedError: it is neither, such as the settings that an `Accel` is made of.
    """
    if given is None:
        return otherwise()
    if isinstance(given, Accel):
        return given
    raise UnsupportedError(
        f"accel= takes an Accel, such as Accel(), Accel.from_mapping({{...}}) or "
        f"Accel.from_yaml('accel.yaml'); got {type(given).__name__}"
    )
