"""Vectors again: what is kept, what is forgotten, and that every crowd gets its own."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core import events
from accel_core.accel import Accel
from accel_core.embedding_call import EmbeddingCall
from accel_core.errors import StoreError
from accel_core.testing.encoders import HashEncoder
from tests.core.embedding_cache.rig import KIND, Model, vector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.testing.doubles import RecordingObserver


def sqlite(path: Path, **more: Any) -> dict[str, Any]:
    return {"cache": {"store": {"kind": "sqlite", "path": str(path / "cache.db")}}, **more}


class TestStore:
    """The file behind memory."""

    def test_it_outlives_the_process_and_is_shared(
        self, make: Callable[..., Accel], colour: Any, tmp_path: Path
    ) -> None:
        """Another `Accel` over the same file serves the same floats, and sees what is removed."""
        model, other = Model(), Model()
        one = make(sqlite(tmp_path))
        texts = [f"text {n}" for n in range(50)]
        given = colour.ask(one, model, *texts)
        one.flush()
        two = make(sqlite(tmp_path))
        assert colour.ask(two, other, *texts, "new") == [*given, vector("new")]
        assert other.asked == [["new"]]
        one.forget(text="text 7")
        colour.ask(two, other, *texts)
        assert other.asked == [["new"], ["text 7"]]

    def test_answers_and_vectors_have_a_file_each(
        self, make: Callable[..., Accel], colour: Any, tmp_path: Path
    ) -> None:
        """A corpus of vectors displaces no answer: it is kept beside them."""
        accel = make(sqlite(tmp_path))
        colour.ask(accel, Model(), "a")
        accel.flush()
        assert (tmp_path / "cache.embeddings.db").is_file()
        assert (tmp_path / "cache.embeddings.db").stat().st_mode & 0o077 == 0

    def test_a_secret_can_be_rotated(
        self,
        make: Callable[..., Accel],
        colour: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Vectors kept under the previous secret are found; under a foreign one they are not."""
        for name in "ABC":
            monkeypatch.setenv(f"KEY_{name}", name * 40)

        def under(current: str, previous: str | None) -> int:
            security = {"key_env": current, "previous_key_env": previous}
            accel, model = make(sqlite(tmp_path, security=security)), Model()
            assert colour.ask(accel, model, "a") == [vector("a")]
            accel.close()
            return len(model.asked)

        assert [under("KEY_A", None), under("KEY_B", "KEY_A"), under("KEY_C", None)] == [1, 0, 1]

    def test_a_failing_store_costs_speed_only(
        self,
        make: Callable[..., Accel],
        observed: RecordingObserver,
        colour: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Neither reading nor writing fails a call; it is an event; only removal raises."""
        accel, model = make(sqlite(tmp_path)), Model()

        def fail(*args: Any) -> Any:
            raise StoreError("sqlite", "fetch", "disk gone")

        far = accel.embeddings._tiers._far
        for name in ("fetch", "save", "stirred", "changes"):
            monkeypatch.setattr(far, name, fail)
        for _ in range(2):
            assert colour.ask(accel, model, "a") == [vector("a")]
        assert len(model.asked) == 1, "memory still serves"
        assert observed.of(events.BackendFailed)
        monkeypatch.setattr(far, "select", fail)
        with pytest.raises(StoreError):
            colour.run(lambda: accel.forget(text="a"), lambda: accel.aforget(text="a"))

    @pytest.mark.parametrize("payload", [b"", b"f", b"junk", b"d1234"])
    def test_bytes_that_are_no_vector_are_asked_for_again(
        self,
        make: Callable[..., Accel],
        observed: RecordingObserver,
        colour: Any,
        tmp_path: Path,
        payload: bytes,
    ) -> None:
        """A damaged entry is a miss and an event, in memory and in the file."""
        from dataclasses import replace

        from accel_core.ports import Selector

        accel, model = make(sqlite(tmp_path)), Model()
        colour.ask(accel, model, "a")
        accel.flush()
        far, memory = accel.embeddings._tiers._far, accel.embeddings._tiers._near._memory
        assert far is not None
        (key,) = far.select(Selector())
        stored = far.fetch(key)
        assert stored is not None
        far.save([replace(stored, payload=payload)])
        memory.remove([key])
        assert colour.ask(accel, model, "a") == [vector("a")]
        assert len(model.asked) == 2
        assert [event.operation for event in observed.of(events.BackendFailed)] == ["read"]


class TestForgetting:
    """Texts leave when they must."""

    @pytest.mark.parametrize("whom", [{"text": "a"}, {"tenant": "acme"}, {"user": "ann"}])
    def test_forget_covers_vectors(
        self, make: Callable[..., Accel], colour: Any, tmp_path: Path, whom: dict[str, str]
    ) -> None:
        """By text, tenant and user, in memory and in the file; dry runs only tell."""
        accel, model = make(sqlite(tmp_path)), Model()
        with accel.tenant("acme", user="ann"):
            colour.ask(accel, model, " a\n")
        with accel.tenant("other", user="bob"):
            colour.ask(accel, model, "b")
        for dry_run in (True, False):
            receipt = colour.run(
                lambda: accel.forget(dry_run=dry_run, **whom),  # noqa: B023
                lambda: accel.aforget(dry_run=dry_run, **whom),  # noqa: B023
            )
            assert len(receipt.removed) == 1
        with accel.tenant("acme", user="ann"):
            colour.ask(accel, model, " a\n")
        with accel.tenant("other", user="bob"):
            colour.ask(accel, model, "b")
        assert model.asked == [[" a\n"], ["b"], [" a\n"]]

    def test_invalidate_covers_vectors(self, accel: Accel, colour: Any) -> None:
        """What is invalidated without a condition is everything, vectors too."""
        model = Model()
        colour.ask(accel, model, "a")
        removed = colour.run(accel.invalidate, accel.ainvalidate)
        assert len(removed) == 1
        colour.ask(accel, model, "a")
        assert len(model.asked) == 2

    def test_what_is_under_way_is_not_kept(self, accel: Accel, colour: Any) -> None:
        """A text forgotten while its vector is being made is not kept afterwards."""

        def answer(texts: list[str]) -> Any:
            accel.forget(text="a")
            return [vector(text) for text in texts]

        model = Model(answer=answer)
        assert colour.ask(accel, model, "a", "b") == [vector("a"), vector("b")]
        colour.ask(accel, model, "a", "b")
        assert model.asked == [["a", "b"], ["a"]]

    def test_an_unused_cache_reports_nothing(
        self, accel: Accel, observed: RecordingObserver
    ) -> None:
        """Invalidating answers says so once, not once more for vectors that are not there."""
        accel.invalidate()
        assert len(observed.of(events.CacheInvalidated)) == 1

    def test_fork_starts_anew(self, accel: Accel, colour: Any) -> None:
        """A child keeps what memory holds, and waits for nobody's flight."""
        model = Model()
        colour.ask(accel, model, "a")
        accel.after_fork()
        assert colour.ask(accel, model, "a", "b") == [vector("a"), vector("b")]
        assert model.asked == [["a"], ["b"]]


@settings(max_examples=40)
@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5), max_size=12))
def test_any_crowd_gets_its_own_vectors(batches: list[list[str]]) -> None:
    """Whatever batches run at once: everybody's vectors in order, every text asked for once."""
    model = Model()
    with Accel(encoder=HashEncoder()) as accel:
        call = EmbeddingCall(accel, KIND, model, Model)

        async def crowd() -> list[Any]:
            asked = (call.avectors(batch, model.aembed) for batch in batches)
            return await asyncio.gather(*asked)

        assert asyncio.run(crowd()) == [[vector(text) for text in batch] for batch in batches]
    assert sorted(itertools.chain(*model.asked)) == sorted(
        {text for batch in batches for text in batch}
    )
