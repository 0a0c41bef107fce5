"""The trust modes beside one another: the calibrated default, pooled trust, earned trust.

The same questions are asked of each, spread over scopes as over tenants: every scope has its own
entries and, with earned trust, its own evidence. Modes under a bound start cold, as they do in an
application, and explored outcomes are known at once.

Two streams: generated questions, whose identities are certain (`decision_guarantee_questions`), and
public question pairs, whose labels are noisy, so that even the surest hits are sometimes wrong by
their label. On the latter a forest judges the half that it was not grown on.
"""

from __future__ import annotations

import random
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.evaluation.replay import Asking, neighbourhood
from accel_core.policy.guarantee import Guarantee, Outcome
from accel_core.policy.promise import GuaranteeSettings
from accel_core.policy.similarity import Candidate
from benchmarks import decision_data as data
from benchmarks import decision_guarantee as generated
from benchmarks.harness import Context, Measured, Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accel_core.policy.promise import Trust
    from accel_core.policy.resemblance import Resemblance
    from accel_core.ports import Vector

_SCOPES = 8
_ASKINGS = 12
CERTAIN, NOISY = (0.01, 0.02, 0.05), (0.05, 0.1, 0.2)
"""Bounds for either stream: under the share of wrong labels nothing can be proven."""
_TRUSTS: tuple[Trust, ...] = ("calibrated", "earned")


class Mode(NamedTuple):
    """A way to decide; without a bound it is the calibrated default."""

    bound: float | None = None
    trust: Trust = "calibrated"

    def __str__(self) -> str:
        return "default" if self.bound is None else f"{self.trust} {self.bound:.0%}"


class Came(NamedTuple):
    """What a mode came to: questions, hits, wrong ones; scopes, and when those that did began."""

    asked: int
    hits: int
    wrong: int
    scopes: int
    began: list[int]

    @property
    def share(self) -> float:
        """Of wrong ones among hits."""
        return self.wrong / self.hits if self.hits else 0.0

    def __str__(self) -> str:
        after = f" from question {int(median(self.began))}" if self.began else ""
        on = f"on in {len(self.began)} of {self.scopes} scopes{after}"
        return f"hits {self.hits / self.asked:.1%}, wrong {self.share:.2%}, {on}"


class Judged(NamedTuple):
    """What the decision makes of an arrival: how probable its candidate is, and whether right."""

    probability: float
    refused: bool
    right: bool
    place: int


class Streamed:
    """A stream over scopes; what the decision says of a neighbourhood is worked out once.

    Args:
        asked: questions in order.
        vectors: of every wording.
        policy: scores everything, and serves whatever no gate refuses.
        seed: of the order of scopes.
    """

    def __init__(
        self, asked: Sequence[Asking], vectors: Mapping[str, Vector], policy: Resemblance, seed: int
    ) -> None:
        dice = random.Random(seed)
        home: dict[int, int] = {}
        self._order = [home.setdefault(one.cluster_id, dice.randrange(_SCOPES)) for one in asked]
        self._asked: list[list[Asking]] = [[] for _ in range(_SCOPES)]
        for one, scope in zip(asked, self._order, strict=True):
            self._asked[scope].append(one)
        self._near = [
            neighbourhood(np.stack([vectors[one.text] for one in scope])) for scope in self._asked
        ]
        self._policy, self._seed = policy, seed
        self._known: dict[tuple[int, int, tuple[int, ...]], Judged] = {}

    def run(self, mode: Mode, serve_from: float) -> Came:
        """Ask all questions under `mode`."""
        guarantee = None
        if mode.bound is not None:
            settings = GuaranteeSettings(max_wrong_hits=mode.bound, trust=mode.trust)
            guarantee = Guarantee(settings)
        dice = random.Random(self._seed)
        stored = [np.zeros(len(scope), bool) for scope in self._asked]
        at, began = [0] * _SCOPES, dict[int, int]()
        hits = wrong = 0
        for scope in self._order:
            number = at[scope]
            at[scope] += 1
            judged = self._judged(scope, number, stored[scope])
            serve = False
            if judged is not None and not judged.refused:
                if guarantee is None:
                    serve = on = judged.probability >= serve_from
                else:
                    action, reason = _decided(guarantee, scope, judged, dice)
                    serve = action == "serve"
                    on = serve or reason == "sampled"
                if on:
                    began.setdefault(scope, number)
            stored[scope][number] = not serve
            if serve and judged is not None:
                hits += 1
                wrong += not judged.right
        return Came(len(self._order), hits, wrong, _SCOPES, list(began.values()))

    def _judged(self, scope: int, number: int, stored: np.ndarray) -> Judged | None:
        """Say what the decision makes of a question; None where nothing is near."""
        near, asked = self._near[scope], self._asked[scope]
        earlier = near.places[number]
        here = np.flatnonzero((earlier >= 0) & stored[earlier])[: self._policy.candidates]
        if not len(here):
            return None
        key = scope, number, tuple(here.tolist())
        if key not in self._known:
            candidates = [
                Candidate(asked[earlier[place]].text, float(near.cosines[number, place]))
                for place in here
            ]
            verdict = self._policy.decide(asked[number].text, candidates)
            place = int(earlier[here[0]])
            right = asked[place].cluster_id == asked[number].cluster_id
            refused = verdict.chosen is None
            self._known[key] = Judged(verdict.probability or 0.0, refused, right, place)
        return self._known[key]


def _decided(
    guarantee: Guarantee, scope: int, judged: Judged, dice: random.Random
) -> tuple[str, str]:
    """Let the guarantee decide, and learn at once from what it explores."""
    name, entry = bytes([scope]), bytes([scope]) + judged.place.to_bytes(4, "big")
    decision = guarantee.decide(judged.probability, name, entry, dice.random())
    if decision.action == "explore":
        outcome = Outcome(judged.probability, name, entry, judged.right, decision.weight)
        guarantee.observe(outcome)
    return decision.action, decision.reason


def certain(context: Context) -> dict[Mode, Came]:
    """Run generated questions; to be had by ``context.once``."""
    world = context.once(generated.made)
    dice = random.Random(context.seed)
    drawn = [
        (number, text)
        for number, intent in enumerate(world.intents)
        for text in dice.sample(intent.asks, _ASKINGS)
    ]
    dice.shuffle(drawn)
    asked = [Asking(text, number, repeat=True) for number, text in drawn]
    vectors = {text: world.vectors[world.rows[text]] for _, text in drawn}
    policy = data.opened(data.decision(context))
    return _runs(context, [Streamed(asked, vectors, policy, context.seed)], CERTAIN)


def noisy(context: Context) -> dict[Mode, Came]:
    """Run public question pairs, both halves; to be had by ``context.once``."""
    known = context.once(data.vectors)
    found = context.once(data.streams)
    streams = [
        Streamed(one.asked, known, data.opened(data.decision(context, one.forest)), context.seed)
        for one in (found[0], found[-1])
    ]
    return _runs(context, streams, NOISY)


def _runs(
    context: Context, streams: Sequence[Streamed], bounds: Sequence[float]
) -> dict[Mode, Came]:
    modes = [Mode(), *(Mode(bound, trust) for bound in bounds for trust in _TRUSTS)]
    serve_from, came = data.calibration().serve_from, {}
    for number, mode in enumerate(modes):
        each = [stream.run(mode, serve_from) for stream in streams]
        sums = (sum(column) for column in zip(*(one[:4] for one in each), strict=True))
        came[mode] = Came(*sums, [first for one in each for first in one.began])
        context.report(number / len(modes))
    return came


def kept_certain(context: Context) -> Measured:
    """Largest wrong share ÷ bound of calibrated trust, on generated questions."""
    return _kept(context.once(certain))


def kept_noisy(context: Context) -> Measured:
    """Largest wrong share ÷ bound of calibrated trust, on public question pairs."""
    return _kept(context.once(noisy))


def _kept(came: Mapping[Mode, Came]) -> Measured:
    worst = max(
        one.share / mode.bound
        for mode, one in came.items()
        if mode.bound is not None and mode.trust == "calibrated"
    )
    return Measured(worst, "; ".join(f"{mode}: {one}" for mode, one in came.items()))


ROWS = [
    Row(
        name="trust-certain",
        what="8 scopes, certain identities: wrong share ÷ bound of calibrated trust, the worst of"
        " 1, 2, 5 %; earned trust and the default beside it",
        op="<=",
        bound=1,
        measure=kept_certain,
        quick=False,
    ),
    Row(
        name="trust-noisy",
        what="the same on question pairs with noisy labels, the worst of 5, 10, 20 %",
        op="<=",
        bound=1,
        measure=kept_noisy,
        quick=False,
    ),
]
