"""What an audit found: one value, which the terminal, the page and the file of JSON all show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from accel_core.audit.tally import GAPS_S, TIERS

if TYPE_CHECKING:
    from accel_core.audit.formats import Seen
    from accel_core.audit.riskiest import RiskyHit
    from accel_core.audit.tally import Tally
    from accel_core.policy.limits.account import Limits


@dataclass(frozen=True, slots=True)
class Findings:
    """What an audit found.

    Attributes:
        seen: what was read, and what could not be.
        timed: calls with a time.
        tally: what the replay came to.
        riskiest: hits by meaning, for somebody to judge.
        limits: the provider's, as they were named or shown; None: not known.
        limits_named: whether they were named.
        encoder: what compared questions; None: nothing did.
        settings: the text of an ``accel.yaml``.
    """

    seen: Seen
    timed: int
    tally: Tally
    riskiest: list[RiskyHit]
    limits: Limits | None
    limits_named: bool
    encoder: str | None
    settings: str

    @property
    def hit_share(self) -> float:
        """Share of answered calls that a cache would have answered."""
        return self.tally.total.calls / max(1, self.tally.asked.calls)

    @property
    def notes(self) -> list[str]:
        """What must be known beside the figures: what the log does not hold."""
        return _notes(self)

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain data; what is not known is None."""
        tally, refusals = self.tally, asdict(self.tally.refusals)
        if self.limits is None:
            refusals |= {"waited": None, "turned_away": None}
        return {
            "read": {
                "formats": self.seen.formats,
                "records": self.seen.records,
                "calls": self.seen.calls,
                "others": self.seen.others,
                "broken": dict(self.seen.broken),
                "broken_places": self.seen.places,
                "without_time": self.seen.calls - self.timed,
            },
            "span_s": tally.span_s,
            "asked": tally.asked.to_json(),
            "failed": tally.failed,
            "saved": tally.total.to_json(),
            "hit_share": self.hit_share,
            "tiers": {tier: tally.saved[tier].to_json() for tier in TIERS},
            "models": {
                model: {"asked": asked.to_json(), "saved": saved.to_json()}
                for model, (asked, saved) in tally.models.items()
            },
            "misses": dict(tally.misses.most_common()),
            "same_words": tally.same_words,
            "refusals": refusals,
            "limits": None if self.limits is None else asdict(self.limits),
            "waited_s": None if self.limits is None else tally.waited_s,
            "longest_wait_s": None if self.limits is None else tally.longest_wait_s,
            "tenants": len(tally.tenants - {b""}),
            "distinct_requests": tally.distinct,
            "repeat_gaps": dict(zip((*map(str, GAPS_S), "more"), tally.gaps, strict=True))
            if self.timed
            else None,
            "over_time": [asdict(bucket) for bucket in tally.buckets],
            "riskiest": [asdict(hit) for hit in self.riskiest],
            "encoder": self.encoder,
            "notes": self.notes,
            "settings": self.settings,
        }


def _notes(found: Findings) -> list[str]:
    return [*_of_the_log(found), *_of_the_figures(found)]


def _of_the_log(found: Findings) -> list[str]:
    seen = found.seen
    broken, timeless = sum(seen.broken.values()), seen.calls - found.timed
    notes = []
    if broken:
        places = "; ".join(seen.places)
        notes.append(f"{broken:,} places could not be read and are left out: {places}.")
    if not found.timed:
        notes.append(
            "The log has no times: nothing expired, nothing ran at once, no seconds are known."
        )
    elif timeless:
        notes.append(f"{timeless:,} calls have no time, and follow the one before them.")
    notes.append("Attempts that a client repeated by itself are not in such logs, and not counted.")
    return notes


def _of_the_figures(found: Findings) -> list[str]:
    tally, total = found.tally, found.tally.total
    counts = {
        "do not state their usage: tokens and dollars leave them out": total.without_tokens,
        "are of models without a price: dollars leave them out": total.without_price,
        "do not say how long they took: seconds leave them out": total.without_time
        * bool(found.timed),
    }
    notes = [f"{count:,} of the calls saved {what}." for what, count in counts.items() if count]
    refusals = tally.refusals
    if refusals.logged and found.limits is None:
        notes.append(
            "Which limits refused calls is not in the log, so what waiting would have avoided is"
            " not known. Name them: --tokens-per-minute, --requests-per-day …"
        )
    elif refusals.unknown:
        notes.append(
            f"{refusals.unknown:,} refusals are not explained by the known limits: others use the"
            " key, or another limit refused them. Nothing is said of them."
        )
    if found.encoder is None:
        notes.append("Nothing was compared by meaning: only equal requests are hits.")
    return notes
