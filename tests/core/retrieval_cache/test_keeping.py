"""What was retrieved: how long it is kept, for whom, and where; in both colours."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events
from accel_core.errors import StoreError
from accel_core.policy.controls import Controls
from accel_core.retrieval import Gap, Made
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.retrieval_cache.rig import Desk


def sqlite(path: Path) -> dict[str, Any]:
    return {"cache": {"store": {"kind": "sqlite", "path": str(path / "cache.db")}}}


def test_nothing_found_is_believed_shortly(make: Callable[..., Desk]) -> None:
    """An empty result is kept for seconds, not served stale, and not to other wordings."""
    desk = make()
    assert desk.ask("what about plums?") == {}
    assert desk.ask("what about plums?") == {}
    assert desk.times() == 1
    desk.accel.flush()
    assert desk.ask("WHAT about plums") == {}
    assert desk.times() == 2
    desk.library.documents["d9"] = "plums are blue"
    desk.clock.advance(5.1)
    assert desk.ask("what about plums?") == {"d9": "plums are blue"}


def test_what_is_wanted_lives_longer_but_not_for_ever(make: Callable[..., Desk]) -> None:
    """Hits lengthen the next life, up to the factor that is set."""
    desk = make(config={"retrieval": {"freshness": {"early": 0.0, "stale_s": 0.0}}})
    for _ in range(3):
        for _ in range(50):
            desk.ask("what about apples?")
        desk.ask("what about pears?")
        desk.clock.advance(100_000)
    lives = [stored.ttl_s for stored in desk.seen.of(events.RetrievalStored)]
    assert max(lives) == pytest.approx(2400.0)
    assert lives[-1] < 2400.0


def test_a_calls_wishes_are_kept(make: Callable[..., Desk]) -> None:
    """A call may read past the cache, not be stored, or be stored for a shorter time."""
    desk = make()
    desk.ask("what about apples?", Controls(no_store=True))
    desk.ask("what about apples?", Controls(ttl_s=10.0))
    assert desk.times() == 2
    desk.ask("what about apples?", Controls(refresh=True))
    assert desk.times() == 3
    desk.ask("what about pears?", Controls(ttl_s=10.0))
    desk.clock.advance(10.1)
    desk.ask("what about pears?")
    assert desk.times() == 5


def test_another_version_is_another_question(make: Callable[..., Desk]) -> None:
    """What is part of the scope keeps entries apart."""
    desk = make()
    desk.ask("what about apples?", version="1")
    desk.ask("what about apples?", version="2")
    assert desk.times() == 2


def test_tenants_are_kept_apart(make: Callable[..., Desk]) -> None:
    """One tenant's documents are never another's, neither exactly nor by meaning."""
    desk = make()
    with desk.accel.tenant("a"):
        desk.ask("what about apples?")
    desk.accel.flush()
    with desk.accel.tenant("b"):
        desk.ask("WHAT about apples")
    assert desk.times() == 2
    with desk.accel.tenant("b"):
        desk.ask("what about apples?", Controls(no_store=True))
    with desk.accel.tenant("a"):
        desk.ask("what about apples?")
        before = desk.times()
        assert desk.accel.forget(tenant="a").removed
        desk.ask("what about apples?")
    assert desk.times() == before + 1


def test_an_invalidation_on_the_way_is_kept(make: Callable[..., Desk]) -> None:
    """What was asked for before a removal is not stored after it."""
    desk = make()
    ask = desk.to_ask("what about apples?")
    gap = desk.accel.retrieval.lookup(ask)
    assert isinstance(gap, Gap)
    desk.accel.invalidate()
    desk.accel.retrieval.store(ask, gap, Made(b"{}", ()), 0.1)
    assert desk.seen.of(events.RetrievalRefused) == [events.RetrievalRefused("invalidated")]
    again = desk.accel.retrieval.lookup(ask)
    assert isinstance(again, Gap)
    desk.accel.retrieval.abandon(again)


def test_spoken_answers_about_this_moment_are_not_kept(make: Callable[..., Desk]) -> None:
    """Documents found for it are the same each time; what is said about them is not."""
    desk = make()
    for _ in range(2):
        desk.ask("what time is it right now")
    assert desk.times() == 1
    desk.speaks = True
    for _ in range(2):
        desk.ask("what time is it right now", version="spoken")
    assert desk.times() == 3
    assert {one.reason for one in desk.seen.of(events.RetrievalRefused)} == {"volatile"}


def test_too_large_and_unspellable_results_pass(make: Callable[..., Desk]) -> None:
    """They reach their caller and are not stored; the reason is an event."""
    desk = make(config={"retrieval": {"max_entry_bytes": 50}})
    desk.library.documents["d1"] = "apples " * 100
    for _ in range(2):
        assert desk.ask("what about apples")["d1"].startswith("apples")
    assert desk.times() == 2
    desk.library.documents = {"d2": object()}  # type: ignore[dict-item]
    reasons = [refused.reason for refused in desk.seen.of(events.RetrievalRefused)]
    assert reasons == ["too_large", "too_large"]


def test_a_payload_that_cannot_be_read_is_retrieved_anew(make: Callable[..., Desk]) -> None:
    """Damage costs a retrieval and is an event."""
    desk = make()
    ask = desk.to_ask("what about apples?")
    gap = desk.accel.retrieval.lookup(ask)
    assert isinstance(gap, Gap)
    desk.accel.retrieval.store(ask, gap, Made(b"not json", ()), 0.1)
    assert desk.ask("what about apples?") == {"d1": "apples are red"}
    assert desk.seen.of(events.BackendFailed)[0].backend == "payload"
    desk.ask("what about apples?")
    desk.ask("what about apples?")
    assert desk.times() == 2


def test_a_named_corpus_is_shared_through_the_store(
    make: Callable[..., Desk], tmp_path: Path
) -> None:
    """One process is served what another retrieved, until one of them says that it changed."""
    one = make(config=sqlite(tmp_path))
    two = make(config=sqlite(tmp_path), library=one.library)
    one.name = two.name = "handbook"
    one.ask("what about apples?")
    one.accel.flush()
    assert two.ask("what about apples?") == {"d1": "apples are red"}
    assert one.times() == 1
    one.library.documents["d1"] = "apples are yellow"
    two.change(["d1"])
    assert one.ask("what about apples?") == {"d1": "apples are yellow"}
    one.accel.flush()
    assert two.ask("what about apples?") == {"d1": "apples are yellow"}
    assert one.times() == 2


def test_an_object_of_this_process_is_not_shared(make: Callable[..., Desk], tmp_path: Path) -> None:
    """Two stores in memory that look alike are two corpora, and only one process's."""
    one = make(config=sqlite(tmp_path))
    two = make(config=sqlite(tmp_path))
    two.library.documents["d1"] = "apples are yellow"
    one.ask("what about apples?")
    one.accel.flush()
    assert two.ask("what about apples?") == {"d1": "apples are yellow"}
    with SqliteStore(tmp_path / "cache.db")._file.asking("count") as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)


def test_the_store_outlives_memory(make: Callable[..., Desk], tmp_path: Path) -> None:
    """Past the time of this process the store is asked, not the retriever; then its time ends."""
    desk = make(config=sqlite(tmp_path))
    desk.name = "handbook"
    desk.ask("what about apples?")
    desk.accel.flush()
    for _ in range(5):
        desk.clock.advance(100)
        assert desk.ask("what about apples?") == {"d1": "apples are red"}
    assert desk.times() == 1
    desk.clock.advance(200)
    desk.ask("what about apples?")
    desk.settle()
    assert desk.times() == 2


class Broken(SqliteStore):
    """A store that can be made to fail."""

    broken = False

    def read_changes(self, corpus: bytes, since: int) -> Any:
        self._fail()
        return super().read_changes(corpus, since)

    def add_change(self, corpus: bytes, documents: Any) -> None:
        self._fail()
        super().add_change(corpus, documents)

    def glance(self) -> Any:
        self._fail()
        return super().glance()

    def _fail(self) -> None:
        if self.broken:
            raise StoreError("sqlite", "answer", "away")


def test_where_changes_cannot_be_known_nothing_is_served(
    make: Callable[..., Desk], tmp_path: Path
) -> None:
    """A failing store costs retrievals; what it missed is recorded before it is believed again."""
    store = Broken(tmp_path / "cache.db")
    desk = make(store=store)
    desk.name = "handbook"
    desk.ask("what about apples?")
    store.broken = True
    desk.library.documents["d1"] = "apples are yellow"
    with pytest.raises(StoreError):
        desk.change(["d1"])
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}
    store.broken = False
    desk.clock.advance(1.0)
    assert desk.ask("what about apples?") == {"d1": "apples are yellow"}
    assert store.read_changes(desk.corpus.key.digest, 0).revision == 1
    assert desk.times() == 3


@pytest.mark.parametrize("shared", [False, True], ids=["own", "named"])
def test_a_thousand_changes_and_questions_serve_nothing_stale(
    make: Callable[..., Desk], tmp_path: Path, shared: bool
) -> None:
    """Whatever the order of changes, questions and passing time, each answer is the documents'."""
    dice = random.Random(7)
    desk = make(config=sqlite(tmp_path) if shared else None, encoder=HashEncoder())
    desk.name = "handbook" if shared else None
    words = ["apples", "pears", "plums", "figs"]
    documents = desk.library.documents
    documents.clear()
    for step in range(300 if shared else 1000):
        act = dice.random()
        if act < 0.15:
            documents[f"d{dice.randrange(6)}"] = f"{dice.choice(words)} {step}"
            desk.change()
        elif act < 0.3 and documents:
            gone = dice.choice(sorted(documents))
            del documents[gone]
            desk.change([gone])
        elif act < 0.35:
            desk.clock.advance(dice.choice([1, 70, 700]))
        else:
            word = dice.choice(words)
            true = {name: text for name, text in documents.items() if word in text}
            assert desk.ask(f"{dice.choice(['what', 'WHAT'])} about {word}") == true
    desk.settle()
    assert desk.times() < (200 if shared else 650)


def test_a_text_is_not_a_list_of_ids(make: Callable[..., Desk]) -> None:
    """A single id given as a text would be its letters; it is refused."""
    desk = make()
    with pytest.raises(TypeError, match="several ids"):
        desk.corpus.changed("d1")
