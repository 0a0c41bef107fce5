"""What is known when a model is asked: sources that arguments may be copied from, in order.

`Known` grows event by event, so that a run is read once. What costs time, reading observations and
texts, is handed in, so that a predictor can remember it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.policy.prediction.reading import Reading, read
from accel_core.policy.prediction.words import Words, bucket, words
from accel_core.policy.trajectory import Said

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from accel_core.policy.trajectory import Observed

USER, ANSWER, FAILED = "<user>", "<answer>", "!"
_WORDS_HEARD, _WORDS_EVER = 60, 150
_HELD = 40
"""Only so many of the last observations and texts are sources."""


class Source(NamedTuple):
    """An observation or a text that is known.

    Attributes:
        name: its tool; "user" or "assistant" of a text.
        event: its number in the trajectory.
        reading: what it holds; a text has tokens alone.
    """

    name: str
    event: int
    reading: Reading


class Readers(NamedTuple):
    """What reads observations and texts, and for whom.

    Attributes:
        observation, text: what reads them.
        tenant: whose run it is, "" of nobody in particular: what one gave as a constant is proposed
            to no other. None: what the run teaches is for everybody.
    """

    observation: Callable[[str], Reading] = read
    text: Callable[[str], Words] = words
    tenant: str | None = None


def spelled(value: Any) -> str:
    """Return an argument as text: a text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):  # keys of several types; a value in itself
        return f"<{type(value).__name__}>"


def canonical(tool: str, arguments: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is equal for equal calls."""
    return tool, spelled(dict(arguments))


class Known:
    """What is known after some events.

    Attributes:
        symbols: what happened, by name.
        observed, texts: the sources, oldest first.
        arguments: by tool and name: events and values.
        called, calls: free calls since the last one that is not free, and how many per tool.
        used: values by tool and name, since then.
        said, literal: when a stem, or a bare token, was last said by the user: number of message.
        told: bare tokens that the assistant wrote.
        tenant: as `Readers` says.
    """

    def __init__(self, free: Collection[str], readers: Readers = Readers()) -> None:  # noqa: B008
        self._free, self._readers = free, readers
        self.tenant = readers.tenant
        self.events = self.users = self.epochs = self.epoch_began = 0
        self.symbols: list[str] = []
        self.observed: list[Source] = []
        self.texts: list[Source] = []
        self.arguments: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self.called: set[tuple[str, str]] = set()
        self.called_ever: set[tuple[str, str]] = set()
        self.calls: dict[str, int] = {}
        self.calls_ever: dict[str, int] = {}
        self.used: dict[tuple[str, str], set[str]] = {}
        self.said: dict[str, int] = {}
        self.literal: dict[str, int] = {}
        self.told: set[str] = set()
        self.heard: list[int] = []
        self.heard_ever: dict[int, None] = {}
        self._mentions: dict[tuple[int, int], tuple[float, float]] = {}

    def add(self, event: Said | Observed) -> None:
        """Take note of one more event."""
        if isinstance(event, Said):
            self._add_text(event)
        else:
            self._add_call(event)
        self.events += 1

    def _add_text(self, event: Said) -> None:
        read_ = self._readers.text(event.text)
        self.texts = self.texts[1 - _HELD :]
        self.texts.append(Source(event.role, self.events, Reading({}, [], read_.tokens, {})))
        buckets = [bucket(event.role, stem) for stem in sorted(read_.stems)[:_WORDS_HEARD]]
        if event.role == "user":
            # The question stays beside its answer: "yes" means what was asked.
            self.heard = buckets + (self.heard if self.symbols[-1:] == [ANSWER] else [])
            if len(self.heard_ever) < _WORDS_EVER:
                self.heard_ever.update(dict.fromkeys(bucket("ever", stem) for stem in read_.stems))
            self.symbols.append(USER)
            self.users += 1
            self._mentions.clear()
            self.literal.update(dict.fromkeys(read_.bare, self.users))
            self.said.update(dict.fromkeys(read_.stems, self.users))
        else:
            self.heard = buckets
            self.symbols.append(ANSWER)
            self.told.update(read_.bare)

    def _add_call(self, event: Observed) -> None:
        tool = event.tool
        self.symbols.append(tool + FAILED if event.failed else tool)
        key = canonical(tool, event.arguments)
        if tool in self._free:
            self.called.add(key)
            self.calls[tool] = self.calls.get(tool, 0) + 1
        else:
            self._begin_epoch()
        self.called_ever.add(key)
        self.calls_ever[tool] = self.calls_ever.get(tool, 0) + 1
        for name, value in event.arguments.items():
            text = spelled(value)
            self.arguments.setdefault((tool, name), []).append((self.events, text))
            self.used.setdefault((tool, name), set()).add(text)
        if not event.failed:
            self.observed = self.observed[1 - _HELD :]
            reading = self._readers.observation(event.observation)
            self.observed.append(Source(tool, self.events, reading))

    def _begin_epoch(self) -> None:
        self.called.clear()
        self.calls.clear()
        self.used.clear()
        self.epochs += 1
        self.epoch_began = self.events

    def mention(self, source: Source, record: int) -> tuple[float, float]:
        """Return how fully the user named a record by one of its texts: ever, last; in [0, 1]."""
        found = self._mentions.get((source.event, record))
        if found is None:
            ever = last = 0.0
            for text in source.reading.records[record]:
                said = [self.said[stem] for stem in text if stem in self.said]
                if said:
                    ever = max(ever, len(said) / len(text))
                    last = max(last, said.count(self.users) / len(text))
            found = self._mentions[source.event, record] = ever, last
        return found

    def found(self) -> tuple[float, float]:
        """Return how fully a record of the last observation, and of any recent one, is named."""
        best = [
            max((self.mention(source, r)[0] for r in range(1, min(30, len(records)))), default=0.0)
            for source in reversed(self.observed[-5:])
            if (records := source.reading.records) is not None
        ]
        return (best[0], max(best)) if best else (0.0, 0.0)
