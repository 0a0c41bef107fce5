"""``accel report`` of a store on a real Redis server: what it holds, and what it cannot tell."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from accel_core import build
from accel_core.cli.main import app
from accel_core.clocks import Clocks
from accel_core.config import StoreConfig
from accel_core.secrecy import Secrets
from accel_core.testing.stores import StoreContract
from accel_core.transfer.looking import PAGE
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from accel_core.ports import Entry

make = StoreContract().make_entry
KEY = "s" * 32
QUESTION = "How long does Mr Smith's refund take?"


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    """A server, on which other applications keep things, too."""
    with RedisServer(BUILDS[1]) as server, server.client() as client:
        client.set("another:application", "x" * 10_000)
        yield server


def filled(server: RedisServer, prefix: str, *entries: Entry, key: str | None = None) -> str:
    """Save entries, and return how ``accel report`` is told of them."""
    config = StoreConfig(kind="redis", url=server.url, prefix=prefix, lookup_timeout_s=10.0)
    store = build.build_store(config, Secrets(key.encode() if key else None), print, Clocks())
    assert store is not None
    with closing(store):
        store.save(entries)
    return f"{server.url}#{prefix}"


def report(*arguments: object, code: int = 0) -> str:
    """Run ``accel report``, and return what it said."""
    result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout if not code else " ".join(result.output.split())


def test_store_on_a_server_tells_what_it_holds(running: RedisServer, tmp_path: Path) -> None:
    """All pages of it, and of its prefix alone; questions only where they are asked for."""
    now_s = time.time()
    entries = [make(number, created_s=now_s - 3600.0) for number in range(PAGE + 7)]
    asked = make("asked", created_s=now_s - 60.0, text=QUESTION, namespace="shop", source="gpt-4o")
    place = filled(running, "one", *entries, asked)
    filled(running, "two", *entries[:3])
    found: dict[str, Any] = json.loads(report(place, "--json"))
    assert found["sources"] == [place]
    held = found["entries"]
    assert (held["count"], held["unreadable"], held["expired"]) == (PAGE + 8, 0, 0)
    assert held["namespaces"]["shop"] == held["sources"]["gpt-4o"] == 1
    for bins in (held["ages"], held["sizes"]):
        assert sum(count for *_, count in bins) == PAGE + 8
    assert held["newest"][0][0] == asked.id[:16]
    assert held["newest"][0][1] == pytest.approx(60.0, abs=30)
    assert "Smith" not in json.dumps(found)
    out = tmp_path / "r.html"
    report(place, "-o", out, "--texts")
    assert "Mr Smith&#x27;s" in out.read_text()


def test_what_a_store_cannot_tell_is_null_and_said_so(running: RedisServer, tmp_path: Path) -> None:
    """Neither limits nor speculation nor requests are 0: nobody counted them."""
    place, out = filled(running, "three", make("one")), tmp_path / "r.html"
    found = json.loads(report(place, "--json"))
    told = {"sources", "made_at_s", "entries", "notes"}
    assert {name for name, value in found.items() if value is not None} == told
    report(place, "-o", out)
    page = out.read_text()
    for section in ("Limits", "Speculation", "Savings", "Latency", "Failures and losses"):
        behind = page.partition(f"<h2>{section}</h2>")[2]
        assert behind.startswith('<p class="missing">This source does not tell.')


def test_sealed_store_is_read_with_its_applications_key(
    running: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the command ends, and names what to give."""
    place = filled(running, "four", make("one"), key=KEY)
    assert "name its application's configuration as --config" in report(place, code=2)
    monkeypatch.setenv("ACCEL_TEST_KEY", KEY)
    settings = tmp_path / "accel.yaml"
    store = {"kind": "redis", "url": running.url, "prefix": "four"}
    settings.write_text(
        json.dumps({"cache": {"store": store}, "security": {"key_env": "ACCEL_TEST_KEY"}})
    )
    assert json.loads(report("--config", settings, "--json"))["entries"]["count"] == 1


def test_password_of_a_server_is_shown_nowhere(running: RedisServer, tmp_path: Path) -> None:
    """Not as the source, not in the page, and not where the server is away."""
    filled(running, "five", make("one"))
    with running.client() as client:
        client.config_set("requirepass", "hunter2")
    out = tmp_path / "r.html"
    try:
        said = report(running.url.replace("//", "//:hunter2@") + "#five", "-o", out)
        refused = report(f"{running.url}#five", code=2)
    finally:
        with running.client(password="hunter2") as client:
            client.config_set("requirepass", "")
    assert "hunter2" not in said + refused + out.read_text()
    assert f"{running.url}#five" in out.read_text()
    assert "hunter2" not in report("redis://:hunter2@127.0.0.1:1/0", code=2)
