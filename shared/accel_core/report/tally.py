"""All lines of a statistics file, added up into a `Report`."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from accel_core.config.limits import AMOUNTS
from accel_core.events.requests import GENERATING
from accel_core.policy.limits.account import Limits
from accel_core.report.alone import AloneTally
from accel_core.report.fill import FillTally
from accel_core.report.near import NearTally
from accel_core.report.races import RaceTally
from accel_core.report.requests import RequestTally
from accel_core.report.spread import Spread
from accel_core.report.values import (
    OUTCOMES,
    Guesses,
    History,
    LimitsMet,
    Losses,
    Report,
    Retrieval,
    Tool,
    Wrong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accel_core.config.limits import LimitsConfig
    from accel_core.policy.prices import PriceTable

_SLOT_S = 10
_FOLDED_EVERY = 1 << 15
_NAMES = (*OUTCOMES, "refused", "used_tokens", "saved_tokens")
_STEPS_S = (
    10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600, 86400,
    2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400,
)  # fmt: skip
_MOST_SLOTS = 96


class Tally:
    """Adds lines up; one owner at a time.

    Args:
        since_s: what happened before is left out; None: nothing is.
        limits: of the application, with the targets of its tiers.
    """

    def __init__(self, *, since_s: float | None, limits: LimitsConfig) -> None:
        self._since_s = since_s
        self._requests, self._near = RequestTally(limits.tiers.targets()), NearTally()
        self._races, self._alone = RaceTally(), AloneTally()
        self._fill = FillTally(
            Limits(**{name: getattr(limits, name) for name in AMOUNTS}),
            limits.provider or "generic",
        )
        self._head_s, self._run = 0.0, ""
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._tools: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._saved_s: Counter[str] = Counter()
        self._guesses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._guessed_s: Counter[str] = Counter()
        self._suspended: defaultdict[str, list[str]] = defaultdict(list)
        self._waits = Spread()
        self._added = 0
        self._slots: dict[int, list[float]] = {}
        self._from_s: float | None = None
        self._until_s: float | None = None
        self._ways: dict[str, Callable[[dict[str, Any], float], None]] = {
            "RequestEnded": self._request,
            "Looked": lambda told, _: self._near.add(told),
            "LimitWaited": lambda told, _: self._waits.add(told["wait_s"]),
            "LimitRefused": self._refused,
            "LimitsAlone": lambda told, at_s: self._alone.alone(told, self._run, at_s),
            "LimitsShared": lambda _, at_s: self._alone.shared(self._run, at_s),
            "PathsRaced": lambda told, _: self._races.add(told),
            "EmbeddingsServed": self._vectors,
            "WriteDropped": self._dropped,
        }
        for name, (count, *of) in _COUNTED.items():
            self._ways[name] = self._counting(count, of)
        for name in ("ToolCallBegun", "ToolCallReused", "ToolCallWasted", "ToolCallAudited"):
            self._ways[name] = self._tool(name)
        self._ways["SpeculationSuspended"] = self._suspend

    def begin(self, run: str, at_s: float) -> None:
        """Begin a batch of the process `run`, written at `at_s`, seconds since the epoch."""
        self._head_s, self._run = at_s, run
        self._alone.heard(run, at_s)

    def add(self, told: dict[str, Any]) -> None:
        """Add an event's line of this batch.

        Raises:
            KeyError, TypeError, ValueError: it is not such a line.
        """
        _check(told)
        at_s = told.get("ended_s", self._head_s)
        if self._since_s is not None and at_s < self._since_s:
            return
        way = self._ways.get(told["is"])
        if way is None:
            return  # a later version's
        way(told, at_s)
        self._added += 1
        if self._added % _FOLDED_EVERY == 0:
            self._requests.fold()
            self._waits.fold()
            self._races.fold()
        if self._from_s is None or self._until_s is None:
            self._from_s = self._until_s = at_s
        elif at_s > self._until_s:
            self._until_s = at_s
        elif at_s < self._from_s:
            self._from_s = at_s

    def report(
        self,
        source: str,
        made_at_s: float,
        prices: PriceTable,
        lost: Mapping[str, int],
        unreadable: int,
    ) -> Report:
        """Return what the lines came to."""
        requests, counts, history = self._requests, self._counts, self._history()
        return Report(
            sources=(source,),
            made_at_s=made_at_s,
            from_s=self._from_s,
            until_s=self._until_s,
            outcomes=requests.all_outcomes(),
            endings=dict(requests.endings),
            history=history,
            models=requests.models(prices),
            latency=requests.latency(),
            tiers=requests.tiers(),
            parts=requests.parts(),
            reasons={
                "miss": dict(requests.misses.most_common()),
                "bypass": dict(requests.bypasses.most_common()),
                "unstored": dict(counts["unstored"].most_common()),
                "evicted": dict(counts["evicted"].most_common()),
                "wasted": dict(counts["wasted"].most_common()),
            },
            near=self._near.found(),
            questions=requests.questions(self._near.texts),
            wrong=self._wrong(),
            limits=LimitsMet(
                waited=self._waits.durations(),
                refused=counts["refused"].total(),
                rejected=dict(counts["rejected"]),
                hidden=counts["hidden"].total(),
                fill=self._fill.found(history),
                alone=self._alone.found(history),
            ),
            tools={name: self._told_tool(name) for name in sorted(self._tools)},
            guesses={
                name: Guesses(
                    begun=of["begun"], used=of["used"], saved_s=float(self._guessed_s[name])
                )
                for name, of in sorted(self._guesses.items())
            },
            races=self._races.found(),
            retrieval=self._retrieval(),
            failures=dict(counts["failed"].most_common()),
            losses=Losses(
                observers=dict(lost),
                unreadable_lines=unreadable,
                writes=counts["dropped"].total(),
            ),
        )

    def _request(self, told: dict[str, Any], at_s: float) -> None:
        if told.get("operation", "chat") not in GENERATING:
            # embeddings, retrievals and tools spare no call of a model
            self._requests.add_beside(told)
            return
        kind, used, saved = self._requests.add(told)
        slot = self._slot(at_s)
        slot[_NAMES.index(kind)] += 1
        slot[5] += used
        slot[6] += saved
        self._fill.add(told, at_s)

    def _refused(self, told: dict[str, Any], at_s: float) -> None:
        self._counts["refused"][told["tier"]] += 1
        self._slot(at_s)[4] += 1

    def _dropped(self, told: dict[str, Any], _: float) -> None:
        self._counts["dropped"][""] += told["writes"]

    def _vectors(self, told: dict[str, Any], _: float) -> None:
        self._counts["vectors"].update({name: told[name] for name in ("cached", "shared", "asked")})

    def _slot(self, at_s: float) -> list[float]:
        place = int(at_s // _SLOT_S)
        slot = self._slots.get(place)
        if slot is None:
            slot = self._slots[place] = [0.0] * len(_NAMES)
        return slot

    def _counting(
        self, count: str, of: list[str]
    ) -> Callable[[dict[str, Any], float], None]:  # fmt: skip
        counter = self._counts[count]

        def add(told: dict[str, Any], _: float) -> None:
            counter[".".join(str(told.get(name, "")) for name in of)] += 1

        return add

    def _tool(self, name: str) -> Callable[[dict[str, Any], float], None]:
        kind = {"ToolCallBegun": "begun", "ToolCallWasted": "wasted"}.get(name, "")

        def add(told: dict[str, Any], _: float) -> None:
            tool, predictor = told["tool"], told["predictor"]
            if name == "ToolCallReused":
                saved_s = told["saved_s"]
                self._tools[tool]["used" if predictor else "shared"] += 1
                self._saved_s[tool] += saved_s
                self._guesses[predictor]["used"] += 1
                self._guessed_s[predictor] += saved_s
            elif name == "ToolCallAudited":
                self._tools[tool]["same" if told["same"] else "different"] += 1
            else:
                self._tools[tool][kind] += 1
                if kind == "begun":
                    self._guesses[predictor]["begun"] += 1
                else:
                    self._counts["wasted"][told["reason"]] += 1

        return add

    def _suspend(self, told: dict[str, Any], _: float) -> None:
        self._tools[told["tool"]]["suspended"] += 1
        if told["reason"] not in self._suspended[told["tool"]]:
            self._suspended[told["tool"]].append(told["reason"])

    def _told_tool(self, name: str) -> Tool:
        counts = self._tools[name]
        return Tool(
            begun=counts["begun"],
            used=counts["used"],
            wasted=counts["wasted"],
            shared=counts["shared"],
            saved_s=self._saved_s[name],
            different=counts["different"],
            suspended=tuple(self._suspended[name]),
        )

    def _wrong(self) -> Wrong:
        reported, compared = self._counts["reported"], self._counts["compared"]
        verified = self._counts["verified"]
        return Wrong(
            reported=reported.total(),
            demoted=reported["True"],
            compared=compared["True."] + compared["False."],
            compared_wrong=compared["False."],
            verified=verified.total(),
            disapproved=verified["False"],
        )

    def _retrieval(self) -> Retrieval:
        hits, vectors = self._counts["found"], self._counts["vectors"]
        return Retrieval(
            hits=hits.total(),
            stale=hits.total() - hits[""],
            misses=dict(self._counts["sought"].most_common()),
            skipped=dict(self._counts["skipped"].most_common()),
            vectors_cached=vectors["cached"] + vectors["shared"],
            vectors_asked=vectors["asked"],
        )

    def _history(self) -> History | None:
        if not self._slots:
            return None
        first, last = min(self._slots) * _SLOT_S, (max(self._slots) + 1) * _SLOT_S
        step_s = next((one for one in _STEPS_S if (last - first) / one <= _MOST_SLOTS), 0)
        step_s = step_s or -(-(last - first) // _MOST_SLOTS)
        start_s = first // step_s * step_s
        columns = [[0.0] * (-(-(last - start_s) // step_s)) for _ in _NAMES]
        for place, slot in self._slots.items():
            at = (place * _SLOT_S - start_s) // step_s
            for column, value in zip(columns, slot, strict=True):
                column[at] += value
        counts = {name: tuple(column) for name, column in zip(_NAMES, columns, strict=True)}
        return History(start_s=float(start_s), step_s=float(step_s), counts=counts)


def _check(told: dict[str, Any]) -> None:
    """Look at a line before anything of it counts: half a line would make sums that differ.

    Raises:
        TypeError, ValueError: a figure is none, or larger than any can be; or a name is no text.
    """
    for name, value in told.items():
        if name in _FIGURES:
            _check_figure(value)
        elif type(value) is dict:
            for part in value.values():
                _check_figure(part)
        elif name in _GROUPS or (name in _TEXTS and type(value) is not str):
            raise TypeError(name)
    if told["is"] == "RequestEnded":
        known = told.get("tier", "exact") if told["outcome"] == "hit" else told["outcome"]
        if told.get("attained", "kept") not in _FATES:
            raise ValueError(told["attained"])
        if known not in OUTCOMES or not {"ending", "total_s"} <= told.keys():
            raise ValueError(known)


def _check_figure(value: object) -> None:
    if not isinstance(value, int | float) or abs(value) > _LARGEST:
        raise ValueError(value)


_LARGEST = 1e11
"""Of whatever is counted; as a stamp it is the year 5138."""
_FIGURES = frozenset(
    "total_s ended_s wait_s saved_s attempts seen_tokens similarity probability cached asked"
    " shared share writes".split()
)
_FATES = frozenset({"kept", "late", "rejected"})
_GROUPS = frozenset({"parts", "used", "saved"})
_TEXTS = frozenset(
    "outcome ending tier model service_tier entry_id reason tool id near_id text near_text"
    " predictor attained".split()
)
_COUNTED = {
    "CacheRefused": ("unstored", "reason"),
    "CacheEvicted": ("evicted", "reason"),
    "CacheExplored": ("compared", "right", "refused"),
    "CacheVerified": ("verified", "approved"),
    "HitReported": ("reported", "demoted"),
    "LimitRejected": ("rejected", "tier"),
    "HiddenLimitFound": ("hidden", "unit"),
    "RetrievalHit": ("found", "stale"),
    "RetrievalMiss": ("sought", "reason"),
    "RetrievalSkipped": ("skipped", "reason"),
    "BackendFailed": ("failed", "backend", "operation"),
}
