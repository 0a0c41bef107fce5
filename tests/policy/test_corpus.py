"""What rests on documents holds exactly as long as no later change concerns them."""

from __future__ import annotations

import pytest  # noqa: TC002 - fixtures are looked up by name
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy import corpus
from accel_core.policy.corpus import Basis, CorpusState

DOCUMENTS = st.frozensets(st.sampled_from([b"a", b"b", b"c", b"d"]))
CHANGES = st.lists(st.none() | DOCUMENTS, max_size=12)


@given(changes=CHANGES, began=st.integers(0, 12), documents=st.none() | DOCUMENTS)
def test_holds_until_a_change_concerns_it(
    changes: list[frozenset[bytes] | None], began: int, documents: frozenset[bytes] | None
) -> None:
    """The state answers as a record of all changes would."""
    began = min(began, len(changes))
    state = CorpusState()
    for change in changes:
        state = state.after(change)
    later = changes[began:]
    concerned = any(
        change is None or documents is None or not change.isdisjoint(documents) for change in later
    )
    assert state.holds(Basis(b"corpus", began, documents)) is not concerned


@given(changes=CHANGES)
def test_what_is_newer_than_the_record_does_not_hold(
    changes: list[frozenset[bytes] | None],
) -> None:
    """A record of changes that began anew vouches for nothing from before."""
    state = CorpusState()
    for change in changes:
        state = state.after(change)
    assert not state.holds(Basis(b"corpus", len(changes) + 1, frozenset()))


def test_no_more_documents_are_remembered_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What exceeds the record becomes a change of everything, never a change that is forgotten."""
    monkeypatch.setattr(corpus, "MAX_NAMED", 3)
    state = CorpusState().after({b"a", b"b"}).after({b"c", b"d"})
    assert not state.documents
    assert not state.holds(Basis(b"corpus", 1, frozenset({b"z"})))
    assert state.holds(Basis(b"corpus", 2, frozenset({b"a"})))
