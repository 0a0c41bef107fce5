"""``accel store``: on real SQLite files and a real Redis server, as people and machines run it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from accel_core import build
from accel_core.accel import Accel
from accel_core.cli import store_carry
from accel_core.cli.store import store as command
from accel_core.clocks import Clocks
from accel_core.config import StoreConfig, from_mapping
from accel_core.encoder.static import StaticEncoder
from accel_core.policy.admission import Answer
from accel_core.policy.corpus import Basis
from accel_core.policy.identity import Identifier, Prompt, Request, Turn
from accel_core.ports import Entry, Selector
from accel_core.secrecy import Secrets
from accel_core.semantic_cache import Hit
from accel_core.testing.stores import StoreContract, digest
from accel_core.transfer.looking import PAGE
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from accel_core.inspection import InspectableStore

make = StoreContract().make_entry
SECRET, OTHER = "s" * 32, "t" * 32
QUESTION = "What is your refund policy?"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, from where the command is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("OTHER", OTHER)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture(scope="module", params=BUILDS, ids=lambda build: build.name)
def running(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    with running.client() as client:
        client.flushall()
    return running


def accel(*arguments: object, code: int = 0) -> str:
    """Run ``accel store`` and return all that it said, in one line."""
    result = CliRunner().invoke(command, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def machine(*arguments: object, code: int = 0) -> Any:
    """Run ``accel store`` for a machine, and return what it printed."""
    result = CliRunner().invoke(command, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def opened(store: StoreConfig, secret: str | None = None) -> InspectableStore:
    secrets = Secrets(secret.encode() if secret else None)
    found = build.build_store(store, secrets, print, Clocks())
    assert found is not None
    return found


def filled(path: Path, *entries: Entry, secret: str | None = None) -> Path:
    """Return the path of a file that holds `entries`."""
    with closing(opened(StoreConfig(kind="sqlite", path=str(path)), secret)) as store:
        store.save(entries)
    return path


def kept(path: Path, secret: str | None = None) -> dict[bytes, Entry]:
    with closing(opened(StoreConfig(kind="sqlite", path=str(path)), secret)) as store:
        return store.fetch_many(store.select(Selector()))


def settings(path: Path, store: Path | str, key: str | None = "SECRET", **more: Any) -> Path:
    """Write a configuration, and return where."""
    security = {"key_env": key, **more} if key else {}
    kind = {"kind": "redis", "url": store} if isinstance(store, str) else {"kind": "sqlite"}
    place = {} if isinstance(store, str) else {"path": str(store)}
    written = {"cache": {"store": {**kind, **place}}, "security": security}
    from_mapping(written)
    path.write_text(json.dumps(written))
    return path


def some(count: int = 2 * PAGE + 7) -> list[Entry]:
    return [make(number, tenant=digest(number % 3)) for number in range(count)]


# --- looking


def test_info(folder: Path) -> None:
    """What the store is, and what lies in it, counted."""
    now_s = time.time()
    path = filled(
        folder / "cache.db",
        make("live", created_s=now_s - 7200),
        make("over", expires_s=now_s - 1, namespace=""),
        make("rests", bases=(Basis(b"corpus", 1, None),), source="a [red]model"),
    )
    told = accel("info", "--store", path)
    assert "3 entries" in told
    assert "1 rest on documents, 1 are expired, 0 are sealed" in told
    assert "a [red]model" in told
    found = machine("info", "--store", path)
    assert {name: found[name] for name in ("kind", "place", "keyed", "entries", "expired")} == {
        "kind": "sqlite", "place": str(path), "keyed": False, "entries": 3, "expired": 1,
    }  # fmt: skip
    assert found["by"]["namespace"] == {"support": 2, "": 1}
    assert found["file_bytes"] == path.stat().st_size
    assert found["bytes"] > 3 * 200


def test_list(folder: Path) -> None:
    """By conditions, so many, in the columns asked for; nothing stored moves the cursor."""
    path = filled(
        folder / "cache.db",
        make("a", text="plain", created_s=1.0, tags=("red",)),
        make("b", text="\x1b[2J\x07 \ud800 [bold]\nnext", created_s=3.0, source="gpt"),
        make("c", text="third", created_s=2.0, tenant=Identifier().tenants("acme")[0]),
    )
    told = accel("list", "--store", path, "--columns", "text")
    assert r"\x1b[2J\x07 \ud800 [bold] next" in told
    rows = machine("list", "--store", path, "--newest", "--limit", 2)
    assert [row["created_s"] for row in rows["entries"]] == [3.0, 2.0]
    assert rows["more"]
    assert "payload" not in rows["entries"][0]
    for conditions, ids in (
        (["--tag", "red"], ["a"]),
        (["--source", "gpt"], ["b"]),
        (["--contains", "THIR"], ["c"]),
        (["--text", " plain "], ["a"]),
        (["--tenant", "acme"], ["c"]),
        (["--tenant", f"digest:{digest('tenant').hex()}", "--contains", "a"], ["a"]),
        (["--live", "--namespace", "support", "--source", "gpt"], ["b"]),
        (["--expired"], []),
        (["--scope", digest("scope").hex(), "--limit", 0], ["a", "b", "c"]),
    ):
        found = machine("list", "--store", path, *conditions)
        assert sorted(row["id"] for row in found["entries"]) == sorted(
            digest(id_).hex() for id_ in ids
        ), conditions
        assert not found["more"]
    assert "--columns: must be of id, age" in accel(
        "list", "--store", path, "--columns", "x", code=2
    )
    assert "--scope: must be hexadecimal" in accel("list", "--store", path, "--scope", "x", code=2)


def test_get(folder: Path) -> None:
    """One entry, by its id or the beginning of it; what is not there is code 1."""
    entry = make(payload=json.dumps({"text": "Über [b]\x1b"}).encode())
    path = filled(folder / "cache.db", entry, make("two", payload=b"\xff\0"))
    told = accel("get", entry.id[:8], "--store", path)
    assert r'"text": "Über [b]\u001b"' in told
    assert entry.id in told
    assert entry.text in told
    found = machine("get", entry.id, "--store", path)
    assert found["payload"].encode() == entry.payload
    assert (found["tags"], found["bases"], found["sealed"]) == (list(entry.tags), [], False)
    assert "2 bytes, which are no text" in accel("get", digest("two").hex(), "--store", path)
    assert machine("get", digest("two").hex(), "--store", path)["payload_base64"] == "/wA="
    assert "there is no ffff" in accel("get", "ffff", "--store", path, code=1)
    assert "2 entries begin with" in accel("get", "", "--store", path, code=1)
    assert "ID: must be hexadecimal, got 'xyz'" in accel("get", "xyz", "--store", path, code=2)


def test_a_store_is_only_read(folder: Path) -> None:
    """By what only looks: not a byte of it changes, and none that is not there is made."""
    path = filled(folder / "cache.db", *some(5))
    before = path.read_bytes()
    for looking in (["info"], ["list"], ["get", digest(1).hex()], ["export", "out.jsonl"]):
        accel(*looking, "--store", path)
    accel("invalidate", "--all", "--dry-run", "--store", path)
    accel("copy", path, folder / "new.db", "--dry-run")
    accel("import", "out.jsonl", "--store", folder / "new.db", "--dry-run")
    assert path.read_bytes() == before
    assert {file.name for file in folder.iterdir()} == {"cache.db", "out.jsonl"}
    assert "does not exist; check the path" in accel("info", "--store", "none.db", code=2)


def test_a_store_must_be_named(folder: Path) -> None:
    """And a configuration that has none says so."""
    assert "--config accel.yaml, or --store" in accel("info", code=2)
    (folder / "accel.yaml").write_text("{}")
    told = accel("info", "--config", "accel.yaml", code=2)
    assert "accel.yaml keeps entries in memory only" in told
    (folder / "cache.db").write_text("no database, but [bold]long[/] enough to be looked at")
    assert "is not an SQLite database" in accel("info", "--store", "cache.db", code=2)


# --- removing


def test_invalidate_reaches_who_shares_the_store(folder: Path) -> None:
    """An application that has the answer in memory no longer serves it."""
    store = {"kind": "sqlite", "path": str(folder / "cache.db")}
    config = {"cache": {"store": store, "semantic": {"enabled": False}}}
    with Accel.from_mapping(config) as running:
        request = asked(QUESTION, running)
        missed = running.cache.lookup(request)
        running.cache.store(request, Answer(payload=b"{}", text="30 days"), flight=missed.flight)
        running.flush()
        assert running.cache.lookup(request).tier == "exact"
        found = machine("invalidate", "--text", QUESTION, "--store", "cache.db")
        assert found["removed"][str(folder / "cache.db")] == [request.key.hex()]
        assert running.cache.lookup(request).flight is not None


def test_what_was_asked_for_before_is_not_stored_after_it(
    folder: Path, server: RedisServer
) -> None:
    """Nor does it come back by an application that was asking the model meanwhile."""
    store = {"kind": "redis", "url": server.url, "lookup_timeout_s": 5}
    with Accel.from_mapping({"cache": {"store": store, "semantic": {"enabled": False}}}) as running:
        request = asked(QUESTION, running)
        missed = running.cache.lookup(request)
        assert "0 would be removed" in accel(
            "invalidate", "--all", "--dry-run", "--store", server.url
        )
        assert "0 removed" in accel("invalidate", "--all", "--store", server.url)
        running.cache.store(request, Answer(payload=b"{}", text="30 days"), flight=missed.flight)
        running.flush()
        assert machine("info", "--store", server.url)["entries"] == 0


def test_invalidate(folder: Path) -> None:
    """What fulfils all conditions goes, from the vectors beside too; a dry run only tells."""
    path = filled(folder / "cache.db", *some(10), make("tagged", tags=("docs",)))
    beside = filled(folder / "cache.embeddings.db", make("vector", tags=("docs",)), make("other"))
    told = accel("invalidate", "--tag", "docs", "--dry-run", "--store", path)
    assert f"1 would be removed from {path} {digest('tagged').hex()}" in told
    assert (len(kept(path)), len(kept(beside))) == (11, 2)
    found = machine("invalidate", "--tag", "docs", "--namespace", "support", "--store", path)
    assert found == {
        "removed": {
            str(path): [digest("tagged").hex()], str(beside): [digest("vector").hex()],
        },
        "dry_run": False,
    }  # fmt: skip
    told = accel("invalidate", "--id", digest(1).hex()[:8], "--store", path, code=1)
    assert "--id takes it whole" in told
    assert "10 removed" in accel("invalidate", "--all", "--store", path)
    assert (len(kept(path)), len(kept(beside))) == (0, 0)


def test_nothing_is_made_to_remove_from(folder: Path) -> None:
    """A file that is not there is named."""
    told = accel("invalidate", "--all", "--store", "none.db", code=2)
    assert "none.db does not exist" in told
    assert list(folder.iterdir()) == []


def test_everything_is_removed_on_demand_only(folder: Path) -> None:
    """Neither without a condition, nor with one beside ``--all``."""
    path = filled(folder / "cache.db", *some(5))
    for arguments in ([], ["--all", "--tag", "faq"]):
        told = accel("invalidate", *arguments, "--store", path, code=2)
        assert "by a condition such as --tag, or --all" in told
    assert len(kept(path)) == 5


# --- carrying


def test_there_and_back(folder: Path, server: RedisServer) -> None:
    """SQLite, a file, Redis, SQLite: every entry is equal, under another seal at each end."""
    resting = make("rests", bases=(Basis(b"corpus", 1, None),))
    over = make("over", expires_s=1.0)
    filled(folder / "old.db", *some(), resting, over, secret=SECRET)
    old = settings(folder / "old.yaml", folder / "old.db")
    middle = settings(folder / "redis.yaml", server.url, "OTHER", previous_key_env="SECRET")
    new = settings(folder / "new.yaml", folder / "new.db", "OTHER")

    exported = machine("export", "out.jsonl.zst", "--config", old)
    assert (exported["written"], exported["left"]) == (len(some()), {"resting": 1, "expired": 1})
    imported = machine("import", "out.jsonl.zst", "--config", middle)
    assert (imported["written"], imported["left"]) == (len(some()), {})
    copied = machine("copy", middle, new)
    assert (copied["read"], copied["written"], copied["left"]) == (len(some()),) * 2 + ({},)
    assert kept(folder / "new.db", OTHER) == {entry.key: entry for entry in some()}
    assert machine("copy", middle, new)["same"] == len(some())
    assert machine("info", "--config", middle)["sealed"] == len(some())


class Foreign:
    """An encoder of the application's own."""

    name, min_similarity = "foreign", 0.9

    def encode(self, texts: Sequence[str]) -> Any:
        return np.tile(np.float32([0.6, 0.8]), (len(texts), 1))

    def distrust(self, text: str) -> str | None:
        return None


def asked(text: str, accel: Accel) -> Request:
    return accel._identifier.identify(Prompt("t", "m", (Turn("user", (text,)),)))


def test_a_moved_cache_serves(folder: Path, server: RedisServer) -> None:
    """What an application stored, another one finds on a server: exactly, and by a new encoder."""
    with Accel.from_mapping(
        {"cache": {"store": {"kind": "sqlite", "path": "cache.db"}}}, encoder=Foreign()
    ) as first:
        request = asked("How do I reset my password?", first)
        first.cache.store(request, Answer(payload=b"{}", text="Click there."))
    there = {
        "cache": {
            "store": {"kind": "redis", "url": server.url, "lookup_timeout_s": 5},
            "semantic": {"encoder": {"kind": "static"}, "min_similarity": 0.7},
        }
    }
    (folder / "new.yaml").write_text(json.dumps(there))
    assert machine("copy", "cache.db", "new.yaml", "--encoder", "config")["encoded"] == 1
    with Accel.from_mapping(there) as second:
        for text, tier in (
            ("How can I reset my password?", "semantic"),
            ("How do I reset my password?", "exact"),
        ):
            hit = second.cache.lookup(asked(text, second))
            assert isinstance(hit, Hit)
            assert (hit.tier, hit.entry.key) == (tier, request.key)


def test_a_server_is_shown_without_its_password(
    folder: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a URL on the command line, one in a variable, and with a prefix."""
    url = server.url.replace("//", "//default:p%40ss@")
    with server.client() as client:
        client.config_set("requirepass", "p@ss")
    try:
        found = machine("info", "--store", f"{url}#beta")
    finally:
        with server.client(password="p@ss") as client:
            client.config_set("requirepass", "")
    assert found["place"] == f"{server.url}#beta"
    monkeypatch.setenv("URL", server.url)
    assert machine("info", "--store", "${URL}")["place"] == f"{server.url}#accel"
    told = accel("info", "--store", "redis://u:SECRET@127.0.0.1:1/0", code=2)
    assert "SECRET" not in told
    for asking in (["info", "--store"], ["copy", "new.db"]):
        told = accel(*asking, "redis://u:SE/CRET@h", code=2)
        assert "percent-encoded" in told
        assert "CRET" not in told


def test_vectors_and_kept_values_are_reached(folder: Path) -> None:
    """They lie beside the answers, and are carried by the same commands."""
    filled(folder / "cache.embeddings.db", make("vector", payload=bytes(range(256))))
    config = settings(folder / "accel.yaml", folder / "cache.db", None)
    accel("export", "out.jsonl", "--config", config, "--embeddings")
    accel("import", "out.jsonl", "--store", "new.db", "--embeddings")
    assert kept(folder / "new.embeddings.db") == kept(folder / "cache.embeddings.db")
    accel("copy", config, "third.db", "--embeddings")
    assert kept(folder / "third.embeddings.db") == kept(folder / "cache.embeddings.db")


def test_a_dry_export_writes_no_file(folder: Path) -> None:
    """It tells what would be written, and whether it could be."""
    path = filled(folder / "cache.db", *some(5))
    told = machine("export", "out.jsonl", "--dry-run", "--store", path)
    assert (told["written"], told["dry_run"]) == (5, True)
    assert "would be written to out.jsonl" in accel(
        "export", "out.jsonl", "--dry-run", "--store", path
    )
    assert [file.name for file in folder.glob("*out*")] == []
    accel("export", "out.jsonl", "--store", path)
    assert "exists" in accel("export", "out.jsonl", "--dry-run", "--store", path, code=2)


def test_some_are_carried(folder: Path) -> None:
    """Those that conditions mean, with their vectors or without."""
    path = filled(folder / "[{cache}].db", *some(9), make("tagged", tags=("docs",)))
    assert f"would be copied to {folder / '[{}].db'}" in accel("copy", path, "[{}].db", "--dry-run")
    assert machine("copy", path, "new.db", "--tag", "docs")["written"] == 1
    accel("export", "out.jsonl", "--store", path, "--tag", "docs", "--no-vectors")
    accel("import", "out.jsonl", "--store", "third.db")
    (found,) = kept(folder / "third.db").values()
    assert (found.vector, found.text) == (None, make("tagged").text)


def test_a_full_store_says_so(folder: Path) -> None:
    """Where its configuration bounds it; a file that is named alone takes everything."""
    filled(folder / "cache.db", *some())
    written = {"cache": {"store": {"kind": "sqlite", "path": "small.db", "max_entries": 100}}}
    (folder / "accel.yaml").write_text(json.dumps(written))
    assert "raise cache.store.max_entries" in accel("copy", "cache.db", "accel.yaml")
    assert 64 <= len(kept(folder / "small.db")) <= 100
    assert machine("copy", "cache.db", "accel.yaml")["full"]
    assert not machine("copy", "cache.db", "small.db")["full"]
    assert len(kept(folder / "small.db")) == len(some())


def test_another_encoder(folder: Path) -> None:
    """A cache is moved to it: its questions are found by meaning there."""
    filled(folder / "cache.db", *some(3))
    told = accel("copy", "cache.db", "new.db", "--encoder", "static")
    assert "3 vectors made" in told
    assert {entry.encoder for entry in kept(folder / "new.db").values()} == {StaticEncoder.name}
    config = folder / "accel.yaml"
    config.write_text(
        "cache: {store: {kind: sqlite, path: new.db}, semantic: {encoder: {kind: static}}}"
    )
    assert machine("copy", "cache.db", config, "--encoder", "config", "--replace")["same"] == 3
    told = accel("copy", "cache.db", "new.db", "--encoder", "large", code=2)
    assert "must be one of minilm, static, config" in told


def test_an_interrupted_import_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves whole pages; the same command stores the rest."""
    filled(folder / "cache.db", *some())
    accel("export", "out.jsonl", "--store", "cache.db")
    take, taken = store_carry.Taking.take, []

    def interrupted(self: Any, entries: Any) -> None:
        if taken:
            raise KeyboardInterrupt
        taken.append(entries)
        take(self, entries)

    with monkeypatch.context() as patched:
        patched.setattr(store_carry.Taking, "take", interrupted)
        told = accel("import", "out.jsonl", "--store", "new.db", code=130)
        assert "interrupted: the same command goes on" in told
    assert len(kept(folder / "new.db")) == PAGE
    found = machine("import", "out.jsonl", "--store", "new.db")
    assert (found["same"], found["written"]) == (PAGE, len(some()) - PAGE)
    assert kept(folder / "new.db") == kept(folder / "cache.db")


def test_what_is_wrong_with_a_file_is_told(folder: Path) -> None:
    """Line by line, with code 1; the rest is stored."""
    filled(folder / "cache.db", *some(3))
    accel("export", "out.jsonl", "--store", "cache.db")
    with (folder / "out.jsonl").open("a") as file:
        file.write('{"[bold]": "secret"}\n')
    told = accel("import", "out.jsonl", "--store", "new.db", code=1)
    assert "3 entries stored" in told
    assert "1 left out: they are lines that hold no entry" in told
    assert "out.jsonl, line 6 has an unknown member '[bold]'" in told
    assert "secret" not in told
    assert "out.jsonl is cut short" in told
    found = machine("import", "out.jsonl", "--store", "new.db", code=1)
    assert found["refusals"] == [{"line": 6, "problem": "has an unknown member '[bold]'"}]
    assert "exists; choose another name, or pass --force" in accel(
        "export", "out.jsonl", "--store", "cache.db", code=2
    )


# --- keys


def test_nothing_is_carried_under_another_secret(folder: Path) -> None:
    """Where it would not be found, or not be believed, the command ends and names the remedy."""
    filled(folder / "cache.db", *some(3), secret=SECRET)
    keyed = settings(folder / "keyed.yaml", folder / "cache.db")
    other = settings(folder / "other.yaml", folder / "other.db", "OTHER")
    told = accel("copy", keyed, other, code=2)
    assert "name it there as security.previous_key_env" in told
    told = accel("copy", "cache.db", "plain.db", code=2)
    assert "its entries are sealed, and no key is set; name its application's" in told
    assert "sealed, and no key is set" in accel("export", "o.jsonl", "--store", "cache.db", code=2)
    told = accel("export", "o.jsonl", "--store", "cache.db", "--config", other, code=2)
    assert "not sealed with the key that is set" in told
    assert {file.name for file in folder.iterdir()} == {"cache.db", "keyed.yaml", "other.yaml"}
    accel("export", "plain.jsonl", "--store", filled(folder / "plain.db", *some(3)))
    told = accel("import", "plain.jsonl", "--store", "cache.db", code=2)
    assert "its entries are sealed, and no key is set" in told


def test_entries_that_do_not_verify_stay(folder: Path) -> None:
    """Planted in the store, or in a file: counted, left out, and code 1."""
    filled(folder / "cache.db", *some(3), secret=SECRET)
    filled(folder / "cache.db", make("planted"))
    keyed = settings(folder / "keyed.yaml", folder / "cache.db")
    found = machine("copy", keyed, "new.db", code=1)
    assert (found["written"], found["left"]) == (3, {"seal": 1})
    assert kept(folder / "new.db", SECRET).keys() == {digest(number) for number in range(3)}
    accel("export", "out.jsonl", "--config", keyed, code=1)
    spelled = (folder / "out.jsonl").read_text()
    assert SECRET not in spelled
    (folder / "out.jsonl").write_text(spelled.replace("answer", "planted", 1))
    found = machine("import", "out.jsonl", "--store", "third.db", "--config", keyed, code=1)
    assert (found["written"], found["left"]) == (2, {"seal": 1})


def test_as_a_process(folder: Path) -> None:
    """The installed command does the same, with its answer alone on standard output."""
    filled(folder / "cache.db", *some(5))
    started = [sys.executable, "-c", "from accel_core.cli.main import app; app()", "store"]

    done = subprocess.run(
        [*started, "copy", "cache.db", "new.db", "--json"], capture_output=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["written"]) == (0, 5)
    assert kept(folder / "new.db") == kept(folder / "cache.db")
