"""What every place for a limiter's levels promises, as tests (they need hypothesis).

::

    class TestMyStore(SharedLimitStoreContract):
        @pytest.fixture
        def stores(self):
            return lambda: (server := MyServer(), MyStore(server), MyStore(server))[1:]

A store that has a clock of its own overrides `clock` with one that it follows. Knows nothing but
the Protocol in `accel_core.policy.limits.limit_store`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accel_core.policy.limits.charge import NOTHING, Charge
from accel_core.policy.limits.limit_store import Limit, LimitStore, Reserved
from accel_core.testing.doubles import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    Stores = Callable[[], tuple[LimitStore, LimitStore]]

_REQUESTS, _TOKENS = 0, 1
_LITTLE = 1e-6

# The fixture makes new levels for every example; the class that runs one is whoever derives.
_health = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
_settings = settings(deadline=None, database=None, suppress_health_check=_health)
_amounts = st.floats(1.0, 100.0)
_takes = st.lists(
    st.tuples(st.booleans(), _amounts, st.floats(0.0, 3.0), st.sampled_from([0.0, 0.5, 30.0])),
    max_size=60,
)


def tokens(amount: float) -> Charge:
    """Return what one request of `amount` tokens takes."""
    return Charge(1.0, amount, amount, 0.0)


class LimitStoreContract:
    """The promises of `LimitStore`, for one owner at a time."""

    @pytest.fixture
    def stores(self) -> Stores:
        """What makes two handles on new levels, as two processes have; or one object, twice."""
        raise NotImplementedError("override the fixture `stores`")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock of both handles."""
        return ManualClock(0.0)

    def shaped(
        self, stores: Stores, clock: ManualClock, *limits: Limit
    ) -> tuple[LimitStore, LimitStore]:
        """Return both handles, told `limits`; none: 100 tokens that refill at 10 a second."""
        pair = stores()
        for store in pair:
            store.shape(limits or [Limit(_TOKENS, 10.0, 100.0, 10.0)], clock.now_s)
        return pair

    def taken(
        self, store: LimitStore, clock: ManualClock, amount: float, max_wait_s: float = 0.0
    ) -> Reserved:
        """Reserve `amount` tokens now."""
        return store.reserve(tokens(amount), clock.now_s, max_wait_s)

    def test_is_a_limit_store(self, stores: Stores) -> None:
        """It has every method of the Protocol."""
        assert all(isinstance(store, LimitStore) for store in stores())

    def test_without_limits_everything_goes(self, stores: Stores, clock: ManualClock) -> None:
        """What nobody limits is never waited for."""
        store, _ = stores()
        assert self.taken(store, clock, 1e9).wait_s == 0.0

    def test_both_take_of_the_same(self, stores: Stores, clock: ManualClock) -> None:
        """What one handle took is missing for the other."""
        one, other = self.shaped(stores, clock)
        assert self.taken(one, clock, 70.0).wait_s == 0.0
        assert self.taken(other, clock, 50.0).wait_s == pytest.approx(2.0, abs=1e-3)
        assert self.taken(other, clock, 30.0).wait_s == 0.0

    def test_all_limits_or_none(self, stores: Stores, clock: ManualClock) -> None:
        """Where one limit is short nothing is taken from the others."""
        requests = Limit(_REQUESTS, 10.0, 2.0, 0.2)
        store, _ = self.shaped(stores, clock, requests, Limit(_TOKENS, 10.0, 100.0, 10.0))
        assert self.taken(store, clock, 100.0).wait_s == 0.0
        assert self.taken(store, clock, 50.0).wait_s == pytest.approx(5.0, abs=1e-3)
        clock.advance(5.0)
        assert self.taken(store, clock, 50.0).wait_s == 0.0
        assert self.taken(store, clock, 0.0).wait_s == 0.0  # 3 requests in 5 s: two, and what came
        assert self.taken(store, clock, 0.0).wait_s == pytest.approx(5.0, abs=1e-3)

    def test_promised_for_later(self, stores: Stores, clock: ManualClock) -> None:
        """What may be used within the wait is taken at once, and the next waits behind it."""
        one, other = self.shaped(stores, clock)
        assert self.taken(one, clock, 100.0).wait_s == 0.0
        assert self.taken(one, clock, 60.0, max_wait_s=6.5).wait_s == pytest.approx(6.0, abs=1e-3)
        assert self.taken(other, clock, 10.0).wait_s == pytest.approx(7.0, abs=1e-3)
        clock.advance(7.0)
        assert self.taken(other, clock, 10.0).wait_s == pytest.approx(0.0, abs=1e-3)

    def test_larger_than_its_limit(self, stores: Stores, clock: ManualClock) -> None:
        """It may be used when the limit is full, and leaves a debt."""
        store, _ = self.shaped(stores, clock)
        assert self.taken(store, clock, 250.0).wait_s == 0.0
        assert self.taken(store, clock, 50.0).wait_s == pytest.approx(20.0, abs=1e-3)
        assert self.taken(store, clock, 250.0).wait_s == pytest.approx(25.0, abs=1e-3)

    def test_settled(self, stores: Stores, clock: ManualClock) -> None:
        """What was not used comes back, what is missing is taken, also without being reserved."""
        one, other = self.shaped(stores, clock)
        self.taken(one, clock, 80.0)
        one.settle(tokens(80.0), tokens(30.0))
        assert self.taken(one, clock, 70.0).wait_s == 0.0
        one.settle(tokens(70.0), tokens(80.0))
        one.settle(NOTHING, tokens(10.0))
        assert self.taken(one, clock, 10.0).wait_s == pytest.approx(3.0, abs=1e-3)
        assert self.taken(other, clock, 10.0).wait_s == pytest.approx(3.0, abs=1e-3)

    def test_never_more_than_full(self, stores: Stores, clock: ManualClock) -> None:
        """What comes back to a full level is not saved up."""
        store, _ = self.shaped(stores, clock)
        self.taken(store, clock, 50.0)
        clock.advance(60.0)
        store.settle(tokens(50.0), NOTHING)
        assert self.taken(store, clock, 100.0).wait_s == 0.0
        assert self.taken(store, clock, 10.0).wait_s == pytest.approx(1.0, abs=1e-3)

    def test_reshaped(self, stores: Stores, clock: ManualClock) -> None:
        """A level survives a change of its limit; one that is no longer told holds nobody back."""
        store, _ = self.shaped(stores, clock)
        self.taken(store, clock, 100.0)
        store.shape([Limit(_TOKENS, 10.0, 100.0, 5.0)], clock.now_s)
        assert self.taken(store, clock, 50.0).wait_s == pytest.approx(10.0, abs=1e-3)
        store.shape([Limit(_TOKENS, 10.0, 100.0, 5.0, at_most=-50.0)], clock.now_s)
        assert self.taken(store, clock, 50.0).wait_s == pytest.approx(20.0, abs=1e-3)
        clock.advance(20.0)
        assert self.taken(store, clock, 50.0).wait_s == pytest.approx(0.0, abs=1e-3)
        store.shape([], clock.now_s)
        assert self.taken(store, clock, 1e9).wait_s == 0.0

    def test_held_off(self, stores: Stores, clock: ManualClock) -> None:
        """What a provider said to one holds for all; a shorter time than is known, for nobody."""
        one, other = self.shaped(stores, clock)
        one.hold_off(clock.now_s + 5.0, clock.now_s)
        assert self.taken(one, clock, 10.0).wait_s == pytest.approx(5.0, abs=2e-3)
        other.hold_off(clock.now_s + 1.0, clock.now_s)
        assert self.taken(other, clock, 10.0).wait_s == pytest.approx(5.0, abs=2e-3)
        clock.advance(5.0)
        assert self.taken(other, clock, 60.0).wait_s == 0.0
        assert self.taken(one, clock, 40.0).wait_s == 0.0

    def test_levels_are_true_where_told(self, stores: Stores, clock: ManualClock) -> None:
        """They are what is left after the answer, in the order of the limits."""
        store, _ = self.shaped(
            stores, clock, Limit(_TOKENS, 10.0, 100.0, 10.0), Limit(_REQUESTS, 10.0, 5.0, 0.5)
        )
        for amount, left in ((70.0, (30.0, 4.0)), (50.0, (30.0, 4.0)), (10.0, (20.0, 3.0))):
            told = self.taken(store, clock, amount).levels
            assert not told or told == pytest.approx(left, abs=1e-3)

    @_settings
    @given(steps=_takes)
    def test_never_more_than_the_limit(
        self, stores: Stores, clock: ManualClock, steps: list[tuple[bool, float, float, float]]
    ) -> None:
        """Over any time the handles together may use at most its amount and what it refilled."""
        pair = self.shaped(stores, clock)
        used: list[tuple[float, float]] = []
        for first, amount, gap_s, max_wait_s in steps:
            clock.advance(gap_s)
            wait_s = self.taken(pair[first], clock, amount, max_wait_s).wait_s
            if wait_s <= max_wait_s:
                used.append((clock.now_s + wait_s, amount))
        left, at_s = 100.0, 0.0
        for when_s, amount in sorted(used):
            left, at_s = min(100.0, left + 10.0 * (when_s - at_s)) - amount, when_s
            assert left >= -1e-3

    @_settings
    @given(steps=_takes)
    def test_told_waits_suffice(
        self, stores: Stores, clock: ManualClock, steps: list[tuple[bool, float, float, float]]
    ) -> None:
        """Who comes back after the wait that was told is served, and nobody sooner."""
        pair = self.shaped(stores, clock)
        for first, amount, gap_s, max_wait_s in steps:
            clock.advance(gap_s)
            wait_s = self.taken(pair[first], clock, amount, max_wait_s).wait_s
            if wait_s > max_wait_s + 0.01:
                clock.advance(wait_s - 0.005)
                assert self.taken(pair[not first], clock, amount).wait_s > 0.0
                clock.advance(0.005 + _LITTLE)
                assert self.taken(pair[first], clock, amount).wait_s == 0.0

    @_settings
    @given(steps=st.lists(st.tuples(st.booleans(), _amounts, _amounts), max_size=40))
    def test_nothing_is_lost_or_made(
        self, stores: Stores, clock: ManualClock, steps: list[tuple[bool, float, float]]
    ) -> None:
        """What was reserved less what came back is what was charged, to the last token."""
        whole = 10_000.0
        pair = self.shaped(stores, clock, Limit(_TOKENS, 1e9, whole, 1e-9))
        spent = 1.0
        pair[0].settle(NOTHING, tokens(spent))
        for first, amount, charged in steps:
            assert self.taken(pair[first], clock, amount).wait_s == 0.0
            pair[first].settle(tokens(amount), tokens(charged))
            spent += charged
        for store in pair:
            store.reserve(NOTHING, clock.now_s, 0.0)
        assert self.taken(pair[0], clock, whole - spent + 0.01).wait_s > 0.0
        assert self.taken(pair[1], clock, whole - spent - 0.01).wait_s == 0.0


class SharedLimitStoreContract(LimitStoreContract):
    """The promises of a `LimitStore` that several processes share."""

    def test_late_comers_join(self, stores: Stores, clock: ManualClock) -> None:
        """Who names a limit that others use finds it as they left it, and keeps its own list."""
        one, late = stores()
        limit = Limit(_TOKENS, 10.0, 100.0, 10.0)
        one.shape([limit], clock.now_s)
        self.taken(one, clock, 100.0)
        assert self.taken(late, clock, 50.0).wait_s == 0.0
        late.shape([limit], clock.now_s)
        assert self.taken(late, clock, 50.0).wait_s == pytest.approx(5.0, abs=1e-3)
        late.shape([], clock.now_s)
        assert self.taken(one, clock, 50.0).wait_s == pytest.approx(5.0, abs=1e-3)

    def test_many_threads(self, stores: Stores, clock: ManualClock) -> None:
        """Whatever threads do at once, they get exactly what there is."""
        pair = self.shaped(stores, clock, Limit(_TOKENS, 1e9, 1_000.0, 1e-9))

        def take(number: int) -> float:
            store, got = pair[number % 2], 0.0
            for _ in range(100):
                if self.taken(store, clock, 3.0).wait_s <= 0.0:
                    store.settle(tokens(3.0), tokens(2.0))
                    got += 2.0
            return got

        with ThreadPoolExecutor(6) as pool:
            got = sum(pool.map(take, range(6)))
        assert 1_000.0 - 6 * 3.0 <= got <= 1_000.0
