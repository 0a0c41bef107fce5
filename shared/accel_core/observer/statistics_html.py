"""Statistics as a table of HTML, for notebooks: no script, no style sheet, every text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from accel_core.observer.requests import ModelTotals, Requests
    from accel_core.policy.histogram import Quantiles


def tables(counts: Iterable[tuple[str, str]], requests: Requests) -> str:
    """Return two tables: `counts` and what requests came to, and how long they took."""
    counted = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in (*counts, *_came_to(requests.total))
    )
    heads = "".join(f"<th>{head}</th>" for head in ("", "count", "mean", "p50", "p95", "p99"))
    took = "".join(_row(name, found) for name, found in _took(requests))
    return f"<table>{counted}</table><table><tr>{heads}</tr>{took}</table>"


def _came_to(total: ModelTotals) -> Iterator[tuple[str, str]]:
    yield "requests", str(total.requests)
    yield "asked of providers", str(total.attempts)
    yield "tokens used", _tokens(total.used.input_tokens, total.used.output_tokens)
    yield "tokens saved", _tokens(total.saved.input_tokens, total.saved.output_tokens)
    yield "spent", _dollars(total.cost)
    yield "saved", _dollars(total.saved_cost)
    yield "time saved", f"{total.saved_s:.1f} s"
    if total.unstated:
        yield "answers without stated usage", str(total.unstated)


def _took(requests: Requests) -> Iterator[tuple[str, Quantiles]]:
    yield from requests.took.items()
    yield from ((f"tier {tier}", found) for tier, found in requests.tiers.items())
    yield from requests.parts.items()


def _row(name: str, found: Quantiles) -> str:
    times = (found.mean_s, found.p50_s, found.p95_s, found.p99_s)
    cells = "".join(f"<td>{time_s * 1e3:.3g} ms</td>" for time_s in times)
    return f"<tr><th>{escape(name)}</th><td>{found.samples}</td>{cells}</tr>"


def _tokens(given: float, got: float) -> str:
    return f"{given:,.0f} in, {got:,.0f} out"


def _dollars(cost: float | None) -> str:
    return "not known: a model has no price" if cost is None else f"${cost:,.4f}"
