"""Why a request is, or was, served or not: a lookup that is only looked at.

Everything is read as a lookup reads it, and nothing is changed: no answer is counted, wanted, kept
near or dropped, no dice are thrown, no flight is claimed, and nobody is asked but the encoder.

Invariant: an entry of another tenant's is as if it were not there, whoever names it.

Written once over `Io`; imports neither threads nor loops nor clocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.drive import blocking
from accel_core.explanation import Elsewhere, Explanation, Kept, NearQuestion
from accel_core.meaning import Foreseen
from accel_core.policy.controls import DEFAULT
from accel_core.policy.identity import Request
from accel_core.policy.scopes import alike, differences, same_text
from accel_core.policy.similarity import Verdict
from accel_core.ports import Selector
from accel_core.views import of_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from accel_core.drive.flight import FlightTable
    from accel_core.meaning import Meaning, Serves
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Prompt
    from accel_core.ports import Entry, Io
    from accel_core.retrieval import Ask
    from accel_core.retrieval_gate import RetrievalDecisions
    from accel_core.semantic_cache import Policies
    from accel_core.tiers import Tiers
    from accel_core.views import RetrievalViews, View

_MOST_ELSEWHERE = 5
_GONE = "its entry is not there any more, or never was: expired, removed, refused, or not one's own"
_OUTLIVED = "what was found before is not served any more: its documents changed, or its time is up"
_UNKNOWN = "the shared store rests, so what its documents are now is not known"
_NO_GATE = "the retrieval gate failed ({}), so documents are searched"
_AWAY = "the shared store could not be read: {}"


class Subject(NamedTuple):
    """What is to be explained.

    Attributes:
        tenants: digests of who asks, the current one first.
        request: what is, or was, asked; None: only `key` and `told` say so, or it bypasses.
        controls: the call's wishes.
        ask: of a retriever or an engine; None: a model is asked.
        bypass: why the call passes the cache by, or ``""``.
        key: of the answer to be explained; None: a request is.
        told: what the answer says of itself.
        problems: controls that could not be used.
        prompt: what `request` was named by, where that is known.
        others: what this process was asked lately by the same tenant.
    """

    tenants: Sequence[bytes]
    request: Request | None = None
    controls: Controls = DEFAULT
    ask: Ask | None = None
    bypass: str = ""
    key: bytes | None = None
    told: Mapping[str, Any] = {}
    problems: tuple[str, ...] = ()
    prompt: Prompt | None = None
    others: Sequence[tuple[Prompt, Request]] = ()


class Retrieving(NamedTuple):
    """What is behind retrievers and engines.

    Attributes:
        views: of what is kept of them.
        flights: the single-flight table.
        gate: says which messages need retrieval; None: every one.
    """

    views: RetrievalViews
    flights: FlightTable
    gate: RetrievalDecisions | None


class Seen(NamedTuple):
    """What was found out: the very request, how its entries look, and the one that is served."""

    subject: Subject
    request: Request
    view: View | None
    kept: Entry | None


class Explainer:
    """Explains.

    Args:
        tiers: hold the entries.
        meaning: finds answers to other wordings.
        policies: never-cache rules, and whether the very request is looked for.
        retrieving: what is behind retrievers and engines.
        flights: the single-flight table, or None.
        colours: the blocking and the asyncio `Io`.
        wall_now: wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        tiers: Tiers,
        meaning: Meaning,
        policies: Policies,
        retrieving: Retrieving,
        *,
        flights: FlightTable | None,
        colours: tuple[Io, Io],
        wall_now: Callable[[], float],
    ) -> None:
        self._tiers, self._meaning, self._policies = tiers, meaning, policies
        self._retrieving, self._flights, self._wall_now = retrieving, flights, wall_now
        self._blocking, self._aio = colours

    def explain(self, subject: Subject) -> Explanation:
        """Explain."""
        return blocking.run(self._explain(self._blocking, subject))

    async def aexplain(self, subject: Subject) -> Explanation:
        """Async form of `explain`."""
        return await self._explain(self._aio, subject)

    async def _explain(self, io: Io, subject: Subject) -> Explanation:
        notes = list(subject.problems)
        bypass = subject.bypass or await self._skipped(io, subject.ask, notes)
        if bypass:
            return Explanation(outcome="bypass", reason=bypass, notes=tuple(notes))
        ask, key = subject.ask, b"" if subject.request is None else subject.request.key
        view = of_answers(self._meaning, key, self._wall_now) if ask is None else None
        kept = None
        try:
            await self._tiers.catch_up(io)
            if ask is not None:
                view = await self._retrieving.views.of(io, ask)
                notes += [_UNKNOWN] if view is None else []
            kept = await self._kept(io, subject, view, notes)
        except Exception as error:  # a third party's store raises what it likes
            notes.append(_AWAY.format(type(error).__name__))
        if subject.key is not None and kept is None:
            notes.append(_GONE)
        request = subject.request or _request_of(kept)
        if request is None:
            return self._of_told(subject, notes)
        request = self._policies.never.judge(request)
        found = Foreseen(Verdict(None, ""))
        # What was near an answer that the model gave is asked for although it is stored by now.
        if view is not None and (kept is None or subject.told.get("cache") == "miss"):
            try:
                found = await view.meaning.foresee(io, request, _but(request.key, view.serves))
            except Exception as error:  # as above
                notes.append(_AWAY.format(type(error).__name__))
        return self._explained(Seen(subject, request, view, kept), found, notes)

    async def _skipped(self, io: Io, ask: Ask | None, notes: list[str]) -> str:
        """Return why no documents are searched for what is asked, or ``""``: they are."""
        gate = self._retrieving.gate
        if ask is None or ask.speaks or gate is None:
            return ""
        try:
            decision = await gate.look(io, ask.request.text)
        except Exception as error:  # an application's own gate raises what it likes
            notes.append(_NO_GATE.format(type(error).__name__))
            return ""
        return "" if decision.needed else f"gated:{decision.reason}"

    async def _kept(
        self, io: Io, subject: Subject, view: View | None, notes: list[str]
    ) -> Entry | None:
        """Return the entry of the very request, or of the answer, if it is there and one's own."""
        request = subject.request
        sought = subject.ask is not None or request is None or self._policies.exact
        if view is None or not sought:
            return None
        keys = (subject.key or b"",) if request is None else (request.key, *request.aliases)
        found = await self._tiers.looking.under(io, [key for key in keys if key])
        own = [entry for entry in found.values() if entry.tenant in subject.tenants]
        served = next((entry for entry in own if view.exactly(entry)), None)
        if own and served is None and subject.ask is not None:
            notes.append(_OUTLIVED)
        return served

    def _explained(self, seen: Seen, found: Foreseen, notes: list[str]) -> Explanation:
        subject, request, view, kept = seen
        verdict, told = found.verdict, subject.told
        chosen = None if verdict.chosen is None else found.near[verdict.chosen]
        entry = kept if kept is not None or chosen is None else chosen[0]
        # What rests on documents is found again whatever it is about.
        reason = (request.never if subject.ask is None else "") or verdict.reason
        if kept is not None and view is not None:
            reason = view.exactly(kept) or "exact"  # its time may be up by now
        if subject.controls.refresh:
            entry, reason = None, "refresh"
        best = found.near[0][1] if found.near else None
        served = chosen[1] if chosen is not None else best
        return Explanation(
            outcome=_outcome(told) or ("miss" if entry is None else "hit"),
            reason=str(told.get("reason") or reason or "backend"),
            told=dict(told),
            question=request.text,
            model=request.source,
            entry=None if entry is None else self._facts(entry),
            similarity=told["similarity"] if told.get("similarity") is not None else served,
            probability=verdict.probability,
            threshold=found.threshold,
            candidates=tuple(
                NearQuestion(one.text, similarity, gates, self._facts(one))
                for one, similarity, gates in found.near
            ),
            elsewhere=tuple(self._elsewhere(subject, request)),
            controls=_wishes(subject.controls),
            under_way=view is not None and self._is_led(view.flight, subject.ask),
            notes=tuple(notes),
        )

    def _of_told(self, subject: Subject, notes: list[str]) -> Explanation:
        """Explain an answer by what it says of itself, for nothing else is known."""
        told = subject.told
        return Explanation(
            outcome=_outcome(told) or "unknown",
            reason=str(told.get("reason") or "no_entry"),
            told=dict(told),
            similarity=told.get("similarity"),
            notes=tuple(notes),
        )

    def _is_led(self, flight: bytes, ask: Ask | None) -> bool:
        """Whether somebody makes the answer just now."""
        flights = self._flights if ask is None else self._retrieving.flights
        return flights is not None and flights.current(flight) is not None

    def _facts(self, entry: Entry) -> Kept:
        now_s = self._wall_now()
        return Kept(
            entry.id,
            now_s - entry.created_s,
            entry.expires_s - now_s,
            entry.semantic,
            entry.source,
            entry.cost_s or None,
        )

    def _elsewhere(self, subject: Subject, request: Request) -> Iterator[Elsewhere]:
        """Find the same question in other scopes of the same tenant, the most alike first."""
        if not request.text:
            return
        found: dict[bytes, Elsewhere] = {}
        asked = subject.prompt
        for prompt, other in reversed(subject.others):
            if other.scope in {request.scope, *found} or not alike(other.text, request.text):
                continue
            same = same_text(other.text, request.text)
            differs = () if asked is None else differences(asked, prompt)
            found[other.scope] = Elsewhere(other.text, same, differs)
        for tenant in subject.tenants:
            for entry in self._tiers.looking.held(Selector(tenant=tenant, text=request.text)):
                if entry.scope != request.scope:
                    found.setdefault(entry.scope, Elsewhere(entry.text, True, ()))  # noqa: FBT003
        nearest = sorted(found.values(), key=lambda one: (not one.same_text, len(one.differs)))
        yield from nearest[:_MOST_ELSEWHERE]


def _but(key: bytes, serves: Serves) -> Serves:
    """Return `serves`, but not for the entry under `key`."""

    def others(entry: Entry, request: Request) -> bool:
        return entry.key != key and serves(entry, request)

    return others


def _request_of(kept: Entry | None) -> Request | None:
    """Return the request that an entry answers, as far as the entry says."""
    if kept is None:
        return None
    return Request(kept.scope, kept.key, kept.text, kept.tenant, kept.namespace, kept.source)


def _outcome(told: Mapping[str, Any]) -> Any:
    """Return what became of the call whose answer says this of itself; None: it says nothing."""
    tier = told.get("cache")
    return "hit" if tier in {"exact", "semantic"} else tier


def _wishes(controls: Controls) -> tuple[str, ...]:
    """Return what a call asked for, as it is told."""
    asked = {
        "namespace": controls.namespace,
        "ttl_s": controls.ttl_s,
        "tags": ", ".join(controls.tags),
        "refresh": controls.refresh,
        "no_store": controls.no_store,
    }
    return tuple(f"{name}={value}" for name, value in asked.items() if value)
