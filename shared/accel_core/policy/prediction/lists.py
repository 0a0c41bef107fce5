"""Lists whose items are opened one after the other: how often, and which are left to open.

A simple rule beside the mined predictor's judgement: after a list of which at least half of the
items were opened in earlier runs before anything changed, the rest of it will be opened, too. It
needs two lists to have an opinion, and no forest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_core.policy.prediction import habits
from accel_core.policy.prediction.known import Known, canonical, spelled
from accel_core.policy.prediction.origins import OBSERVATION
from accel_core.policy.trajectory import Guess, Said, ToolCall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from accel_core.policy.prediction.known import Readers, Source
    from accel_core.policy.prediction.reading import Path
    from accel_core.policy.prediction.tally import Tally
    from accel_core.policy.trajectory import Observed, Trajectory

NAME = "fan-out"
CAP = 5
_LEAST_SHARE = 0.5
_LEAST_LISTS = 2
_PRIOR = 4.0


def _lists(source: Source) -> Iterator[tuple[Path, list[str]]]:
    for path, values in source.reading.values.items():
        texts = list(dict.fromkeys(value.text for value in values))
        if len(texts) > 1:
            yield path, texts


def learn(tally: Tally, run: Trajectory, free: Collection[str], readers: Readers) -> None:
    """Count the lists of a run, and which of their items were opened before anything changed."""
    run = run[-habits.EVENTS :]
    known = Known(free, readers)
    for number, event in enumerate(run):
        known.add(event)
        if isinstance(event, Said) or event.failed or event.tool not in free:
            continue
        later = list(habits.upcoming(run, number + 1, free).values())
        for path, texts in _lists(known.observed[-1]):
            for (tool, name), opened in _opened(later, texts).items():
                table = ("list", tool, name, event.tool, path)
                tally.add(table, "opened", len(opened))
                tally.add(table, "opening")
            tally.add(("lists", event.tool, path), "items", len(texts))
            tally.add(("lists", event.tool, path), "lists")


def _opened(later: list[Observed], texts: list[str]) -> dict[tuple[str, str], set[str]]:
    """Return the items of a list that calls with one argument were made with."""
    found: dict[tuple[str, str], set[str]] = {}
    for call in later:
        if len(call.arguments) == 1:
            ((name, value),) = call.arguments.items()
            if spelled(value) in texts:
                found.setdefault((call.tool, name), set()).add(spelled(value))
    return found


def guesses(
    tally: Tally, types: Tally, run: Trajectory, free: Collection[str], readers: Readers
) -> list[Guess]:
    """Return the items left of the last such list, at most `CAP`; values as `types` has counted."""
    known = Known(free, readers)
    for event in run:
        known.add(event)
    found: list[Guess] = []
    for source in reversed(known.observed):
        if source.event <= known.epoch_began and known.epochs:
            break
        for path, texts in _lists(source):
            for tool, name, share in _habits(tally, types, source.name, path, free):
                for text in texts:
                    arguments = {name: habits.value_of(types, tool, name, text)}
                    if canonical(tool, arguments) not in known.called:
                        found.append(Guess(ToolCall(tool, arguments), share, NAME))
        if found:
            break
    found.sort(key=lambda guess: -guess.confidence)
    return found[:CAP]


def _habits(
    tally: Tally, types: Tally, source: str, path: Path, free: Collection[str]
) -> Iterator[tuple[str, str, float]]:  # fmt: skip
    seen = tally.rows(("lists", source, path))
    if seen.get("lists", 0.0) < _LEAST_LISTS:
        return
    for tool in sorted(free):
        for name in habits.arguments(types, tool):
            if not types.count(("origin", tool, name), (OBSERVATION, source, path)):
                continue
            rows = tally.rows(("list", tool, name, source, path))
            share = rows.get("opened", 0.0) / (seen["items"] + _PRIOR)
            if rows.get("opening", 0.0) >= _LEAST_LISTS and share >= _LEAST_SHARE:
                yield tool, name, share
