"""How many tokens a call will take, before its provider counts them.

A tokenizer would be exact, but it is another one for each model, is fetched from the network, and
stops an event loop for half a second on a long prompt (BerriAI/litellm#36174). Tokens per byte are
learned from what responses say instead, for each model and kind of script, and one deviation is
added: too few are refused, a little too many wait a little. Until something is learned, a count
of the first prompt stands in, where one is made (`token_counter`); else four bytes of ASCII are a
token, and three others.

What is learned from is bounded, so no response, however odd, makes an estimate absurd. One owner at
a time.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

from accel_core.policy.limits.body_measure import measure_of
from accel_core.policy.limits.charge import Demand
from accel_core.policy.limits.usage_reader import amount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.policy.limits.body_measure import Measure, Script
    from accel_core.policy.limits.charge import Usage

_PER_ASCII_BYTE, _PER_OTHER_BYTE = 0.25, 0.33
_PER_FILE: Final = 765.0
"""An image of 1024 x 1024 at OpenAI: https://platform.openai.com/docs/guides/images-vision"""
_RATIOS: Final = (0.01, 4.0)
_FILE_TOKENS: Final = (1.0, 100_000.0)
_OUTPUTS: Final = (0.0, 1e7)
_LEAST_WEIGHT: Final = 0.05
_FIRST_DEVIATION: Final = 0.1
"""Of the first observation, until a second one says how much they differ."""
_SIGMAS: Final = 1.0
_MODELS: Final = 256
_LONGEST_NAME: Final = 200
_MOST_CHOICES: Final = 128
_MAXIMA: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_CHOICES: Final = ("n", "best_of")


class Asked(NamedTuple):
    """What a request asks for, and what its response will teach.

    Attributes:
        demand: as far as it can be told.
        model: as its body names it; empty where it does not.
        measure: of its body.
        choices: how many answers it wants.
    """

    demand: Demand
    model: str
    measure: Measure
    choices: int = 1


class TokenEstimate:
    """Estimates calls and learns from what they used."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}

    def read(self, document: object, body: bytes) -> Asked:
        """Return what a request asks for, for `learn`.

        Args:
            document: its JSON, of any provider; what is no object asks for nothing but its bytes.
            body: the bytes of the same.
        """
        fields = document if isinstance(document, dict) else {}
        name = fields.get("model")
        model = name[:_LONGEST_NAME] if isinstance(name, str) else ""
        measure, choices = measure_of(body), _choices(fields)
        known = self._models.get(model, _UNKNOWN)
        expected = known.expected_output() * choices
        maximum = _maximum(fields, choices)
        if maximum is None and known.is_silent(fields):
            maximum = 0.0
        streamed = fields.get("stream") is True
        demand = Demand(known.input_tokens(measure), maximum, expected, streamed)
        return Asked(demand, model, measure, choices)

    def is_calibrated(self, asked: Asked) -> bool:
        """Whether anything is known of such texts: said by a response, or counted."""
        known = self._models.get(asked.model, _UNKNOWN)
        return asked.measure.script in known.ratios or asked.measure.script in known.counted

    def calibrate(self, asked: Asked, input_tokens: float) -> None:
        """Take over what a prompt was counted to be, for as long as no response has said more."""
        if asked.measure.bytes:
            ratio = _within(input_tokens / asked.measure.bytes, _RATIOS)
            self._model(asked.model).counted[asked.measure.script] = ratio

    def expected_output_tokens(self, model: str) -> float:
        """Return the output of one answer of `model`, usual and a deviation; 0: not known."""
        return self._models.get(model, _UNKNOWN).expected_output()

    def learn(self, asked: Asked, usage: Usage) -> None:
        """Learn from what a call used; a stream that broke off teaches nothing about output."""
        self._model(asked.model).learn(asked.measure, asked.choices, usage)

    def _model(self, name: str) -> _Model:
        """Return what is known of a model, and remember that it was used last."""
        model = self._models.pop(name, None) or _Model()
        self._models[name] = model
        if len(self._models) > _MODELS:
            del self._models[next(iter(self._models))]
        return model


class _Mean:
    """A mean and a deviation that follow what comes (West 1979, weighted by age)."""

    __slots__ = ("_variance", "mean", "seen")

    def __init__(self) -> None:
        self.mean = self._variance = 0.0
        self.seen = 0

    def add(self, value: float) -> None:
        if not self.seen:
            self.mean, self._variance = value, (_FIRST_DEVIATION * value) ** 2
        else:
            weight = max(_LEAST_WEIGHT, 1.0 / (self.seen + 1))
            difference = value - self.mean
            self.mean += weight * difference
            self._variance = (1.0 - weight) * (self._variance + weight * difference**2)
        self.seen += 1

    @property
    def high(self) -> float:
        return self.mean + _SIGMAS * sqrt(self._variance)


class _Model:
    """What is known of one model."""

    __slots__ = ("counted", "file", "output", "ratios")

    def __init__(self) -> None:
        self.ratios: dict[Script, _Mean] = {}
        self.counted: dict[Script, float] = {}
        self.output, self.file = _Mean(), _Mean()

    def input_tokens(self, measure: Measure) -> float:
        per_file = self.file.high if self.file.seen else _PER_FILE
        return self._text_tokens(measure) + measure.files * per_file

    def expected_output(self) -> float:
        return self.output.high if self.output.seen else 0.0

    def is_silent(self, fields: Mapping[str, object]) -> bool:
        """Whether a call has no output, which is not the same as an unknown one: an embedding."""
        if "input" not in fields:
            return False
        return "encoding_format" in fields or (self.output.seen > 0 and self.output.high <= 0.0)

    def learn(self, measure: Measure, choices: int, usage: Usage) -> None:
        read, produced = amount(usage.input_tokens), amount(usage.output_tokens)
        if produced is not None:
            self.output.add(_within(produced / max(1, choices), _OUTPUTS))
        if not read or not measure.bytes:
            return
        if measure.files:
            of_files = read - self._text_tokens(measure)
            self.file.add(_within(of_files / measure.files, _FILE_TOKENS))
        else:
            ratio = self.ratios.setdefault(measure.script, _Mean())
            ratio.add(_within(read / measure.bytes, _RATIOS))

    def _text_tokens(self, measure: Measure) -> float:
        ratio = self.ratios.get(measure.script)
        if ratio is not None:
            return ratio.high * measure.bytes
        if measure.script in self.counted:
            return self.counted[measure.script] * measure.bytes
        return _PER_ASCII_BYTE * measure.ascii_bytes + _PER_OTHER_BYTE * measure.other_bytes


_UNKNOWN: Final = _Model()


def text_tokens(text: str) -> float:
    """Return how many tokens a text has, about, whoever wrote it."""
    return _UNKNOWN.input_tokens(measure_of(text.encode("utf-8", "replace")))


def _maximum(fields: Mapping[str, object], choices: int) -> float | None:
    """Return how much output all answers together may have; None where nothing bounds it."""
    maxima = [found for key in _MAXIMA if (found := amount(fields.get(key))) is not None]
    return max(maxima) * choices if maxima else None


def _choices(fields: Mapping[str, object]) -> int:
    wanted = [found for key in _CHOICES if (found := amount(fields.get(key))) is not None]
    return int(min(_MOST_CHOICES, max(1.0, *wanted))) if wanted else 1


def _within(value: float, bounds: tuple[float, float]) -> float:
    return max(bounds[0], min(value, bounds[1]))
