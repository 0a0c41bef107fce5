"""A real Redis Cluster to run against: three masters on this machine, with replicas or without."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from redis.crc import key_slot

from tools.redis_server import RedisServer, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import redis

    from tools.redis_servers import Build

_MASTERS = 3
_SLOTS = 16_384
_AGREED_S = 20.0


class ClusterOfServers:
    """Three masters of `build` with a third of the slots each, until it is left.

    Args:
        build: which server.
        replicas: how many each master has.
        settings: of the configuration of every node.

    Raises:
        ServerMissingError: it has not been obtained.
    """

    node = RedisServer
    """What each of its nodes is."""

    def __init__(self, build: Build, *, replicas: int = 0, **settings: str) -> None:
        self.build, self._replicas = build, replicas
        self.nodes: list[RedisServer] = []
        """The masters first."""
        self.tls_ports: list[int] = []
        """Of the nodes, where the settings name a certificate."""
        self._settings = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": "500",
            "repl-diskless-sync-delay": "0",
            **settings,
        }

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for _ in range(_MASTERS * (1 + self._replicas)):
                self._settings["cluster-port"] = str(free_port())
                if "tls-cert-file" in self._settings:
                    # Or nodes would not tell one another where they are reached over TLS.
                    self._settings |= {"tls-cluster": "yes", "tls-port": str(free_port())}
                    self.tls_ports.append(int(self._settings["tls-port"]))
                node = self.node(self.build, **self._settings)
                self.nodes.append(started.enter_context(node))
            self._make()
            self._close = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._close.close()

    @property
    def url(self) -> str:
        """The URL of a node that does not have the names of the default prefix."""
        return next(node for node in self.nodes if node is not self.owner("accel")).url

    def owner(self, prefix: str, said_by: RedisServer | None = None) -> RedisServer:
        """Return the master of the slot of all names that begin with ``{prefix}``.

        Args:
            prefix: of the names.
            said_by: the node that is asked; None: the first.
        """
        slots = self.ask(said_by or self.nodes[0], "CLUSTER SLOTS")
        port = next(master[1] for start, end, master, *_ in slots if start <= _slot(prefix) <= end)
        return next(node for node in self.nodes if node.port == port)

    def move(self, prefix: str) -> None:
        """Move the slot of `prefix` to another master with all that is in it."""
        old, new = self.begin_move(prefix)
        self.end_move(prefix, old, new)

    def begin_move(self, prefix: str) -> tuple[RedisServer, RedisServer]:
        """Let the slot of `prefix` be on its way, from and to what is returned."""
        old = self.owner(prefix)
        new = self.nodes[(self.nodes.index(old) + 1) % _MASTERS]
        self.ask(new, "CLUSTER", "SETSLOT", _slot(prefix), "IMPORTING", self._id(old))
        self.ask(old, "CLUSTER", "SETSLOT", _slot(prefix), "MIGRATING", self._id(new))
        return old, new

    def carry(self, old: RedisServer, new: RedisServer, names: list[Any]) -> None:
        """Move some of what is in a slot on its way."""
        self.ask(old, "MIGRATE", "127.0.0.1", new.port, "", 0, 5_000, "KEYS", *names)

    def end_move(self, prefix: str, old: RedisServer, new: RedisServer) -> None:
        """Move the rest of what is in a slot on its way, and the slot."""
        while names := self.ask(old, "CLUSTER", "GETKEYSINSLOT", _slot(prefix), 100):
            self.carry(old, new, names)
        for node in (new, old, *self.nodes[:_MASTERS]):
            self.ask(node, "CLUSTER", "SETSLOT", _slot(prefix), "NODE", self._id(new))

    def ask(self, node: RedisServer, *command: Any) -> Any:
        """Return the answer of one node."""
        with node.client() as client:
            return client.execute_command(*command)

    def client(self) -> redis.Redis:
        """Return a client of the master of the default prefix; close it."""
        return self.owner("accel").client()

    def _id(self, node: RedisServer) -> str:
        return str(self.ask(node, "CLUSTER", "MYID").decode())

    def _make(self) -> None:
        masters, replicas = self.nodes[:_MASTERS], self.nodes[_MASTERS:]
        for number, node in enumerate(masters):
            start, end = (_SLOTS * at // _MASTERS for at in (number, number + 1))
            self.ask(node, "CLUSTER", "ADDSLOTSRANGE", start, end - 1)
            self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            meeting = ("127.0.0.1", self.nodes[0].port, self._bus_port(self.nodes[0]))
            self.ask(node, "CLUSTER", "MEET", *meeting)
        self._agreed(lambda info: info[b"cluster_known_nodes"] == b"%d" % len(self.nodes))
        for number, node in enumerate(replicas):
            self.ask(node, "CLUSTER", "REPLICATE", self._id(masters[number % _MASTERS]))
        self._agreed(lambda info: info[b"cluster_state"] == b"ok")

    def _bus_port(self, node: RedisServer) -> int:
        with node.client() as client:
            return int(client.config_get("cluster-port")["cluster-port"])

    def _agreed(self, said: Callable[[dict[bytes, bytes]], bool]) -> None:
        """Return when every node says so of its view of the cluster."""
        deadline_s = time.monotonic() + _AGREED_S
        for node in self.nodes:
            while not said(self._info(node)):
                assert time.monotonic() < deadline_s, "the cluster does not come about"
                time.sleep(0.02)

    def _info(self, node: RedisServer) -> dict[bytes, bytes]:
        lines = self.ask(node, "CLUSTER", "INFO").split(b"\r\n")
        return dict(line.split(b":", 1) for line in lines if b":" in line)


def _slot(prefix: str) -> int:
    return int(key_slot(prefix.encode()))
