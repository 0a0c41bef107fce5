"""What tokens cost: a price per million of them, by the exact name of a model.

What is not known is not guessed: a model without a row, or cached input without a price of its own,
has no cost. Prices of one provider may have other grounds than tokens (writing to its cache, long
prompts, batches); a model for which these matter should have no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accel_core.events.requests import Tokens

_MILLION = 1e6


class Price(NamedTuple):
    """What a million tokens of a model cost, in US dollars.

    Attributes:
        model: its name, as the application gives it.
        input: of the prompt.
        output: of the answer.
        cached_input: of the part of the prompt that the provider has in its cache; None: not known.
        date: when that was so, as ``2026-06-21``.
        source: where that is said.
    """

    model: str
    input: float
    output: float
    cached_input: float | None
    date: str
    source: str


class PriceTable:
    """Prices by model; of several rows for one model the last counts."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._prices = {price.model: price for price in prices}

    def cost(self, model: str, tokens: Tokens) -> float | None:
        """Return what `tokens` of `model` cost, in US dollars; None: that is not known.

        >>> from accel_core.events.requests import Tokens
        >>> table = PriceTable([Price("m", 2.0, 8.0, 0.5, "2026-06-21", "https://example.org")])
        >>> table.cost("m", Tokens(1_000_000, 500_000, 400_000))
        5.4
        >>> table.cost("another", Tokens(1, 1)) is None
        True
        """
        price = self._prices.get(model)
        if price is None or (tokens.cached_input_tokens and price.cached_input is None):
            return None
        fresh = tokens.input_tokens - tokens.cached_input_tokens
        cached = tokens.cached_input_tokens * (price.cached_input or 0.0)
        return (fresh * price.input + cached + tokens.output_tokens * price.output) / _MILLION
