"""Files of agents' runs, as trajectories.

Read are, as JSON (one run, or a list of runs) or JSON Lines (a run per line), also with gzip:

- messages of LangChain (``messages_to_dict``, ``dumpd``), of LlamaIndex (``ChatMessage`` dumped),
  and as OpenAI's chat API has them; a list, or under ``messages`` or ``input`` of an object,
- ``{"steps": [{tool, args, observation, turn, before: [{role, text}]}], "after": […]}``.

An object may name its ``group``, such as the customer: runs of one group are not learned from to
judge one another.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_core.errors import FileError
from accel_core.policy.trajectory import Observed, Said
from accel_core.prediction.fitting import Run
from accel_core.prediction.messages import Message, message_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from accel_core.policy.trajectory import Trajectory

_REMEDY = "give messages of LangChain, LlamaIndex or OpenAI, or steps: see docs/speculation.md"
_HOLDING = ("messages", "input", "history")


def read_runs(path: str | os.PathLike[str]) -> list[Run]:
    """Return the runs of a file that ask for a tool at all.

    Raises:
        FileError: it cannot be read, or something in it is no run; the line is named.
    """
    runs = []
    for line, spelled in _spelled(Path(path)):
        try:
            events = trajectory(spelled)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(path, line, f"is no run ({error})", _REMEDY) from error
        if any(isinstance(event, Observed) for event in events):
            group = spelled.get("group") if isinstance(spelled, Mapping) else None
            runs.append(Run(events, None if group is None else str(group)))
    if not runs:
        raise FileError(path, None, "holds no run that calls a tool", _REMEDY)
    return runs


def trajectory(spelled: Any) -> Trajectory:
    """Return a run as a trajectory.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is none.
    """
    if isinstance(spelled, Mapping) and "steps" in spelled:
        return tuple(_stepped(spelled))
    return tuple(_said(list(map(message_of, messages_of(spelled)))))


def messages_of(spelled: Any) -> list[Any]:
    """Return the messages of a run, as they are spelled.

    Raises:
        TypeError, KeyError: there are none.
    """
    messages = spelled
    if isinstance(spelled, Mapping):
        held = next((spelled[name] for name in _HOLDING if name in spelled), None)
        messages = held["messages"] if isinstance(held, Mapping) else held
    if not isinstance(messages, list):
        raise TypeError("a list of messages is missing")
    return messages


def _stepped(spelled: Mapping[str, Any]) -> Iterator[Said | Observed]:
    for step in spelled["steps"]:
        yield from _texts(step.get("before", ()))
        observation = _text(step["observation"])
        failed = bool(step.get("failed", observation.startswith("Error")))
        arguments = dict(step.get("args", {}))
        yield Observed(str(step["tool"]), arguments, observation, failed, int(step["turn"]))
    yield from _texts(spelled.get("after", ()))


def _texts(spelled: Iterable[Mapping[str, Any]]) -> Iterator[Said]:
    for said in spelled:
        if said["role"] in ("user", "assistant"):
            yield Said(said["role"], _text(said["text"]))


def _said(messages: Sequence[Message]) -> Iterator[Said | Observed]:
    results = {message.answers: message for message in messages if message.answers is not None}
    turn = 0
    for message in messages:
        if message.answers is not None:
            continue
        if message.calls:
            for call in message.calls:
                # A call without a result was never made, as far as anybody can tell.
                if (result := results.get(call.number)) is not None:
                    failed = result.failed or result.text.startswith("Error")
                    yield Observed(call.tool, call.arguments, result.text, failed, turn)
        elif message.role == "user" or (message.role == "assistant" and message.text):
            yield Said("user" if message.role == "user" else "assistant", message.text)
        turn += message.role == "assistant"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _spelled(path: Path) -> Iterator[tuple[int | None, Any]]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise FileError(path, None, f"cannot be read ({error})", _REMEDY) from error
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        yield from _lines(path, text)
        return
    many = isinstance(whole, list) and whole and not _is_message(whole[0])
    for run in whole if many else [whole]:
        yield None, run


def _lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise FileError(path, number, "is no JSON", _REMEDY) from error


def _is_message(value: Any) -> bool:
    named = ("role", "type", "lc")
    return isinstance(value, Mapping) and any(key in value for key in named)
