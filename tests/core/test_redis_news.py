"""What is pushed is read without waiting, in whatever pieces it comes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from accel_core.store.redis_access import Address
from accel_core.store.redis_link import Subscription
from accel_core.store.redis_news import RedisNews

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNEL = "{accel}:3:news"


class Wire:
    """As redis-py's connection, just subscribed; reading by it would wait for ever."""

    def __init__(self, end: socket.socket) -> None:
        self._sock: socket.socket | None = end

    def can_read(self, timeout: float) -> bool:
        assert timeout == 0
        return False

    def disconnect(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


class Link:
    """A link whose subscriptions are one end of a pair of sockets."""

    home = None

    def __init__(self) -> None:
        self.server, self.end = socket.socketpair()

    def subscribe(self, channel: str) -> Subscription:
        assert channel == CHANNEL
        wire: Any = Wire(self.end)
        return Subscription(wire, Address("test", 1))


def pushed(text: str, channel: str = CHANNEL) -> bytes:
    parts = ("message", channel, text)
    return b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part.encode()) for part in parts)


@pytest.fixture
def link() -> Iterator[Link]:
    link = Link()
    with link.server, link.end:
        yield link


@pytest.fixture
def news(link: Link) -> RedisNews:
    either: Any = link
    news = RedisNews(either, CHANNEL)
    assert news.listen() == 1
    return news


@pytest.mark.timeout(5)
def test_half_a_message_is_not_waited_for(link: Link, news: RedisNews) -> None:
    """Cut at every place, it counts when all of it has come."""
    message = pushed("entries another 7")
    for cut in range(1, len(message)):
        before = news.heard()
        assert before is not None
        link.server.sendall(message[:cut])
        assert news.heard() == before
        link.server.sendall(message[cut:] + pushed("corpora another") + pushed("outdated")[:9])
        link.server.sendall(pushed("outdated")[9:])
        heard = news.heard()
        assert heard is not None
        assert heard.revision == 7
        assert (heard.corpora, heard.outdated) == (before.corpora + 1, before.outdated + 1)


@pytest.mark.parametrize(
    "said", [b"+PONG\r\n", pushed("corpora x", "another"), pushed(""), pushed("entries x y")]
)
def test_what_is_no_news_ends_the_connection(link: Link, news: RedisNews, said: bytes) -> None:
    """Whatever else comes by it, nothing is believed of what it says."""
    link.server.sendall(said)
    assert news.heard() is None


def test_its_own_changes_are_no_news(link: Link, news: RedisNews) -> None:
    """What this process changed it need not be told of."""
    link.server.sendall(pushed(f"entries {news.writer} 9"))
    heard = news.heard()
    assert heard is not None
    assert heard.revision == 0


def test_a_connection_that_was_closed(link: Link, news: RedisNews) -> None:
    """Who is not connected knows nothing."""
    link.server.close()
    assert news.heard() is None
