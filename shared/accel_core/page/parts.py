"""What pages are put together from: tiles, cards, tables, and a word where a figure is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.page.charts import bar
from accel_core.page.markup import Markup, joined, spell, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
    head = tag("tr", *(tag("th", name) for name in heads)) if heads else ""
    body = (
        tag(
            "tr",
            *(
                cell if isinstance(cell, Markup) and cell.startswith("<td") else tag("td", cell)
                for cell in row
            ),
        )
        for row in rows
    )
    found = tag("table", head, *body, class_="drawn" if drawn else None)
    return tag("div", found, class_="scroll")


def bars(rows: Sequence[tuple[object, float, str]], tone: str) -> Markup:
    """Return amounts as bars: of each row its name, its amount, and how that is spelled."""
    most = max((amount for _, amount, _ in rows), default=0.0) or 1.0
    return table(
        (),
        ((name, plotted(bar(amount / most, tone)), said) for name, amount, said in rows),
    )


def plotted(drawing: Markup) -> Markup:
    """Return a table's cell that holds a drawing."""
    return tag("td", drawing, class_="plot")


def pair(rows: Iterable[tuple[str, object]]) -> Markup:
    """Return lines with a word in front of each."""
    return tag(
        "div",
        joined(joined((tag("span", name), tag("div", spell(text)))) for name, text in rows),
        class_="pair",
    )
