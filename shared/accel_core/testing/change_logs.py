"""What every record of changes that processes share promises, as tests.

Derive a class from `ChangeLogContract`, give it an empty one as the fixture `log` and a second
handle on the same data as `other`, and run pytest.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accel_core.policy.corpus import MAX_NAMED
from accel_core.ports import ChangeLog, CorpusChanges

CORPUS, OTHER = b"corpus", b"another"


class ChangeLogContract:
    """The promises of `accel_core.ports.ChangeLog`."""

    @pytest.fixture
    def log(self) -> Any:
        """An empty record of changes; close it, too."""
        raise NotImplementedError("override the fixture `log`")

    @pytest.fixture
    def other(self) -> Any:
        """A second handle on the data of `log`, as another process has it; close it too."""
        raise NotImplementedError("override the fixture `other`")

    def test_is_a_change_log(self, log: ChangeLog) -> None:
        """It has every method of the Protocol."""
        assert isinstance(log, ChangeLog)

    def test_nothing_happened_yet(self, log: ChangeLog) -> None:
        """An unknown corpus has no changes."""
        assert log.read_changes(CORPUS, 0) == CorpusChanges(0, 0, {})

    def test_changes_are_numbered_for_all(self, log: ChangeLog, other: ChangeLog) -> None:
        """Each handle goes on counting where another stopped; each corpus counts for itself."""
        log.add_change(CORPUS, {b"a"})
        other.add_change(CORPUS, {b"b", b"a"})
        log.add_change(OTHER, None)
        expected = CorpusChanges(2, 0, {b"a": 2, b"b": 2})
        assert log.read_changes(CORPUS, 0) == other.read_changes(CORPUS, 0) == expected
        assert other.read_changes(OTHER, 0) == CorpusChanges(1, 1, {})

    def test_only_what_is_later_is_told(self, log: ChangeLog) -> None:
        """A reader that knows a revision is told of the documents changed after it."""
        log.add_change(CORPUS, {b"a"})
        log.add_change(CORPUS, {b"b"})
        assert log.read_changes(CORPUS, 1) == CorpusChanges(2, 0, {b"b": 2})
        assert log.read_changes(CORPUS, 2) == CorpusChanges(2, 0, {})

    def test_a_change_of_everything(self, log: ChangeLog) -> None:
        """It is numbered, and the documents named before it no longer matter."""
        log.add_change(CORPUS, {b"a"})
        log.add_change(CORPUS, None)
        log.add_change(CORPUS, {b"b"})
        assert log.read_changes(CORPUS, 0) == CorpusChanges(3, 2, {b"b": 3})

    def test_a_change_of_nothing_named(self, log: ChangeLog) -> None:
        """Naming no document is a change that concerns nothing that is known."""
        log.add_change(CORPUS, frozenset())
        assert log.read_changes(CORPUS, 0) == CorpusChanges(1, 0, {})

    def test_the_record_is_bounded(self, log: ChangeLog) -> None:
        """More documents than are remembered become a change of everything."""
        many = {number.to_bytes(4, "big") for number in range(MAX_NAMED)}
        log.add_change(CORPUS, many)
        assert log.read_changes(CORPUS, 0).everything == 0
        log.add_change(CORPUS, {b"one more"})
        assert log.read_changes(CORPUS, 0) == CorpusChanges(2, 2, {})

    def test_a_glance_shows_what_others_did(self, log: ChangeLog, other: ChangeLog) -> None:
        """It differs after another handle's change, and stays while nothing happens."""
        before = log.glance()
        assert log.glance() == before
        other.add_change(CORPUS, {b"a"})
        after = log.glance()
        assert after != before
        assert log.glance() == after

    def test_a_glance_shows_its_own_changes(self, log: ChangeLog) -> None:
        """Whoever changed something must not take what it read before for the latest."""
        before = log.glance()
        log.add_change(CORPUS, None)
        assert log.glance() != before

    def test_no_number_is_given_twice(self, log: ChangeLog, other: ChangeLog) -> None:
        """Changes from several threads and handles are all counted."""
        with ThreadPoolExecutor(4) as threads:
            list(
                threads.map(
                    lambda number: (log, other)[number % 2].add_change(CORPUS, {b"%d" % number}),
                    range(40),
                )
            )
        changes = log.read_changes(CORPUS, 0)
        assert changes.revision == 40
        assert sorted(changes.documents.values()) == list(range(1, 41))
