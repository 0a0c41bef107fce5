"""A report as one page: what matters as figures on top, then a section for each question."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from accel_core.page import document, joined, parts, tag
from accel_core.page.scales import spell_count
from accel_core.report import sections, sections_beside
from accel_core.report.amounts import spell_dollars, spell_share, spell_span, total_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.page import Markup
    from accel_core.report.values import Report

_TITLE = "What the cache did"


def page(report: Report) -> str:
    """Return the page; texts stand in it where the report has them."""
    content = [tag("h1", _TITLE), parts.remark(_about(report))]
    if report.outcomes is not None:
        content.append(parts.tiles(_figures(report)))
    for title, section in (
        ("Requests", sections.requests),
        ("Savings", sections.savings),
        ("Latency", sections.latency),
        ("Why not served", sections.reasons),
        ("Near misses", sections.near),
        ("Top questions", sections.questions),
        ("Wrong hits", sections.wrong),
        ("Limits", sections_beside.limits),
        ("Speculation", sections_beside.tools),
        ("Races", sections_beside.races),
        ("Retrieval and vectors", sections_beside.retrieval),
        ("What is kept", sections_beside.entries),
        ("Failures and losses", sections_beside.losses),
    ):
        content.append(tag("h2", title))
        content.extend(section(report))
    content.extend(parts.remark(note) for note in report.notes)
    return document(_TITLE, content)


def _about(report: Report) -> Markup:
    between = ""
    if report.from_s is not None and report.until_s is not None:
        between = f", {_moment(report.from_s)} to {_moment(report.until_s)}"
    made = f"{between}; made {_moment(report.made_at_s)}. All times are UTC."
    return joined(("From ", parts.listed(report.sources), made))


def _moment(moment_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment_s))


def _figures(report: Report) -> Iterator[tuple[str, str | None, object]]:
    rate = report.hits / report.lookups if report.lookups else None
    yield (
        "Hit rate",
        None if rate is None else spell_share(rate),
        f"{report.hits:,} of {report.lookups:,} lookups",
    )
    yield "Calls saved", f"{report.hits:,}", "answered without the model"
    total = None if report.models is None else total_of(report.models)
    if total is None:
        yield "Tokens saved", None, "this source does not tell"
        return
    saved = total.saved.input_tokens + total.saved.output_tokens
    yield "Tokens saved", spell_count(saved), "as providers stated them"
    yield "Money saved", *_money(report)
    yield "Time saved", spell_span(total.saved_s), "that answers had taken before"
    if report.wrong is not None:
        yield "Reported wrong", f"{report.wrong.reported:,}", f"{report.wrong.demoted:,} demoted"


def _money(report: Report) -> tuple[str | None, object]:
    """Return what was saved with models that have a price, and which have none."""
    models = report.models or {}
    used = {name: one for name, one in models.items() if any(one.saved)}
    unpriced = [name or "(unnamed)" for name, one in used.items() if one.saved_cost is None]
    if used and len(unpriced) == len(used):
        return None, "no model has a price"
    saved = sum(one.saved_cost or 0.0 for one in used.values())
    if not unpriced:
        return spell_dollars(saved), "by the price table"
    return spell_dollars(saved), joined(("without ", parts.listed(unpriced[:3]), ": no price"))
