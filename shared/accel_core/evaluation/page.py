"""An evaluation as one HTML page: the figures, the refusals, and the curves drawn as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.page import charts, document, parts, tag

if TYPE_CHECKING:
    from accel_core.evaluation.curve import Curve
    from accel_core.evaluation.measure import Evaluation, Figures
    from accel_core.page import Markup

_TENTHS = [tenth / 10 for tenth in range(0, 11, 2)]


def page(title: str, evaluation: Evaluation) -> str:
    """Return the page."""
    return document(
        title,
        (
            tag("h1", title),
            parts.remark(
                f"{evaluation.arrivals:,} questions, {evaluation.repeats:,} of which ask again what"
                " was asked before. A hit is right when the question it was stored for asks the"
                " same."
            ),
            parts.card("", _figures(evaluation)),
            parts.card("Precision over hit ratio", *_curves(evaluation)),
            parts.card("Refused, though near", _refusals(evaluation)),
        ),
    )


def _figures(evaluation: Evaluation) -> Markup:
    return parts.table(
        ("", "wrong among hits", "recall", "hit ratio"),
        (
            _row("this decision", evaluation.decided),
            _row(f"plain cosine ≥ {evaluation.threshold:g}", evaluation.plain),
        ),
    )


def _row(name: str, found: Figures) -> tuple[str, ...]:
    shares = (found.wrong_share, found.recall, found.hit_ratio)
    return (name, *(f"{share:.1%}" for share in shares))


def _refusals(evaluation: Evaluation) -> Markup:
    return parts.table(
        ("reason", "times", "the answer was wrong"),
        (
            (reason, f"{found.count:,}", f"{found.wrong / found.count:.0%}")
            for reason, found in evaluation.refusals.items()
        ),
    )


def _curves(evaluation: Evaluation) -> tuple[Markup, ...]:
    curves = [
        charts.Curve("this decision", "blue", _points(evaluation.curve)),
        charts.Curve("plain cosine", "orange", _points(evaluation.plain_curve), dashed=True),
    ]

    def draw(size: charts.Size) -> Markup:
        return charts.plot(
            size,
            "Precision over hit ratio: this decision solid, plain cosine dashed",
            curves,
            across=(_TENTHS, "{:.0%}".format, "hit ratio"),
            up=(_TENTHS, "{:.0%}".format),
        )

    areas = (evaluation.curve.area, evaluation.plain_curve.area)
    return (
        charts.legend((curve.tone, curve.name) for curve in curves),
        charts.both(draw),
        parts.remark("Area under the curve: {:.3f}, of a plain cosine {:.3f}.".format(*areas)),
    )


def _points(curve: Curve) -> list[tuple[float, float]]:
    return [(point.hit_ratio, 1 - point.wrong_share) for point in curve.points()]
