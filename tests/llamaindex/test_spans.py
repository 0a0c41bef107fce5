"""What handlers see of a retrieval, wherever they listen, and that nothing is made for nobody."""

from __future__ import annotations

import inspect
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.retrievers import VectorIndexRetriever
from llama_index_instrumentation import get_dispatcher, root_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags
from llama_index_instrumentation.span import active_span_id

from llamaindex_accel import _spans, accelerate
from tests.llamaindex.retrieving import COLOURS, Retrieve, WordEmbedding, document, index_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from accel_core.accel import Accel

QUESTION = "when is a refund paid"
PLACES = {
    "everywhere": "root",
    "at retrievers": BaseRetriever.__module__,
    "inside": VectorIndexRetriever.__module__,
}


class Log:
    """What handlers were told, with ids by the order in which they first came."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self._names: dict[str, str] = {}

    def name(self, id_: str | None) -> str | None:
        """Return what stands for a span's id."""
        if id_ is None:
            return None
        return self._names.setdefault(id_, f"{id_.partition('-')[0]} {len(self._names)}")


class Spans(BaseSpanHandler[Any]):
    """Logs all that a handler of spans is told."""

    log: Any = None

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def span_enter(
        self, id_: str, bound_args: Any, instance: Any = None, parent_id: Any = None, **kwargs: Any
    ) -> None:
        told = (type(instance).__name__, bound_args.arguments, str(bound_args.signature), kwargs)
        parent = parent_id and self.log.name(parent_id)
        self.log.told.append(("enter", self.log.name(id_), parent, told))

    def span_exit(self, id_: str, bound_args: Any, result: Any = None, **_: Any) -> None:
        self.log.told.append(("exit", self.log.name(id_), bound_args.arguments, result))

    def span_drop(self, id_: str, err: Any = None, **_: Any) -> None:
        self.log.told.append(("drop", self.log.name(id_), repr(err)))

    def new_span(self, *_: Any, **__: Any) -> None:
        raise AssertionError

    prepare_to_exit_span = prepare_to_drop_span = new_span


class Events(BaseEventHandler):
    """Logs all that a handler of events is told."""

    log: Any

    def handle(self, event: Any, **_: Any) -> None:
        dumped = event.model_dump(exclude={"id_", "timestamp", "span_id", "entry_id", "err_str"})
        self.log.told.append((event.class_name(), self.log.name(event.span_id), dumped))


@contextmanager
def listening(place: str) -> Iterator[Log]:
    """Listen to the spans and events of a dispatcher."""
    log, dispatcher = Log(), get_dispatcher(PLACES[place])
    spans, events = Spans(log), Events(log=log)
    dispatcher.span_handlers.append(spans)
    dispatcher.event_handlers.append(events)
    try:
        yield log
    finally:
        dispatcher.span_handlers.remove(spans)
        dispatcher.event_handlers.remove(events)


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


@pytest.fixture
def plain() -> BaseRetriever:
    return index_of([document("a", "a refund is paid in 14 days")], WordEmbedding()).as_retriever()


class Failing(BaseRetriever):
    """Has nothing to retrieve from."""

    def _retrieve(self, _: Any) -> Any:
        raise ConnectionError("no documents today")


@pytest.mark.parametrize("place", PLACES)
def test_a_miss_tells_what_the_plain_retriever_tells(
    place: str, accel: Accel, retrieve: Retrieve, plain: BaseRetriever
) -> None:
    """Ids, parents, arguments, signature, tags and results are told as ever, to any dispatcher."""
    told = []
    for retriever in (plain, accelerate(plain, accel)):
        with listening(place) as log, instrument_tags({"asked": "by a test"}):
            retrieve(retriever, QUESTION)
        told.append(log.told)
    assert told[1] == told[0] != []


@pytest.mark.parametrize("place", PLACES)
def test_a_hit_tells_of_the_retrieval_and_of_itself(
    place: str, accel: Accel, retrieve: Retrieve, plain: BaseRetriever
) -> None:
    """It tells what the plain retriever tells of `retrieve`, and beside that its own event."""
    fast = accelerate(plain, accel)
    retrieve(fast, QUESTION)
    told = []
    for retriever in (plain, fast):
        with listening(place) as log, instrument_tags({"asked": "by a test"}):
            retrieve(retriever, QUESTION)
        told.append(log.told)
    of_retrieve = [each for each in told[0] if str(each[1]).endswith("retrieve 0")]
    beside = [each for each in told[1] if each[0] != "CacheHitEvent"]
    assert beside == ([] if place == "inside" else of_retrieve)
    assert len(told[1]) - len(beside) == (place == "everywhere")


@pytest.mark.parametrize("place", PLACES)
def test_a_failure_is_told_as_it_was(place: str, accel: Accel, retrieve: Retrieve) -> None:
    """A retriever that fails drops its spans, and leaves none active behind it."""
    told = []
    for retriever in (Failing(), accelerate(Failing(), accel)):
        with listening(place) as log, pytest.raises(ConnectionError, match="no documents today"):
            retrieve(retriever, QUESTION)
        told.append(log.told)
        assert active_span_id.get() is None
    assert told[1] == told[0]


def test_unheard_spans_cost_nothing(
    accel: Accel, retrieve: Retrieve, plain: BaseRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody handles spans, no hit reads a signature for them."""
    for kind in ("event_handlers", "span_handlers"):  # those of earlier tests
        monkeypatch.setattr(root_dispatcher, kind, [])
    fast = accelerate(plain, accel)
    retrieve(fast, QUESTION)
    read: list[object] = []
    own, here = inspect.signature, threading.get_ident()

    def signature(function: Callable[..., Any], **options: Any) -> inspect.Signature:
        # Other threads, such as those of earlier tests, read what they like.
        if threading.get_ident() == here:
            read.append(function)
        return own(function, **options)

    monkeypatch.setattr(inspect, "signature", signature)
    assert retrieve(fast, QUESTION)
    assert read == []


@pytest.mark.parametrize("patched", [BaseRetriever, VectorIndexRetriever])
@pytest.mark.parametrize("earlier", [False, True])
def test_what_others_put_around_it_is_called(
    patched: type[BaseRetriever],
    *,
    earlier: bool,
    accel: Accel,
    retrieve: Retrieve,
    plain: BaseRetriever,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A method that somebody replaced, as tracers do, is what a hit calls, too."""
    fast = accelerate(plain, accel)
    retrieve(fast, QUESTION)
    name = "aretrieve" if retrieve.waits else "retrieve"
    calls: list[Any] = []

    def traced(own: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, *args: Any) -> Any:
            calls.append(args)
            return own(self, *args)

        return method

    monkeypatch.setattr(patched, name, traced(getattr(BaseRetriever, name)))
    if earlier:  # than this package was imported
        monkeypatch.setitem(_spans._own, name, getattr(patched, name))
    assert retrieve(fast, QUESTION) == retrieve(plain, QUESTION)
    assert calls == [(QUESTION,)] * 2
