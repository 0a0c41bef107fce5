"""What cached retrieval promises where threads, forks, stores and time are against it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.store.memory import MemoryStore
from tests.core.test_retrieval_cache import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as close:
        yield lambda **options: Desk(request.param, close, **options)


class Plain(MemoryStore):
    """A shared store that numbers no changes, and outlives who uses it."""

    def close(self) -> None:
        pass


def test_a_store_that_numbers_no_changes_is_given_nothing_to_share(
    make: Callable[..., Desk],
) -> None:
    """Who could not learn of a change, such as the process after this one, is served nothing."""
    store: Any = Plain()
    one, two = make(store=store), make(store=store)
    one.name = two.name = "handbook"
    one.ask("what about apples?")
    one.accel.flush()
    two.library.documents["d1"] = one.library.documents["d1"] = "apples are yellow"
    one.change()
    assert two.ask("what about apples?") == {"d1": "apples are yellow"}
