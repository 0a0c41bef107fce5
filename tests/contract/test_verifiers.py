"""Every verifier under the one contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accel_core.testing.verifiers import CASES, VerifierContract, WordsVerifier
from accel_core.verifier.function import FunctionVerifier

if TYPE_CHECKING:
    from accel_core.ports import Verifier


class TestWords(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return WordsVerifier()


class TestFunction(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return FunctionVerifier(lambda asked, stored, answer: asked == stored)

    def test_sees_all_three_texts(self) -> None:
        """In the order of the case; its name is the function's, or given."""
        seen = []

        def judge(*texts: str) -> None:
            seen.append(texts)

        verifier = FunctionVerifier(judge)
        assert verifier.verify(CASES[:2]) == [None, None]
        assert seen == list(CASES[:2])
        assert (verifier.name, FunctionVerifier(judge, name="mine").name) == ("judge", "mine")
