"""Limits that no header shows, found in what was refused although there was room.

Providers enforce a minute's limit in shorter portions and document that they may, not which
(OpenAI: "60,000 requests/minute may be enforced as 1,000 requests/second"; Azure: requests over 1
or 10 seconds). `infer` replays what was sent against the documented forms, a bucket of a few
seconds and windows of a fixed length at every phase, and returns the one that best tells what was
refused from what was not. A form is believed only where it explains most refusals and contradicts
few acceptances, so that an outage or a neighbour is not taken for a limit.

What a request is charged by its provider is known within a few per cent, so sums near a form's
amount count neither for nor against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.limits.layers import UnseenBucket, Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accel_core.policy.limits.charge import Charge
    from accel_core.policy.limits.layers import Layer

_LENGTHS_S = (30.0, 10.0, 5.0, 2.0, 1.0)
_PHASES = 16
_GUARD = 0.15
"""Share of a window at both of its ends in which nothing is sent."""
_DOUBT = 0.05
"""How far a sum may be from an amount before it says anything."""
_HELD_BACK = 0.25
_TOGETHER_S = 0.05
_EXPLAINED = 0.5
"""A form may leave or add at most this share of the refusals unexplained."""

_PHASE_COST = 1.0
"""Errors a window must save: of many phases, one fits a few refusals by chance."""


class Sent(NamedTuple):
    """One request as it was sent, and whether it was refused although headers showed room."""

    at_s: float
    charge: Charge
    refused: bool


class Form(NamedTuple):
    """A limit that headers do not show.

    Attributes:
        unit: position in a `Charge`.
        amount: what fits a full bucket, or one window.
        length_s: of the window, or what the bucket needs to fill.
        start_s: when a window starts; None: it is a bucket.
    """

    unit: int
    amount: float
    length_s: float
    start_s: float | None

    def layer(self, now_s: float, doubt: float) -> Layer:
        """Return this limit as a layer, used up at first.

        Args:
            now_s: when it starts.
            doubt: how far a charge may be from what is known of it, as a share.
        """
        if self.start_s is None:
            rate_per_s = self.amount / self.length_s
            return UnseenBucket(self.unit, rate_per_s, self.amount, now_s, doubt)
        # What was miscounted in one window does not add up with the next: half the doubt will do.
        window = Window(
            self.unit,
            length_s=self.length_s,
            start_s=self.start_s,
            amount=self.amount * (1.0 - doubt / 2.0),
            guard_s=self.length_s * _GUARD,
        )
        window.fill(now_s)
        return window


def infer(
    sent: Sequence[Sent],
    rates_per_s: Sequence[tuple[int, float]],
    told_s: Sequence[float] = (),
) -> Form | None:
    """Return the form that best explains which of `sent` were refused; None: none does.

    Args:
        sent: in order of time.
        rates_per_s: the limits that are known, as unit and rate.
        told_s: when providers told refused calls to come back, which is when a window starts.
    """
    refusals = sum(one.refused for one in sent)
    if not refusals:
        return None
    # Those sent together arrive in any order, and what was let through came first.
    sent = sorted(sent, key=lambda one: (one.at_s // _TOGETHER_S, one.refused))
    best: Form | None = None
    least = _EXPLAINED * refusals
    for form in _forms(sent[0].at_s, rates_per_s, told_s):
        unexplained, contradicted = _errors(form, sent)
        errors = unexplained + contradicted + (0.0 if form.start_s is None else _PHASE_COST)
        if errors < least:
            best, least = form, errors
    return best


def restrain(sent: Sequence[Sent], rates_per_s: Sequence[tuple[int, float]]) -> Form | None:
    """Return the widest bucket that would have held back most of what was refused.

    It may hold back more than that. For where no form tells the refusals apart, and they go on: it
    takes bursts away, and leaves the rate.
    """
    refusals = sum(one.refused for one in sent)
    for form in _forms(0.0, rates_per_s, ()):
        if form.start_s is None and _errors(form, sent)[0] <= _HELD_BACK * refusals:
            return form
    return None


def _forms(
    from_s: float, rates_per_s: Sequence[tuple[int, float]], told_s: Sequence[float]
) -> Iterator[Form]:
    """Yield what is documented, what hinders least first."""
    for length_s in _LENGTHS_S:
        for unit, rate_per_s in rates_per_s:
            amount = rate_per_s * length_s
            yield Form(unit, amount, length_s, None)
            for start_s in told_s:
                yield Form(unit, amount, length_s, start_s)
            for phase in range(_PHASES):
                yield Form(unit, amount, length_s, from_s + phase * length_s / _PHASES)


def _errors(form: Form, sent: Sequence[Sent]) -> tuple[int, int]:
    """Count the refusals that `form` does not explain and the acceptances that it contradicts."""
    used, at_s, unexplained, contradicted = 0.0, sent[0].at_s, 0, 0
    window = 0.0 if form.start_s is None else (at_s - form.start_s) // form.length_s
    rate_per_s, doubt = form.amount / form.length_s, _DOUBT * form.amount
    for one in sent:
        amount = one.charge[form.unit]
        if form.start_s is None:
            used = max(0.0, used - (one.at_s - at_s) * rate_per_s)
            at_s = one.at_s
        elif (entered := (one.at_s - form.start_s) // form.length_s) != window:
            used = max(0.0, used - (entered - window) * form.amount)
            window = entered
        over = used + min(amount, form.amount) - form.amount
        if one.refused:
            unexplained += over < -doubt
        else:
            contradicted += over > doubt
            used += amount
    return unexplained, contradicted
