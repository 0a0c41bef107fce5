"""Samples of our Prometheus metrics, added up into sections of a report."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.events.requests import GENERATING, Tokens
from accel_core.observer.requests import ModelTotals
from accel_core.report.spread import of_buckets
from accel_core.report.values import (
    Durations,
    Guesses,
    LimitsMet,
    RacePath,
    Races,
    Tier,
    attained_share,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REQUESTS = "accel_requests_total"
REFUSED = "accel_limit_refused_total"
_RACED = "accel_race_paths_total"
_ATTAINED = "accel_limited_requests_total"
_GUESSES, _FAILURES = "accel_tool_guesses_total", "accel_backend_failures_total"
COUNTERS = (
    REQUESTS, REFUSED, _GUESSES, "accel_attempts_total", "accel_tokens_total",
    "accel_dollars_total", "accel_saved_seconds_total", "accel_unstated_answers_total",
    "accel_evicted_total", "accel_limit_rejected_total", "accel_tool_guesses_wasted_total",
    "accel_tool_calls_reused_total", "accel_tool_saved_seconds_total", _FAILURES, _RACED, _ATTAINED,
)  # fmt: skip
_TOOK, _PART, _TOKEN = (
    "accel_request_seconds", "accel_request_part_seconds", "accel_output_token_seconds",
)  # fmt: skip
HISTOGRAMS = (_TOOK, _PART, _TOKEN)
_ELSEWHERE = frozenset({"embed", "retrieval", "tool"})
"""Parts that stand for a model's, of requests that ask none."""
_LARGEST = 1e18


class Sample(NamedTuple):
    """A series' value."""

    name: str
    labels: Mapping[str, str]
    value: float


def outcome_of(labels: Mapping[str, str]) -> str:
    """Return what became of the requests of a series, as of `values.OUTCOMES`."""
    outcome = labels.get("outcome", "")
    if outcome != "hit":
        return outcome
    return "exact" if labels.get("reason") == "exact" else "semantic"


def of_model(sample: Sample) -> bool:
    """Whether a series is of language models, or of no operation: not of tools or vectors."""
    operation = sample.labels.get("operation", "chat")
    return (
        operation in GENERATING
        or sample.labels.get("part") in _ELSEWHERE
        or sample.name == _FAILURES  # whose operations are those of backends
    )


def _possible(sample: Sample) -> bool:
    """Whether a series can be what was counted; others are left out, like those that say 0."""
    if sample.name.endswith("_bucket"):
        try:
            high = float(sample.labels["le"])
        except (KeyError, ValueError):
            return False
        return high > 0 and 0 < sample.value <= _LARGEST
    return 0 < sample.value <= _LARGEST


def sections_of(samples: Iterable[Sample]) -> dict[str, Any]:
    """Return the sections of a `Report` that metrics tell.

    Of a counter that nobody names, nothing is told; one that is named and never was raised, with
    whatever labels, says 0.
    """
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        of = found.setdefault(sample.name, [])
        if _possible(sample) and of_model(sample):
            of.append(sample)
    requests = found.get(REQUESTS, [])
    outcomes = Counter({"exact": 0, "semantic": 0, "miss": 0, "bypass": 0})
    for one in requests:
        outcomes[outcome_of(one.labels)] += round(one.value)
    parts = _durations(found, _PART, "part", "_s")
    if (token := _durations(found, _TOKEN, None).get("")) is not None:
        parts["token_s"] = token
    latency = _durations(found, _TOOK, "outcome")
    if (together := _durations(found, _TOOK, None).get("")) is not None:
        latency["with"] = together
    refused = found.get(REFUSED)
    return {
        "outcomes": dict(outcomes),
        "endings": _counts(requests, "ending"),
        "models": _models(found),
        "latency": latency,
        "tiers": _tiers(found) or None,
        "parts": parts,
        "reasons": {
            "miss": _counts([one for one in requests if outcome_of(one.labels) == "miss"]),
            "bypass": _counts([one for one in requests if outcome_of(one.labels) == "bypass"]),
            "evicted": _counts(found.get("accel_evicted_total", ())),
            "wasted": _counts(found.get("accel_tool_guesses_wasted_total", ())),
        },
        "limits": LimitsMet(
            waited=parts.get("queue_s"),
            refused=None if refused is None else sum(_counts(refused, "tier").values()),
            rejected=_counts(found.get("accel_limit_rejected_total", ()), "tier"),
        ),
        "guesses": _guesses(found) if _GUESSES in found else None,
        "races": _races(found) if _RACED in found else None,
        "failures": _counts(found.get(_FAILURES, ()), "backend", "operation"),
    }


def _tiers(found: Mapping[str, list[Sample]]) -> dict[str, Tier]:
    fates: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in found.get(_ATTAINED, ()):
        fates[one.labels.get("tier", "")][one.labels.get("attained", "")] += round(one.value)
    return {
        name: Tier(durations=took, attained=attained_share(fates[name]), whole=True)
        for name, took in _durations(found, _TOOK, "tier").items()
        if name
    }


def _guesses(found: Mapping[str, list[Sample]]) -> dict[str, Guesses]:
    sums: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for name, key in (
        (_GUESSES, "begun"),
        ("accel_tool_calls_reused_total", "used"),
        ("accel_tool_saved_seconds_total", "saved_s"),
    ):
        for one in found.get(name, ()):
            sums[one.labels.get("predictor", "")][key] += one.value
    return {
        name: Guesses(
            begun=round(of["begun"]), used=round(of["used"]), saved_s=float(of["saved_s"])
        )
        for name, of in sorted(sums.items())
    }


def _races(found: Mapping[str, list[Sample]]) -> Races:
    paths: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in found[_RACED]:
        paths[one.labels.get("path", "")][one.labels.get("outcome", "")] += round(one.value)
    told = {name: RacePath(outcomes=dict(outcomes)) for name, outcomes in sorted(paths.items())}
    return Races(count=None, unanswered=None, took=None, paths=told)


def _counts(samples: Iterable[Sample], *labels: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in samples:
        counts[".".join(one.labels.get(name, "") for name in labels or ("reason",))] += round(
            one.value
        )
    return dict(counts.most_common())


def _durations(
    found: Mapping[str, list[Sample]], name: str, label: str | None, suffix: str = ""
) -> dict[str, Durations]:
    bounds: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    sums: defaultdict[str, float] = defaultdict(float)
    for one in found.get(f"{name}_bucket", ()):
        key = "" if label is None else one.labels.get(label, "") + suffix
        bounds[key][float(one.labels["le"])] += one.value
    for one in found.get(f"{name}_sum", ()):
        sums["" if label is None else one.labels.get(label, "") + suffix] += one.value
    told = {key: of_buckets(sorted(counts.items()), sums[key]) for key, counts in bounds.items()}
    return {key: durations for key, durations in told.items() if durations is not None}


def _models(found: Mapping[str, list[Sample]]) -> dict[str, ModelTotals]:
    models: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in found.get(REQUESTS, ()):
        of = models[one.labels.get("model", "")]
        of["requests"] += one.value
        of["hits"] += one.value * (one.labels.get("outcome") == "hit")
    for name, key in (
        ("accel_attempts_total", "attempts"),
        ("accel_saved_seconds_total", "saved_s"),
        ("accel_unstated_answers_total", "unstated"),
    ):
        for one in found.get(name, ()):
            models[one.labels.get("model", "")][key] += one.value
    for name in ("accel_tokens_total", "accel_dollars_total"):
        for one in found.get(name, ()):
            labels = one.labels
            key = f"{labels.get('kind', '')}.{labels.get('direction', 'dollars')}"
            models[labels.get("model", "")][key] += one.value
    return {name: _totals(of) for name, of in models.items()}


def _totals(of: defaultdict[str, float]) -> ModelTotals:
    return ModelTotals(
        requests=round(of["requests"]),
        hits=round(of["hits"]),
        attempts=round(of["attempts"]),
        used=Tokens(of["used.input"], of["used.output"]),
        saved=Tokens(of["saved.input"], of["saved.output"]),
        saved_s=float(of["saved_s"]),
        unstated=round(of["unstated"]),
        cost=of.get("used.dollars"),
        saved_cost=of.get("saved.dollars"),
    )
