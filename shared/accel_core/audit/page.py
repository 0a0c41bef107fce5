"""An audit as one HTML page that needs nothing from anywhere, and may load nothing.

Invariant: whatever a log holds is text on the page, never markup.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from time import gmtime, strftime
from typing import TYPE_CHECKING

from accel_core.audit.tally import TIERS
from accel_core.audit.wording import TIER_NAMES, dollars, duration, refusals_told, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from accel_core.audit.findings import Findings
    from accel_core.audit.riskiest import RiskyHit
    from accel_core.audit.tally import Bucket

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.sides p, pre { background: #f5f5f4; padding: .6rem; margin: .2rem 0; white-space: pre-wrap;
                overflow-wrap: anywhere; }
.sides h4 { margin: .4rem 0 0; font-size: .9rem; color: #555; }
.hit { border-top: 1px solid #ddd; margin-top: 1rem; }
pre { font: 14px/1.4 ui-monospace, monospace; }
svg { max-width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: #555; }
.all { fill: #d6d3d1; } .saved { fill: #0b6bcb; }
@media (max-width: 40rem) { .sides { grid-template-columns: 1fr; } }
"""
_WIDTH, _HEIGHT, _EDGE = 760, 220, 24
_MOST_SHOWN = 4_000


def page(title: str, found: Findings) -> str:
    """Return the page."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p><b>{found.hit_share:.1%}</b> of {found.tally.asked.calls:,} answered calls would have been
answered without the model.</p>
{_savings(found)}{_over_time(found.tally.buckets)}{_refusals(found)}{_models(found)}{_misses(found)}
{_riskiest(found.riskiest, found.tally.saved["semantic"].calls, found.tally.same_words)}
<h2>Settings to begin with</h2><p>As <code>accel.yaml</code>:</p><pre>{escape(found.settings)}</pre>
<h2>To be known beside the figures</h2><ul>{_items(found.notes)}</ul>
</body></html>
"""


def _savings(found: Findings) -> str:
    tally = found.tally
    named = [(TIER_NAMES[tier], tally.saved[tier]) for tier in TIERS]
    rows = [
        (name, f"{one.calls:,}", tokens(one), dollars(one), duration(one.time_s))
        for name, one in [*named, ("saved", tally.total), ("of all", tally.asked)]
    ]
    return _table("What would have been saved", ("", "calls", "tokens", "dollars", "time"), rows)


def _over_time(buckets: Sequence[Bucket]) -> str:
    most = max((bucket.calls for bucket in buckets), default=0)
    if not most:
        return ""
    step, bottom = (_WIDTH - 2 * _EDGE) / len(buckets), _HEIGHT - _EDGE
    scale = (bottom - _EDGE) / most
    bars = "".join(
        f'<rect class="{kind}" x="{_EDGE + place * step:.1f}" y="{bottom - count * scale:.1f}"'
        f' width="{step * 0.9:.1f}" height="{count * scale:.1f}"><title>{_at(bucket.from_s)}:'
        f" {bucket.hits:,} of {bucket.calls:,}</title></rect>"
        for place, bucket in enumerate(buckets)
        for kind, count in (("all", bucket.calls), ("saved", bucket.hits))
    )
    first, last = _at(buckets[0].from_s), _at(buckets[-1].from_s)
    return f"""<h2>Over time</h2><p>Calls (grey), and those that would have been saved (blue); the
most in one stretch: {most:,}.</p>
<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Calls and savings over time">{bars}
<text x="{_EDGE}" y="{_HEIGHT - 6}">{first}</text>
<text x="{_WIDTH - _EDGE}" y="{_HEIGHT - 6}" text-anchor="end">{last}</text></svg>"""


def _at(moment_s: float) -> str:
    return strftime("%Y-%m-%d %H:%M", gmtime(moment_s))


def _refusals(found: Findings) -> str:
    lines = refusals_told(found)
    told = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f"<h2>Limits</h2>{told}" if lines else ""


def _models(found: Findings) -> str:
    ordered = sorted(found.tally.models.items(), key=lambda item: -item[1][0].calls)
    rows = [
        (
            model or "not named",
            f"{asked.calls:,}",
            f"{saved.calls:,}",
            tokens(saved),
            dollars(saved),
        )
        for model, (asked, saved) in ordered
    ]
    return _table("Models", ("", "calls", "saved", "tokens saved", "dollars saved"), rows)


def _misses(found: Findings) -> str:
    rows = [(reason or "-", f"{count:,}") for reason, count in found.tally.misses.most_common()]
    return _table("Why the others would not have been saved", ("reason", "calls"), rows)


def _riskiest(hits: Sequence[RiskyHit], served: int, same_words: int) -> str:
    if not hits:
        return ""
    told = "".join(map(_hit, hits))
    return f"""<h2>The riskiest answers by meaning</h2>
<p>Of {served:,} such answers, {same_words:,} are word for word what the log's model said. These
{len(hits)} were decided most narrowly: is what would have been served right for what was
asked?</p>{told}"""


def _hit(hit: RiskyHit) -> str:
    facts = [f"cosine {hit.similarity:.3f}"]
    if hit.probability is not None:
        facts.insert(0, f"probability {hit.probability:.3f}")
    if hit.times > 1:
        facts.append(f"{hit.times:,} times")
    if hit.near_gates:
        facts.append(f"would be refused by {', '.join(hit.near_gates)}, which is not asked")
    words = [
        f"only {name}: {', '.join(alone)}"
        for name, alone in (("asked", hit.only_asked), ("stored", hit.only_stored))
        if alone
    ]
    return f"""<div class="hit"><p>{escape("; ".join([*facts, *words]))}</p>
<div class="sides">{_side("Asked", hit.asked, "The log's answer", hit.logged)}
{_side("Stored", hit.stored, "What would have been served", hit.served)}</div></div>"""


def _side(question: str, asked: str, answer: str, said: str) -> str:
    return (
        f"<div><h4>{question}</h4><p>{_shown(asked)}</p>"
        f"<h4>{escape(answer)}</h4><p>{_shown(said)}</p></div>"
    )


def _shown(text: str) -> str:
    cut = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} …"
    return escape(cut)


def _items(notes: Iterable[str]) -> str:
    return "".join(f"<li>{escape(note)}</li>" for note in notes)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<h2>{escape(title)}</h2><div class="wide"><table><tr>{head}</tr>{body}</table></div>'
