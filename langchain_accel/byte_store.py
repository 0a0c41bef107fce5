"""LangChain's key-value store over this package's, for `CacheBackedEmbeddings` and the like.

What such caches lack comes with the store: bounds, lifetimes, tenants, one file for all
processes, and `forget`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.stores import BaseStore

from accel_core.default import chosen_accel
from accel_core.policy.identity import Prompt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from accel_core.accel import Accel
    from accel_core.policy.controls import Controls


class AccelByteStore(BaseStore[str, bytes]):
    """A `BaseStore` of bytes, bounded and with lifetimes.

    It is a cache: what is stored may leave for space or age. Values belong to the tenant in whose
    context they are stored.

    Args:
        accel: the configured object; None takes this process's default.
        namespace: keeps stores of one application apart.
        ttl_s: how long values are kept at most, seconds; None: as ``embeddings.ttl`` says.

    Example:
        >>> CacheBackedEmbeddings.from_bytes_store(  # doctest: +SKIP
        ...     embeddings, AccelByteStore(), namespace=embeddings.model, key_encoder="sha256"
        ... )
    """

    def __init__(
        self, accel: Accel | None = None, *, namespace: str = "", ttl_s: float | None = None
    ) -> None:
        self.accel = chosen_accel(accel)
        self.namespace, self.ttl_s = namespace, ttl_s

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value under each of `keys`, None where there is none."""
        if self._controls() is None:
            return [None] * len(keys)
        return self.accel.values.get(self._space(), keys)

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Async form of `mget`."""
        if self._controls() is None:
            return [None] * len(keys)
        return await self.accel.values.aget(self._space(), keys)

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Store values; returns at once."""
        controls = self._controls()
        if controls is not None:
            self.accel.values.put(self._space(), key_value_pairs, controls, self.ttl_s)

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Async form of `mset`."""
        self.mset(key_value_pairs)

    def mdelete(self, keys: Sequence[str]) -> None:
        """Remove the values under `keys`.

        Raises:
            StoreError: the shared store failed, so they may still be there.
        """
        if self._controls() is not None:
            self.accel.values.remove(self._space(), keys)

    async def amdelete(self, keys: Sequence[str]) -> None:
        """Async form of `mdelete`."""
        if self._controls() is not None:
            await self.accel.values.aremove(self._space(), keys)

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """Yield the keys that begin with `prefix`, sorted."""
        names = [] if self._controls() is None else self.accel.values.names(self._space())
        yield from (name for name in names if name.startswith(prefix or ""))

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        """Async form of `yield_keys`."""
        names = [] if self._controls() is None else await self.accel.values.anames(self._space())
        for name in names:
            if name.startswith(prefix or ""):
                yield name

    def _controls(self) -> Controls | None:
        """Return whom a value concerns; None where nothing may be kept now."""
        return self.accel.controls(None, None)

    def _space(self) -> Prompt:
        tenant, namespace = self.accel.current_tenant(), self.accel.namespace(self.namespace)
        return Prompt("langchain.byte_store", None, (), tenant, namespace)

    def __repr__(self) -> str:
        return f"AccelByteStore({self.accel!r}, namespace={self.namespace!r})"
