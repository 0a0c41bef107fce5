"""Who asks random agents, what is whose, and which calls nobody asked for.

All users have the same keys, so that only who asks tells one number from another.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from typing import TYPE_CHECKING

from accel_core import tenancy
from accel_core.guesses import inside
from accel_core.tenancy import Tenant

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def tenant_of(number: int) -> Tenant | None:
    """Return who asks agent `number`: nobody in particular, or a user of one of two tenants."""
    place = number % 4
    if not place:
        return None
    return Tenant(f"{number // 4}{'ab'[place == 3]}", str(place % 2))


def asked_by(number: int) -> AbstractContextManager[None]:
    """Ask agent `number` inside, as who asks it."""
    who = tenant_of(number)
    return nullcontext() if who is None else tenancy.tenant(who.id, user=who.user)


def key_of(number: int, place: int) -> str:
    """Return a key of agent `number`: all users have the same, so that only who asks tells."""
    return str(place) if tenant_of(number) else f"{number}-{place}"


def owned_by(number: int, who: Tenant | None, key: str) -> bool:
    """Whether what `who` has under `key` is agent `number`'s."""
    return who == tenant_of(number) and (who is not None or key.startswith(f"{number}-"))


def first_under(key: str) -> int:
    """Return what is under `key` of who is asking before anybody has written there."""
    return random.Random(f"{tenancy.current()} {key}").randrange(100)


def is_guess() -> bool:
    """Whether the tool that asks was called unasked."""
    execution = inside.get()
    return execution is not None and bool(execution.origin.predictor)
