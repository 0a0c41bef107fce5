"""What a report draws beside requests: how full limits were, who was alone, races, lost writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from accel_core import events
from accel_core.cli.main import app
from accel_core.events.races import PathRun, PathsRaced
from accel_core.events.requests import Parts, RequestEnded, Tokens
from accel_core.files.statistics_file import StatisticsFile
from accel_core.report.fill import _peaks
from tests.evaluation.test_report import browser

if TYPE_CHECKING:
    from pathlib import Path

    from accel_core.events import Event

NOW_S = 1_800_000_000.0
RACE = PathsRaced(
    "fast", 0.4,
    (PathRun("fast", "won", 0.0, 0.4), PathRun("deep", "cancelled", 0.0, 0.4),
     PathRun("standard", "unstarted")),
)  # fmt: skip


def asked(after_s: float, tokens: float = 600.0) -> RequestEnded:
    """Return a call that was sent so long after the start, and took five seconds."""
    return RequestEnded(
        "chat", "miss", "answered", "no_entry", 5.0, NOW_S + after_s + 5.0, model="m",
        parts=Parts(model_s=5.0), attempts=1, used=Tokens(tokens - 100, 100.0),
    )  # fmt: skip


def written(path: Path, *told: tuple[float, Event]) -> Path:
    """Write a statistics file of events, each so many seconds after the start."""
    now_s = [NOW_S]
    file = StatisticsFile(path, max_bytes=1 << 24, texts=False, wall_now=lambda: now_s[0])
    for after_s, event in told:
        now_s[0] = NOW_S + after_s
        file(event)
        file.settle()
    return path


def found(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["report", *map(str, arguments), "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    told: dict[str, Any] = json.loads(result.stdout)
    return told


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A file of two calls ten seconds apart, one ten minutes later, races, and a shared limit that
    was away from the second to the fourth minute.
    """
    lost = RACE._replace(winner="", paths=(PathRun("deep", "failed", 0.0, 0.1, "ValueError"),))
    return written(
        tmp_path / "s.jsonl",
        (5, asked(0)), (15, asked(10)),
        (120, events.LimitsAlone(4, 0.25)), (240, events.LimitsShared(4)),
        (300, RACE), (300, RACE), (301, lost), (302, events.WriteDropped(7)),
        (605, asked(600, 300)),
    )  # fmt: skip


@pytest.fixture
def limited(tmp_path: Path) -> Path:
    settings = tmp_path / "accel.yaml"
    limits = {"provider": "openai", "tokens_per_minute": 2400, "requests_per_day": 100}
    settings.write_text(json.dumps({"limits": limits}))
    return settings


def test_a_limit_is_full_until_its_minute_is_over(busy: Path, limited: Path) -> None:
    """Between requests, too: a call counts from its sending on, a minute, or a day."""
    told = found(busy, "--config", limited)
    assert told["history"]["step_s"] == 10.0
    minute, day = told["limits"]["fill"][1], told["limits"]["fill"][0]
    assert (minute["limit"], minute["amount"]) == ("tokens_per_minute", 2400.0)
    assert minute["peaks"][:8] == [600.0, *[1200.0] * 5, 600.0, 0.0]
    assert minute["peaks"][-1] == 300.0
    assert (day["limit"], day["peaks"][30], day["peaks"][-1]) == ("requests_per_day", 2.0, 3.0)
    unnamed = found(busy)["limits"]["fill"]
    assert [(one["limit"], one["amount"]) for one in unnamed] == [
        ("requests_per_minute", None), ("tokens_per_minute", None),
    ]  # fmt: skip


@given(
    st.dictionaries(st.integers(0, 60), st.integers(1, 9), min_size=1),
    st.integers(1, 12),
    st.integers(1, 7),
)
def test_peaks_are_those_of_every_slot(held: dict[int, int], window: int, width: int) -> None:
    """Though only few are looked at."""
    places = np.array(sorted(held), dtype=np.int64)
    amounts = np.array([float(held[place]) for place in sorted(held)])
    edges = np.arange(10, 60, width, dtype=np.int64)

    def in_window(slot: int) -> int:
        return sum(held.get(place, 0) for place in range(slot - window + 1, slot + 1))

    last = max(60, *held)  # the last column has no end
    columns = [range(at, at + width) for at in edges[:-1].tolist()]
    columns.append(range(int(edges[-1]), last + 1))
    slow = [max(map(in_window, column)) for column in columns]
    assert _peaks(places, amounts, edges, window) == slow


def test_processes_that_shared_limits_left_alone_are_drawn(busy: Path, tmp_path: Path) -> None:
    """From when until when, and with which share; one that ended meanwhile until its last word."""
    alone = found(busy)["limits"]["alone"]
    assert (alone["times"], alone["least_share"], alone["longest_s"]) == (1, 0.25, 120.0)
    start = NOW_S // 10 * 10
    told = [start + 10 * place for place, count in enumerate(alone["processes"]) if count]
    assert (told[0] - NOW_S, told[-1] - NOW_S) == (120.0, 240.0)
    dead = written(
        tmp_path / "dead.jsonl", (0, asked(0)), (60, events.LimitsAlone(2, 0.0)), (90, RACE)
    )
    assert found(dead)["limits"]["alone"]["longest_s"] == 30.0
    again = written(
        tmp_path / "again.jsonl", (0, asked(0)), (60, events.LimitsAlone(2, 0.5)), (65, RACE),
        (70, events.LimitsShared(2)), (200, asked(190)), (300, events.LimitsAlone(2, 0.5)),
    )  # fmt: skip
    alone = found(again)["limits"]["alone"]
    assert (alone["times"], alone["longest_s"]) == (2, 10.0)
    assert min(alone["processes"]) == 0
    quiet = found(written(tmp_path / "quiet.jsonl", (0, asked(0))))["limits"]["alone"]
    assert quiet == {"times": 0, "least_share": None, "longest_s": 0.0, "processes": []}


def test_races_are_told_by_path(busy: Path) -> None:
    """Won, lost, and not begun."""
    told = found(busy)["races"]
    assert (told["count"], told["unanswered"]) == (3, 1)
    paths = told["paths"]
    assert paths["fast"]["outcomes"] == {"won": 2}
    assert paths["deep"]["outcomes"] == {"cancelled": 2, "failed": 1}
    assert paths["standard"] == {"outcomes": {"unstarted": 2}, "took": None}
    assert paths["fast"]["took"]["p50_s"] == pytest.approx(0.4, rel=0.04)
    assert found(busy)["losses"]["writes"] == 7


@pytest.mark.parametrize(
    "hostile",
    [
        {"winner": "a", "took_s": -1, "paths": []},
        {"winner": "a", "took_s": 1, "paths": [{"name": "a", "outcome": "sunk"}]},
        {"winner": "a", "took_s": 1, "paths": [{"name": 7, "outcome": "won"}]},
        {"winner": "a", "took_s": 1, "paths": [{"name": "a", "outcome": "won"}, 5]},
        {"winner": "a", "took_s": 1},
    ],
    ids=str,
)
def test_race_that_is_told_wrongly_counts_nowhere(busy: Path, hostile: dict[str, Any]) -> None:
    """Nor do its paths."""
    before = found(busy)
    with busy.open("a") as file:
        file.write(json.dumps({"is": "PathsRaced", **hostile}) + "\n")
    after = found(busy)
    assert after["losses"].pop("unreadable_lines") == 1
    assert after["races"] == before["races"]


def test_browser_shows_them(busy: Path, limited: Path, tmp_path: Path) -> None:
    """With figures that a reader of the screen is told, too; nothing is wider than a phone."""
    out = tmp_path / "r.html"
    CliRunner().invoke(app, ["report", str(busy), "--config", str(limited), "-o", str(out)])
    with browser() as page:
        page.show(360)
        page.open(out)
        assert page.errors == []
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        text = page.evaluate("document.querySelector('main').innerText")
        for words in (
            "How full the limits were", "tokens per minute", "the limit",
            "Processes on a share of their own", "times that shared limits could not be asked for",
            "3 races, 1 of them without an answer", "another had won",
            "writes that never reached the store",
        ):  # fmt: skip
            assert words in text
        labels = page.evaluate(
            "[...document.querySelectorAll('svg[role=img]')].map(s => s.getAttribute('aria-label'))"
        )
        assert "deep: failed 1, another had won 2" in labels
        tall = page.evaluate(
            "[...document.querySelectorAll('svg[aria-label^=\"How full\"] polyline')]"
            ".map(p => p.getBBox().height)"
        )
        assert max(tall) > 20
