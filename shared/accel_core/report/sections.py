"""Sections of the page about requests: served, saved, how soon, why not, and how near."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.page import charts, parts, tag
from accel_core.page.scales import powers, round_ticks, spell_count, spell_duration
from accel_core.report.amounts import spell_dollars, spell_share, spell_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from accel_core.page import Markup
    from accel_core.report.values import (
        Durations,
        History,
        Neared,
        NearMisses,
        Question,
        Report,
        Tier,
    )

_TONES = {
    "exact": ("blue", "exact hits"),
    "semantic": ("teal", "hits by meaning"),
    "hit": ("blue", "hits"),
    "miss": ("grey", "misses"),
    "bypass": ("pale", "past the cache"),
}
_LATENCY = {
    "hit": ("hits", "blue"),
    "miss": ("misses", "orange"),
    "bypass": ("past the cache", "grey"),
    "without": ("without the cache", "orange"),
    "with": ("with the cache", "blue"),
}
_PARTS = {
    "lookup_s": "looking up, of it:",
    "encode_s": "· the question's vector",
    "shared_s": "· waiting for who asks the same",
    "verify_s": "· a verifier",
    "queue_s": "waiting for the limits",
    "backoff_s": "pauses between attempts",
    "model_s": "the model",
    "first_token_s": "· its first token",
    "token_s": "· each token after it",
    "embed_s": "embedding models",
    "retrieval_s": "retrieval",
    "tool_s": "tools",
}
_SHOWN = 8
"""Of a list, before one asks for more."""

_UNTOLD = "This source does not tell."


def requests(report: Report) -> Iterator[Markup]:
    """Show what became of requests, over time."""
    if report.outcomes is None:
        yield parts.missing(f"{_UNTOLD} Name a statistics file or a Prometheus endpoint.")
        return
    shown = [name for name in _TONES if report.outcomes.get(name)]
    history = report.history
    if history is None:
        yield parts.card("", parts.missing("No history: this source tells totals alone."))
    elif shown:
        stacked = [charts.Series(_TONES[name][1], _TONES[name][0], history.counts[name])
                   for name in shown if name in history.counts]  # fmt: skip
        yield parts.card(
            "Requests over time",
            *parts.over_time("Requests over time", history.start_s, history.step_s, stacked),
        )
        yield parts.cards(_rate(history), _endings(report))
        return
    yield _endings(report)


def _rate(history: History) -> Markup:
    zeros = (0.0,) * len(next(iter(history.counts.values())))
    hits = [
        sum(ones)
        for ones in zip(
            *(history.counts.get(name, zeros) for name in ("exact", "semantic", "hit")), strict=True
        )
    ]
    points = [
        (history.start_s + (place + 0.5) * history.step_s, hit / (hit + miss))
        for place, (hit, miss) in enumerate(
            zip(hits, history.counts.get("miss", zeros), strict=True)
        )
        if hit + miss
    ]  # fmt: skip
    end_s = history.start_s + len(zeros) * history.step_s
    return parts.card(
        "Hit rate over time",
        charts.over_time(
            charts.CARD, "Hit rate over time", [charts.Curve("hit rate", "blue", points)],
            within=(history.start_s, end_s), high=1.0, spell="{:.0%}".format,
        ),
    )  # fmt: skip


def _endings(report: Report) -> Markup:
    outcomes, lookups = report.outcomes or {}, report.lookups
    rows = [
        (name, f"{outcomes[key]:,}", spell_share(outcomes[key] / lookups) if lookups else "-")
        for key, (_, name) in _TONES.items()
        if key in outcomes and key != "bypass"
    ]
    if "bypass" in outcomes:
        rows.append(("past the cache", f"{outcomes['bypass']:,}", "-"))
    rows += [(f"… {name}", f"{count:,}", "-")
             for name, count in (report.endings or {}).items() if name != "answered"]  # fmt: skip
    return parts.card("Outcomes", parts.table(("", "requests", "of lookups"), rows))


def savings(report: Report) -> Iterator[Markup]:
    """Show what hits saved, by model and over time."""
    if report.models is None:
        yield parts.missing(_UNTOLD)
        return
    history = report.history
    if history is not None and "saved_tokens" in history.counts:
        tokens = [
            charts.Series("used", "grey", history.counts["used_tokens"]),
            charts.Series("saved", "teal", history.counts["saved_tokens"]),
        ]
        yield parts.card(
            "Tokens over time",
            *parts.over_time("Tokens used and saved", history.start_s, history.step_s, tokens),
        )
    rows = [
        (
            name or "(unnamed)",
            f"{one.requests:,}",
            f"{one.hits:,}",
            spell_count(one.used.input_tokens + one.used.output_tokens),
            spell_count(one.saved.input_tokens + one.saved.output_tokens),
            _cost(one.cost),
            _cost(one.saved_cost),
            spell_span(one.saved_s),
        )
        for name, one in sorted(report.models.items(), key=lambda one: -one[1].requests)[:30]
    ]
    heads = ("model", "requests", "hits", "tokens used", "saved", "spent", "saved", "time saved")
    unstated = sum(one.unstated for one in report.models.values())
    yield parts.card(
        "By model",
        parts.table(heads, rows),
        *([parts.remark(f"{unstated:,} answers whose usage nobody stated are not in these"
                        " tokens.")] if unstated else []),
    )  # fmt: skip


def _cost(cost: float | None) -> str:
    return "no price" if cost is None else spell_dollars(cost)


def latency(report: Report) -> Iterator[Markup]:
    """Show how long requests took, before and after, and where the time went."""
    found = report.latency
    if not found:
        yield parts.missing(_UNTOLD if found is None else "No request has ended.")
        return
    pairs = [
        _hills("Hits and misses", found, ("hit", "miss")),
        _hills("Before and after", found, ("without", "with")),
    ]
    yield parts.cards(*(one for one in pairs if one is not None))
    yield parts.card("Percentiles", _quantiles({
        _LATENCY[name][0]: found[name] for name in _LATENCY if name in found}))  # fmt: skip
    if report.tiers:
        yield _tiers(report.tiers)
    if report.parts:
        yield parts.card("Where the time went", _quantiles(
            {_PARTS.get(name, name): one for name, one in report.parts.items()}))  # fmt: skip


def _tiers(found: Mapping[str, Tier]) -> Markup:
    whole = any(one.whole for one in found.values())
    told = any(one.attained is not None for one in found.values())
    return parts.card(
        f"By the limiter's tier, until the {'answer was whole' if whole else 'first token'}",
        _quantiles(
            {name: one.durations for name, one in found.items()},
            {name: _attained(one) for name, one in found.items()} if told or not whole else None,
        ),
        *([parts.remark("This source does not tell by tier when streams began; in time is"
                        " who had the first token by then.")] if whole else []),
    )  # fmt: skip


def _attained(one: Tier) -> str:
    if one.attained is None:
        return "no target" if one.target_s is None else "not told"
    share = spell_share(one.attained)
    return share if one.target_s is None else f"{share} in {spell_duration(one.target_s)}"


def _hills(
    title: str, found: Mapping[str, Durations], names: tuple[str, ...]
) -> Markup | None:  # fmt: skip
    shown = [
        charts.Distribution(_LATENCY[name][0], _LATENCY[name][1], found[name].bins,
                            found[name].p50_s)
        for name in names if name in found and found[name].bins
    ]  # fmt: skip
    if not shown:
        return None
    return parts.card(
        title,
        charts.legend((one.tone, one.name) for one in shown),
        charts.distributions(charts.CARD, f"{title}: distributions of latency", shown),
        parts.remark("How many requests took how long, on a logarithmic scale; dashed: medians."),
    )


def _quantiles(found: Mapping[str, Durations], attained: Mapping[str, str] | None = None) -> Markup:
    lows = [one.p50_s for one in found.values()]
    scale = powers(min(lows), max(one.p99_s for one in found.values()))
    extra = ("in time",) if attained else ()
    return parts.table(
        ("", "p50 | p95 | p99", "count", "p50", "p95", "p99", *extra),
        (
            (
                name,
                parts.plotted(
                    charts.spread(scale[0], scale[-1], (one.p50_s, one.p95_s, one.p99_s), "blue")
                ),
                spell_count(one.samples),
                *map(spell_duration, (one.p50_s, one.p95_s, one.p99_s)),
                *((parts.words(attained[name]),) if attained else ()),
            )
            for name, one in found.items()
        ),
        drawn=True,
    )


def reasons(report: Report) -> Iterator[Markup]:
    """Show why requests were not served, or answers not kept."""
    if report.reasons is None:
        yield parts.missing(_UNTOLD)
        return
    shown = [
        parts.card(title, parts.bars(
            [(name or "(not said)", count, f"{count:,}")
             for name, count in list(report.reasons[key].items())[:20]], tone))
        for key, title, tone in (
            ("miss", "Misses by reason", "orange"),
            ("bypass", "Past the cache, by reason", "grey"),
            ("unstored", "Answers not stored, by reason", "purple"),
            ("evicted", "Entries that left", "grey"),
        )
        if report.reasons.get(key)
    ]  # fmt: skip
    yield parts.cards(*shown) if shown else parts.missing("Nothing was refused.")


def near(report: Report) -> Iterator[Markup]:
    """Show what a lower threshold would have served, to be judged by whoever reads."""
    found = report.near
    if found is None:
        yield parts.missing(f"{_UNTOLD} A statistics file does (observe.file).")
        return
    if not found.pairs:
        yield parts.missing("No stored question was near one that was not served.")
        return
    curve = _lower(found, report)
    listed = parts.card(
        "The nearest that were not served",
        parts.remark("Would the nearest question's answer have been right? If most of these would,"
                     " a lower threshold pays."),
        *map(_pair, found.pairs[:_SHOWN]),
        *_more([_pair(one) for one in found.pairs[_SHOWN:]]),
    )  # fmt: skip
    yield from (listed,) if curve is None else (curve, listed)


def _lower(found: NearMisses, report: Report) -> Markup | None:
    if not report.lookups:
        return None
    more, points = 0, [(1.0, report.hits / report.lookups)]
    for score, count in sorted(found.counts.items(), reverse=True):
        more += count
        points.append((max(0.0, score), (report.hits + more) / report.lookups))
    ticks = round_ticks(min(1.0, points[-1][1]), 4)
    return parts.card(
        f"Hit rate, had a {found.score} from here on been served",
        charts.both(
            lambda size: charts.plot(
                size,
                f"Hit rate by threshold of {found.score}",
                [charts.Curve("hit rate", "teal", points)],
                across=([0, 0.2, 0.4, 0.6, 0.8, 1], "{:.1f}".format, f"threshold of {found.score}"),
                up=(ticks, "{:.0%}".format),
            )
        ),
        parts.remark("Of lookups that only the threshold refused; what a gate refused is not in"
                     " it. How many would have been wrong is not known from this."),
    )  # fmt: skip


def _pair(one: Neared) -> Markup:
    badges = [
        f"{name} {value:.3f}"
        for name, value in (("probability", one.probability), ("similarity", one.similarity))
        if value is not None
    ]
    badges += [one.reason] + ([f"{one.times:,} times"] if one.times > 1 else [])
    return tag(
        "div",
        parts.pair((("asked", _text(one.question, one.id)), ("nearest", _text(one.nearest,
                                                                            one.nearest_id)))),
        *(tag("span", badge, class_="badge") for badge in badges),
        class_="miss",
    )  # fmt: skip


def _text(text: str | None, id_: str) -> object:
    return tag("code", id_) if text is None else text


def questions(report: Report) -> Iterator[Markup]:
    """Show what was asked for most."""
    if report.questions is None:
        yield parts.missing(f"{_UNTOLD} A statistics file or a store does.")
        return
    if not report.questions:
        yield parts.missing("Nothing was asked.")
        return
    hidden = all(one.text is None for one in report.questions)
    note = "Entries by their ids: questions are shown where they were written and asked for."
    yield parts.card(
        "",
        *([parts.remark(note)] if hidden else []),
        _asked(report.questions[:_SHOWN]),
        *_more([_asked(report.questions[_SHOWN:])] if report.questions[_SHOWN:] else []),
    )


def _asked(found: Sequence[Question]) -> Markup:
    return parts.table(
        ("question", "asked", "hits"),
        ((_text(one.text, one.id), f"{one.asked:,}", f"{one.hits:,}") for one in found),
    )


def _more(content: Sequence[Markup]) -> Sequence[Markup]:
    return [parts.folded("More", *content)] if content else []


def wrong(report: Report) -> Iterator[Markup]:
    """Show hits that were wrong, as far as anybody knows."""
    found = report.wrong
    if found is None:
        yield parts.missing(_UNTOLD)
        return
    compared = f"{found.compared_wrong:,}"
    if found.compared:
        compared += f" ({spell_share(found.compared_wrong / found.compared)})"
    yield parts.card(
        "",
        parts.table(
            ("", "times", "wrong"),
            (
                ("reported as wrong, and the entry demoted", f"{found.reported:,}",
                 f"{found.demoted:,}"),
                ("stored answers compared with the model's own", f"{found.compared:,}", compared),
                ("stored answers judged by a verifier", f"{found.verified:,}",
                 f"{found.disapproved:,}"),
            ),
        ),
    )  # fmt: skip
