"""Stores over TLS, of a server and of a cluster, from URLs and from clients of either colour."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from accel_core.errors import StoreError
from accel_core.store.redis_access import access_to
from accel_core.store.redis_store import RedisStore
from accel_core.testing.doubles import ManualClock, RecordingObserver
from accel_core.testing.stores import StoreContract, digest
from tests.redis_cluster import ClusterOfServers
from tests.redis_server import RedisServer, free_port
from tools.redis_servers import BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl for a certificate"
)

entry = StoreContract().make_entry
SECRET = "s3cret-and-shown-nowhere"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that is its own authority; its key is beside it."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    made = folder / "certificate.pem"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", made]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return made


def serving(certificate: Path, *, clients: str = "no") -> dict[str, str]:
    """Return what a server is told: whether `clients` need a certificate, too."""
    return {
        "tls-cert-file": str(certificate),
        "tls-key-file": str(certificate.with_name("key.pem")),
        "tls-ca-cert-file": str(certificate),
        "tls-auth-clients": clients,
    }


def opened(server: Any, **options: Any) -> RedisStore:
    options = {"lookup_timeout_s": 5.0, "write_timeout_s": 5.0, "search": "process", **options}
    return RedisStore(server, mono_now=ManualClock().clocks().mono_now, **options)


def shares(one: Any, other: Any) -> None:
    """Assert that what one saves the other hears of and finds."""
    seen = RecordingObserver()
    with closing(opened(one, on_event=seen)) as store, closing(opened(other)) as reader:
        reader.changes(0, 10)
        store.save([entry()])
        assert reader.stirred()
        assert reader.fetch(digest("one")) == entry()
    assert seen.events == []


def test_a_server(certificate: Path) -> None:
    """Over TLS entries are shared and news are heard, and an unknown server is not trusted."""
    port = free_port()
    url = f"rediss://127.0.0.1:{port}/0"
    trusting = f"{url}?ssl_ca_certs={certificate}"
    with RedisServer(BUILDS[0], **serving(certificate), **{"tls-port": str(port)}):
        shares(trusting, redis.Redis.from_url(trusting))
        shares(trusting, redis.asyncio.Redis.from_url(trusting))
        distrusting = opened(url)
        with closing(distrusting), pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
            distrusting.fetch(digest("one"))


def test_a_server_that_asks_who_is_there(certificate: Path) -> None:
    """Where clients need a certificate, too, the URL or the client names it."""
    port = free_port()
    trusting = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    own = f"&ssl_certfile={certificate}&ssl_keyfile={certificate.with_name('key.pem')}"
    with RedisServer(BUILDS[1], **serving(certificate, clients="yes"), **{"tls-port": str(port)}):
        shares(trusting + own, redis.asyncio.Redis.from_url(trusting + own))
        nameless = opened(trusting)
        with closing(nameless), pytest.raises(StoreError):
            nameless.fetch(digest("one"))


@pytest.fixture(scope="module")
def cluster(certificate: Path) -> Iterator[ClusterOfServers]:
    with ClusterOfServers(BUILDS[0], **serving(certificate)) as cluster:
        yield cluster


@pytest.mark.parametrize("client", ["url", "sync", "async"])
def test_a_cluster(cluster: ClusterOfServers, certificate: Path, client: str) -> None:
    """From any node the store is found over TLS, and over TLS alone."""

    async def asyncs(url: str) -> Any:
        return redis.asyncio.RedisCluster.from_url(url)

    for port in cluster.tls_ports:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
        made: Any = {"url": lambda u: u, "sync": redis.RedisCluster.from_url}.get(
            client, lambda u: asyncio.run(asyncs(u))
        )(url)
        shares(made, url)
        with closing(opened(made)) as store:
            store.fetch(digest("one"))
            assert {node.port for node in store._link._known} == set(cluster.tls_ports)


@pytest.mark.parametrize("colour", [redis.Redis, redis.asyncio.Redis], ids=["sync", "async"])
def test_credentials_are_taken_over_and_not_shown(colour: Any) -> None:
    """User, password and certificates are a client's, deadlines are not, and no `repr` has them."""
    client = colour(
        host="h",
        port=7,
        db=2,
        username="app",
        password=SECRET,
        socket_timeout=99.0,
        ssl=True,
        ssl_ca_certs="/ca.pem",
    )
    access = access_to(client)
    kind, settings = access.connecting(access.seeds[0])
    assert kind is redis.SSLConnection
    assert (settings["username"], settings["password"]) == ("app", SECRET)
    assert settings["ssl_ca_certs"] == "/ca.pem"
    assert "socket_timeout" not in settings
    assert repr(access) == "host='h', port=7, db=2"
    store = RedisStore(client)
    assert SECRET not in f"{store!r} {store._link!r} {store._link._aim!r} {vars(store)!r}"
