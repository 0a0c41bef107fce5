"""Vectors made beforehand: those of an encoder, as many as are remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accel_core.audit import prepared
from accel_core.audit.prepared import PreparedEncoder
from accel_core.testing.encoders import HashEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from accel_core.ports import Vectors


class Counting(HashEncoder):
    """Counts the texts it is asked for."""

    asked = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Count, and encode."""
        self.asked += len(texts)
        return super().encode(texts)


def test_vectors_are_made_once_and_the_oldest_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has left, or was never prepared, is made when it is asked for, and is the same."""
    monkeypatch.setattr(prepared, "_REMEMBERED", 4)
    encoder, told = Counting(), []
    made = PreparedEncoder(encoder)
    made.prepare(["a b", "c d", "a b", ""], told.append)
    assert encoder.asked == 2
    made.prepare(["c d", "e f"], told.append)
    assert encoder.asked == 3
    assert told[-1] == 1.0
    made.encode(["a b", "c d", "e f"])
    assert encoder.asked == 3
    made.prepare(["g h", "i j"], told.append)
    assert encoder.asked == 5
    np.testing.assert_array_equal(made.encode(["a b"]), HashEncoder().encode(["a b"]))
    assert encoder.asked == 6
    made.encode(["c d", "i j"])
    assert encoder.asked == 6
