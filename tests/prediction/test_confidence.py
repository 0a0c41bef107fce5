"""What a confidence of 0.7 promises of a learned model: most guesses from there on come true."""

from __future__ import annotations

from accel_core.policy.prediction import habits
from accel_core.policy.prediction.known import Known, Readers, canonical
from accel_core.policy.prediction.model import THRESHOLD
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
