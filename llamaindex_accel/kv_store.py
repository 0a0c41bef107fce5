"""LlamaIndex's key-value store over this package's, for `IngestionCache` and `embeddings_cache`.

What such caches lack comes with the store: bounds, lifetimes, tenants, one file for all processes,
and `forget`. An `embeddings_cache` names vectors by their text alone: give each model a store
of its own namespace, or accelerate the model instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.storage.kvstore.types import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_COLLECTION,
    BaseKVStore,
)

from accel_core.default import chosen_accel
from accel_core.payload import read_payload, spell_payload
from accel_core.policy.identity import Prompt

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.policy.controls import Controls

    Value = dict[str, Any]


class AccelKVStore(BaseKVStore):
    """A `BaseKVStore`, bounded and with lifetimes.

    It is a cache: what is stored may leave for space or age. Values are JSON; they belong to the
    tenant in whose context they are stored.

    Args:
        accel: the configured object; None takes this process's default.
        namespace: keeps stores of one application apart.
        ttl_s: how long values are kept at most, seconds; None: as ``embeddings.ttl`` says.

    Example:
        >>> IngestionPipeline(  # doctest: +SKIP
        ...     transformations=[...], cache=IngestionCache(cache=AccelKVStore())
        ... )
    """

    def __init__(
        self, accel: Accel | None = None, *, namespace: str = "", ttl_s: float | None = None
    ) -> None:
        self.accel = chosen_accel(accel)
        self.namespace, self.ttl_s = namespace, ttl_s

    def put(self, key: str, val: Value, collection: str = DEFAULT_COLLECTION) -> None:
        """Store a value; returns at once.

        Raises:
            TypeError, ValueError: the value holds something that JSON cannot say.
        """
        self.put_all([(key, val)], collection)

    async def aput(self, key: str, val: Value, collection: str = DEFAULT_COLLECTION) -> None:
        """Async form of `put`."""
        self.put(key, val, collection)

    def put_all(
        self,
        kv_pairs: list[tuple[str, Value]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        """Store several values; as `put`."""
        controls = self._controls()
        if controls is not None:
            spelled = [(key, spell_payload(value)) for key, value in kv_pairs]
            self.accel.values.put(self._space(collection), spelled, controls, self.ttl_s)

    async def aput_all(
        self,
        kv_pairs: list[tuple[str, Value]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Async form of `put_all`."""
        self.put_all(kv_pairs, collection, batch_size)

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> Value | None:
        """Return the value under `key`, a fresh one each time, or None."""
        if self._controls() is None:
            return None
        return _read(self.accel.values.get(self._space(collection), [key])[0])

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> Value | None:
        """Async form of `get`."""
        if self._controls() is None:
            return None
        return _read((await self.accel.values.aget(self._space(collection), [key]))[0])

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, Value]:
        """Return every value of `collection` by its key.

        Raises:
            StoreError: the shared store failed.
        """
        if self._controls() is None:
            return {}
        space = self._space(collection)
        names = self.accel.values.names(space)
        return _found(names, self.accel.values.get(space, names))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, Value]:
        """Async form of `get_all`."""
        if self._controls() is None:
            return {}
        space = self._space(collection)
        names = await self.accel.values.anames(space)
        return _found(names, await self.accel.values.aget(space, names))

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove the value under `key` and return whether there was one.

        Raises:
            StoreError: the shared store failed, so it may still be there.
        """
        if self._controls() is None:
            return False
        return self.accel.values.remove(self._space(collection), [key])[0]

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Async form of `delete`."""
        if self._controls() is None:
            return False
        return (await self.accel.values.aremove(self._space(collection), [key]))[0]

    def _controls(self) -> Controls | None:
        """Return whom a value concerns; None where nothing may be kept now."""
        return self.accel.controls(None, None)

    def _space(self, collection: str) -> Prompt:
        tenant, namespace = self.accel.current_tenant(), self.accel.namespace(self.namespace)
        return Prompt("llamaindex.kv_store", collection, (), tenant, namespace)

    def __repr__(self) -> str:
        return f"AccelKVStore({self.accel!r}, namespace={self.namespace!r})"


def _read(payload: bytes | None) -> Value | None:
    if payload is None:
        return None
    value: Value = read_payload(payload)
    return value


def _found(names: list[str], payloads: list[bytes | None]) -> dict[str, Value]:
    values = zip(names, map(_read, payloads), strict=True)
    return {name: value for name, value in values if value is not None}
