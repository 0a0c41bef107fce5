"""``accel report`` of what it should not trust: what is named twice, secrets, hostile lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from accel_core.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

HEAD = {"accel_statistics": 1, "run": "r", "at_s": 1_760_000_000.0}
MISS = {
    "is": "RequestEnded",
    "outcome": "miss",
    "ending": "answered",
    "total_s": 1.0,
    "ended_s": 1_760_000_000.0,
}


def written(path: Path, *lines: Any) -> Path:
    """Write a statistics file; texts are lines as they are."""
    spelled = (one if isinstance(one, str) else json.dumps(one) for one in (HEAD, *lines))
    path.write_text("".join(f"{line}\n" for line in spelled))
    return path


def reported(*sources: object, code: int = 0) -> Any:
    """Return what ``accel report --json`` prints; where it fails, its output."""
    result = CliRunner().invoke(app, ["report", "--json", *map(str, sources)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output if code else json.loads(result.stdout)


def test_part_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    """A pattern names the older part, too, and another spelling the same file."""
    older = written(tmp_path / "stats.1.jsonl", MISS)
    file = written(tmp_path / "stats.jsonl", MISS, MISS)
    again = tmp_path / "." / ".." / tmp_path.name / "stats.jsonl"
    assert reported(older, file, again)["outcomes"]["miss"] == 3


def test_password_of_an_address_is_not_shown() -> None:
    """Nor is it sent: such an address is refused, without the password."""
    for path in ("/metrics", ""):
        said = reported(f"http://bob:hunter2@127.0.0.1:9{path}", code=2)
        assert "hunter2" not in said
        assert "password" in said
    assert "is no address" in reported("http://[metrics", code=2)
