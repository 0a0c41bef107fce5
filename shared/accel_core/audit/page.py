"""An audit as one HTML page: savings, when and of what, refusals, and the hits to be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.audit.tally import TIERS
from accel_core.audit.wording import TIER_NAMES, dollars, duration, refusals_told, tokens
from accel_core.page import charts, document, joined, parts, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.audit.findings import Findings
    from accel_core.audit.riskiest import RiskyHit
    from accel_core.audit.tally import Bucket
    from accel_core.page import Markup

_MOST_SHOWN = 4_000
"""Letters of a text: a prompt may be a book."""


def page(title: str, found: Findings) -> str:
    """Return the page."""
    return document(title, _content(title, found))


def _content(title: str, found: Findings) -> Iterator[Markup]:
    tally, total = found.tally, found.tally.total
    yield tag("h1", title)
    formats = ", ".join(sorted(set(found.seen.formats.values())))
    yield parts.remark(
        f"{found.seen.calls:,} calls of {formats}, replayed through the caches as they are shipped."
    )
    yield parts.tiles(
        [
            ("Hit rate", f"{found.hit_share:.1%}", "of the calls answered"),
            ("Calls saved", f"{total.calls:,}", f"of {tally.asked.calls:,}"),
            ("Tokens saved", tokens(total), f"of {_told(tokens(tally.asked))}"),
            ("Money saved", dollars(total), f"of {_told(dollars(tally.asked))}"),
            ("Time saved", duration(total.time_s), "of waiting, all users together"),
        ]
    )
    yield tag("h2", "What would have been saved")
    yield parts.card("By tier of the cache", _savings(found))
    if found.tally.buckets:
        yield parts.card("Over time", *_over_time(found.tally.buckets))
    if lines := refusals_told(found):
        yield parts.card("Limits", *(tag("p", line) for line in lines))
    yield parts.cards(
        parts.card("Models", _models(found)),
        parts.card("Why the others would not have been saved", _misses(found)),
    )
    yield from _riskiest(found)
    yield tag("h2", "Settings to begin with")
    yield parts.card("accel.yaml", parts.scrolled(tag("pre", tag("code", found.settings))))
    yield tag("h2", "To be known beside the figures")
    yield tag("ul", *(tag("li", note) for note in found.notes))


def _savings(found: Findings) -> Markup:
    tally = found.tally
    sums = [(TIER_NAMES[tier], tally.saved[tier]) for tier in TIERS]
    return parts.table(
        ("", "calls", "tokens", "dollars", "time"),
        [
            (name, f"{one.calls:,}", *map(_told, (tokens(one), dollars(one), duration(one.time_s))))
            for name, one in [*sums, ("saved", tally.total), ("of all", tally.asked)]
        ],
    )


def _over_time(buckets: list[Bucket]) -> tuple[Markup, ...]:
    step_s = max(1.0, buckets[1].from_s - buckets[0].from_s)
    stacked = [
        charts.Series("saved", "blue", [float(bucket.hits) for bucket in buckets]),
        charts.Series("asked", "pale", [float(b.calls - b.hits) for b in buckets]),
    ]
    return parts.over_time("Calls over time", buckets[0].from_s, step_s, stacked)


def _models(found: Findings) -> Markup:
    ordered = sorted(found.tally.models.items(), key=lambda item: -item[1][0].calls)
    return parts.table(
        ("", "calls", "saved", "tokens", "dollars"),
        [
            (
                model or "not named",
                f"{asked.calls:,}",
                f"{saved.calls:,}",
                _told(tokens(saved)),
                _told(dollars(saved)),
            )
            for model, (asked, saved) in ordered
        ],
    )


def _misses(found: Findings) -> Markup:
    counts = found.tally.misses.most_common()
    return parts.bars(
        [(reason or "-", float(count), f"{count:,}") for reason, count in counts], "grey"
    )


def _riskiest(found: Findings) -> Iterator[Markup]:
    if not found.riskiest:
        return
    served = found.tally.saved["semantic"].calls
    yield tag("h2", "The riskiest answers by meaning")
    yield parts.remark(
        f"Of {served:,} such answers, {found.tally.same_words:,} are word for word what the log's"
        f" model said. These {len(found.riskiest)} were decided most narrowly: is what would have"
        " been served right for what was asked?"
    )
    for hit in found.riskiest:
        badges = (tag("span", fact, class_="badge") for fact in _facts(hit))
        yield parts.card(
            "",
            tag("p", joined(badges)),
            parts.cards(
                _side("asked", hit.asked, "logged", hit.logged),
                _side("stored", hit.stored, "served", hit.served),
            ),
        )


def _facts(hit: RiskyHit) -> Iterator[object]:
    if hit.probability is not None:
        yield f"probability {hit.probability:.3f}"
    yield f"cosine {hit.similarity:.3f}"
    if hit.times > 1:
        yield f"{hit.times:,} times"
    yield from (f"gate {name} would refuse it" for name in hit.near_gates)
    for name, alone in (("asked", hit.only_asked), ("stored", hit.only_stored)):
        if alone:
            yield joined((f"only {name}: ", parts.listed(alone)))


def _side(question: str, asked: str, answer: str, said: str) -> Markup:
    return parts.pair([(question, _shown(asked)), (answer, _shown(said))])


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} …"


def _told(figure: str | None) -> str:
    return "not known" if figure is None else figure
