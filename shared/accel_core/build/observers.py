"""What a configuration says is told of requests, and to whom; the application's own included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from accel_core.errors import ConfigError, MissingExtraError
from accel_core.events.requests import RequestEnded
from accel_core.files.statistics_file import StatisticsFile
from accel_core.observer.fanout import Fanout
from accel_core.observer.ledger import Ledger
from accel_core.observer.log import LoggingObserver
from accel_core.observer.prices import load_prices
from accel_core.observer.queued import Queued
from accel_core.observer.request_log import RequestLog
from accel_core.observer.requests import RequestTotals
from accel_core.observer.statistics import StatisticsObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from accel_core.clocks import Clocks
    from accel_core.config import ObserveConfig
    from accel_core.observer.statistics import Statistics
    from accel_core.policy.looked import Looked
    from accel_core.ports import Observer, Selector

_PATIENCE_S = 5.0
Told = TypeVar("Told", bound="Observer")


class Observers(NamedTuple):
    """What is told of events.

    Attributes:
        emit: receives them.
        statistics: counts them.
        ledger: is given requests that have ended.
        queued: those in the background.
        file: of them, the one that writes the statistics file; None: there is none.
    """

    emit: Fanout
    statistics: StatisticsObserver
    ledger: Ledger
    queued: tuple[Queued, ...]
    file: tuple[Queued, StatisticsFile] | None = None

    @property
    def looked(self) -> Callable[[Looked], None] | None:
        """Return what is told of lookups by meaning, for the statistics file alone."""
        if self.file is None:
            return None
        queued, _ = self.file
        return queued.put

    def stats(self) -> Statistics:
        """Return what was counted so far."""
        return self.statistics.snapshot(self.ledger.snapshot(), self.lost())

    def lost(self) -> dict[str, int]:
        """Return the events that never reached an observer, or that it failed on, by observer."""
        lost = {one.name: one.dropped + one.failed for one in self.queued}
        return {name: count for name, count in lost.items() if count}

    def flush(self, timeout_s: float) -> None:
        """Wait until every observer has had what happened so far, for `timeout_s` each at most."""
        self.ledger.enter()
        for observer in self.queued:
            observer.flush(timeout_s)

    def forget(self, meant: Sequence[Selector], removed: Collection[str]) -> None:
        """Remove what the statistics file has of those who are meant; blocks.

        Raises:
            StoreError: it could not be rewritten, so lines may still be there.
        """
        if self.file is not None:
            queued, file = self.file
            self.ledger.enter()
            queued.flush(_PATIENCE_S)
            file.forget(meant, removed)

    def close(self, timeout_s: float) -> None:
        """End what is in the background, after what happened so far."""
        self.ledger.close()
        for observer in self.queued:
            observer.close(timeout_s)


def unobserved(clocks: Clocks) -> Observers:
    """Return observers of which nobody is told anything."""
    ledger = Ledger(
        RequestTotals(0, lambda: load_prices(None)),
        None,
        [],
        wall_now=clocks.wall_now,
        mono_now=clocks.mono_now,
    )
    return Observers(Fanout([]), StatisticsObserver(), ledger, ())


def build_observers(config: ObserveConfig, own: Iterable[Observer], clocks: Clocks) -> Observers:
    """Make what `config` names, and put it and the application's `own` in the background.

    An observer of the application's whose attribute ``inline`` is True stays in the foreground: it
    is called where the event happens, before the request goes on.

    Raises:
        ConfigError: a file of prices is wrong, or `own` is no list of functions of an event.
        MissingExtraError: the library of an exporter is not installed.
    """
    own = _checked(own)
    inline = [one for one in own if getattr(one, "inline", False)]
    file = _statistics_file(config, clocks)
    first = [] if file is None else [file]
    behind = [*first, *_configured(config), *(one for one in own if one not in inline)]
    queued = tuple(Queued(one, max_queued=config.max_queued) for one in behind)
    if config.prices is not None:
        load_prices(config.prices)  # a mistake is told now, not when somebody looks
    totals = RequestTotals(config.max_models, lambda: load_prices(config.prices))
    statistics = StatisticsObserver()
    ledger = Ledger(
        totals,
        Fanout(urgent) if (urgent := _wanting(inline)) else None,
        _wanting(queued),
        wall_now=clocks.wall_now,
        mono_now=clocks.mono_now,
    )
    emit = Fanout([statistics, LoggingObserver(), *inline, *queued])
    made = Observers(emit, statistics, ledger, queued)
    if file is None:
        return made
    file.lost = made.lost
    return made._replace(file=(queued[0], file))


def _wanting(observers: Sequence[Told]) -> list[Told]:
    """Return those that want requests."""
    return [one for one in observers if RequestEnded in getattr(one, "kinds", (RequestEnded,))]


def _statistics_file(config: ObserveConfig, clocks: Clocks) -> StatisticsFile | None:
    settings = config.file
    if settings.path is None:
        return None
    return StatisticsFile(
        settings.path,
        max_bytes=settings.max_bytes,
        texts=settings.texts,
        wall_now=clocks.wall_now,
    )


def _configured(config: ObserveConfig) -> Iterator[Observer]:
    if config.log.enabled:
        yield RequestLog(config.log.logger, tags=config.log.tags)
    if config.prometheus.enabled:
        try:
            from accel_core.observer.prometheus import PrometheusObserver
        except ImportError as error:
            raise MissingExtraError("prometheus", "observe.prometheus") from error
        yield PrometheusObserver(
            load_prices(config.prices),
            max_models=config.max_models,
            max_tenants=config.max_tenants,
        )
    if config.otel.spans or config.otel.metrics:
        try:
            from accel_core.observer.otel import OtelObserver
        except ImportError as error:
            raise MissingExtraError("otel", "observe.otel") from error
        yield OtelObserver(
            spans=config.otel.spans, metrics=config.otel.metrics, max_models=config.max_models
        )


def _checked(own: object) -> list[Observer]:
    given = list(own) if isinstance(own, Iterable) else None
    if given is None or not all(map(callable, given)):
        raise ConfigError(
            "observers", own, "must be a list of functions of an event, as in [print]"
        )
    return given
