"""Every setting, as frozen dataclasses with safe defaults; an empty file is a valid configuration.

A policy is its own configuration (`TtlPolicy`, `Admission`), so a rule and its limits stand in one
place. Names carry their units: ``_s`` seconds, ``_bytes``. Range checks raise `ConfigError` with
the field's name; the loader puts the path in front.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from accel_core.config.limits import LimitsConfig
from accel_core.config.observe import ObserveConfig
from accel_core.config.ranges import positive
from accel_core.config.retrieval import RetrievalConfig
from accel_core.config.speculation import SpeculationConfig
from accel_core.errors import ConfigError
from accel_core.policy.admission import Admission
from accel_core.policy.expiry import TtlPolicy
from accel_core.policy.never_cache import NeverCache
from accel_core.policy.promise import GuaranteeSettings, Trust

EncoderKind = Literal["minilm", "static", "openai"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """What turns questions into vectors.

    Attributes:
        kind: ``minilm`` (all-MiniLM-L6-v2, extra ``local``), ``static`` (wordllama, extra
            ``static``), ``openai`` (extra ``openai``).
        model: a folder or hub name for ``minilm``, a model name for ``openai``.
    """

    kind: EncoderKind = "minilm"
    model: str | None = None

    def __post_init__(self) -> None:
        if self.kind == "openai" and not self.model:
            raise ConfigError("model", self.model, "kind 'openai' needs the name of a model")
        if self.kind == "static" and self.model:
            raise ConfigError("model", self.model, "kind 'static' has one model; leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """Structural differences that refuse to treat two questions as one; see `policy.gates`.

    Attributes:
        enabled: whether any gate is asked.
        skip: names of gates that are not asked.
        strict: also asks those that refuse many true repeats: one content word exchanged, and
            conditions added.
    """

    enabled: bool = True
    skip: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierConfig:
    """A second opinion on answers that are near, and not near enough; `Accel(verifier=...)`.

    Attributes:
        grey_from: probability from which it is asked, in (0, 1), where ``serve_from`` is not
            reached; with ``min_similarity`` a cosine in [0, 1]. None is half of ``serve_from``; a
            plain threshold has no such default. Under ``max_wrong_hits`` it is asked about all
            from here on, and nothing below is looked at.
        timeout_s: how long a lookup waits for a verdict; in shadow mode none waits, and a verdict
            counts where it comes before the model's answer is stored.
        max_batch: cases in one call of it.
        background: whether no lookup waits: the model answers now, and what the verifier approves
            is served next time.
    """

    grey_from: float | None = None
    timeout_s: float = 2.0
    max_batch: int = 8
    background: bool = False

    def __post_init__(self) -> None:
        if self.grey_from is not None and not 0 < self.grey_from < 1:
            raise ConfigError("grey_from", self.grey_from, "must be between 0 and 1")
        positive("timeout_s", self.timeout_s)
        positive("max_batch", self.max_batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticConfig:
    """Answers served by meaning.

    Attributes:
        enabled: whether they are.
        min_similarity: cosine from which two questions count as one, in [0, 1]: a plain threshold
            instead of a calibrated probability. None takes the encoder's calibration; an encoder
            without one serves exactly only.
        calibration: a file that ``accel calibrate`` wrote; None takes the one shipped for the
            encoder.
        serve_from: probability from which an answer is served, in (0, 1); None takes the
            calibration's own.
        max_wrong_hits: share of wrong ones among hits by meaning to stay under, in (0, 0.2]; the
            threshold then follows from outcomes (`policy.guarantee`). None: the calibration has it.
        trust: whose outcomes count for that: also other scopes' (``calibrated``), or only a scope's
            own (``earned``).
        shadow: whether answers by meaning are only looked up, decided and compared, never served.
        learned: a file that keeps what outcomes have taught under a bound, as counts and digests,
            for the next start and for other processes. None: beside the SQLite store, where there
            is one.
        shadow_log: a file that gets a line for every comparison, with both questions in plain text:
            for ``accel shadow-report`` and ``accel calibrate``. None: no question is written down.
        max_words: longer questions are served exactly only.
        gates: structural differences that refuse a hit.
        verifier: how a second opinion is asked, where there is one.
        encoder: what turns questions into vectors.
    """

    enabled: bool = True
    min_similarity: float | None = None
    calibration: str | None = None
    serve_from: float | None = None
    max_wrong_hits: float | None = None
    trust: Trust = "calibrated"
    shadow: bool = False
    learned: str | None = None
    shadow_log: str | None = None
    max_words: int = 64
    gates: GateConfig = field(default_factory=GateConfig)
    verifier: VerifierConfig = field(default_factory=VerifierConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)

    def __post_init__(self) -> None:
        if self.min_similarity is not None and not 0 <= self.min_similarity <= 1:
            raise ConfigError("min_similarity", self.min_similarity, "must be in [0, 1]")
        if self.serve_from is not None and not 0 < self.serve_from < 1:
            raise ConfigError("serve_from", self.serve_from, "must be between 0 and 1")
        if self.min_similarity is not None and (self.calibration or self.serve_from is not None):
            expected = "a plain threshold has no calibration; leave one of them out"
            raise ConfigError("min_similarity", self.min_similarity, expected)
        self._check_bound()
        self._check_grey()
        self._check_files()
        positive("max_words", self.max_words)

    def _check_grey(self) -> None:
        grey_from = self.verifier.grey_from
        serve_from = self.serve_from if self.min_similarity is None else self.min_similarity
        if grey_from is not None and serve_from is not None and grey_from >= serve_from:
            expected = f"must be below {serve_from:g}, from where it is served without asking"
            raise ConfigError("verifier.grey_from", grey_from, expected)

    def _check_bound(self) -> None:
        if self.max_wrong_hits is None:
            if self.trust == "earned":
                raise ConfigError(
                    "trust", self.trust, "is earned under a bound: set max_wrong_hits"
                )
            return
        GuaranteeSettings(max_wrong_hits=self.max_wrong_hits, trust=self.trust)
        if self.min_similarity is not None or self.serve_from is not None:
            expected = "it finds its threshold: leave out min_similarity and serve_from"
            raise ConfigError("max_wrong_hits", self.max_wrong_hits, expected)

    def _check_files(self) -> None:
        bound = self.max_wrong_hits is not None
        for name, path, used, remedy in (
            ("learned", self.learned, bound, "nothing is learned: set max_wrong_hits"),
            ("shadow_log", self.shadow_log, bound or self.shadow,
             "nothing is compared: set shadow or max_wrong_hits"),
        ):  # fmt: skip
            if path == "":
                raise ConfigError(name, path, "must name a file")
            if path is not None and not used:
                raise ConfigError(name, path, f"{remedy}, or leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """The tier in process memory.

    Attributes:
        max_entries: entries it holds; SIEVE chooses which leave.
        max_bytes: bytes it holds, answers and questions included.
    """

    max_entries: int = 10_000
    max_bytes: int = 256 << 20

    def __post_init__(self) -> None:
        positive("max_entries", self.max_entries)
        positive("max_bytes", self.max_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """The store behind memory.

    Attributes:
        kind: ``none``; ``sqlite``: a file that several processes of one machine share; ``redis``
            (extra ``redis``): a server that processes of several machines share.
        path: the file, for ``sqlite``.
        url: the server, for ``redis``: ``redis://user:password@host:6379/0``, ``rediss://`` for
            TLS. Taken from the environment where it holds a password: ``${REDIS_URL}``.
        prefix: what names on the server begin with; caches of different prefixes share nothing.
        search: who searches by meaning, for ``redis``: the server's ``query_engine`` (RediSearch),
            its ``vector_sets`` (Redis 8), or each ``process`` over vectors that it holds; ``auto``
            is the first of these that the server has. All processes should say the same.
        lookup_timeout_s: the longest a lookup waits for the server to be connected, and to answer.
        max_entries: entries it holds; the oldest leave.
    """

    kind: Literal["none", "sqlite", "redis"] = "none"
    path: str = ".accel/cache.db"
    url: str | None = field(default=None, repr=False)
    prefix: str = "accel"
    search: Literal["auto", "query_engine", "vector_sets", "process"] = "auto"
    lookup_timeout_s: float = 0.05
    max_entries: int = 100_000

    def __post_init__(self) -> None:
        positive("max_entries", self.max_entries)
        positive("lookup_timeout_s", self.lookup_timeout_s)
        if not self.path:
            raise ConfigError("path", self.path, "must name a file")
        # A URL is never shown: it may hold a password.
        if self.kind == "redis" and not self.url:
            raise ConfigError("url", self.url, "kind 'redis' needs one, such as ${REDIS_URL}")
        if self.kind != "redis" and self.url:
            raise ConfigError("kind", self.kind, "must be 'redis' where a url is given")
        if self.kind != "redis" and self.search != "auto":
            raise ConfigError("search", self.search, "is for kind 'redis'; leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleFlightConfig:
    """Identical requests at the same time share one model call; with Redis, of all processes.

    Attributes:
        enabled: whether they do.
        lease_s: how long the others wait for the first before they ask for themselves.
    """

    enabled: bool = True
    lease_s: float = 30.0

    def __post_init__(self) -> None:
        positive("lease_s", self.lease_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """Cached answers.

    Attributes:
        enabled: whether anything is cached.
        exact: whether the very same request is answered from memory.
        never: questions whose answer must not be said twice.
    """

    enabled: bool = True
    exact: bool = True
    ttl: TtlPolicy = field(default_factory=TtlPolicy)
    admission: Admission = field(default_factory=Admission)
    never: NeverCache = field(default_factory=NeverCache)
    semantic: SemanticConfig = field(default_factory=SemanticConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    single_flight: SingleFlightConfig = field(default_factory=SingleFlightConfig)

    def __post_init__(self) -> None:
        semantic = self.semantic
        learns = semantic.shadow or semantic.max_wrong_hits is not None
        if learns and not self.single_flight.enabled:
            expected = (
                "outcomes travel with flights: leave it on, or leave max_wrong_hits and shadow"
            )
            raise ConfigError("single_flight.enabled", value=False, expected=expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsConfig:
    """Vectors of accelerated embeddings, and what `AccelByteStore` and `AccelKVStore` hold.

    With an SQLite store they are kept in a file of their own beside it, of as many entries.

    Attributes:
        ttl: how long they are kept; a week, since a model's vectors do not change unless the
            provider changes the model behind its name.
        memory: what is held in process memory.
    """

    ttl: TtlPolicy = field(default_factory=lambda: TtlPolicy(base_s=7 * 24 * 3600.0))
    memory: MemoryConfig = field(
        default_factory=lambda: MemoryConfig(max_entries=20_000, max_bytes=128 << 20)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """Secrets and tenants. Secrets never stand in a file: it names the variable that holds one.

    Attributes:
        key_env: environment variable with a secret of at least 32 bytes; digests are then keyed
            and stored entries carry a MAC.
        previous_key_env: variable with the secret before it, accepted during rotation.
        tenant_required: calls without a tenant bypass the cache.
    """

    key_env: str | None = None
    previous_key_env: str | None = None
    tenant_required: bool = False

    def __post_init__(self) -> None:
        if self.previous_key_env and not self.key_env:
            raise ConfigError("previous_key_env", self.previous_key_env, "needs key_env beside it")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccelConfig:
    """The whole configuration.

    Attributes:
        namespace: keeps applications that share a store apart.
    """

    version: Literal[1] = 1
    namespace: str = ""
    cache: CacheConfig = field(default_factory=CacheConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    embeddings: EmbeddingsConfig = field(default_factory=EmbeddingsConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    speculation: SpeculationConfig = field(default_factory=SpeculationConfig)
    observe: ObserveConfig = field(default_factory=ObserveConfig)

    def __post_init__(self) -> None:
        shared = self.limits.shared
        if shared.kind == "redis" and not (shared.url or self.cache.store.url):
            expected = "needs the server's, such as ${REDIS_URL}: cache.store names none"
            raise ConfigError("limits.shared.url", None, expected)
