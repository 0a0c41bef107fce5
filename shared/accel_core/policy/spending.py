"""What calls of models used and saved, added up; the value that frameworks' handlers show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.events.requests import Tokens

if TYPE_CHECKING:
    from accel_core.policy.prices import PriceTable

_NOTHING = Tokens(0.0, 0.0)


class Spending(NamedTuple):
    """What calls came to.

    Attributes:
        calls: answers, hits included.
        hits: answers that the cache gave.
        failures: calls that raised.
        tokens: what providers state as used.
        saved_tokens: what the answers of hits had used when they were made.
        saved_s: how long those had taken, in seconds.
        cost: of the tokens used, in US dollars; None: a model has no price.
        saved_cost: of those saved, likewise.
    """

    calls: int = 0
    hits: int = 0
    failures: int = 0
    tokens: Tokens = _NOTHING
    saved_tokens: Tokens = _NOTHING
    saved_s: float = 0.0
    cost: float | None = 0.0
    saved_cost: float | None = 0.0

    def plus(self, other: Spending) -> Spending:
        """Return both together; a cost is known where both are.

        >>> Spending(calls=1, cost=0.5).plus(Spending(calls=1, cost=0.25)).cost
        0.75
        """
        return Spending(
            self.calls + other.calls,
            self.hits + other.hits,
            self.failures + other.failures,
            _both(self.tokens, other.tokens),
            _both(self.saved_tokens, other.saved_tokens),
            self.saved_s + other.saved_s,
            _known(self.cost, other.cost),
            _known(self.saved_cost, other.saved_cost),
        )


def spent(tokens: Tokens | None, model: str, prices: PriceTable) -> Spending:
    """Return what one answer of `model` came to; None: nobody stated its tokens."""
    tokens = tokens or _NOTHING
    return Spending(calls=1, tokens=tokens, cost=_cost(tokens, model, prices))


def saved(tokens: Tokens | None, saved_s: float, model: str, prices: PriceTable) -> Spending:
    """Return what one hit came to, whose answer of `model` had used `tokens`."""
    tokens = tokens or _NOTHING
    cost = _cost(tokens, model, prices)
    return Spending(calls=1, hits=1, saved_tokens=tokens, saved_s=saved_s, saved_cost=cost)


def _cost(tokens: Tokens, model: str, prices: PriceTable) -> float | None:
    return 0.0 if tokens == _NOTHING else prices.cost(model, tokens)


def _both(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(*(a + b for a, b in zip(one, other, strict=True)))


def _known(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
