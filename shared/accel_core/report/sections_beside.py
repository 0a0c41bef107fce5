"""Sections of the page about what is beside requests: limits, tools, documents, stores, losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.page import charts, parts, tag
from accel_core.page.scales import spell_count, spell_duration, spell_moment
from accel_core.report.amounts import spell_bytes, spell_share, spell_span
from accel_core.report.values import Fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from accel_core.page import Markup
    from accel_core.report.values import (
        Entries,
        Guesses,
        History,
        LimitsMet,
        RacePath,
        Report,
        Tool,
    )

_UNTOLD = "This source does not tell."
_FATES = {
    "won": "won", "refused": "not accepted", "failed": "failed", "timed_out": "out of time",
    "cancelled": "another had won", "unstarted": "not begun",
}  # fmt: skip
_FATE_TONES = {
    "won": "teal", "refused": "orange", "failed": "red", "timed_out": "purple",
    "cancelled": "grey", "unstarted": "pale",
}  # fmt: skip


def limits(report: Report) -> Iterator[Markup]:
    """Show what providers' limits did, and how full they were."""
    found = report.limits
    if found is None:
        yield parts.missing(_UNTOLD)
        return
    table = parts.card("What limits did", parts.table(("", "calls"), _limit_rows(found)))
    history = report.history
    if history is None:
        yield table
        return
    drawn = []
    if found.refused and "refused" in history.counts:
        refused = charts.Series("refused", "red", history.counts["refused"])
        drawn.append(_columns("Refused by the provider over time (429)", history, refused))
    if found.alone is not None and found.alone.processes:
        alone = charts.Series("processes", "purple", found.alone.processes)
        drawn.append(_columns("Processes on a share of their own", history, alone))
    yield parts.cards(table, *drawn)
    yield from _filled(found.fill or (), history)


def _columns(title: str, history: History, counts: charts.Series) -> Markup:
    drawn = parts.over_time(title, history.start_s, history.step_s, [counts], half=True)
    return parts.card(title, *drawn)


def _filled(found: Sequence[Fill], history: History) -> Iterator[Markup]:
    """Draw how full limits were: those with an amount as shares of it, others each alone."""
    known = [one for one in found if one.amount]
    tones = ("blue", "teal", "purple", "orange", "grey", "text")
    if known:
        curves = [
            _curve(one, tone, history, one.amount or 1.0)
            for one, tone in zip(known, tones, strict=False)
        ]
        full = _curve(Fill(limit="the limit", amount=None, peaks=(1.0,) * len(known[0].peaks)),
                      "red", history, 1.0)._replace(dashed=True)  # fmt: skip
        yield _fullness("How full the limits were", [*curves, full], history, "{:.0%}".format)
    for one in found:
        if not one.amount:
            name = one.limit.replace("_", " ")
            curve = _curve(one, "blue", history, 1.0)
            yield _fullness(f"The most {name}", [curve], history, spell_count)


def _curve(one: Fill, tone: str, history: History, amount: float) -> charts.Curve:
    shares = [peak / amount for peak in one.peaks]
    points = charts.steps(history.start_s, history.step_s, shares)
    return charts.Curve(one.limit.replace("_", " "), tone, points)


def _fullness(
    title: str, curves: Sequence[charts.Curve], history: History, spell: charts.Spell
) -> Markup:
    within = (history.start_s, curves[0].points[-1][0])
    high = max(value for curve in curves for _, value in curve.points)
    return parts.card(
        title,
        charts.legend((one.tone, one.name) for one in curves),
        charts.both(
            lambda size: charts.over_time(
                size, title, curves, within=within, high=high, spell=spell
            )
        ),
        parts.folded("Figures", _fullness_table(curves, within, spell)),
        parts.remark("Of each moment, what was used in the minute (or day) before it; drawn is the"
                     " most. Calls count by the tokens they turned out to use."),
    )  # fmt: skip


def _fullness_table(
    curves: Sequence[charts.Curve], within: tuple[float, float], spell: charts.Spell
) -> Markup:
    span_s = within[1] - within[0]
    rows = (
        (spell_moment(moment_s, span_s), *(spell(one.points[place][1]) for one in curves))
        for place, (moment_s, _) in enumerate(curves[0].points)
        if place % 2 == 0 and any(one.points[place][1] for one in curves if not one.dashed)
    )
    return parts.table(("from", *(one.name for one in curves)), rows)


def _limit_rows(found: LimitsMet) -> Iterator[tuple[str, str]]:
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
    if (alone := found.alone) is not None and alone.times:
        yield "times that shared limits could not be asked for", f"{alone.times:,}"
        yield "… the longest", spell_span(alone.longest_s)
        yield "… the least share that a process went on with", spell_share(alone.least_share or 0.0)


def races(report: Report) -> Iterator[Markup]:
    """Show which of several ways to an answer won, and what became of the others."""
    found = report.races
    if found is None:
        yield parts.missing(_UNTOLD)
        return
    if not found.paths:
        yield parts.missing("Nothing was raced.")
        return
    said = []
    if found.count is not None and found.took is not None:
        said.append(f"{found.count:,} races, {found.unanswered:,} of them without an answer; half"
                    f" were over in {spell_duration(found.took.p50_s)}.")  # fmt: skip
    yield parts.card(
        "Paths",
        *map(parts.remark, said),
        charts.legend((tone, _FATES[name]) for name, tone in _FATE_TONES.items()),
        parts.table(
            ("path", "", "not begun", "won", "not won", "p50", "p95"),
            [_path_row(name, one) for name, one in found.paths.items()],
            drawn=True,
        ),
    )


def _path_row(name: str, one: RacePath) -> tuple[object, ...]:
    known = [(fate, one.outcomes[fate]) for fate in _FATES if one.outcomes.get(fate)]
    said = ", ".join(f"{_FATES[fate]} {count:,}" for fate, count in known)
    won, idle = one.outcomes.get("won", 0), one.outcomes.get("unstarted", 0)
    bar = charts.shares(f"{name}: {said}", [(_FATE_TONES[fate], n) for fate, n in known])
    took = ("-", "-") if one.took is None else map(spell_duration, (one.took.p50_s, one.took.p95_s))
    lost = sum(one.outcomes.values()) - won - idle
    return (name or "-", parts.plotted(bar), f"{idle:,}", f"{won:,}", f"{lost:,}", *took)


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
            parts.listed(one.suspended) or "-",
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
        writes = report.losses.writes
        rows += [("writes that never reached the store", f"{writes:,}")] if writes else []
    yield (
        parts.card("", parts.table(("", "times"), rows))
        if rows
        else parts.missing("Nothing failed, and nothing was lost.")
    )


def _rows(before: str, counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for name, count in counts.items():
        yield f"{before}{name}", f"{count:,}"
