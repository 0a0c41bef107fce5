"""What pages are put together from: tiles, cards, tables, and a word where a figure is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.page.charts import CARD, bar, both, columns, legend
from accel_core.page.markup import Markup, joined, spell, tag
from accel_core.page.scales import spell_count, spell_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from accel_core.page.charts import Series, Size


def listed(names: Iterable[object]) -> Markup:
    """Return names with commas between; letters from right to left stay inside their own."""
    return Markup(", ".join(tag("bdi", name) for name in names))


def tiles(figures: Iterable[tuple[str, str | None, object]]) -> Markup:
    """Return figures side by side: what each is, its value (None: not known), and a remark."""
    return tag("div", *(_tile(*one) for one in figures), class_="tiles")


def _tile(name: str, value: str | None, remark: object) -> Markup:
    figure = tag("b", "not told", class_="none") if value is None else tag("b", value)
    return tag("div", tag("span", name), figure, tag("span", remark), class_="tile")


def card(title: str, *content: object) -> Markup:
    """Return a card with a heading; ``""``: none."""
    head = (tag("h3", title),) if title else ()
    return tag("section", *head, *content, class_="card")


def cards(*content: Markup) -> Markup:
    """Return cards beside each other, where there is room."""
    return tag("div", *content, class_="cards")


def missing(what: str) -> Markup:
    """Return a remark where a figure is not known, which is not the same as 0."""
    return tag("p", what, class_="missing")


def remark(text: object) -> Markup:
    """Return a soft line of text."""
    return tag("p", text, class_="soft")


def folded(summary: str, *content: object) -> Markup:
    """Return what is shown when it is asked for."""
    return tag("details", tag("summary", summary), *content)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, drawn: bool = False) -> Markup:
    """Return a table: a column of words, then figures.

    Args:
        heads: of its columns.
        rows: what stands in them.
        drawn: whether its second column is a drawing of the others; a phone leaves out it and the
            third.
    """
    head = tag("tr", *map(_head, heads)) if heads else ""
    body = (tag("tr", *map(_cell, row, range(len(row)))) for row in rows)
    found = tag("table", head, *body, class_="drawn" if drawn else None)
    return scrolled(found) if len(heads) > _NARROW else tag("div", found, class_="scroll")


def scrolled(content: Markup) -> Markup:
    """Return what may be wider than a phone; whoever has a keyboard alone can scroll it, too."""
    return tag("div", content, class_="scroll", tabindex=0, role="group", aria_label="wide content")


_NARROW = 3
"""Columns that a phone has room for."""


def _head(name: str) -> Markup:
    return tag("th", name, scope="col") if name else tag("td")


def _cell(cell: object, place: int) -> Markup:
    if isinstance(cell, Markup) and cell.startswith("<td"):
        return cell
    return tag("td", cell) if place else tag("th", cell, scope="row")


def bars(rows: Sequence[tuple[object, float, str]], tone: str) -> Markup:
    """Return amounts as bars: of each row its name, its amount, and how that is spelled."""
    most = max((amount for _, amount, _ in rows), default=0.0) or 1.0
    return table(
        (),
        ((name, plotted(bar(amount / most, tone)), said) for name, amount, said in rows),
    )


def over_time(
    label: str, start_s: float, step_s: float, stacked: Sequence[Series], *, half: bool = False
) -> tuple[Markup, ...]:
    """Return columns over time as a legend, a chart, and the figures for who sees none.

    Args:
        label: what they show.
        start_s: where the first begins, seconds since the epoch.
        step_s: the width of each.
        stacked: a value for each column of each series, the lowest series first.
        half: whether they have half a page's width.
    """
    span_s = step_s * len(stacked[0].values)
    rows = [
        (spell_moment(start_s + place * step_s, span_s), *map(spell_count, values))
        for place, values in enumerate(zip(*(one.values for one in stacked), strict=True))
        if any(values)
    ]

    def draw(size: Size) -> Markup:
        return columns(size, label, start_s, step_s, stacked)

    return (
        legend((one.tone, one.name) for one in stacked),
        draw(CARD) if half else both(draw),
        folded("Figures", table(("from", *(one.name for one in stacked)), rows)),
    )


def plotted(drawing: Markup) -> Markup:
    """Return a table's cell that holds a drawing."""
    return tag("td", drawing, class_="plot")


def words(text: object) -> Markup:
    """Return a table's cell whose text may take several lines on a phone."""
    return tag("td", text, class_="words")


def pair(rows: Iterable[tuple[str, object]]) -> Markup:
    """Return lines with a word in front of each."""
    return tag(
        "div",
        joined(joined((tag("span", name), tag("div", spell(text)))) for name, text in rows),
        class_="pair",
    )
