"""A simulated provider: what it admits, refuses, charges and says, with no clock and no I/O.

::

    provider = SimulatedProvider(openai(tokens=60_000), seed=1)
    verdict = provider.admit(Ask(prompt_tokens=500, max_tokens=256), now)
    if isinstance(verdict, Admitted):
        ...                                    # wait for verdict.course.end_s
        usage = provider.finish(verdict, now)

Time is an argument and dice are seeded, so that the same calls at the same moments end the same.
A call is charged in all dimensions or in none, and refused before anything is charged, except for
the request itself where failed calls count. Not thread-safe: `provider_answers` puts it behind a
lock and HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

from accel_core.testing.provider_dialects import Body, Headers, Standing, Wanted
from accel_core.testing.provider_latency import Batch, Course
from accel_core.testing.provider_layers import Bucket, Layer, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.testing.provider_rules import Ask, ProviderRules, Shape

Reason = Literal["limit", "hidden", "oversize", "spent", "crowded", "outage", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A call that runs.

    Attributes:
        number: of the call, in the order of arrival.
        ask: what was asked.
        charged: at admission, by dimension.
        headers: sent with the answer.
        course: when its tokens come.
        output_tokens: that it will produce.
        finish_reason: ``stop`` or ``length``.
        admitted_at: the moment.
        cut_after: so many tokens are streamed, then an error; None: all are.
    """

    number: int
    ask: Ask
    charged: Mapping[str, float]
    headers: Headers
    course: Course
    output_tokens: int
    finish_reason: str
    admitted_at: float
    cut_after: int | None = None

    def produced(self, now: float) -> int:
        """Return how many tokens have been produced at `now`."""
        since_first_s = now - self.admitted_at - self.course.first_s
        if since_first_s < 0:
            return 0
        if now >= self.admitted_at + self.course.end_s:
            return self.output_tokens
        return min(self.output_tokens, 1 + int(since_first_s / self.course.token_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A call that does not run; `reason` is for the reader of a test, clients see the rest."""

    status: int
    headers: Headers
    body: Body
    reason: Reason
    retry_s: float | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """What an ended call used, as its usage says."""

    prompt_tokens: int
    output_tokens: int
    cached_tokens: int = 0


class SimulatedProvider:
    """One deployment under one key.

    Args:
        rules: what it enforces.
        seed: of its dice.
        wall_s: the epoch's seconds at the moment 0, for headers that carry moments.
    """

    def __init__(
        self, rules: ProviderRules, *, seed: int = 0, wall_s: float = 1_790_000_000.0
    ) -> None:
        self.rules = rules
        self.admitted_count = self.refused_count = 0
        self.charged_in_all = dict.fromkeys(rules.limits, 0.0)
        """What our own calls cost so far, refunds deducted."""
        self._wall_s = wall_s
        self._dice = Random(seed)
        self._batch = Batch(rules.latency, Random(self._dice.random()))
        self._visible = {
            name: self._layer(name, rules.shape, rules.minute_s) for name in rules.limits
        }
        self._hidden = self._hidden_layers()
        self._flights: dict[int, tuple[Admitted, int]] = {}
        self._began: float | None = None
        self._theft_at: float | None = None

    @property
    def in_flight(self) -> int:
        """How many calls are running."""
        return len(self._flights)

    def room(self, name: str, now: float) -> float:
        """Return what headers would show of a dimension, without their rounding."""
        self._advance(now)
        return self._visible[name].room(now)

    def admit(self, ask: Ask, now: float) -> Admitted | Refused:
        """Let `ask` run or refuse it."""
        self._advance(now)
        refused = self._unwell(now)
        if refused is None:
            counted = ask.prompt_tokens * (1 + self._dice.gauss(0.0, self.rules.count_sigma))
            amounts = self.rules.amounts(ask, max(0.0, counted))
            refused = self._refusal(amounts, now)
        if refused is not None:
            self.refused_count += 1
            return refused
        return self._run(ask, amounts, now)

    def finish(self, call: Admitted, now: float) -> Used:
        """End `call`, sooner than its course where the client left, and return what it used.

        Raises:
            ValueError: it has ended already.
        """
        self._advance(now)
        flight = self._flights.pop(call.number, None)
        if flight is None:
            msg = f"call {call.number} has ended already"
            raise ValueError(msg)
        produced = call.produced(now)
        if now < call.admitted_at + call.course.end_s:
            self._batch.leave(call.admitted_at + call.course.end_s)
        if self.rules.refunds:
            self._settle(call, produced, now)
        return Used(call.ask.prompt_tokens, produced, call.ask.cached_tokens)

    def _run(self, ask: Ask, amounts: dict[str, float], now: float) -> Admitted:
        for name, amount in amounts.items():
            self._take(name, 0.0 if name == "output_tokens" else amount, now)
        most = ask.output_tokens if ask.max_tokens is None else ask.max_tokens
        fresh = ask.prompt_tokens - ask.cached_tokens
        output = min(ask.output_tokens, most)
        cut = self.rules.cut_share > 0.0 and self._dice.random() < self.rules.cut_share
        self.admitted_count += 1
        call = Admitted(
            number=self.admitted_count,
            ask=ask,
            charged=amounts,
            headers=self._headers(now),
            course=self._batch.join(fresh, output, now, self._capacity(now)),
            output_tokens=output,
            finish_reason="length" if output < ask.output_tokens else "stop",
            admitted_at=now,
            cut_after=self._dice.randrange(1, output) if cut and output > 1 else None,
        )
        self._flights[call.number] = (call, 0)
        return call

    def _settle(self, call: Admitted, produced: int, now: float) -> None:
        fresh = call.ask.prompt_tokens - call.ask.cached_tokens
        if "tokens" in call.charged:
            self._take("tokens", fresh + produced - call.charged["tokens"], now)
        if "input_tokens" in call.charged:
            self._take("input_tokens", fresh - call.charged["input_tokens"], now)

    def _unwell(self, now: float) -> Refused | None:
        """Return the refusal of a service that is not well, or has no more patience."""
        assert self._began is not None
        since_s, rules = now - self._began, self.rules
        for outage in rules.outages:
            if outage.from_s <= since_s < outage.to_s:
                return self._failure(outage.status, "outage", now)
        if rules.error_share and self._dice.random() < rules.error_share:
            return self._failure(500, "error", now)
        tokens = sum(v for name, v in self.charged_in_all.items() if name != "requests")
        if tokens >= rules.spend_cap_tokens:
            body = rules.dialect.exhausted()
            return Refused(status=429, headers={}, body=body, reason="spent")
        if rules.max_concurrency is not None:
            seats = max(1, round(rules.max_concurrency * self._capacity(now)))
            if len(self._flights) >= seats:
                return self._refused(rules.dialect.crowded(), "crowded", None, now)
        return None

    def _refusal(self, amounts: dict[str, float], now: float) -> Refused | None:
        """Return the refusal of amounts that do not fit, that with the longest wait."""
        worst: tuple[float, str, Reason] | None = None
        for name, amount in amounts.items():
            visible, hidden = self._visible[name], self._hidden.get(name)
            if amount > visible.capacity:
                wanted = self._wanted(name, amount, visible.wait_s(amount, now), now)
                return self._refused(
                    self.rules.dialect.oversize(wanted), "oversize", wanted.retry_s, now
                )
            waits: list[tuple[float, Reason]] = [(visible.wait_s(amount, now), "limit")]
            if hidden is not None:
                waits.append((hidden.wait_s(min(amount, hidden.capacity), now), "hidden"))
            for wait_s, reason in waits:
                if wait_s > 0 and (worst is None or wait_s > worst[0]):
                    worst = (wait_s, name, reason)
        if worst is None:
            return None
        wait_s, name, reason = worst
        wanted = self._wanted(name, amounts[name], wait_s, now)
        return self._refused(self.rules.dialect.limited(wanted), reason, wanted.retry_s, now)

    def _wanted(self, name: str, amount: float, wait_s: float, now: float) -> Wanted:
        retry_s = wait_s if self.rules.tells_retry else None
        return Wanted(self._standing(name, now), amount, retry_s)

    def _refused(self, body: Body, reason: Reason, retry_s: float | None, now: float) -> Refused:
        self._count_failed(now)
        headers = self._headers(now) | self.rules.dialect.retry_headers(retry_s)
        return Refused(status=429, headers=headers, body=body, reason=reason, retry_s=retry_s)

    def _failure(self, status: int, reason: Reason, now: float) -> Refused:
        self._count_failed(now)
        headers, body = self._headers(now), self.rules.dialect.failed(status)
        return Refused(status=status, headers=headers, body=body, reason=reason)

    def _count_failed(self, now: float) -> None:
        if self.rules.failed_count and "requests" in self._visible:
            layer = self._visible["requests"]
            # A call refused for want of requests costs none, or the wait it was told were wrong.
            if layer.wait_s(1.0, now) <= 0:
                layer.take(1.0, now)

    def _headers(self, now: float) -> Headers:
        standings = [self._standing(name, now) for name in self._visible]
        return self.rules.dialect.headers(standings, self._wall_s + now)

    def _standing(self, name: str, now: float) -> Standing:
        layer = self._visible[name]
        return Standing(name, self.rules.limits[name], layer.room(now), layer.reset_s(now))

    def _take(self, name: str, amount: float, now: float) -> None:
        self.charged_in_all[name] += amount
        self._visible[name].take(amount, now)
        if name in self._hidden:
            self._hidden[name].take(amount, now)

    def _capacity(self, now: float) -> float:
        shrunk = self.rules.shrunk_s
        if shrunk is None or self._began is None:
            return 1.0
        return 0.5 if shrunk[0] <= now - self._began < shrunk[1] else 1.0

    def _advance(self, now: float) -> None:
        """Let the neighbour and the running calls use what they used until `now`."""
        if self._began is None:
            self._began = now
        self._let_neighbour(now)
        if "output_tokens" in self._visible:
            for number, (call, charged) in self._flights.items():
                produced = call.produced(now)
                self._take("output_tokens", produced - charged, now)
                self._flights[number] = (call, produced)

    def _let_neighbour(self, now: float) -> None:
        neighbour = self.rules.neighbour
        if neighbour is None:
            return
        assert self._began is not None
        if self._theft_at is None:
            self._theft_at = now + self._dice.expovariate(1 / neighbour.every_s)
        while self._theft_at <= now:
            if neighbour.there(self._theft_at - self._began):
                for name in self._visible:
                    self._steal(name, neighbour.share * neighbour.every_s, self._theft_at)
            self._theft_at += self._dice.expovariate(1 / neighbour.every_s)

    def _steal(self, name: str, worth_s: float, at: float) -> None:
        """Use so many seconds' worth of a dimension, or what is left of it."""
        layers = [self._visible[name], *filter(None, [self._hidden.get(name)])]
        wanted = worth_s * self.rules.limits[name] / self.rules.minute_s
        taken = min(wanted, *(max(0.0, layer.room(at)) for layer in layers))
        for layer in layers:
            layer.take(taken, at)

    def _layer(self, name: str, shape: Shape, length_s: float) -> Layer:
        per_s = self.rules.limits[name] / self.rules.minute_s
        if shape == "bucket":
            return Bucket(per_s, length_s)
        return Window(per_s, length_s, phase_s=self._dice.uniform(0.0, length_s))

    def _hidden_layers(self) -> dict[str, Layer]:
        hidden = self.rules.hidden
        if hidden is None:
            return {}
        names = [
            n for n in self.rules.limits if hidden.dimensions is None or n in hidden.dimensions
        ]
        return {name: self._layer(name, hidden.shape, hidden.length_s) for name in names}
