"""What adapters ask before a call: whose it is, whether it may be cached, and what it is named.

Invariant: whatever keeps a call out of the cache is an event, once per call.
"""

from __future__ import annotations

import marshal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from accel_core import events, tenancy
from accel_core.call import Call
from accel_core.policy.canonical import Unidentifiable
from accel_core.policy.controls import read_controls
from accel_core.policy.identity import Prompt, Turn
from accel_core.recording import bypassed
from accel_core.steps import Step
from accel_core.verifier.desk import verifying

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from accel_core.config import AccelConfig
    from accel_core.drive.flight import Flight
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Identifier, Request
    from accel_core.ports import Observer
    from accel_core.recorder import Recorder
    from accel_core.recording import Record, Told
    from accel_core.semantic_cache import SemanticCache
    from accel_core.whose import Whose


NAMES = "__accel_names__"
"""Class attribute of what can be explained: a function of an `Asking`, the object, and what it is
asked, that returns the request, or None, and the controls that such a call would have. Of what
rests on documents it returns the `Ask` instead of the request."""

_REMEMBERED = 1024


class NamedPrompts:
    """The requests that the last prompts were named: whoever hits asks again and again.

    A prompt is known by the bytes that `marshal` makes of it, which two prompts never share.
    Version 2 of the format does not depend on which objects are shared.
    """

    def __init__(self) -> None:
        self._requests: dict[bytes, Request] = {}

    def find(self, prompt: Prompt) -> tuple[bytes | None, Request | None]:
        """Return what `prompt` is known by, None where it cannot be, and its request if known."""
        kind, model, turns, *rest = prompt
        try:
            known_by = marshal.dumps((kind, model, tuple(map(tuple, turns)), rest), 2)
        except ValueError:
            return None, None
        return known_by, self._requests.get(known_by)

    def remember(self, known_by: bytes, request: Request) -> None:
        """Remember the request of the prompt that is known by these bytes."""
        if len(self._requests) >= _REMEMBERED:
            self._requests.clear()
        self._requests[known_by] = request

    def of_tenants(self, tenants: Collection[bytes]) -> list[tuple[Prompt, Request]]:
        """Return the last prompts of those whose digests are given, oldest first."""
        return [
            (_spelled_out(known_by), request)
            for known_by, request in list(self._requests.items())
            if request.tenant in tenants
        ]

    def forget_texts(self) -> None:
        """Forget all: prompts hold what people wrote."""
        self._requests.clear()


def _spelled_out(known_by: bytes) -> Prompt:
    """Return the prompt that `NamedPrompts.find` spelled."""
    kind, model, turns, rest = marshal.loads(known_by)  # noqa: S302 - what this process spelled
    return Prompt(kind, model, tuple(Turn(*turn) for turn in turns), *rest)


class Asking:
    """The side of `Accel` that adapters use.

    Args:
        config: the configuration.
        identifier: names requests.
        whose: says who asks.
        emit: receives events.
        recorder: what requests are recorded by; None: they are not.

    Attributes:
        cache: where its calls look up; set by whoever builds it.
    """

    cache: SemanticCache

    def __init__(
        self,
        config: AccelConfig,
        identifier: Identifier,
        whose: Whose,
        emit: Observer,
        recorder: Recorder | None,
    ) -> None:
        self.config = config
        self._identifier, self._whose, self._emit = identifier, whose, emit
        self._open = config.cache.enabled
        self._recorder = recorder
        self._named = NamedPrompts()

    def begin(self, operation: str, *, streamed: bool = False, told: Told | None = None) -> Call:
        """Begin a model call; it bypasses the cache until `Call.asks` says what it asks.

        Args:
            operation: as of `RequestEnded`.
            streamed: whether its answer is.
            told: what the framework tells of it.
        """
        recorder = self._recorder
        if recorder is None:
            return Call(self.cache)
        tier = "" if recorder.tier is None else recorder.tier()
        return Call(self.cache, recorder, (operation, recorder.mono_now(), streamed, tier, told))

    def part_of_another(self) -> Call:
        """Return a call that another one makes: it passes the cache by, and is not recorded."""
        return Call(self.cache)

    def resume(
        self, request: Request, controls: Controls, flight: Flight | None, record: Record | None
    ) -> Call:
        """Return a call whose `Call.lookup` was before, by what is left of it.

        Args:
            request: what it asks.
            controls: its wishes.
            flight: that it leads.
            record: its own; None: nothing is told of it.
        """
        call = Call(self.cache, record=record)
        call.asks(request, controls)
        call.flight = flight
        return call

    def step(self, operation: str, *, name: str = "", model: str = "") -> Step:
        """Begin a request that asks no language model, carried out in its ``with`` block.

        Args:
            operation: as of `RequestEnded`, as are the others.
            name: of what is asked, where it is no model.
            model: of the model that is asked.
        """
        recorder = self._recorder
        if recorder is None:
            return Step(None)
        tier = "" if recorder.tier is None else recorder.tier()
        record = recorder.record((operation, recorder.mono_now(), False, tier, None))
        record.name, record.model, record.tenant = name, model, self._whose.digest()
        return Step(record)

    def current_tenant(self) -> str | None:
        """Return whose a call made now would be."""
        return self._whose.current()

    def controls(
        self,
        metadata: Mapping[str, Any] | None,
        tags: Collection[str] | None,
        *,
        report: bool = True,
    ) -> Controls | None:
        """Read a call's own wishes; None: it bypasses the cache.

        Args:
            metadata: may hold ``accel_…`` settings; see `policy.controls`.
            tags: may hold ``accel:…`` switches.
            report: whether a bypass is an event; False where the same call was reported before.
        """
        if not self._open:
            self.bypass("disabled", report=report)
            return None
        if verifying.get():
            self.bypass("verifying", report=report)
            return None
        asking = tenancy.current()
        if (
            self.config.security.tenant_required
            and asking is None
            and self.current_tenant() is None
        ):
            self.bypass("tenant_required", report=report)
            return None
        found, problems = read_controls(metadata or {}, tags or ())
        for problem in problems if report else ():
            self._emit(events.ControlIgnored(*problem))
        if asking is not None and asking.user:
            found = replace(found, user=asking.user)
        if found.no_cache:
            self.bypass("no_cache", report=report)
            return None
        return found

    def admits(self, temperature: float | None, *, report: bool = True) -> bool:
        """Whether a request of this temperature may be cached."""
        reason = self.config.cache.admission.refuses_request(temperature)
        if reason is not None:
            self.bypass(reason, report=report)
        return reason is None

    def namespace(self, narrower: str) -> str:
        """Return the configured namespace, narrowed by a call's own."""
        return self._whose.namespace(narrower)

    def identify(self, prompt: Prompt, *, report: bool = True) -> Request | None:
        """Name a request; None where it holds something without a stable meaning."""
        known_by, request = self._named.find(prompt)
        if request is not None:
            return request
        try:
            request = self._identifier.identify(prompt)
        except Unidentifiable:
            self.bypass("unidentifiable", report=report)
            return None
        if known_by is not None:
            self._named.remember(known_by, request)
        return request

    def bypass(self, reason: str, *, report: bool = True) -> None:
        """Report that a call bypasses the cache, unless it was reported before."""
        if report:
            bypassed(reason)
            self._emit(events.CacheBypassed(reason))
