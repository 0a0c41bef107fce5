"""The port of where a key's levels live: in this process, or in one place for several of them.

Re-exported by `accel_core.ports`; here, because policies hold one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.policy.limits.charge import Charge


class Limit(NamedTuple):
    """An amount of one unit that refills steadily.

    Attributes:
        unit: position in a `Charge`.
        per_s: the seconds it is for; with the unit, its name.
        amount: how high its level rises.
        rate_per_s: how fast.
        at_most: what its level is lowered to, once, when it is told.
    """

    unit: int
    per_s: float
    amount: float
    rate_per_s: float
    at_most: float = float("inf")


class Reserved(NamedTuple):
    """What a store answers.

    Attributes:
        wait_s: seconds until what was asked for may be used; more than the caller would wait:
            nothing was taken.
        levels: what is left of each limit, in the order they were told; empty: not said.
        processes: that took of the limits lately, this one included, as far as is known.
        share: of each limit, in (0, 1], which the store answered from because it could not ask for
            the whole; 0: then it lets nobody through; None: it did ask.
        problem: what kept it from asking, where it just tried.
    """

    wait_s: float
    levels: tuple[float, ...] = ()
    processes: int = 1
    share: float | None = None
    problem: str = ""


@runtime_checkable
class LimitStore(Protocol):
    """Levels of one key's limits, of which everybody who uses the key takes.

    A limit begins full with whoever names it first, and who names it later joins; each handle takes
    from the limits that it was told, from all of them or from none. Levels may fall below zero:
    what was promised for later is taken at once, so whoever comes after waits behind it, and what a
    process that died held, or an answer that was lost, is refilled.

    `reserve` alone may wait for a network: it is called off event loops, and by several threads.
    The others are called anywhere, while garbage is collected too, and neither wait nor raise: what
    they say has arrived when a later `reserve` of the same handle answers. A store that cannot ask
    for its levels answers as it was configured to (of a share of the limits, or with a wait longer
    than the caller's), or raises: then the caller's own levels decide, and an event says so.
    """

    def shape(self, limits: Sequence[Limit], now_s: float) -> None:
        """Take `limits` for all there are from now on; levels of those that were known stay."""

    def reserve(self, charge: Charge, now_s: float, max_wait_s: float) -> Reserved:
        """Take `charge` if it may be used within `max_wait_s`, and say when.

        What is larger than a limit may be used when that is full.

        Args:
            charge: amounts by unit.
            now_s: the caller's monotonic clock, from which a store of several machines, having a
                clock of its own, learns nothing.
            max_wait_s: 0 or more.
        """

    def settle(self, held: Charge, charged: Charge) -> None:
        """Return what was taken beyond what was `charged`; take what is missing."""

    def hold_off(self, until_s: float, now_s: float) -> None:
        """Promise nothing for before `until_s`, by the caller's clock: the provider said so."""

    def close(self) -> None:
        """Release what is held of the network; a later `reserve` may take it again."""
