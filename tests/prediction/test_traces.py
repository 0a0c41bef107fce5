"""Logs of runs as trajectories, in every form; and the command that learns from them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_to_dict,
)
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from typer.testing import CliRunner

from accel_core.cli.main import app
from accel_core.errors import FileError
from accel_core.policy.trajectory import Observed, Said
from accel_core.prediction.mined import FanOutPredictor, MinedPredictor
from accel_core.prediction.traces import read_runs, trajectory
from accel_core.testing.agent_runs import FIELDS

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = (
    Said("user", "Weather in Graz and Lyon?"),
    Observed("weather", {"place": "Graz"}, "sun", False, 0),
    Observed("weather", {"place": "Lyon"}, "away", True, 0),
    Said("assistant", "Sun in Graz."),
)
LANGCHAIN = [
    SystemMessage("Be brief."),
    HumanMessage("Weather in Graz and Lyon?"),
    AIMessage("", tool_calls=[
        {"id": "1", "name": "weather", "args": {"place": "Graz"}},
        {"id": "2", "name": "weather", "args": {"place": "Lyon"}},
        {"id": "3", "name": "weather", "args": {"place": "never answered"}},
    ]),
    ToolMessage("sun", tool_call_id="1"),
    ToolMessage("away", tool_call_id="2", status="error"),
    AIMessage("Sun in Graz."),
]  # fmt: skip
OPENAI = [
    {"role": "user", "content": "Weather in Graz and Lyon?"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "1", "type": "function",
         "function": {"name": "weather", "arguments": '{"place": "Graz"}'}},
        {"id": "2", "type": "function",
         "function": {"name": "weather", "arguments": '{"place": "Lyon"}'}},
    ]},
    {"role": "tool", "tool_call_id": "1", "content": "sun"},
    {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "Error: away"}]},
    {"role": "assistant", "content": "Sun in Graz."},
]  # fmt: skip
LLAMAINDEX = [
    ChatMessage(role="user", content="Weather in Graz and Lyon?"),
    ChatMessage(role="assistant", blocks=[
        TextBlock(text="Let me see."),
        ToolCallBlock(tool_call_id="1", tool_name="weather", tool_kwargs={"place": "Graz"}),
        ToolCallBlock(tool_call_id="2", tool_name="weather", tool_kwargs={"place": "Lyon"}),
    ]),
    ChatMessage(role="tool", content="sun", additional_kwargs={"tool_call_id": "1"}),
    ChatMessage(role="tool", content="Error: away", additional_kwargs={"tool_call_id": "2"}),
    ChatMessage(role="assistant", content="Sun in Graz."),
]  # fmt: skip
FORMS: dict[str, Any] = {
    "messages_to_dict": messages_to_dict(LANGCHAIN),
    "dumpd": [dumpd(message) for message in LANGCHAIN],
    "openai": {"messages": OPENAI},
    "llamaindex": [message.model_dump(mode="json") for message in LLAMAINDEX],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_run(form: str) -> None:
    assert tuple(map(_plain, trajectory(FORMS[form]))) == EXPECTED


def _plain(event: Said | Observed) -> Said | Observed:
    if isinstance(event, Said):
        return event
    return event._replace(observation=event.observation.removeprefix("Error: "))


def _steps(seed: int, field: str = "workshop") -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    before: list[dict[str, str]] = []
    for event in FIELDS[field][0](seed):
        if isinstance(event, Said):
            before.append({"role": event.role, "text": event.text})
        else:
            steps.append({"tool": event.tool, "args": event.arguments, "turn": event.turn,
                          "observation": event.observation, "before": before})  # fmt: skip
            before = []
    return {"group": f"g{seed}", "steps": steps, "after": before}


def test_steps_are_a_run() -> None:
    assert trajectory(_steps(3)) == FIELDS["workshop"][0](3)


def test_files_of_one_run_of_many_and_of_lines_are_read(tmp_path: Path) -> None:
    one, many, lines = tmp_path / "one.json", tmp_path / "many.json", tmp_path / "lines.jsonl.gz"
    one.write_text(json.dumps(FORMS["messages_to_dict"]))
    many.write_text(json.dumps([_steps(1), {"messages": OPENAI}]))
    lines.write_bytes(gzip.compress("\n\n".join(json.dumps(_steps(n)) for n in range(3)).encode()))
    assert [len(read_runs(path)) for path in (one, many, lines)] == [1, 2, 3]
    assert [run.group for run in read_runs(lines)] == ["g0", "g1", "g2"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "holds no run"),
        ('{"steps": []}', "holds no run"),
        ('{"a": 1}\n{"b": 2}', "line 1 is no run"),
        ('{"steps": []}\nno', "line 2 is no JSON"),
        ('[{"role": "wizard", "content": "x"}]', "is no role"),
        ('{"messages": [{"role": "tool", "content": "x"}]}', "is no run"),
    ],
)
def test_a_wrong_file_is_named_with_the_place_and_the_remedy(
    tmp_path: Path, text: str, place: str
) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(text)
    with pytest.raises(FileError, match=place) as raised:
        read_runs(path)
    assert "docs/speculation.md" in str(raised.value)


def test_the_command_learns_and_its_file_guesses(tmp_path: Path) -> None:
    logs, out = tmp_path / "runs.jsonl", tmp_path / "tools.json"
    logs.write_text("\n".join(json.dumps(_steps(seed)) for seed in range(24)))
    free = ",".join(FIELDS["workshop"][1])
    result = CliRunner().invoke(app, ["learn-tools", str(logs), "--free", free, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "order_part" in result.output
    assert out.stat().st_mode & 0o777 == 0o600
    predictor = MinedPredictor.from_file(out)
    run = FIELDS["workshop"][0](800)
    place = next(i for i, e in enumerate(run) if isinstance(e, Observed))
    guesses = predictor.predict(run[:place], FIELDS["workshop"][1])
    assert guesses[0].call.arguments == run[place].arguments  # type: ignore[union-attr]
    predictor.save(tmp_path / "again.json")
    again = MinedPredictor.from_file(tmp_path / "again.json")
    assert again.predict(run[:place], FIELDS["workshop"][1]) == guesses


def test_the_command_refuses_tools_that_nobody_called(tmp_path: Path) -> None:
    logs = tmp_path / "runs.json"
    logs.write_text(json.dumps(OPENAI))
    result = CliRunner().invoke(app, ["learn-tools", str(logs), "--free", "nothing"])
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no", "is no JSON"),
        ("[]", "is of format None"),
        ('{"format": 99}', "is of format 99"),
        ('{"format": 2}', "is not what was learned"),
        ('{"format": 2, "forests": {"used": 1, "next": []}, "tally": []}', "not what was learned"),
    ],
)
def test_a_damaged_file_says_how_to_make_it_anew(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "tools.json"
    path.write_text(text)
    with pytest.raises(FileError, match=problem) as raised:
        MinedPredictor.from_file(path)
    assert "accel learn-tools" in str(raised.value)


def test_a_predictor_learns_from_the_runs_that_end() -> None:
    make, free = FIELDS["help"]
    mined, fan_out = MinedPredictor(), FanOutPredictor()
    run = make(901)
    place = next(i for i, event in enumerate(run) if isinstance(event, Observed))
    assert not mined.predict(run[:place], free)
    for seed in range(12):
        mined.learn(make(seed), free)
        fan_out.learn(make(seed), free)
    assert mined.predict(run[:place], free)
    mined.forget_read()
    assert repr(mined) == "MinedPredictor(runs=12)"
