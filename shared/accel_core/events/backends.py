"""What failed, or could not be had, while calls went on without it."""

from __future__ import annotations

from typing import NamedTuple


class BackendFailed(NamedTuple):
    """A store, an index, an encoder, a verifier, a gate or a tokenizer failed; the call went on."""

    backend: str
    operation: str
    error: str


class SearchUnavailable(NamedTuple):
    """A shared store does not search by meaning, so that its processes do, over vectors they hold.

    ``missing`` says what its server lacks; said once for every server that is met.
    """

    backend: str
    missing: str
    remedy: str


class StoreSwept(NamedTuple):
    """A shared store was cleaned while something was saved.

    ``entries`` left because they had expired or for space; ``vectors`` had no entry any more.
    """

    backend: str
    entries: int
    vectors: int


class WriteDropped(NamedTuple):
    """So many writes were let go: a full queue's oldest, or what the store refused for good."""

    writes: int
