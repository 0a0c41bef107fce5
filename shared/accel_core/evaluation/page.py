"""An evaluation as one HTML page: the figures, the refusals, and the curves drawn as SVG.

The page needs nothing from anywhere: no script, no font, no picture.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accel_core.evaluation.curve import Point
    from accel_core.evaluation.measure import Evaluation, Figures

_WIDTH, _HEIGHT, _EDGE = 640, 360, 48
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: #555; }
.ours { stroke: #0b6bcb; } .plain { stroke: #c2410c; stroke-dasharray: 5 4; }
path { fill: none; stroke-width: 2; } .axis { stroke: #999; stroke-width: 1; }
"""


def page(title: str, evaluation: Evaluation) -> str:
    """Return the page."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p>{evaluation.arrivals:,} questions, {evaluation.repeats:,} of which ask again what was asked
before. A hit is right when the question it was stored for asks the same.</p>
{_figures(evaluation)}
<h2>Precision over hit ratio</h2>
{_drawing(evaluation)}
<p>Area under the curve: {evaluation.curve.area:.3f}, of a plain cosine
{evaluation.plain_curve.area:.3f}.</p>
<h2>Refused, though near</h2>
{_refusals(evaluation)}
</body></html>
"""


def _figures(evaluation: Evaluation) -> str:
    rows = "".join(
        _row(name, found)
        for name, found in (
            ("this decision", evaluation.decided),
            (f"plain cosine &ge; {evaluation.threshold:g}", evaluation.plain),
        )
    )
    head = "<tr><th></th><th>wrong among hits</th><th>recall</th><th>hit ratio</th></tr>"
    return f"<table>{head}{rows}</table>"


def _row(name: str, found: Figures) -> str:
    cells = "".join(
        f"<td>{share:.1%}</td>" for share in (found.wrong_share, found.recall, found.hit_ratio)
    )
    return f"<tr><td>{name}</td>{cells}</tr>"


def _refusals(evaluation: Evaluation) -> str:
    head = "<tr><th>reason</th><th>times</th><th>the answer was wrong</th></tr>"
    rows = "".join(
        f"<tr><td>{escape(reason)}</td><td>{found.count:,}</td>"
        f"<td>{found.wrong / found.count:.0%}</td></tr>"
        for reason, found in evaluation.refusals.items()
    )
    return f"<table>{head}{rows}</table>"


def _drawing(evaluation: Evaluation) -> str:
    ours, plain = evaluation.curve.points(), evaluation.plain_curve.points()
    lines = _path("ours", ours) + _path("plain", plain)
    grid = "".join(
        f'<path class="axis" d="M{_x(share):.1f} {_y(0):.1f} V{_y(1):.1f}" opacity=".25"/>'
        f'<text x="{_x(share):.1f}" y="{_y(0) + 16:.1f}" text-anchor="middle">{share:.0%}</text>'
        f'<text x="{_EDGE - 8}" y="{_y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        for share in (0, 0.2, 0.4, 0.6, 0.8, 1)
    )
    axes = f'<path class="axis" d="M{_EDGE} {_y(1):.1f} V{_y(0):.1f} H{_x(1):.1f}"/>'
    label = "Precision over hit ratio: this decision solid, plain cosine dashed"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{grid}{axes}{lines}"
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">hit ratio</text>'
        f'<text x="{_x(0.62)}" y="{_y(0.97)}">solid: this decision, dashed: plain cosine</text>'
        "</svg>"
    )


def _path(kind: str, points: Sequence[Point]) -> str:
    steps = " L".join(f"{_x(p.hit_ratio):.1f} {_y(1 - p.wrong_share):.1f}" for p in points)
    return f'<path class="{kind}" d="M{steps}"/>'


def _x(share: float) -> float:
    return _EDGE + share * (_WIDTH - 2 * _EDGE)


def _y(share: float) -> float:
    return _HEIGHT - _EDGE - share * (_HEIGHT - 2 * _EDGE)
