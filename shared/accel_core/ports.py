"""The border with the outside world: the Protocols others implement, and the values that cross.

Rules of this file: no logic beyond a value's own meaning, nothing coloured (a port is either
blocking or does not wait at all; `drive` decides who waits where), no framework, no library.
A port raises what it likes: the caller catches, reports an event and goes on without it.

Scopes and keys are opaque digests (`policy.identity`); vectors have unit length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Hashable, Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from accel_core.events import Event
    from accel_core.policy.corpus import Basis

    Vector = NDArray[np.float32]
    """Shape (dimensions,), unit length."""
    Vectors = NDArray[np.float32]
    """Shape (texts, dimensions), each row of unit length."""
    Flow = Coroutine[Any, Any, None]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored answer, with what is needed to find, judge and remove it.

    Attributes:
        key: digest of scope and text; the entry's identity.
        scope: digest of all that must be equal before meaning counts.
        tenant: digest of the tenant, ``b""`` for none.
        namespace: the namespace it was stored under.
        text: the question, as compared by meaning.
        payload: the answer, UTF-8 JSON written and read by an adapter.
        created_s: wall-clock stamp of storing, seconds since the epoch.
        expires_s: wall-clock stamp after which it is not served.
        tags: names it can be invalidated by.
        semantic: whether it may be served to another question of the same meaning.
        encoder: name of the encoder of ``vector``; ``""`` where there is none.
        vector: little-endian float16 of unit length, or None.
        source: what produced it, for example a model's name.
        fresh_until_s: wall-clock stamp from which it should be made anew; None: as it expires.
        cost_s: how long it took to make, in seconds.
        bases: what it rests on; it is served while all of that holds (`policy.corpus`).
        shared: whether other processes may be served it; a store does not keep what they may not.
    """

    key: bytes
    scope: bytes
    tenant: bytes = b""
    namespace: str = ""
    text: str = ""
    payload: bytes
    created_s: float
    expires_s: float
    tags: tuple[str, ...] = ()
    semantic: bool = True
    encoder: str = ""
    vector: bytes | None = None
    source: str = ""
    fresh_until_s: float | None = None
    cost_s: float = 0.0
    bases: tuple[Basis, ...] = ()
    shared: bool = True

    @property
    def id(self) -> str:
        """The entry's public name: its key in hexadecimal."""
        return self.key.hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which entries are meant: all conditions given must hold; none given means every entry."""

    key: bytes | None = None
    scope: bytes | None = None
    tenant: bytes | None = None
    namespace: str | None = None
    tag: str | None = None
    text: str | None = None

    def matches(self, entry: Entry) -> bool:
        """Whether `entry` is among those meant."""
        return (
            (self.key is None or entry.key == self.key)
            and (self.scope is None or entry.scope == self.scope)
            and (self.tenant is None or entry.tenant == self.tenant)
            and (self.namespace is None or entry.namespace == self.namespace)
            and (self.tag is None or self.tag in entry.tags)
            and (self.text is None or entry.text == self.text)
        )


@runtime_checkable
class Store(Protocol):
    """Entries by key. Safe to call from several threads.

    Expiry is the caller's: a store may return an entry past its time.
    """

    blocking: bool
    """Whether a call may wait for a disk or a network; asyncio callers are then kept off it."""

    def fetch(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None. Bytes that are not an entry are None."""

    def fetch_many(self, keys: Collection[bytes]) -> dict[bytes, Entry]:
        """Return the entries under `keys` by their key, without those that `fetch` has none for.

        A store on a network asks once, so the caller decides how many it waits for.
        """

    def save(self, entries: Sequence[Entry]) -> None:
        """Store all of `entries`, replacing those with the same key."""

    def select(self, selector: Selector) -> list[bytes]:
        """Return the keys of the entries that `selector` means, changing nothing."""

    def remove(self, keys: Collection[bytes]) -> int:
        """Remove `keys` and return how many were there. Removed means gone from every reader."""

    def discard(self, entries: Sequence[Entry]) -> None:
        """Remove `entries`, and leave what was stored under a key of theirs later (`created_s`)."""

    def flush(self) -> None:
        """Return when everything saved so far survives the death of this process."""

    def close(self) -> None:
        """Release what the store holds. Calling it again does nothing."""


class Located(NamedTuple):
    """Where a stored entry's vector belongs."""

    key: bytes
    scope: bytes
    encoder: str
    vector: bytes


class Changes(NamedTuple):
    """What happened to a shared store since a revision.

    ``reset`` means that the history asked for is gone: drop everything held of this store. Where
    the store searches by itself nothing is ``located``, and what was stored is told by key alone.
    """

    located: list[Located]
    removed: list[bytes]
    revision: int
    reset: bool = False
    stored: Sequence[bytes] = ()


@runtime_checkable
class SharedStore(Store, Protocol):
    """A store that other processes write too."""

    def stirred(self) -> bool:
        """Whether another process may have changed the store since the last `changes`. Cheap."""

    def changes(self, since: int, limit: int) -> Changes:
        """Return up to `limit` entries stored after revision `since`, and all removals after it.

        Start with 0; pass the returned revision next time; fewer than `limit` located, or stored,
        means the end was reached.
        """


class CorpusChanges(NamedTuple):
    """What happened to a corpus: the revisions of `policy.corpus.CorpusState`.

    ``documents``: those named by changes after the revision asked for, with their last one.
    """

    revision: int
    everything: int
    documents: dict[bytes, int]


@runtime_checkable
class ChangeLog(Protocol):
    """The changes of corpora, numbered for all processes that share them."""

    def glance(self) -> Hashable:
        """Return a value that differs when another process may have changed something. Cheap."""

    def read_changes(self, corpus: bytes, since: int) -> CorpusChanges:
        """Return what happened to `corpus` after revision `since`; all 0 where nothing ever did."""

    def add_change(self, corpus: bytes, documents: Collection[bytes] | None) -> None:
        """Number a change and return when every process can see it.

        Args:
            corpus: what changed.
            documents: which of its documents; None: it may concern everything.
        """


class Neighbour(NamedTuple):
    """One near entry: its key and the cosine to the question."""

    key: bytes
    similarity: float


@runtime_checkable
class VectorIndex(Protocol):
    """Nearest vectors within one scope; never across. Safe to call from several threads."""

    def add(self, scope: bytes, key: bytes, vector: Vector) -> None:
        """Place `vector` under `key` in `scope`, replacing an earlier one."""

    def remove(self, scope: bytes, key: bytes) -> None:
        """Forget `key`; nothing happens where it is unknown."""

    def nearest(self, scope: bytes, vector: Vector, limit: int) -> list[Neighbour]:
        """Return up to `limit` neighbours in `scope`, nearest first."""

    def clear(self) -> None:
        """Forget everything."""

    def after_fork(self) -> None:
        """Start anew in a child process, where no lock of the parent's can be trusted."""

    def __len__(self) -> int:
        """Return the number of vectors held."""


@runtime_checkable
class Encoder(Protocol):
    """Texts to vectors. Safe to call from several threads; may block for milliseconds."""

    name: str
    """Identifies the vector space: vectors of different names are never compared."""

    min_similarity: float | None
    """The threshold this encoder was calibrated for; None: none, so no semantic hits unless set."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order."""

    def distrust(self, text: str) -> str | None:
        """Return why `text` must not be compared by meaning, or None where it may.

        Reasons: ``empty``, ``window`` (longer than what is read of it), ``unknown_tokens``,
        ``script``. It may load a model, and may raise.
        """


@runtime_checkable
class AsyncEncoder(Encoder, Protocol):
    """An encoder that asyncio callers can await instead of a worker thread."""

    async def aencode(self, texts: Sequence[str]) -> Vectors:
        """Async form of `encode`."""


class Sensor(Protocol):
    """An encoder as a lookup uses it: one text at a time (`encoder.batching`)."""

    @property
    def name(self) -> str:
        """The encoder's name."""

    def distrust(self, text: str) -> str | None:
        """Return why `text` must not be compared by meaning, or None. May load a model."""

    def encode_one(self, text: str) -> Vector:
        """Return the unit vector of `text`."""

    async def aencode_one(self, text: str) -> Vector:
        """Async form of `encode_one`."""

    def close(self) -> None:
        """Refuse what comes and wait for what is under way."""

    def after_fork(self) -> None:
        """Start anew in a child process."""


class Observer(Protocol):
    """Receives every event, in the thread where it happened. Must be quick and must not raise."""

    def __call__(self, event: Event, /) -> None:
        """Take note of `event`."""


class Case(NamedTuple):
    """What a verifier judges: a question, a stored question, and the stored answer's text."""

    asked: str
    stored: str
    answer: str


@runtime_checkable
class Verifier(Protocol):
    """A second opinion on whether a stored answer also answers another question.

    Called by one thread at a time, never on an event loop; it may block, and its callers wait only
    so long. While it works, every cache of this package stands aside in its context.
    """

    name: str
    """What its refusals are counted under."""

    def verify(self, cases: Sequence[Case]) -> Sequence[bool | None]:
        """Return one verdict per case, in order; None: no verdict, which serves nothing."""


Judge = Callable[[str, str, str], bool | None]
"""A verifier of one case at a time: question, stored question, stored answer."""

Comparer = Callable[[str, str, str], bool | None]
"""Whether two answers say the same: question, stored answer, new answer; None: cannot say.
Called in the background writer's thread, one at a time; while it waits, nothing is written."""


class GateDecision(NamedTuple):
    """Whether documents should be searched for a message.

    Attributes:
        needed: whether they should.
        reason: of skipping: a kind of small talk (`policy.small_talk_words`) or ``trained``; of
            searching: ``question``, an encoder's distrust, or ``backend`` (the gate failed).
        probability: that they are needed, in [0, 1]; None where a rule decides.
    """

    needed: bool
    reason: str
    probability: float | None = None


@runtime_checkable
class RetrievalGate(Protocol):
    """Decides which messages need no retrieval. Safe to call from several threads."""

    blocking: bool
    """Whether a call may take milliseconds or wait; asyncio callers are then kept off it."""

    def needs_retrieval(self, text: str) -> GateDecision:
        """Return whether documents should be searched for `text`; in doubt they should."""


class Signal(Protocol):
    """Wakes one waiting flow."""

    def set(self) -> None:
        """Wake it, now or when it next waits. From any thread, holding any lock."""

    async def wait(self, timeout_s: float) -> None:
        """Wait until it is set, for `timeout_s` at most, and clear it."""


class Io(Protocol):
    """What a flow may wait for; one implementation per colour (`drive`)."""

    def owner(self) -> Hashable:
        """Return who is calling: a thread or a task."""

    def may_wait(self) -> bool:
        """Whether the caller may wait for somebody else's work."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that may block."""

    async def sense(self, sensor: Sensor, text: str) -> Vector | str:
        """Return the vector of `text`, or the reason why it must not be compared."""

    async def wait(self, future: Future[T], timeout_s: float) -> T:
        """Return the result of `future`; cancel it and raise TimeoutError after `timeout_s`."""

    async def join(self, flight: Any, timeout_s: float) -> Any:
        """Wait until a flight lands, for `timeout_s` at most."""

    def signal(self) -> Signal:
        """Return a signal for the flow that runs now."""

    def spawn(self, flow: Flow, ended: Callable[[], None]) -> Callable[[], bool]:
        """Carry out `flow`, which raises nothing, while the caller goes on; in its context.

        `ended` is called when it ended, also where it was cancelled before it began. What is
        returned stops it, from any thread, and says whether that can be: a thread goes on.

        Raises:
            RuntimeError: it cannot be begun; neither is touched.
        """
