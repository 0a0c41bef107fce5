"""Pages for all who read them: on a phone, in the dark, on paper, by keyboard, by ear."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from accel_core.cli.main import app
from tests.audit.test_replay import Said, record
from tests.evaluation.test_report import browser, written
from tests.evaluation.test_report_drawn import busy, limited
from tests.evaluation.test_report_hostile import HEAD, MISS

if TYPE_CHECKING:
    from pathlib import Path

    from tools.headless import Page

__all__ = ["busy", "limited", "written"]

LONG = "a-model-whose-name-has-no-end-" * 4
COLOURS = """(() => {
  const style = getComputedStyle(document.documentElement), found = {};
  for (const name of ['page', 'card', 'text', 'soft', 'blue', 'teal', 'grey', 'orange', 'red',
                      'purple'])
    found[name] = style.getPropertyValue('--' + name).trim();
  return found;
})()"""


@pytest.fixture
def pages(written: Path, busy: Path, limited: Path, tmp_path: Path) -> list[Path]:
    """Reports of all that there is, and an audit, with names and texts that have no end."""
    more = tmp_path / "more.jsonl"
    ended = {**MISS, "model": LONG, "reason": LONG, "service_tier": LONG}
    tool = {"is": "SpeculationSuspended", "tool": LONG, "reason": LONG}
    more.write_text("".join(f"{json.dumps(line)}\n" for line in (HEAD, ended, tool)))
    made = [tmp_path / "full.html", tmp_path / "busy.html"]
    for out, *sources in ((made[0], written, more), (made[1], busy)):
        run("report", *sources, "-o", out, "--config", limited, "--texts")
    log = tmp_path / f"{LONG}.jsonl"
    asked = [Said(f"{LONG} {n % 3} {LONG}", n, answer=LONG) for n in range(9)]
    log.write_text("".join(f"{json.dumps(record(said))}\n" for said in asked) + "nonsense\n")
    run("audit", log, "-o", tmp_path / "audit", "--encoder", "none")
    return [*made, tmp_path / "audit" / "audit.html"]


def run(*arguments: object) -> None:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, (result.output, result.exception)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, as WCAG 2.2 defines it."""

    def light(spelled: str) -> float:
        digits = spelled.lstrip("#")
        digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
                  for part in parts]  # fmt: skip
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def check_narrow(page: Page) -> None:
    """Nothing is beyond the edge but what can be moved into view, also by keyboard."""
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    beyond = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll') &&"
        " one.getBoundingClientRect().right > 361).map(one => one.outerHTML.slice(0, 99))"
    )
    assert beyond == []
    unreachable = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(one => one.tabIndex < 0 &&"
        " one.scrollWidth > one.clientWidth).map(one => one.outerHTML.slice(0, 200))"
    )
    assert unreachable == []


def check_heard(page: Page) -> None:
    """Charts have names, tables heads, and headings leave out no level."""
    unnamed: Any = page.evaluate(
        "[...document.querySelectorAll('svg')].filter(one => !one.getAttribute('aria-label')"
        " && one.getAttribute('aria-hidden') != 'true').length"
    )
    assert unnamed == 0
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("document.querySelectorAll('main').length") == 1
    empty = "[...document.querySelectorAll('th')].filter(one => !one.textContent)"
    assert page.evaluate(f"{empty}.length") == 0
    assert page.evaluate("document.querySelectorAll('th:not([scope])').length") == 0
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map(one => +one.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    drawn = page.evaluate(
        "[...document.querySelectorAll('.wide svg')].filter(one =>"
        " !one.closest('section').querySelector('details table, p')).length"
    )
    assert drawn == 0  # what a chart over time says is there as figures, too


def test_all_can_read_the_pages(pages: list[Path]) -> None:
    """On a phone nothing is lost; colours stand out; paper is white; no chart is without words."""
    with browser() as page:
        for path in pages:
            page.show(360)
            page.open(path)
            assert page.errors == []
            check_narrow(page)
            check_heard(page)
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            check_narrow(page)
        for dark in (False, True):
            page.show(1200, dark=dark)
            known = page.evaluate(COLOURS)
            for ground in ("page", "card"):
                for name in ("text", "soft"):
                    assert contrast(known[name], known[ground]) >= 4.5, (dark, name, ground)
            for name in ("blue", "teal", "grey", "orange", "red", "purple"):
                assert contrast(known[name], known["card"]) >= 3, (dark, name)
        page.show(718, dark=True, printed=True)
        assert page.evaluate(COLOURS)["text"] == "#171a21"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every("
            "one => getComputedStyle(one).overflowX == 'visible')"
        )
