"""The public limiter: one key's limits at one provider, for every client and model that uses it.

The only wiring of the limiter: clocks, dice, locks and the two colours. Share one `Limiter` between
all that use the same key; it is safe between threads, tasks and loops, and starts anew in a forked
child. Libraries of HTTP clients are loaded when one of their clients is limited.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack, cast

from accel_core.clocks import Clocks
from accel_core.config.limits import AMOUNTS
from accel_core.drive.aio import AsyncIo
from accel_core.drive.blocking import BlockingIo, is_mine
from accel_core.errors import ConfigError, UnsupportedError
from accel_core.forking import renewed_in_children
from accel_core.limited_call import LimitedCalls, Retries
from accel_core.model_calls import ModelCalls
from accel_core.policy.limits.account import Limits
from accel_core.policy.limits.charge import Demand
from accel_core.policy.limits.concurrency import Concurrency
from accel_core.policy.limits.provider_profile import profile_named
from accel_core.policy.limits.retry import RetryPolicy
from accel_core.policy.limits.tiers import BEST_EFFORT, TARGETS_S, Tiers
from accel_core.policy.limits.token_estimate import TokenEstimate
from accel_core.token_counter import CountingEstimate, tiktoken_count
from accel_core.token_limiter import TokenLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from accel_core.config import AccelConfig
    from accel_core.model_calls import Reader
    from accel_core.policy.limits.limit_store import LimitStore
    from accel_core.policy.limits.limiter_state import LimiterState
    from accel_core.ports import Observer

C = TypeVar("C")

MAX_WAIT_S = 120.0
_FIRST_CONCURRENT, _MOST_CONCURRENT = 8, 1_000


class Amounts(TypedDict, total=False):
    """What `policy.limits.account.Limits` takes."""

    requests_per_minute: float | None
    tokens_per_minute: float | None
    input_tokens_per_minute: float | None
    output_tokens_per_minute: float | None
    requests_per_day: float | None
    tokens_per_day: float | None
    concurrent_requests: int | None


class Limiter:
    """Keeps the calls of one key at one provider within its limits.

    Args:
        provider: how it counts: ``openai``, ``anthropic``, ``azure``, ``bedrock``, ``groq``,
            ``mistral``, ``vllm`` or ``generic``.
        max_wait_s: how long a call of a tier without a target may wait for room.
        adaptive_concurrency: whether to find by how fast it answers how many calls may be under way
            at once, up to ``concurrent_requests``; None: at ``vllm`` only, where a server of one's
            own states no limits.
        tiers: seconds to the first token by tier, None for no target; None: platinum 0.5, gold 2,
            silver 5, bronze 15, and best_effort, which calls have that name none.
        deadlines_s: seconds that a whole call of a tier may take: the wait, all attempts and the
            answer; None, and tiers that are not named: as long as its client allows.
        count_tokens: whether to count the first prompt of each model and kind of text with
            tiktoken, where it is installed, in a process of its own; responses say more later.
        retries: how refused and failed calls are sent again.
        observer: receives `LimitWaited`, `LimitRejected`, `HiddenLimitFound`, and `BackendFailed`
            of a `store`, or where tokens cannot be counted.
        store: where processes share the limits (`policy.limits.limit_store`); None: each has all.
        clocks: time and dice, for tests and simulations.
        **amounts: the limits that are known: ``requests_per_minute``, ``tokens_per_minute``,
            ``input_tokens_per_minute``, ``output_tokens_per_minute``, ``requests_per_day``,
            ``tokens_per_day``, ``concurrent_requests``. Others are learned from headers.

    Raises:
        ConfigError: a setting is wrong.

    Example:
        >>> limiter = Limiter("openai", tokens_per_minute=60_000, requests_per_minute=500)
        >>> limiter.state().under_way
        0
    """

    def __init__(
        self,
        provider: str = "openai",
        *,
        max_wait_s: float = MAX_WAIT_S,
        adaptive_concurrency: bool | None = None,
        tiers: Mapping[str, float | None] | None = None,
        deadlines_s: Mapping[str, float | None] | None = None,
        count_tokens: bool = False,
        retries: Retries | None = None,
        observer: Observer | None = None,
        store: LimitStore | None = None,
        clocks: Clocks | None = None,
        **amounts: Unpack[Amounts],
    ) -> None:
        if not 0.0 <= max_wait_s < float("inf"):
            raise ConfigError("limits.max_wait_s", max_wait_s, "seconds, 0 or more")
        targets = TARGETS_S if tiers is None else tiers
        adapts = provider == "vllm" if adaptive_concurrency is None else adaptive_concurrency
        most = amounts.get("concurrent_requests") or _MOST_CONCURRENT
        self._names, self._store = {BEST_EFFORT, *targets}, store
        self._tier: ContextVar[str] = ContextVar("accel_tier", default=BEST_EFFORT)
        colours, clocks = (BlockingIo(), AsyncIo()), clocks or Clocks()
        self._calls = LimitedCalls(
            TokenLimiter(
                Limits(**amounts),
                profile_named(provider),
                max_wait_s=max_wait_s,
                tiers=Tiers(targets, deadlines_s),
                concurrency=Concurrency(min(_FIRST_CONCURRENT, most), most=most)
                if adapts
                else None,
                colours=colours,
                emit=observer or _ignored,
                mono_now=clocks.mono_now,
                lock=threading.RLock,
                shared=store,
            ),
            retries or Retries(),
            estimate=CountingEstimate(tiktoken_count, observer or _ignored)
            if count_tokens
            else TokenEstimate(),
            tier=self._tier.get,
            colours=colours,
            wall_now=clocks.wall_now,
            mono_now=clocks.mono_now,
            chance=clocks.chance,
            lock=threading.RLock,
            is_mine=is_mine,
        )
        renewed_in_children(self)

    @contextmanager
    def tier(self, name: str) -> Iterator[None]:
        """Give every call inside the ``with`` block a tier.

        Raises:
            ConfigError: there is no such tier.
        """
        if name not in self._names:
            raise ConfigError("tier", name, f"one of {sorted(self._names)}")
        token = self._tier.set(name)
        try:
            yield
        finally:
            self._tier.reset(token)

    def current_tier(self) -> str:
        """Return the tier of a call that is made now."""
        return self._tier.get()

    def limited(self, client: C) -> C:
        """Return a copy of a client whose calls are limited.

        It shares the connections of `client`, which is left untouched. What an SDK does not raise
        as it is, it raises as the cause of an error of its own: OpenAI's wraps
        `LimitExceededError` and `RequestTooLargeError` in an ``APIConnectionError``.

        Args:
            client: of httpx, sync or async, for an SDK that takes an ``http_client``, whose own
                retries you switch off; a ``ClientSession`` of aiohttp 3.12 or later; or of an SDK
                that holds a client of httpx, such as ``openai.OpenAI()``, whose copy retries
                nothing itself.

        Raises:
            UnsupportedError: it is none of these.
        """
        libraries = {base.__module__.partition(".")[0] for base in type(client).__mro__}
        try:
            made: C
            if "aiohttp" in libraries:
                from accel_core.transport import aiohttp_transport

                made = aiohttp_transport.limited(client, self._calls)
            else:
                from accel_core.transport import httpx_transport

                made = httpx_transport.limited(client, self._calls)
        except TypeError as error:
            raise UnsupportedError(
                "a limiter takes clients of httpx, and of SDKs that hold one, such as "
                f"openai.OpenAI(), and sessions of aiohttp 3.12 or later: {error}"
            ) from None
        return made

    def model_calls(self, reading: Callable[[], Reader], *, once: bool) -> ModelCalls:
        """Return what limits the calls of a model whose HTTP client cannot be.

        Args:
            reading: makes what reads one answer.
            once: whether each call has one attempt, because the model tries again itself.
        """
        return ModelCalls(self._calls, reading, once=once)

    def eta_s(self, input_tokens: float, max_output_tokens: float | None = None) -> float:
        """Return how many seconds such a call would wait for room if it came now; takes nothing.

        Infinity where a limit can never take it.

        Args:
            input_tokens: of its prompt.
            max_output_tokens: what it allows itself; None where it does not say.
        """
        demand = Demand(input_tokens, max_output_tokens)
        return self._calls.limiter.eta_s(demand, tier=self._tier.get())

    def state(self) -> LimiterState:
        """Return a snapshot: calls that wait and are under way, what was learned, tiers kept."""
        self._calls.tidy()
        return self._calls.limiter.state()

    def after_fork(self) -> None:
        """Start anew in a child process; called by itself where the platform forks."""
        self._calls.after_fork()

    def close(self) -> None:
        """Take leave of the processes that share the limits; calls are limited as before."""
        if self._store is not None:
            self._store.close()


def limiter_of(config: AccelConfig, observer: Observer, clocks: Clocks) -> Limiter | None:
    """Return the limiter that `config` describes; None: it names no provider.

    Raises:
        ConfigError: the URL of the server that shares the limits is none.
        MissingExtraError: the library of its client is not installed.
    """
    limits = config.limits
    if limits.provider is None:
        return None
    retry = limits.retry
    policy = RetryPolicy(
        max_attempts=retry.max_attempts,
        base_s=retry.base_s,
        cap_s=retry.cap_s,
        deadline_s=retry.deadline_s,
    )
    return Limiter(
        limits.provider,
        max_wait_s=limits.max_wait_s,
        adaptive_concurrency=limits.adaptive_concurrency,
        tiers=limits.tiers.targets(),
        deadlines_s=limits.tiers.deadlines(),
        count_tokens=limits.count_tokens,
        retries=Retries(policy=policy, share=retry.share, allowance=retry.allowance),
        observer=observer,
        store=_shared_levels(config, clocks),
        clocks=clocks,
        **cast("Amounts", {name: getattr(limits, name) for name in AMOUNTS}),
    )


def _shared_levels(config: AccelConfig, clocks: Clocks) -> LimitStore | None:
    """Return where the limits are shared; None: nowhere."""
    shared = config.limits.shared
    if shared.kind == "none":
        return None
    from accel_core.store.redis_levels import RedisLevels

    try:
        return RedisLevels(
            shared.url or config.cache.store.url or "",
            shared.name or str(config.limits.provider),
            prefix=config.cache.store.prefix,
            when_away=shared.when_away,
            mono_now=clocks.mono_now,
        )
    except ConfigError as error:
        place = "cache.store.prefix" if error.path == "prefix" else f"limits.shared.{error.path}"
        raise ConfigError(place, error.value, error.expected) from None


def _ignored(_: object) -> None:
    """Observe nothing."""
