"""What a confidence of 0.7 promises of a learned model: most guesses from there on come true."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core.policy.prediction import habits
from accel_core.policy.prediction.calls import FEATURES
from accel_core.policy.prediction.known import Known, Readers, canonical
from accel_core.policy.prediction.model import FRUGAL, PROMISED, SOON, THRESHOLD, least_worth
from accel_core.policy.speculation import SpeculationSettings
from accel_core.prediction import file, fitting
from accel_core.testing.agent_runs import FIELDS


def test_it_is_the_threshold_that_is_set_by_default() -> None:
    assert SpeculationSettings().threshold == THRESHOLD


def test_guesses_from_the_threshold_on_come_true_in_runs_never_seen() -> None:
    make, free = FIELDS["help"]
    readers = Readers()
    runs = [fitting.Run(make(seed), seed) for seed in range(60)]
    model = fitting.fit(runs, free, file.shipped_forests(), readers)
    guessed: dict[object, bool] = {}
    for seed in range(900, 950):
        run = make(seed)
        for place in habits.decisions(run):
            known = Known(free, readers)
            for event in run[:place]:
                known.add(event)
            later = habits.upcoming(run, place, free)
            for guess in model.guesses(run[:place], free, readers):
                if guess.confidence >= THRESHOLD:
                    key = canonical(*guess.call)
                    begun = seed, known.epochs, key
                    guessed[begun] = guessed.get(begun, False) or key in later
    assert len(guessed) > 40
    assert sum(guessed.values()) / len(guessed) > 0.75


JUDGED = st.lists(st.tuples(st.floats(-5, 5), st.booleans()), max_size=400)


@settings(max_examples=60)
@given(likely=st.floats(0.3, 1.0), events=JUDGED, unguessed=st.integers(0, 1_000))
def test_as_many_are_begun_as_keep_what_is_promised(
    likely: float, events: list[tuple[float, bool]], unguessed: int
) -> None:
    dice = Random(len(events))
    events = [*events, *((5 + dice.random(), dice.random() < likely) for _ in range(80))]
    calls = unguessed + sum(hit for _, hit in events)
    begun = {
        worth: [hit for one, hit in events if one >= worth] for worth in {w for w, _ in events}
    }

    def lowest(share: float) -> tuple[float, int]:
        fine = [
            w for w, hits in begun.items() if len(hits) >= 50 and sum(hits) >= share * len(hits)
        ]
        return (min(fine), sum(begun[min(fine)])) if fine else (max(begun), 0)

    least, served = lowest(PROMISED)
    assert least_worth(events, calls) == (least if 2 * served >= calls else lowest(FRUGAL)[0])


def test_few_guesses_held_back_tell_nothing() -> None:
    assert least_worth([(1.0, True)] * 49, calls=49) is None


def test_an_agent_of_whom_little_is_known_is_guessed_only_where_it_is_surer() -> None:
    events = [(3 - number / 100, number % 20 != 0) for number in range(100)]  # 95 % come true
    events += [(1 - number / 100, number % 4 != 0) for number in range(100)]  # 75 % come true
    much, little = least_worth(events, calls=200), least_worth(events, calls=2_000)
    assert much is not None
    assert little is not None
    assert much < little


@pytest.mark.parametrize(
    "numbers", [{}, dict.fromkeys(FEATURES, 1.0), dict.fromkeys(FEATURES, -3.0)]
)
def test_what_is_hardly_next_is_not_worth_beginning(numbers: dict[str, float]) -> None:
    forests = file.shipped_forests()
    row = [numbers.get(name, 0.0) for name in FEATURES]
    worth, soon = forests.worth(row)
    assert (worth > float("-inf")) == (soon >= SOON)
