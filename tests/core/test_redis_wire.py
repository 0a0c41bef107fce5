"""Connections to one node: what they cost, and what they wait for."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.errors import StoreError, StoreUnavailableError
from accel_core.store.redis_link import RedisLink
from accel_core.store.redis_scripts import Script
from tests.redis_server import RedisServer
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S, SLACK_S = 0.05, 0.3
ECHO = Script("return ARGV[1]")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(BUILDS[0]) as server:
        yield server


@pytest.fixture
def link(server: RedisServer) -> Iterator[RedisLink]:
    url = server.url.replace("127.0.0.1", "localhost")
    link = RedisLink(url, lookup_timeout_s=DEADLINE_S, write_timeout_s=5.0)
    yield link
    link.close()


def test_a_silent_resolver_costs_no_more_than_a_silent_server(
    link: RedisLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits beyond the deadline to be told where the server is, and one thread asks."""
    answers, asked = threading.Event(), []
    look_up = socket.getaddrinfo

    def silent(*where: Any, **how: Any) -> Any:
        asked.append(where)
        answers.wait(10)
        return look_up(*where, **how)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        began_s = time.monotonic()
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="nobody said in time where localhost"):
                link.ask("echo", ECHO, ["name"], "said")
        assert time.monotonic() - began_s < 2 * DEADLINE_S + SLACK_S
        assert len(asked) == 1
    finally:
        answers.set()


def test_a_silent_server_is_connected_to_once() -> None:
    """Who got no answer in time is told so, and does not try again at its caller's expense."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        link = RedisLink(url, lookup_timeout_s=DEADLINE_S, write_timeout_s=5.0)
        with pytest.raises(StoreUnavailableError, match="Timeout"):
            link.ask("echo", ECHO, ["name"], "said")
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()
        link.close()


def test_what_the_resolver_says_is_the_error(
    link: RedisLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is unknown is told as such."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(StoreError, match="Name or service not known"):
        link.ask("echo", ECHO, ["name"], "said")


def test_a_connection_that_was_closed_while_idle_is_not_used_again(
    link: RedisLink, server: RedisServer
) -> None:
    """A server that ends idle connections costs no call."""
    assert link.ask("echo", ECHO, ["name"], "one") == b"one"
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert link.ask("echo", ECHO, ["name"], "two") == b"two"


def test_an_answer_that_refuses_keeps_its_connection(link: RedisLink, server: RedisServer) -> None:
    """An error of a command is no failure of the connection."""
    with pytest.raises(StoreError, match="nonsense"):
        link.ask("echo", Script("return redis.error_reply('nonsense')"), ["name"])
    with server.client() as client:
        before = client.info("stats")["total_connections_received"]
        assert link.ask("echo", ECHO, ["name"], "said") == b"said"
        assert client.info("stats")["total_connections_received"] == before
