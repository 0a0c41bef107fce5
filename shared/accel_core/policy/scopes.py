"""In what two requests differ that have the same, or nearly the same, question.

Equal scopes are all that lets one be answered for the other, so a difference here is why it was
not: another temperature, another system prompt, another tool. Scopes are digests, which say that
two differ and not in what; this reads the prompts they were made of.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.model_fields import counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accel_core.policy.identity import Prompt, Turn

_ALIKE = 0.6
_LONGEST_SHOWN = 60
_EXCERPT = 40
_SYSTEM = frozenset({"system", "developer"})
_WHOLE = {"tools": "tools", "functions": "tools", "response_format": "response format"}
"""Parameters that are told of by their name alone: they are long."""
_ABSENT: Any = object()


class Difference(NamedTuple):
    """A part that differs: a parameter's name, ``system prompt``, ``earlier turns`` and so on.

    ``asked`` and ``other`` say how, where that is short; ``""`` where it is not.
    """

    part: str
    asked: str = ""
    other: str = ""


def alike(one: str, other: str) -> bool:
    """Whether two texts share most of their words, in whatever order."""
    words, others = set(_words(one)), set(_words(other))
    return bool(words) and len(words & others) >= _ALIKE * len(words | others)


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same but for case, spaces and punctuation."""
    return _words(one) == _words(other)


def differences(asked: Prompt, other: Prompt) -> tuple[Difference, ...]:
    """Return in what two prompts of one tenant differ, their questions' words left out."""
    found = [
        *_unlike("kind of call", asked.kind, other.kind),
        *_unlike("namespace", asked.namespace, other.namespace),
        *_parameters(asked.model, other.model),
        *_turns(asked.turns, other.turns),
    ]
    return tuple({one.part: one for one in reversed(found)}.values())[::-1]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _unlike(part: str, asked: Any, other: Any) -> Iterator[Difference]:
    if asked != other:
        yield Difference(part, _shown(asked), _shown(other))


def _shown(value: Any) -> str:
    """Return a value as it is told: what is long, or no plain value, is not."""
    if value is _ABSENT or value is None or value == "":
        return "unset"
    text = str(value) if isinstance(value, (str, int, float)) else ""
    return text if len(text) <= _LONGEST_SHOWN else ""


def _parameters(asked: Any, other: Any) -> Iterator[Difference]:
    """Compare models and parameters, leaf by leaf, each told by the last part of its path."""
    found = list(_leaves("", _read(asked), _read(other)))
    # LangChain's spelling of a model repeats what its parameters say.
    named = {one.part for one in found if one.part}
    yield from (one for one in found if one.part)
    if found and not named:
        yield Difference("model or parameters")


def _leaves(name: str, asked: Any, other: Any) -> Iterator[Difference]:
    if asked == other:
        return
    if name in _WHOLE:
        yield Difference(_WHOLE[name])
    elif isinstance(asked, dict) and isinstance(other, dict):
        for key in sorted({*asked, *other}, key=str):
            if counts(str(key)):
                ours, theirs = asked.get(key, _ABSENT), other.get(key, _ABSENT)
                yield from _leaves(str(key), _read(ours), _read(theirs))
    elif name in {"llm", "spelled", "arguments", "left_out"}:
        yield Difference("")
    else:
        part = "model" if name == "model_name" else name
        yield Difference(part, _shown(asked), _shown(other))


def _read(value: Any) -> Any:
    """Return what a text spells: LangChain names a model by JSON, then ``---`` and arguments."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    spelled, _, arguments = value.partition("---")
    try:
        return {"spelled": json.loads(spelled).get("kwargs", spelled), "arguments": arguments}
    except ValueError:
        return value


def _turns(asked: Sequence[Turn], other: Sequence[Turn]) -> Iterator[Difference]:
    ours, theirs = (
        "\n".join(text for turn in turns if turn.role in _SYSTEM for text in turn.texts)
        for turns in (asked, other)
    )
    if ours != theirs:
        yield Difference("system prompt", *_excerpts(ours, theirs))
    before, before_other = (
        [turn for turn in turns[:-1] if turn.role not in _SYSTEM] for turns in (asked, other)
    )
    if len(before) != len(before_other):
        yield Difference("earlier turns", str(len(before)), str(len(before_other)))
    elif [turn[:3] for turn in before] != [turn[:3] for turn in before_other]:
        yield Difference("earlier turns")
    if asked and other and (asked[-1].role, asked[-1].rest) != (other[-1].role, other[-1].rest):
        yield Difference("what goes with the question")


def _excerpts(asked: str, other: str) -> tuple[str, str]:
    """Return both where they begin to differ; ``unset`` where there is none."""
    pairs = enumerate(zip(asked, other, strict=False))
    same = next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(asked), len(other)))
    start = max(0, same - _EXCERPT // 4)

    def excerpt(text: str) -> str:
        cut = text[start : start + _EXCERPT]
        return f"{'…' if start else ''}{cut}{'…' if start + _EXCERPT < len(text) else ''}"

    return (excerpt(asked) if asked else "unset"), (excerpt(other) if other else "unset")
