"""Where an argument of a call came from: the ways that a value could have been copied or made.

An origin is data, so that it can be counted and saved:

- ``("observation", tool, path)``: a value at that path of an earlier observation,
- ``("argument", tool, name)``: an argument of an earlier call,
- ``("text", who, shape, transform)``: tokens of that shape in what somebody said, or in an
  observation that is no JSON (``tool:`` before its name),
- ``("constant", value)``: always the same; only what none of the others explains. With a third
  part, the tenant who gave it: his alone.

A transform is ``=``, ``lower``, ``upper``, ``title``, or ``+`` and ``-`` with what is put around or
taken off, which holds no digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.prediction.words import digits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accel_core.policy.prediction.known import Known, Source
    from accel_core.policy.prediction.words import Token

Origin = tuple[Any, ...]
OBSERVATION, ARGUMENT, TEXT, CONSTANT = "observation", "argument", "text", "constant"
_LONGEST_TEXT = 6
_AFFIX = 4
_SHORTEST = 3
_CONSTANT_CHARACTERS = 40
_CONSTANT_DIGITS = 4


class Place(NamedTuple):
    """Where a value stands: event, what kind of place, and which of them."""

    event: int
    kind: str
    number: int


def relation(a: Place, b: Place) -> str:
    """Say how `b` stands to `a`: in one record, so many tokens on, in one event, or elsewhere."""
    if a.event != b.event or a.kind != b.kind:
        return "elsewhere" if a.event != b.event else "event"
    step = b.number - a.number
    if a.kind == "token":
        return str(step) if -3 <= step <= 3 else "after" if step > 0 else "before"
    return "record" if step == 0 else "event"


def explain(value: str, known: Known) -> dict[Origin, list[Place]]:
    """Return all origins that `value` could have, and where it stands."""
    found: dict[Origin, list[Place]] = {}
    for origin, place in _copied(value, known):
        found.setdefault(origin, []).append(place)
    constant = len(value) <= _CONSTANT_CHARACTERS and digits(value) <= _CONSTANT_DIGITS
    if not found and constant:
        found[(CONSTANT, value) if known.tenant is None else (CONSTANT, value, known.tenant)] = []
    return found


def theirs(origin: Origin, tenant: str | None) -> bool:
    """Whether an origin is another tenant's: a value that he gave."""
    return origin[0] == CONSTANT and len(origin) > 2 and origin[2] != tenant


def _copied(value: str, known: Known) -> Iterator[tuple[Origin, Place]]:
    for source in known.observed:
        for path, items in source.reading.values.items():
            for item in items:
                if item.text == value:
                    place = Place(source.event, "record", item.record)
                    yield (OBSERVATION, source.name, path), place
        yield from _in_tokens(value, f"tool:{source.name}", source)
    for (tool, name), given in known.arguments.items():
        for event, text in given:
            if text == value:
                yield (ARGUMENT, tool, name), Place(event, "argument", 0)
    for source in known.texts:
        yield from _in_tokens(value, source.name, source)


def _in_tokens(value: str, who: str, source: Source) -> Iterator[tuple[Origin, Place]]:
    length = len(value.split())
    if not 0 < length <= _LONGEST_TEXT:
        return
    for start, text in spans(source.reading.tokens, length):
        transform = transform_of(text, value)
        if transform is not None:
            shape = shape_of(source.reading.tokens[start : start + length])
            yield (TEXT, who, shape, transform), Place(source.event, "token", start)


def spans(tokens: tuple[Token, ...], length: int) -> Iterator[tuple[int, str]]:
    """Return what stands in `length` tokens in a row, with the number of the first."""
    if length == 1:
        for start, token in enumerate(tokens):
            yield start, token.text
    else:
        for start in range(len(tokens) - length + 1):
            yield start, " ".join(token.text for token in tokens[start : start + length])


def shape_of(tokens: tuple[Token, ...]) -> str:
    """Return the shape of some tokens in a row."""
    return " ".join(token.shape for token in tokens)


def transform_of(text: str, value: str) -> tuple[str, ...] | None:
    """Return the transform that makes `value` of `text`; None: there is none."""
    if text == value:
        return ("=",)
    if len(text) == len(value):
        for name in ("lower", "upper", "title"):
            if getattr(text, name)() == value:
                return (name,)
    if abs(len(text) - len(value)) > _AFFIX or min(len(text), len(value)) < _SHORTEST:
        return None
    sign, longer, shorter = ("+", value, text) if len(value) > len(text) else ("-", text, value)
    before, inside, after = longer.partition(shorter)
    if not inside or any(character.isalnum() for character in before + after):
        return None
    return (sign, before, after)


def transformed(text: str, transform: tuple[str, ...]) -> str | None:
    """Return what `transform` makes of `text`; None: it does not apply."""
    name = transform[0]
    if name == "=":
        return text
    if name == "+":
        _, before, after = transform
        done = text.startswith(before) and text.endswith(after)
        return None if done else before + text + after
    if name == "-":
        _, before, after = transform
        if not (text.startswith(before) and text.endswith(after)):
            return None
        return text[len(before) : len(text) - len(after)] or None
    made = {"lower": text.lower, "upper": text.upper, "title": text.title}[name]()
    return None if made == text else made
