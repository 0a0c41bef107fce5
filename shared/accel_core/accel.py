"""The configured object: what applications construct, share, scope by tenant, and close.

One `Accel` holds one cache and everything behind it. It is safe to share between threads, tasks,
loops and, after a fork, processes; what it queued is written at exit.
"""

from __future__ import annotations

import uuid
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core import build, tenancy
from accel_core.clocks import Clocks
from accel_core.config import AccelConfig, from_mapping, from_yaml
from accel_core.corpora import Corpus, named_corpus, own_corpus
from accel_core.forgetting import Forgetting
from accel_core.forking import renewed_in_children
from accel_core.limiter import limiter_of
from accel_core.naming import Explaining
from accel_core.payload import key_of
from accel_core.policy.nameless import token
from accel_core.racing import Racing
from accel_core.recorder import Recorder
from accel_core.secrecy import Secrets, build_identifier, read_secrets
from accel_core.whose import Whose

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from accel_core.build import Observers
    from accel_core.embedding_cache import EmbeddingCache
    from accel_core.forgetting import Receipt, TextHolder
    from accel_core.learning import Learning
    from accel_core.limiter import Limiter
    from accel_core.observer.statistics import Statistics
    from accel_core.policy.gates import Gate
    from accel_core.ports import Comparer, Encoder, Judge, Observer, RetrievalGate, Store, Verifier
    from accel_core.semantic_cache import SemanticCache
    from accel_core.speculating import Drafter, Predictor
    from accel_core.tool_speculator import ToolSpeculator

_EXIT_FLUSH_S = 5.0


class Accel(Explaining):
    """Cached answers for the models it accelerates.

    Args:
        config: the configuration; None is the default one: memory, all-MiniLM where installed.
        tenant: whose every call is where none is set by `tenant`.
        encoder: used instead of the configured one.
        store: used instead of the configured one.
        gates: functions that refuse to treat two questions as one, by name; see `policy.gates`.
        same_answer: whether two answers to a question say the same (`ports.Comparer`), used
            instead of equal words or near vectors.
        gate: says which messages need retrieval (`ports.RetrievalGate`), used instead of the
            configured one.
        verifier: a second opinion (`ports.Verifier`) on answers that are near, and not near enough;
            or a function of question, stored question and stored answer that returns a bool, or
            None where it cannot say.
        observers: receive every event, each in a thread of its own; one with an attribute
            ``inline`` that is True where it happens.
        secrets: used instead of the environment variables the configuration names.
        clocks: time and dice, for tests.

    Raises:
        ConfigError: a setting is wrong.
        StoreError: the configured store cannot be opened.
    """

    def __init__(  # noqa: PLR0913 - each plug-in is named
        self,
        config: AccelConfig | None = None,
        *,
        tenant: str | None = None,
        encoder: Encoder | None = None,
        store: Store | None = None,
        gates: Mapping[str, Gate] | None = None,
        same_answer: Comparer | None = None,
        verifier: Verifier | Judge | None = None,
        gate: RetrievalGate | None = None,
        observers: Iterable[Observer] = (),
        secrets: Secrets | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        settings = config or AccelConfig()
        self._sealed_off = secrets is not None or store is not None
        secrets, clocks = secrets or read_secrets(settings.security), clocks or Clocks()
        self._observers = build.build_observers(settings.observe, observers, clocks)
        identifier = build_identifier(secrets)
        super().__init__(
            settings,
            identifier,
            Whose(settings, identifier, tenant),
            self._observers.emit,
            Recorder(self._observers.ledger.put, clocks.mono_now)
            if settings.observe.enabled
            else None,
        )
        self.generated: dict[Hashable, type] = {}
        """Classes that adapters generated for this object, by what they were generated from; they
        live as long as it does."""
        self._token = uuid.uuid4().hex
        self._portable = _Portable(
            self._token, config, tenant, encoder, gates, same_answer, verifier, gate
        )
        self._built = build.build_caches(
            self.config,
            secrets,
            self._observers,
            clocks,
            encoder=encoder,
            store=store,
            gates=gates,
            same_answer=same_answer,
            verifier=verifier,
            gate=gate,
        )
        self.cache, self.retrieval = self._built.cache, self._built.retrieval
        self.explainer = self._built.explainer
        self.gate = self._built.gate
        """Says which messages need retrieval; None: every one."""
        self.embeddings, self.values = build.build_embeddings(
            self.config, secrets, self._identifier, self._emit, clocks
        )
        traces = (self._built.learning, self._observers)
        self._forgetting = Forgetting(self.cache, traces, self.embeddings)
        self._forgetting.remembers(self._named)
        self.permits = build.build_permits(self.config.speculation)
        """Says which tools may be called before they are asked for."""
        self._clocks = clocks
        self.limiter = limiter_of(self.config, self._emit, clocks)
        """Keeps the models it accelerates within their provider's limits, where configured."""
        if self.limiter is not None and self._recorder is not None:
            self._recorder.tier = self.limiter.current_tier
        self.racing = Racing(self._emit, clocks.mono_now)
        self._finalizer = weakref.finalize(
            self,
            _close,
            self._built.learning,
            self.limiter,
            self._observers,
            self.cache,
            self.embeddings,
        )
        _alive[self._token] = self
        renewed_in_children(self)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str], **options: Any) -> Accel:
        """Configure from the YAML file at `path`; `options` as for the constructor.

        Raises:
            ConfigError: the file or a setting is wrong; the message names its place.
        """
        return cls(from_yaml(path), **options)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], **options: Any) -> Accel:
        """Configure from nested mappings, shaped as the YAML file."""
        return cls(from_mapping(data), **options)

    def tenant(self, tenant_id: str, *, user: str = "") -> AbstractContextManager[None]:
        """Make every call inside the ``with`` block belong to `tenant_id`, and to it alone."""
        return tenancy.tenant(tenant_id, user=user)

    def corpus(self, name: str) -> Corpus:
        """Return the documents that go by `name`, in every process that shares the store.

        A store that does not number changes (`ports.ChangeLog`) is given nothing that rests on
        them.

        Args:
            name: what ``accelerate(retriever, corpus=name)`` names it.
        """
        corpora = self._built.corpora
        key = named_corpus(self.config.namespace, name, shared=corpora.shares)
        return Corpus(key, corpora, self._built.colours)

    def corpus_of(self, documents: object) -> Corpus:
        """Return the corpus that a live object is, such as a vector store, in this process."""
        return Corpus(own_corpus(token(documents)), self._built.corpora, self._built.colours)

    def speculator(
        self, predictors: Iterable[Predictor] = (), *, drafters: Iterable[Drafter] = ()
    ) -> ToolSpeculator:
        """Return what does tool calls before they are asked for; share it between runs.

        Args:
            predictors: guess which calls come next, at once.
            drafters: guess by asking somebody, such as a small model, beside the main one.
        """
        made = build.build_speculator(
            self.config.speculation,
            predictors,
            drafters,
            whose=self._whose.asking,
            emit=self._emit,
            begin=self.step,
            clocks=self._clocks,
        )
        self._forgetting.remembers(made)
        renewed_in_children(made)
        return made

    def needs_retrieval(self, text: str) -> bool:
        """Whether documents should be searched for `text`: not for small talk, with a gate."""
        return self.gate is None or self.gate.needs_retrieval(text).needed

    async def aneeds_retrieval(self, text: str) -> bool:
        """Async form of `needs_retrieval`."""
        return self.gate is None or (await self.gate.aneeds_retrieval(text)).needed

    def invalidate(self, *, dry_run: bool = False, **which: str | None) -> list[str]:
        """Remove the entries for which all conditions given hold; none given means all.

        Inside `tenant`, only that tenant's entries are meant; outside, everybody's.

        Args:
            dry_run: remove nothing, only tell.
            **which: ``id`` and ``scope`` as a hit names them (``response_metadata["accel"]``),
                ``tag``, ``namespace``.

        Returns:
            The ids that were, or would be, removed.

        Raises:
            StoreError: the shared store failed, so entries may still be there.
            TenantRequiredError: tenants are required and none is set.
            TypeError: a condition is unknown.
            ValueError: an id or scope is not one.
        """
        meant = self._whose.selectors(**which)
        return self._forgetting.invalidate(meant, dry_run=dry_run)

    async def ainvalidate(self, *, dry_run: bool = False, **which: str | None) -> list[str]:
        """Async form of `invalidate`."""
        meant = self._whose.selectors(**which)
        return await self._forgetting.ainvalidate(meant, dry_run=dry_run)

    def forget(self, *, dry_run: bool = False, **whom: str) -> Receipt:
        """Remove what is kept of a tenant, a user, a tag or a question, everywhere.

        Lines of the shadow log and the statistics file included. What is learned of a scope stays,
        as counts.

        Args:
            dry_run: remove nothing, only tell.
            **whom: ``tenant``, ``text`` (a question, word for word), and either ``user`` or
                ``tag``; at least one, and all given must hold.

        Raises:
            StoreError: the shared store or a file failed, so something may still be there.
            TenantRequiredError: tenants are required, none is set, and none is named.
            TypeError: nothing is named, or something unknown.
        """
        return self._forgetting.forget(self._whose.forgotten(**whom), dry_run=dry_run)

    async def aforget(self, *, dry_run: bool = False, **whom: str) -> Receipt:
        """Async form of `forget`."""
        return await self._forgetting.aforget(self._whose.forgotten(**whom), dry_run=dry_run)

    def remembers(self, holder: TextHolder) -> None:
        """Let `holder`, which keeps texts of calls, know when somebody is to be forgotten."""
        self._forgetting.remembers(holder)

    def report_wrong(self, response: object) -> bool:
        """Say that a served answer was wrong: its entry is demoted, never removed (`reports`).

        Args:
            response: a hit's id, or the message or response that names it in its metadata.

        Returns:
            Whether something was demoted: not what is another tenant's or was not served from
            here, and not more than ten times a minute.

        Raises:
            TenantRequiredError: tenants are required and none is set.
            ValueError: the id is not one.
        """
        key = key_of(response)
        return key is not None and self._built.reports.wrong(key, self._whose.tenants())

    async def areport_wrong(self, response: object) -> bool:
        """Async form of `report_wrong`."""
        key = key_of(response)
        return key is not None and await self._built.reports.awrong(key, self._whose.tenants())

    def stats(self) -> Statistics:
        """Return the counts so far."""
        return self._observers.stats()

    def flush(self) -> bool:
        """Return when everything stored so far is where it belongs, durably.

        Returns:
            Whether it is. What a shared store cannot take now is kept, and delivered when it can.
        """
        delivered = [self._built.tiers.flush(), self.embeddings.flush()]
        self._built.learning.save()
        self._observers.flush(_EXIT_FLUSH_S)
        return all(delivered)

    async def aflush(self) -> bool:
        """Async form of `flush`."""
        return await self.cache.acall(self.flush)

    def close(self) -> None:
        """Write what is queued and release everything. Later calls bypass the cache."""
        self._open = False
        self._finalizer()

    async def aclose(self) -> None:
        """Async form of `close`."""
        await self.cache.acall(self.close)

    def __enter__(self) -> Accel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Accel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._sealed_off:
            raise TypeError(
                "an Accel made with secrets= or store= cannot be pickled: name them in its config"
            )
        return (_revive, (self._portable,))

    def __repr__(self) -> str:
        return f"Accel(namespace={self.config.namespace!r}, hits={self.stats().hits})"

    def after_fork(self) -> None:
        """Start anew in a child process; called by itself where the platform forks."""
        self._observers.statistics.after_fork()
        self._built.tiers.after_fork()
        self.cache.after_fork()
        self.embeddings.after_fork()
        self.retrieval.after_fork()
        self._built.corpora.after_fork()
        if self.gate is not None:
            self.gate.after_fork()


def _close(
    learning: Learning,
    limiter: Limiter | None,
    observers: Observers,
    *caches: SemanticCache | EmbeddingCache,
) -> None:
    for cache in caches:
        cache.close(_EXIT_FLUSH_S)
    if limiter is not None:
        limiter.close()
    # Here rather than in the writer's thread, since none can be started when a process exits.
    learning.save()
    observers.close(_EXIT_FLUSH_S)


class _Portable(NamedTuple):
    """What of an `Accel` crosses to another process: all but its observers and its entries."""

    token: str
    config: AccelConfig | None
    tenant: str | None
    encoder: Encoder | None
    gates: Mapping[str, Gate] | None
    same_answer: Comparer | None
    verifier: Verifier | Judge | None
    gate: RetrievalGate | None


_alive: weakref.WeakValueDictionary[str, Accel] = weakref.WeakValueDictionary()
"""Every `Accel` of this process: a pickled one comes back as itself where it still lives."""


def _revive(portable: _Portable) -> Accel:
    accel = _alive.get(portable.token)
    if accel is None:
        options = portable._asdict()
        del options["token"]
        accel = Accel(**options)
        # So that everything unpickled from one origin shares one cache.
        _alive[portable.token] = accel
    return accel
