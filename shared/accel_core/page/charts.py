"""Charts as SVG: columns over time, curves, distributions of durations.

A chart is drawn for the width that it will have, once for a wide screen and once for a phone, since
letters in a picture that shrinks become too small. Each mark says its figures as a title.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from accel_core.page.markup import Markup, joined, tag
from accel_core.page.scales import (
    Scale,
    moments,
    powers,
    round_ticks,
    spell_count,
    spell_duration,
    spell_moment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Spell = Callable[[float], str]

_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 10.0, 24.0
_LETTER = 4.0
"""What a line of text stands lower than its middle."""


class Size(NamedTuple):
    """Of a drawing, in pixels; `ticks`: how many labels fit below it."""

    width: float
    height: float
    ticks: int


CARD = Size(400.0, 220.0, 4)
"""Of a chart that is half a page wide, or a whole phone."""
_WIDE, _NARROW = Size(900.0, 260.0, 9), Size(360.0, 230.0, 4)


class Series(NamedTuple):
    """Values that belong together: their name, their colour's class in the style sheet, and they.

    Of columns a value for each; of curves a point, x and y, for each.
    """

    name: str
    tone: str
    values: Sequence[float]


class Curve(NamedTuple):
    """Points, x and y, joined by a line; `dashed` besides its colour, for who sees none."""

    name: str
    tone: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def steps(start_s: float, step_s: float, values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the points of a curve that keeps each value for `step_s` seconds."""
    return [
        (start_s + (place + side) * step_s, value)
        for place, value in enumerate(values)
        for side in (0, 1)
    ]


def both(draw: Callable[[Size], Markup]) -> Markup:
    """Return a chart that is as wide as the page, drawn for a wide one and for a phone."""
    return joined(
        (
            tag("div", draw(_WIDE), class_="wide"),
            tag("div", draw(_NARROW), class_="narrow"),
        )
    )


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """Return what the colours mean: pairs of a tone and a name."""
    return tag(
        "div",
        *(
            tag("span", _swatch(tone), name)
            for tone, name in entries
        ),
        class_="legend",
    )  # fmt: skip


def _swatch(tone: str) -> Markup:
    square = tag("rect", width=10, height=10, rx=2, class_=tone)
    return tag("svg", square, viewBox="0 0 10 10", aria_hidden="true")


def columns(
    size: Size,
    label: str,
    start_s: float,
    step_s: float,
    stacked: Sequence[Series],
    *,
    spell: Spell = spell_count,
) -> Markup:
    """Return columns over time, one on the other, with a scale of their own units at the left.

    Args:
        size: of the drawing.
        label: what it shows, for who cannot see it.
        start_s: where the first column begins, seconds since the epoch.
        step_s: the width of each.
        stacked: a value for each column of each series, the lowest series first.
        spell: spells a value.
    """
    count = len(stacked[0].values)
    sums = [sum(one.values[place] for one in stacked) for place in range(count)]
    ticks = round_ticks(max(sums, default=0.0), 4)
    if all(float(one).is_integer() for one in sums):
        ticks = [tick for tick in ticks if tick.is_integer()]  # nobody counts halves
    x, y = _scales(size, (start_s, start_s + count * step_s), (0.0, ticks[-1]))
    edges = [x.at(start_s + place * step_s) for place in range(count + 1)]
    marks = []
    for place in range(count):
        if sums[place]:
            said = ", ".join(f"{one.name} {spell(one.values[place])}" for one in stacked)
            moment = spell_moment(start_s + place * step_s, count * step_s)
            column = _column(stacked, place, (edges[place], edges[place + 1]), y)
            marks.append(tag("g", tag("title", f"{moment}: {said}"), *column))
    return _drawing(size, label, _rows(size, y, ticks, spell), _times(size, x), marks)


def _column(
    stacked: Sequence[Series], place: int, between: tuple[float, float], y: Scale
) -> Iterable[Markup]:
    left, right = between
    width = right - left - min(1.0, (right - left) / 5)
    below = 0.0
    for one in stacked:
        value = one.values[place]
        if value > 0:
            top, foot = y.at(below + value), y.at(below)
            yield tag("rect", x=left, y=top, width=width, height=foot - top, class_=one.tone)
            below += value


def over_time(
    size: Size,
    label: str,
    curves: Sequence[Curve],
    *,
    within: tuple[float, float],
    high: float,
    spell: Spell = spell_count,
) -> Markup:
    """Return curves over time, whose x are seconds since the epoch `within` two moments."""
    ticks = round_ticks(high, 4)
    x, y = _scales(size, within, (0.0, ticks[-1]))
    drawn = [_line(curve, x, y) for curve in curves]
    return _drawing(size, label, _rows(size, y, ticks, spell), _times(size, x), drawn)


def plot(
    size: Size,
    label: str,
    curves: Sequence[Curve],
    *,
    across: tuple[Sequence[float], Spell, str],
    up: tuple[Sequence[float], Spell],
) -> Markup:
    """Return curves over a scale.

    Args:
        size: of the drawing.
        label: what it shows.
        curves: what is drawn.
        across: values that are written below, how, and what they are.
        up: values that are written at the left, and how.
    """
    below, spell_x, name = across
    beside, spell_y = up
    x, y = _scales(size, (below[0], below[-1]), (beside[0], beside[-1]), named=True)
    return _drawing(
        size,
        label,
        _rows(size, y, beside, spell_y),
        _labels(y, [(x.at(value), spell_x(value)) for value in below]),
        [_name(size, name)],
        [_line(curve, x, y) for curve in curves],
    )


def distributions(
    size: Size, label: str, found: Sequence[Distribution], spell: Spell = spell_duration
) -> Markup:
    """Return where values lie, on a logarithmic scale: of each distribution a hill.

    Equal areas are equal shares of a distribution, so what the heights are is of no account. A
    dashed line is the median.
    """
    shown = [(one, one.hill()) for one in found if one.bins]
    low = min(hill[0][0] for _, hill in shown)
    high = max(hill[-1][0] for _, hill in shown)
    below = powers(low, high)
    tallest = max(up for _, hill in shown for _, up in hill)
    x, y = _scales(size, (below[0], below[-1]), (0.0, tallest * 1.05))
    x = x._replace(log=True, start=_RIGHT * 2, end=size.width - _RIGHT * 2)
    labels = [(x.at(value), spell(value)) for value in _thinned(below, size.ticks + 1)]
    return _drawing(
        size,
        label,
        _labels(y, labels, lines=True),
        [mark for one, hill in shown for mark in _hill(one, hill, x, y, spell)],
    )


class Distribution(NamedTuple):
    """Values by size.

    Attributes:
        name: of them.
        tone: of their hill.
        bins: from, to, and how many lie between, rising; above 0.
        median: where half of them are smaller; None: no line is drawn there.
    """

    name: str
    tone: str
    bins: Sequence[tuple[float, float, float]]
    median: float | None

    def hill(self) -> list[tuple[float, float]]:
        """Return points: values, and the share of values for each tenfold there."""
        total = sum(count for *_, count in self.bins)
        points, end = [], 0.0
        for low, high, count in self.bins:
            if low > end * 1.001:
                points += [(end, 0.0)] * bool(end) + [(low, 0.0)]
            points.append((math.sqrt(low * high), count / total / math.log10(high / low)))
            end = high
        return [*points, (end, 0.0)]


def spread(low_s: float, high_s: float, quantiles_s: Sequence[float], tone: str) -> Markup:
    """Return a line from the first to the last of three quantiles, each with a dot, in one row.

    Args:
        low_s: left end of the logarithmic scale that rows share.
        high_s: right end of it.
        quantiles_s: rising.
        tone: of the dots.
    """
    scale = Scale(low_s, max(high_s, low_s * 10), 6.0, 194.0, log=True)
    xs = [scale.at(max(low_s, value)) for value in quantiles_s]
    dots = [
        tag("circle", cx=at, cy=8, r=radius, class_=tone)
        for at, radius in zip(xs, (4.5, 3.5, 2.5), strict=True)
    ]
    line = tag("line", x1=xs[0], x2=xs[-1], y1=8, y2=8, class_=f"stroke {tone}")
    rail = tag("line", x1=6, x2=194, y1=8, y2=8, class_="grid")
    said = ", ".join(map(spell_duration, quantiles_s))
    return tag(
        "svg", tag("title", said), rail, line, *dots,
        viewBox="0 0 200 16", role="img", aria_label=said,
    )  # fmt: skip


def bar(share: float, tone: str) -> Markup:
    """Return a bar as long as `share`, in [0, 1], of its cell."""
    length = max(0.6, 100.0 * min(1.0, share)) if share > 0 else 0.0
    filled = tag("rect", width=length, height=10, rx=1, class_=tone)
    return tag(
        "svg", filled, viewBox="0 0 100 10", class_="bar", preserveAspectRatio="none",
        aria_hidden="true",
    )  # fmt: skip


def shares(label: str, found: Sequence[tuple[str, float]]) -> Markup:
    """Return one bar, as long as its cell, made of parts: of each a tone and its amount."""
    total, at, filled = sum(amount for _, amount in found) or 1.0, 0.0, []
    for tone, amount in found:
        length = 100.0 * amount / total
        filled.append(tag("rect", x=at, width=length, height=10, class_=tone))
        at += length
    return tag(
        "svg", tag("title", label), *filled, viewBox="0 0 100 10", class_="bar",
        preserveAspectRatio="none", role="img", aria_label=label,
    )  # fmt: skip


def _scales(
    size: Size, across: tuple[float, float], up: tuple[float, float], *, named: bool = False
) -> tuple[Scale, Scale]:
    foot = size.height - _BOTTOM - (16.0 if named else 0.0)
    return Scale(*across, _LEFT, size.width - _RIGHT), Scale(*up, foot, _TOP)


def _rows(size: Size, y: Scale, ticks: Sequence[float], spell: Spell) -> list[Markup]:
    return [
        joined(
            (
                tag("line", x1=_LEFT, x2=size.width - _RIGHT, y1=y.at(tick), y2=y.at(tick),
                    class_="axis" if tick == y.low else "grid"),
                tag("text", spell(tick), x=_LEFT - 6, y=y.at(tick) + _LETTER, text_anchor="end"),
            )
        )
        for tick in ticks
    ]  # fmt: skip


def _times(size: Size, x: Scale) -> list[Markup]:
    span_s = x.high - x.low
    foot = size.height - _BOTTOM
    return _labels(
        Scale(0, 1, foot, _TOP),
        [
            (x.at(moment), spell_moment(moment, span_s))
            for moment in moments(x.low, x.high, size.ticks)
        ],
    )


def _labels(
    y: Scale, labels: Iterable[tuple[float, str]], *, lines: bool = False
) -> list[Markup]:  # fmt: skip
    found = []
    for at, text in labels:
        if lines:
            found.append(tag("line", x1=at, x2=at, y1=y.start, y2=y.end, class_="grid"))
        found.append(tag("text", text, x=at, y=y.start + 16, text_anchor="middle"))
    return found


def _name(size: Size, name: str) -> Markup:
    middle = (_LEFT + size.width - _RIGHT) / 2
    return tag("text", name, x=middle, y=size.height - 4, text_anchor="middle")


def _line(curve: Curve, x: Scale, y: Scale) -> Markup:
    if len(curve.points) == 1:
        [(left, up)] = curve.points
        return tag("circle", tag("title", curve.name), cx=f"{x.at(left):.1f}",
                   cy=f"{y.at(up):.1f}", r=3, class_=curve.tone)  # fmt: skip
    steps = " ".join(f"{x.at(left):.1f},{y.at(up):.1f}" for left, up in curve.points)
    dashed = " dashed" if curve.dashed else ""
    return tag("polyline", tag("title", curve.name), points=steps,
               class_=f"stroke {curve.tone}{dashed}")  # fmt: skip


def _hill(
    one: Distribution, hill: Sequence[tuple[float, float]], x: Scale, y: Scale, spell: Spell
) -> list[Markup]:
    points = [(x.at(value), y.at(share)) for value, share in hill]
    line = " ".join(f"{left:.1f},{up:.1f}" for left, up in points)
    marks = [
        tag("polygon", tag("title", one.name), points=line, class_=f"area {one.tone}"),
        tag("polyline", points=line, class_=f"stroke {one.tone}"),
    ]
    if one.median is not None:
        at = x.at(one.median)
        said = tag("title", f"{one.name}: half within {spell(one.median)}")
        dashed = f"stroke {one.tone} dashed"
        marks.append(tag("line", said, x1=at, x2=at, y1=y.start, y2=y.end, class_=dashed))
    return marks


def _thinned(values: Sequence[float], most: int) -> Sequence[float]:
    every = -(-len(values) // (most + 1))
    return values[::every]


def _drawing(size: Size, label: str, *layers: Iterable[Markup]) -> Markup:
    marks = [mark for layer in layers for mark in layer]
    return tag(
        "svg", tag("title", label), *marks,
        viewBox=f"0 0 {size.width:g} {size.height:g}", role="img", aria_label=label,
    )  # fmt: skip
