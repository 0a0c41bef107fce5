"""The benchmarks' own behaviour: how rows are chosen, timed and told; and the demo, end to end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import children, questions, timing
from benchmarks.cache import GROUP
from benchmarks.harness import Context, Group, Measured, Row, UnavailableError, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1"}


class FakeClock:
    """Stands still but for what is added to it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def spend(self, *durations_s: float) -> Callable[[], None]:
        """Return a call that takes those durations in turn, the last one for ever."""
        left = list(durations_s)

        def call() -> None:
            self.now_s += left.pop(0) if len(left) > 1 else left[0]

        return call


def row(name: str, measure: Callable[[Context], Measured], **other: Any) -> Row:
    return Row(**{"name": name, "what": "", "op": "<=", "bound": 2, "measure": measure} | other)


def good(_: Context) -> Measured:
    return Measured(1.23456789, "fine")


def unavailable(_: Context) -> Measured:
    raise UnavailableError("needs a peer: make bench-setup")


def broken(_: Context) -> Measured:
    raise KeyError("a bug")


def told(group: Group, capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, Any, str]:
    """Run `group` and return exit code, last line and the rest of standard output."""
    code = program.run(group, group.rows, Context(**options))
    *table, line = capsys.readouterr().out.splitlines()
    return code, json.loads(line), "\n".join(table)


def test_ratio_is_the_median_of_the_rounds() -> None:
    """One slow round of one contender does not move the ratio, nor do the rounds of warming up."""
    clock = FakeClock()
    ours = timing.timed(clock.spend(50.0, 3.0, 3.0, 3.0, 99.0, 3.0), clock=clock)
    peer = timing.timed(clock.spend(9.0, 2.0), clock=clock)
    found = timing.ratio(ours, peer, rounds=5, calls=1)
    assert found.value == 1.5
    assert (found.ours_s, found.peer_s) == (3.0, 2.0)
    assert found.inverse().value == pytest.approx(2 / 3)


def test_rounds_alternate_who_begins() -> None:
    """Either contender begins half of the rounds, and each makes so many calls in every one."""
    made: list[str] = []
    clock = FakeClock()
    ours = timing.timed(lambda: (made.append("a"), clock.spend(1.0)()), clock=clock)
    peer = timing.timed(lambda: (made.append("b"), clock.spend(1.0)()), clock=clock)
    timing.ratio(ours, peer, rounds=4, calls=2)
    assert "".join(made) == "ab" + "aabb" + "bbaa" + "aabb" + "bbaa"


def test_what_surrounds_a_round_takes_no_time() -> None:
    """What is done around a round is done once for it, and is not part of its time."""
    clock, entered = FakeClock(), []

    @contextmanager
    def around() -> Iterator[None]:
        entered.append(True)
        clock.now_s += 100.0
        yield
        clock.now_s += 100.0

    run = timing.timed(clock.spend(1.0), around=around, clock=clock)
    assert run(3) == 3.0
    assert len(entered) == 1


def test_last_line_is_the_outcome_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line of output is one object with the benchmark, versions and every row."""
    group = Group(name="g", rows=[row("one", good, aim=1)], packages=("pytest", "no-such-package"))
    code, line, table = told(group, capsys)
    assert code == 0
    assert line["benchmark"] == "g"
    assert line["versions"] == versions(["pytest"])
    assert set(line["versions"]) == {"python", "platform", "pytest"}
    assert line["must"] == [
        {"row": "one", "value": 1.23457, "op": "<=", "bound": 2, "aim": 1, "holds": True}
    ]
    assert "fine" in table


@pytest.mark.parametrize(
    ("measured", "op", "holds"),
    [(2.0, "<=", True), (2.1, "<=", False), (1.9, ">=", False), (2, ">=", True), (2, "==", True)],
)
def test_exit_code_says_whether_all_hold(
    measured: float, op: str, holds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 0 where every row keeps its bound, and 1 where one does not."""
    rows = [row("one", good), row("two", lambda _: Measured(measured), op=op)]
    code, line, _ = told(Group(name="g", rows=rows), capsys)
    assert code == (0 if holds else 1)
    assert [told["holds"] for told in line["must"]] == [True, holds]


@pytest.mark.parametrize(
    ("measure", "note"),
    [(unavailable, "needs a peer: make bench-setup"), (broken, "failed: KeyError: 'a bug'")],
)
def test_a_row_that_cannot_be_measured_does_not_hold(
    measure: Callable[[Context], Measured], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its value is null, the table says why, and the rows after it are still measured."""
    group = Group(name="g", rows=[row("one", measure), row("two", good)])
    code, line, table = told(group, capsys)
    assert code == 1
    assert [(told["value"], told["holds"]) for told in line["must"]] == [
        (None, False),
        (1.23457, True),
    ]
    assert note in table


def test_numbers_of_numpy_can_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that is a number of numpy's ends up in the JSON like any other."""
    group = Group(name="g", rows=[row("one", lambda _: Measured(np.float32(1.5)))])
    assert told(group, capsys)[1]["must"][0]["value"] == 1.5


def test_rows_are_chosen_by_name_or_pattern() -> None:
    """A name takes its row, a pattern all it matches, none takes all; an unknown one is refused."""
    rows = [row("a-1", good), row("a-2", good, quick=False), row("b", good)]
    group = Group(name="g", rows=rows)
    assert group.chosen([], quick=False) == rows
    assert group.chosen([], quick=True) == [rows[0], rows[2]]
    assert group.chosen(["a-*"], quick=True) == rows[:2]
    assert group.chosen(["b"], quick=False) == rows[2:]
    with pytest.raises(ValueError, match="'c'"):
        group.chosen(["b", "c"], quick=False)


def test_list_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` names every row with its bound."""
    assert program.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert "cache\n" in listed
    for known in GROUP.rows:
        assert f"  {known.name} " in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a group"),
        (["nothing"], "invalid choice"),
        (["cache", "nothing"], "no row 'nothing'"),
        (["cache", "--questions", "nothing.jsonl"], "no file nothing.jsonl"),
    ],
)
def test_wrong_arguments_are_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be run ends with a message before anything is measured."""
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_rows_of_the_cache_group_are_told_apart() -> None:
    """Row names are unique, and every aim is at least as strict as its bound."""
    names = [known.name for known in GROUP.rows]
    assert len(set(names)) == len(names)
    for known in GROUP.rows:
        if known.aim is not None:
            stricter = known.aim <= known.bound if known.op == "<=" else known.aim >= known.bound
            assert stricter, known.name


def test_what_rows_share_is_made_once() -> None:
    """What `once` makes is made once, a failure too, and what was entered is left at the end."""
    context, made, left = Context(), [], []

    def make(_: Context) -> int:
        made.append(1)
        return len(made)

    def fail(_: Context) -> int:
        made.append(1)
        raise UnavailableError("no")

    assert (context.once(make), context.once(make)) == (1, 1)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            context.once(fail)
    assert len(made) == 2
    context.at_end(lambda: left.append(1))
    context.close()
    assert left == [1]


def test_a_missing_peer_names_the_remedy() -> None:
    """A peer without its environment is unavailable, and the message says how to get it."""
    with pytest.raises(UnavailableError, match="make bench-setup"):
        children.Peer("nobody", "script.py")


def test_a_peer_answers_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer answers each request; one that dies is an error with its last words."""
    folder = tmp_path / ".venv-fake" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'twice': 2 * json.loads(line)['number']}), flush=True)\n"
    )
    monkeypatch.setattr(children, "ROOT", tmp_path)
    with children.Peer("fake", str(script)) as peer:
        assert [peer.ask(number=n) for n in (1, 2)] == [{"twice": 2}, {"twice": 4}]
        with pytest.raises(children.ChildError, match="KeyError"):
            peer.ask(nothing=1)


def test_a_child_tells_its_progress_and_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child's last object is its result, progress is passed on, and a crash is raised."""
    told = """print('{"progress": 0.5}'); print('{"value": 7}')"""
    (tmp_path / "child.py").write_text(told, encoding="utf-8")
    (tmp_path / "crash.py").write_text("raise SystemExit('gone')", encoding="utf-8")
    monkeypatch.setattr(children, "ROOT", tmp_path)
    shares: list[float] = []
    assert children.measure("child", report=shares.append) == {"value": 7}
    assert shares == [0.5]
    assert children.run_code(told) == {"value": 7}
    with pytest.raises(children.ChildError, match="gone"):
        children.measure("crash")
    with pytest.raises(children.ChildError, match="gone"):
        children.run_code("raise SystemExit('gone')")


def test_memory_is_seen() -> None:
    """A process sees its own memory grow by what it holds."""
    # In a process of its own: this one may have freed pages to take from.
    code = (
        "from benchmarks import children; before = children.resident_bytes();"
        "held = b'x' * (64 << 20); print(children.resident_bytes() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert 48 << 20 < int(done.stdout) < 96 << 20


def test_endless_vectors_do_not_depend_on_their_parts() -> None:
    """A part of the endless row of vectors is the same, however the row is cut."""
    base = np.eye(16, dtype=np.float32)
    whole = questions.part(base, 0, 7_000, seed=3)
    cut = [questions.part(base, start, start + 1_000, seed=3) for start in range(0, 7_000, 1_000)]
    assert np.array_equal(whole, np.concatenate(cut))
    assert np.array_equal(whole[:16], base)
    assert np.allclose(np.linalg.norm(whole, axis=1), 1.0, atol=1e-5)


def test_own_questions_are_put_into_situations() -> None:
    """Texts are all different, begin with the package's own, and one seed gives one list."""
    found = questions.texts(Context(quick=True, seed=5))
    assert len(found) == len(set(found)) == 8_000
    assert found == questions.texts(Context(quick=True, seed=5))
    own = {text for cluster in questions.read_clusters(None, 5) for text in cluster.asks}
    assert set(found[: len(own)]) == own


@pytest.mark.slow
def test_the_program_runs_a_row() -> None:
    """``python -m benchmarks cache eviction`` measures that row, and ends in its line of JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "cache", "eviction", "--quick"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert [told["row"] for told in line["must"]] == ["eviction"]


@pytest.mark.slow
def test_the_demo_runs() -> None:
    """The demo drives both frameworks through 30 questions and tells what was saved."""
    done = subprocess.run(
        [sys.executable, "examples/demo.py", "--length", "30", "--latency-ms", "20"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    assert "30 questions, 9 of them asked before" in done.stdout
    lines = re.findall(r"│ (\+? ?\w+)\S* +│ +(\d+) │ +(\S+) │ +(\S+) │", done.stdout)
    assert [name for name, *_ in lines] == [
        "LangChain",
        "+ accelerate",
        "+ set_llm_cache",
        "LlamaIndex",
        "+ accelerate",
    ]
    for name, calls, exact, semantic in lines:
        if name.startswith("+"):
            assert int(calls) + int(exact) + int(semantic) == 30
            assert int(semantic) > 0
        else:
            assert (calls, exact, semantic) == ("30", "-", "-")
    assert done.stdout.count("saved") == 3


def test_the_demo_refuses_what_it_cannot_run() -> None:
    """A stream that the questions do not suffice for is a message, not a traceback."""
    done = subprocess.run(
        [sys.executable, "examples/demo.py", "--length", "100000"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        check=False,
        timeout=55,
    )
    assert done.returncode == 2
    assert "new clusters are needed" in done.stderr
