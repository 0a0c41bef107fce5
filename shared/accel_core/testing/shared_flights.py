"""What single flight among processes promises, as tests.

Derive a class from `SharedFlightsContract`, give it an empty store that is a `SharedFlights` too as
the fixture `flights`, a second handle on the same data as `other` and a third as `third`, and run
pytest. Knows nothing but the Protocols.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.leases import Lease, SharedFlights
from accel_core.ports import Entry, Selector
from accel_core.testing.stores import StoreContract, digest

if TYPE_CHECKING:
    from accel_core.leases import Landing

_KEY = digest("one")
_LONG_S = 600.0
WAIT_S = 10.0
"""How long a test waits for what must happen soon."""


class SharedFlightsContract:
    """The promises of `accel_core.leases.SharedFlights`."""

    make_entry = staticmethod(StoreContract().make_entry)

    @pytest.fixture
    def flights(self) -> Any:
        """An empty store; close it, too."""
        raise NotImplementedError("override the fixture `flights`")

    @pytest.fixture
    def other(self) -> Any:
        """A second handle on the data of `flights`, as another process has it; close it too."""
        raise NotImplementedError("override the fixture `other`")

    @pytest.fixture
    def third(self) -> Any:
        """A third one."""
        raise NotImplementedError("override the fixture `third`")

    def test_is_shared_flights(self, flights: Any) -> None:
        """It has every method of the Protocol."""
        assert isinstance(flights, SharedFlights)

    def test_one_leads(self, flights: Any, other: Any) -> None:
        """The first to claim has the lease; others, and itself again, are to wait."""
        lease = led(flights)
        assert (lease.name, lease.key) == (b"name", _KEY)
        assert not followed(other).done()
        assert not followed(flights).done()

    def test_names_are_apart(self, flights: Any, other: Any) -> None:
        """Each name has a leader of its own, whatever the key."""
        led(flights)
        assert led(other, b"another name").name == b"another name"
        assert led(other, b"a third", digest("two")).key == digest("two")

    def test_what_is_stored_is_returned(self, flights: Any, other: Any) -> None:
        """Where there is an entry nobody leads, unless it was passed over."""
        entry = self.make_entry()
        flights.save([entry])
        assert other.claim(b"name", _KEY, _LONG_S) == entry
        assert isinstance(other.claim(b"name", _KEY, _LONG_S, entry), Lease)

    def test_what_replaces_a_passed_over_entry_is_returned(self, flights: Any, other: Any) -> None:
        """Passing one over is not passing over what was stored since."""
        old, new = self.make_entry(), self.make_entry(expires_s=9_000_000_001.0)
        flights.save([old])
        flights.save([new])
        assert other.claim(b"name", _KEY, _LONG_S, old) == new

    def test_a_save_lands(self, flights: Any, other: Any, third: Any) -> None:
        """As the entry is saved everybody who waits is told, and finds it."""
        lease = led(flights)
        landings = [followed(other), followed(third)]
        flights.land(lease, self.make_entry())
        assert not any(landing.done() for landing in landings)
        flights.save([self.make_entry()])
        assert [landing.result(WAIT_S) for landing in landings] == [False, False]
        assert isinstance(other.claim(b"name", _KEY, _LONG_S), Entry)

    def test_another_save_lands_nothing(self, flights: Any, other: Any) -> None:
        """Neither another entry, nor a save before its leader said so, ends a lease."""
        lease = led(flights)
        landing = followed(other)
        flights.save([self.make_entry("two")])
        flights.land(lease, self.make_entry())
        other.save([self.make_entry()])
        assert not landing.done()
        flights.save([self.make_entry("three"), self.make_entry()])
        assert landing.result(WAIT_S) is False

    def test_a_failed_leader_is_replaced(self, flights: Any, other: Any, third: Any) -> None:
        """Who waited is told; one of them leads, and the others wait for that one."""
        lease = led(flights)
        landings = [followed(other), followed(third), followed(other)]
        flights.end(lease, declined=False)
        assert [landing.result(WAIT_S) for landing in landings] == [False] * 3
        claimed = [handle.claim(b"name", _KEY, _LONG_S) for handle in (other, third, flights)]
        assert [isinstance(each, Lease) for each in claimed] == [True, False, False]

    def test_a_declined_answer_is_everybodys_own(
        self, flights: Any, other: Any, third: Any
    ) -> None:
        """Everybody who waited is told so, and nobody has to claim again."""
        lease = led(flights)
        landings = [followed(other), followed(third), followed(flights)]
        flights.end(lease, declined=True)
        assert [landing.result(WAIT_S) for landing in landings] == [True] * 3

    def test_a_lease_ends_once(self, flights: Any, other: Any, third: Any) -> None:
        """Who ended a lease, or never had it, does not end that of the next leader."""
        lease = led(flights)
        landing = followed(other)
        flights.end(lease, declined=False)
        assert landing.result(WAIT_S) is False
        led(other)
        landing = followed(third)
        flights.end(lease, declined=True)
        third.end(lease, declined=True)
        flights.land(lease, self.make_entry())
        flights.save([self.make_entry()])
        led(flights, b"another name", digest("two"))
        assert not landing.done()

    def test_who_waits_no_longer_harms_nobody(self, flights: Any, other: Any, third: Any) -> None:
        """A wait that was cancelled leaves the others waiting, and told."""
        lease = led(flights)
        assert followed(other).cancel()
        landings = [followed(other), followed(third)]
        assert followed(third).cancel()
        flights.end(lease, declined=False)
        assert [landing.result(WAIT_S) for landing in landings] == [False, False]

    def test_closing_ends_what_it_leads(self, flights: Any, other: Any) -> None:
        """Nobody waits for a process that ended in order."""
        led(flights)
        landing = followed(other)
        flights.close()
        assert landing.result(WAIT_S) is False
        led(other)

    def test_closing_frees_who_waits_in_it(self, flights: Any, other: Any) -> None:
        """Nobody waits on in a process that listens no longer."""
        led(flights)
        landing = followed(other)
        other.close()
        assert landing.result(WAIT_S) is False

    @pytest.mark.parametrize(
        "meant",
        [Selector(), Selector(tag="faq"), Selector(key=_KEY), Selector(namespace="", text="one")],
        ids=["everything", "tag", "key", "two conditions"],
    )
    def test_what_is_outdated_is_not_stored(
        self, flights: Any, other: Any, third: Any, *, meant: Selector
    ) -> None:
        """An answer asked for before its invalidation is not stored, and not waited for."""
        entry = self.make_entry(text="one", namespace="")
        lease = led(flights)
        landing = followed(other)
        third.outdate([Selector(tag="nothing"), meant])
        flights.land(lease, entry)
        flights.save([entry, self.make_entry("two")])
        assert landing.result(WAIT_S) is True
        assert flights.fetch(_KEY) is None
        assert flights.fetch(digest("two")) is not None

    def test_what_is_not_meant_is_stored(self, flights: Any, other: Any) -> None:
        """Invalidations of other entries, and those before the lease, do not concern it."""
        other.outdate([Selector()])
        lease = led(flights)
        others = Selector(tag="other"), Selector(key=digest("two")), Selector(tag="faq", text="no")
        other.outdate(others)
        flights.land(lease, self.make_entry())
        flights.save([self.make_entry()])
        assert other.fetch(_KEY) is not None

    def test_too_many_invalidations_to_be_told_apart(self, flights: Any, other: Any) -> None:
        """What may have been meant by one that is forgotten is not stored."""
        lease = led(flights)
        other.outdate([Selector(tag=f"tag {number}") for number in range(200)])
        flights.land(lease, self.make_entry())
        flights.save([self.make_entry()])
        assert other.fetch(_KEY) is None

    def test_each_save_ends_its_own_lease(self, flights: Any, other: Any) -> None:
        """Of two entries of one key each is refused by what was invalidated after its own lease."""
        old, new = self.make_entry(created_s=1_000.0), self.make_entry(created_s=1_001.0)
        before = led(flights, b"before")
        other.outdate([Selector()])
        after = led(flights, b"after")
        landings = [followed(other, name) for name in (b"before", b"after")]
        flights.land(before, old)
        flights.land(after, new)
        flights.save([old])
        assert other.fetch(_KEY) is None
        assert landings[0].result(WAIT_S) is True
        assert not landings[1].done()
        flights.save([new])
        assert landings[1].result(WAIT_S) is False
        assert other.fetch(_KEY) == new

    @pytest.mark.parametrize(
        ("meant", "means"),
        [
            (Selector(), True),
            (Selector(key=_KEY, tag="faq"), True),
            (Selector(text="one", namespace="", tenant=b"t", scope=digest("s")), True),
            (Selector(key=digest("two")), False),
            (Selector(tag="other"), False),
            (Selector(text="two", tag="faq"), False),
            (Selector(tenant=b"u"), False),
        ],
    )
    def test_what_is_outdated_is_known(
        self, flights: Any, other: Any, *, meant: Selector, means: bool
    ) -> None:
        """Who took over what others did knows what they invalidated since a mark, and what not."""
        entry = self.make_entry(
            text="one", namespace="", tenant=b"t", scope=digest("s"), tags=("dog", "faq")
        )
        flights.changes(0, 10)
        other.outdate([Selector()])
        assert flights.stirred()
        flights.changes(0, 10)
        mark = flights.mark()
        assert not flights.outdated(mark, entry)
        other.outdate([Selector(tag="nothing"), meant])
        assert flights.stirred()
        flights.changes(0, 10)
        assert flights.outdated(mark, entry) is means
        assert not flights.outdated(flights.mark(), entry)
        other.outdate([Selector(tag=f"tag {number}") for number in range(200)])
        flights.changes(0, 10)
        assert flights.outdated(mark, entry)

    def test_what_waits_for_its_save_is_in_doubt(self, flights: Any, other: Any) -> None:
        """An entry that the server has not judged yet leaves memory as others invalidate."""
        flights.changes(0, 10)
        flights.land(led(flights), self.make_entry())
        revision = flights.changes(0, 10).revision
        other.outdate([Selector(tag="perhaps")])
        assert list(flights.changes(revision, 10).removed) == [_KEY]
        flights.save([self.make_entry()])
        other.outdate([Selector(tag="perhaps")])
        assert _KEY not in flights.changes(flights.changes(0, 10).revision, 10).removed

    def test_no_moment_without_lease_and_entry(self, flights: Any, other: Any, third: Any) -> None:
        """Whoever claims at any time during many landings waits or gets the entry; none leads."""
        rounds = range(20)

        def land(number: int) -> None:
            entry = self.make_entry(number, key=digest(number))
            flights.land(leases[number], entry)
            flights.save([entry])

        def ask(handle: Any) -> list[object]:
            return [
                handle.claim(b"%d" % number, digest(number), _LONG_S)
                for _ in range(5)
                for number in rounds
            ]

        leases = [led(flights, b"%d" % number, digest(number)) for number in rounds]
        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(ask, handle) for handle in (other, third)]
            list(threads.map(land, rounds))
            claimed = [each for future in asked for each in future.result()]
        assert not any(isinstance(each, Lease) for each in claimed)
        waits = [each for each in claimed if isinstance(each, Future)]
        assert not any(landing.result(WAIT_S) for landing in waits)

    def test_one_of_many_leads(self, flights: Any, other: Any, third: Any) -> None:
        """Of many who claim at once, in threads of several handles, one has the lease."""
        handles = [flights, other, third] * 8
        with ThreadPoolExecutor(len(handles)) as threads:
            claimed = list(
                threads.map(lambda handle: handle.claim(b"name", _KEY, _LONG_S), handles)
            )
        assert sum(isinstance(each, Lease) for each in claimed) == 1
        landings = [each for each in claimed if isinstance(each, Future)]
        lease = next(each for each in claimed if isinstance(each, Lease))
        for handle in (flights, other, third):
            handle.end(lease, declined=False)
        assert [landing.result(WAIT_S) for landing in landings] == [False] * (len(handles) - 1)


def led(flights: SharedFlights, name: bytes = b"name", key: bytes = _KEY) -> Lease:
    """Claim and return the lease, which nobody has."""
    claimed = flights.claim(name, key, _LONG_S)
    assert isinstance(claimed, Lease)
    return claimed


def followed(flights: SharedFlights, name: bytes = b"name", key: bytes = _KEY) -> Landing:
    """Claim and return the wait for who has the lease."""
    claimed = flights.claim(name, key, _LONG_S)
    assert isinstance(claimed, Future)
    return claimed
