"""Predictors over a `CallModel`: one that judges every call it can bind, one that opens lists.

Both are safe to call from several threads: a lock is held while counts are read or changed, which
takes milliseconds. What was read of recent observations and texts is remembered, up to a bound, and
forgotten on request; it never reaches a file. Tenants teach one another what follows what and where
arguments are found, never an argument: a constant that one of them gave is proposed to him alone.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from accel_core import tenancy
from accel_core.errors import ConfigError
from accel_core.policy.prediction import lists, model
from accel_core.policy.prediction.known import Readers
from accel_core.policy.prediction.model import CallModel
from accel_core.policy.prediction.reading import read
from accel_core.policy.prediction.tally import Tally
from accel_core.policy.prediction.words import words
from accel_core.prediction import file

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Sequence

    from accel_core.policy.trajectory import Guess, Trajectory
    from accel_core.speculating import Predictor

_OBSERVATIONS, _TEXTS = 128, 512


class _Memory:
    """Readers that remember."""

    def __init__(self) -> None:
        self._observations = lru_cache(_OBSERVATIONS)(read)
        self._texts = lru_cache(_TEXTS)(words)
        self.readers = Readers(self._observations, self._texts)

    def read_for(self, tenant: str) -> Readers:
        """Return readers of a run of a tenant."""
        return self.readers._replace(tenant=tenant)

    def clear(self) -> None:
        self._observations.cache_clear()
        self._texts.cache_clear()


def _tenant() -> str:
    asking = tenancy.current()
    return asking.id if asking else ""


class MinedPredictor:
    """A `Predictor` that has learned from runs how they go on.

    Args:
        learned: what it knows; None: nothing yet, and it learns from every run that ends.
    """

    name = model.NAME

    def __init__(self, learned: CallModel | None = None) -> None:
        self._model = CallModel(file.shipped_forests()) if learned is None else learned
        self._memory, self._lock = _Memory(), threading.Lock()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> MinedPredictor:
        """Return one that knows what ``accel learn-tools`` wrote, or `save`.

        Raises:
            FileError: there is no such file, or it is not one of these.
        """
        return cls(file.load(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what it knows, for the next start.

        Raises:
            FileError: it cannot be written.
        """
        with self._lock:
            spelled = self._model.to_json()
        file.save(path, spelled)

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        """Return calls that may be made before the next change, likely ones first."""
        with self._lock:
            return self._model.guesses(trajectory, free, self._memory.read_for(_tenant()))

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        """Take note of a run that has ended."""
        with self._lock:
            self._model.learn(trajectory, free, self._memory.read_for(_tenant()))

    def forget_read(self) -> None:
        """Forget what was read of observations and texts; what was counted holds none of it."""
        self._memory.clear()

    def __repr__(self) -> str:
        runs = self._model.tally.count(("runs",), "")
        return f"MinedPredictor(runs={runs:g})"


class FanOutPredictor:
    """A `Predictor` that opens the items of lists that were mostly opened before.

    It learns from every run that ends, and keeps nothing in a file: two lists are enough.
    """

    name = lists.NAME

    def __init__(self) -> None:
        self._lists, self._origins = Tally(), Tally()
        self._memory, self._lock = _Memory(), threading.Lock()

    def predict(self, trajectory: Trajectory, free: Collection[str]) -> Sequence[Guess]:
        """Return what is left to open of the last such list, at most `lists.CAP`."""
        with self._lock:
            return lists.guesses(self._lists, self._origins, trajectory, free, self._memory.readers)

    def learn(self, trajectory: Trajectory, free: Collection[str]) -> None:
        """Take note of a run that has ended."""
        from accel_core.policy.prediction import habits

        with self._lock:
            habits.learn_origins(self._origins, trajectory, free, self._memory.readers)
            lists.learn(self._lists, trajectory, free, self._memory.readers)

    def __repr__(self) -> str:
        return "FanOutPredictor()"


def chosen_predictors(
    given: Iterable[Predictor] | None, learned: str | os.PathLike[str] | None
) -> tuple[Predictor, ...]:
    """Return who guesses: those `given`, or else the default ones, which learn from every run.

    Args:
        given: an application's own; None: the default ones.
        learned: a file of what the default ones know already.

    Raises:
        ConfigError: both are given.
        FileError: `learned` is not such a file.
    """
    if given is None:
        mined = MinedPredictor() if learned is None else MinedPredictor.from_file(learned)
        return mined, FanOutPredictor()
    if learned is not None:
        expected = "must be left out beside predictors=: put MinedPredictor.from_file(...) in there"
        raise ConfigError("learned", learned, expected)
    return tuple(given)
