"""Sections of the page about what is beside requests: limits, tools, documents, stores, losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.page import charts, parts, tag
from accel_core.page.scales import spell_duration
from accel_core.report.amounts import spell_bytes, spell_share, spell_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accel_core.page import Markup
    from accel_core.report.values import Entries, Guesses, Limits, Report, Tool

_UNTOLD = "This source does not tell."


def limits(report: Report) -> Iterator[Markup]:
    """Show what providers' limits did."""
    found = report.limits
    if found is None:
        yield parts.missing(_UNTOLD)
        return
    table = parts.card("What limits did", parts.table(("", "calls"), _limit_rows(found)))
    history = report.history
    if not found.refused or history is None or "refused" not in history.counts:
        yield table
        return
    refused = [charts.Series("refused", "red", history.counts["refused"])]
    yield parts.cards(
        table,
        parts.card(
            "Refused by the provider over time (429)",
            charts.columns(
                charts.CARD, "Refusals over time", history.start_s, history.step_s, refused
            ),
        ),
    )


def _limit_rows(found: Limits) -> Iterator[tuple[str, str]]:
    waited = found.waited
    if waited is None:
        yield "waited for room", "0"
    else:
        yield "waited for room", f"{waited.samples:,}"
        for name, wait_s in (("p50", waited.p50_s), ("p95", waited.p95_s), ("p99", waited.p99_s)):
            yield f"… how long, {name}", spell_duration(wait_s)
    if found.refused is not None:
        yield "refused by the provider (429)", f"{found.refused:,}"
    if found.rejected is not None:
        yield "turned away, for they could not be in time", f"{sum(found.rejected.values()):,}"
        for tier, count in found.rejected.items():
            yield f"… {tier or 'without a tier'}", f"{count:,}"
    if found.hidden is not None:
        yield "hidden limits found", f"{found.hidden:,}"


def tools(report: Report) -> Iterator[Markup]:
    """Show what became of tool calls that were begun unasked."""
    if report.tools is None and report.guesses is None:
        yield parts.missing(_UNTOLD)
        return
    if not (report.tools or report.guesses):
        yield parts.missing("No tool was called before it was asked for.")
        return
    if report.tools:
        yield _by_tool(report.tools)
    wasted = (report.reasons or {}).get("wasted")
    yield parts.cards(
        *([_by_predictor(report.guesses)] if report.guesses else []),
        *([parts.card("Guesses in vain, by reason", parts.bars(
            [(reason or "-", count, f"{count:,}") for reason, count in wasted.items()], "grey"))]
          if wasted else []),
    )  # fmt: skip


def _by_tool(found: Mapping[str, Tool]) -> Markup:
    rows = [
        (
            name,
            parts.plotted(charts.bar(one.used / one.begun if one.begun else 0.0, "teal")),
            f"{one.begun:,}",
            spell_share(one.used / one.begun) if one.begun else "-",
            f"{one.used:,}",
            f"{one.wasted:,}",
            spell_span(one.saved_s),
            ", ".join(one.suspended) or "-",
        )
        for name, one in found.items()
    ]
    heads = ("tool", "", "begun", "accepted", "used", "wasted", "waiting saved", "suspended")
    return parts.card("Acceptance by tool", parts.table(heads, rows, drawn=True))


def _by_predictor(found: Mapping[str, Guesses]) -> Markup:
    rows = [
        (
            name or "(no guess: another call's result)",
            f"{one.begun:,}",
            spell_share(one.used / one.begun) if one.begun else "-",
            f"{one.used:,}",
            spell_span(one.saved_s),
        )
        for name, one in found.items()
    ]
    heads = ("predictor", "begun", "accepted", "used", "waiting saved")
    return parts.card("Acceptance by predictor", parts.table(heads, rows))


def retrieval(report: Report) -> Iterator[Markup]:
    """Show documents and vectors that were served."""
    found = report.retrieval
    if found is None:
        yield parts.missing(_UNTOLD)
        return
    misses = sum(found.misses.values())
    if not (found.hits or misses or found.skipped or found.vectors_asked or found.vectors_cached):
        yield parts.missing("Nothing was retrieved or embedded.")
        return
    rows = [("documents served from the cache", found.hits), ("… while they were made anew",
            found.stale), ("documents searched for", misses)]  # fmt: skip
    rows += [(f"… {reason}", count) for reason, count in found.misses.items()]
    rows += [("messages that needed none", sum(found.skipped.values()))]
    rows += [("vectors served", found.vectors_cached), ("vectors asked for", found.vectors_asked)]
    yield parts.card("", parts.table(("", "times"), ((name, f"{n:,}") for name, n in rows)))


def entries(report: Report) -> Iterator[Markup]:
    """Show what a store holds."""
    found = report.entries
    if found is None:
        yield parts.missing(f"{_UNTOLD} Name a store beside it, or --config.")
        return
    yield parts.tiles(
        (
            ("Entries", f"{found.count:,}", f"{found.expired:,} expired"),
            ("Size", spell_bytes(found.bytes), "as stored"),
            ("By meaning", f"{found.semantic:,}", "served to other wordings too"),
            ("Not readable", f"{found.unreadable:,}", "damaged, or of another key or version"),
        )
    )
    if not found.count:
        return
    yield parts.cards(
        _hill("Entries by age", found.ages, spell_span),
        _hill("Entries by size", found.sizes, spell_bytes),
        *_counted(found),
    )
    if found.newest:
        yield parts.card(
            "The newest",
            parts.table(
                ("question", "age", "bytes"),
                (
                    (tag("code", id_) if text is None else text, spell_span(age_s), f"{size:,}")
                    for id_, age_s, size, text in found.newest
                ),
            ),
        )


def _counted(found: Entries) -> Iterator[Markup]:
    for title, counts in (("By namespace", found.namespaces), ("By model", found.sources)):
        if counts:
            rows = [(name or "-", count, f"{count:,}") for name, count in counts.items()]
            yield parts.card(title, parts.bars(rows[:12], "blue"))


def _hill(
    title: str, bins: tuple[tuple[float, float, float], ...], spell: charts.Spell
) -> Markup:  # fmt: skip
    shown = charts.Distribution(title, "purple", bins, None)
    return parts.card(title, charts.distributions(charts.CARD, title, [shown], spell))


def losses(report: Report) -> Iterator[Markup]:
    """Show what failed, and what this report does not hold."""
    if report.failures is None and report.losses is None:
        yield parts.missing(_UNTOLD)
        return
    rows = list(_rows("", report.failures or {}))
    if report.losses is not None:
        rows += _rows("events lost by ", report.losses.observers)
        unreadable = report.losses.unreadable_lines
        rows += [("lines that could not be read", f"{unreadable:,}")] if unreadable else []
    yield (
        parts.card("", parts.table(("", "times"), rows))
        if rows
        else parts.missing("Nothing failed, and nothing was lost.")
    )


def _rows(before: str, counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for name, count in counts.items():
        yield f"{before}{name}", f"{count:,}"
