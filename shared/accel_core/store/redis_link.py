"""The way to a Redis server or cluster: by which deadlines, to which node, and its errors named.

All names of a link are in one slot, so one node is asked. Which one, nobody need know beforehand:
whoever is asked in its place says where it is (MOVED, ASK), and where a node cannot be reached the
next one is asked the next time. A server that is no cluster is a node that never says so.

Two pools of connections to a node, since a deadline belongs to a connection: a lookup's is short,
for a user waits; a write's is longer, for nobody does. Nothing that failed is tried twice: whoever
asks goes on without the server. Every failure leaves here as a `StoreError`, and none shows a
password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.errors import MissingExtraError, StoreUnavailableError
from accel_core.store.redis_access import Address, access_to
from accel_core.store.redis_errors import reported, unreachable
from accel_core.store.redis_wire import Wires

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from accel_core.store.redis_access import Access, Server
    from accel_core.store.redis_scripts import Script
    from accel_core.store.redis_wire import Wire

_REDIRECTS = 4
"""How often a command is sent on at most: to where its slot is, on its way, or not known yet."""


class Subscription(NamedTuple):
    """A connection that belongs to no pool, subscribed; close it.

    Attributes:
        wire: the connection.
        at: the node that it leads to.
    """

    wire: Wire
    at: Address


class _Command(NamedTuple):
    """What is asked.

    Attributes:
        parts: name and arguments.
        script: the one it calls, where the server may not have it yet.
        patient: whether by a write's deadline.
        published: whether it tells others of it, who are to hear before its answer comes.
    """

    parts: Sequence[Any]
    script: Script | None = None
    patient: bool = False
    published: bool = False


class RedisLink:
    """Connections to one server, or to the nodes of one cluster.

    Args:
        server: a URL (``redis://``, ``rediss://`` for TLS, ``unix://``; user and password in it),
            any node of a cluster's, or a client of redis-py, asyncio's or not, of a server or a
            cluster, whose place, user and certificates are taken over, and not its deadlines.
        lookup_timeout_s: the longest wait for a connection, and for each answer, in a lookup.
        write_timeout_s: the same for everything else.

    Raises:
        ConfigError: `server` is neither.
        MissingExtraError: redis-py is not installed.

    Attributes:
        home: the node that answered last: the owner of the slot; None before the first answer.
    """

    def __init__(self, server: Server, *, lookup_timeout_s: float, write_timeout_s: float) -> None:
        try:
            import redis  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingExtraError("redis", "a Redis server") from error
        # A client may own what its pool refers to weakly.
        self._owner = server
        self._access = access_to(server)
        self._timeouts_s = (lookup_timeout_s, write_timeout_s)
        self._nodes: dict[Address, _Node] = {}
        self._known = self._access.seeds
        self._aim = self._node(self._known[0])
        self.home: Address | None = None

    @property
    def database(self) -> int:
        """The number of the database that is asked."""
        return self._access.database

    def ask(
        self,
        operation: str,
        script: Script,
        names: Sequence[str] | Sequence[bytes],
        *arguments: Any,
    ) -> Any:
        """Return the answer of a script, by a lookup's deadline."""
        return self._carry_out(operation, _Command(_call(script, names, arguments), script))

    def ask_at_length(
        self, operation: str, script: Script, names: Sequence[str], *arguments: Any
    ) -> Any:
        """Return the answer of a script, by a write's deadline."""
        command = _Command(_call(script, names, arguments), script, patient=True)
        return self._carry_out(operation, command)

    def publish(self, operation: str, script: Script, names: Sequence[str], *arguments: Any) -> Any:
        """Return the answer of a script, when what it published is on its way."""
        command = _Command(_call(script, names, arguments), script, patient=True, published=True)
        return self._carry_out(operation, command)

    def eviction_policy(self) -> str:
        """Return the server's ``maxmemory-policy``; nothing where the user may not know."""
        import redis

        with reported("describe"):
            try:
                told = _answer(self._aim.quick.ask(("INFO", "memory"))[0])
            except redis.exceptions.NoPermissionError:
                return ""
        found = re.search(rb"maxmemory_policy:(\S+)", told)
        return found[1].decode() if found else ""

    def subscribe(self, channel: str) -> Subscription:
        """Return a connection subscribed to `channel`, at the node that has the link's names."""
        if self._aim.address != self.home:
            self._carry_out("listen to", _Command(("EXISTS", channel)))
        node = self._aim
        wire: Wire = node.quick.made()
        with reported("listen to"):
            try:
                wire.connect()
                wire.send_command("SUBSCRIBE", channel)
                wire.read_response()
            except BaseException as error:
                wire.disconnect()
                self._missed(node, error)
                raise
        return Subscription(wire, node.address)

    def close(self) -> None:
        """Close what is open."""
        for node in list(self._nodes.values()):
            node.let_go()

    def __repr__(self) -> str:
        return repr(self._access)

    def _carry_out(self, operation: str, command: _Command) -> Any:
        """Return the answer of whichever node the command's slot is at."""
        import redis

        node, visiting = self._aim, False
        with reported(operation):
            for _ in range(_REDIRECTS):
                try:
                    answer = node.send(command, visiting=visiting)
                except redis.exceptions.MovedError as moved:
                    node, visiting = self._named(moved, node), False
                    node.asked_who = False
                    self._aim = node
                except redis.exceptions.AskError as on_its_way:
                    node, visiting = self._named(on_its_way, node), True
                except redis.exceptions.NoScriptError:
                    node.load(command)
                except BaseException as error:
                    self._missed(node, error)
                    raise
                else:
                    if not visiting:
                        self._reached(node)
                    return answer
        raise StoreUnavailableError("redis", operation, "the nodes send it on to one another")

    def _named(self, told: redis.exceptions.AskError, by: _Node) -> _Node:
        return self._node(self._access.named(told.host, told.port, by.address))

    def _node(self, address: Address) -> _Node:
        node = self._nodes.get(address)
        if node is None:
            # Two threads may both make one: the second is let go, and connects to nothing.
            made = _Node(address, self._access, *self._timeouts_s)
            node = self._nodes.setdefault(address, made)
        return node

    def _reached(self, node: _Node) -> None:
        """Take note that `node` has the slot; once, ask which nodes there are beside it."""
        self.home = node.address
        if not node.asked_who:
            node.asked_who = True
            others = [self._access.named(host, port, node.address) for host, port in node.others()]
            # The seeds too: their names may lead elsewhere by then.
            self._known = tuple(dict.fromkeys((*others, *self._access.seeds)))

    def _missed(self, node: _Node, error: BaseException) -> None:
        """Ask another one the next time, where `error` says that `node` is away."""
        import redis

        if isinstance(error, redis.exceptions.ReadOnlyError):
            # It was replaced: new connections find who is at its name now.
            node.let_go()
        if unreachable(error) and self._aim is node:
            after = self._known.index(node.address) + 1 if node.address in self._known else 0
            self._aim = self._node(self._known[after % len(self._known)])


class _Node:
    """Connections to one node.

    Args:
        address: where it is.
        access: as whom, and how.
        lookup_timeout_s: the deadline of `quick`'s connections.
        write_timeout_s: the same of `patient`'s.

    Attributes:
        asked_who: whether it was asked which nodes there are.
    """

    def __init__(
        self, address: Address, access: Access, lookup_timeout_s: float, write_timeout_s: float
    ) -> None:
        self.address, self.asked_who = address, False
        self.quick = Wires(access, address, lookup_timeout_s)
        self.patient = Wires(access, address, write_timeout_s)

    def send(self, command: _Command, *, visiting: bool) -> Any:
        """Return the answer; `visiting` a slot on its way here, which only who asks for sees."""
        import redis

        wires = self.patient if command.patient else self.quick
        if visiting:
            return _answer(wires.ask(("ASKING",), command.parts)[1])
        if not command.published:
            return _answer(wires.ask(command.parts)[0])
        # A server writes to its clients in the reverse order of their first bytes. The transaction
        # gives its caller a byte before the script publishes, so subscribers are written to first
        # (measured under load: without it, 15 % of saves were answered before they were heard of).
        begun, queued, carried_out = wires.ask(("MULTI",), command.parts, ("EXEC",))
        _answer(begun)
        if isinstance(queued, redis.exceptions.OutOfMemoryError):
            # A full server takes no transaction, and takes scripts that remove.
            return _answer(wires.ask(command.parts)[0])
        _answer(queued)
        return _answer(_answer(carried_out)[0])

    def load(self, command: _Command) -> None:
        """Make the script of `command` known here."""
        if command.script is not None:
            wires = self.patient if command.patient else self.quick
            _answer(wires.ask(("SCRIPT", "LOAD", command.script.text))[0])

    def others(self) -> list[tuple[str, int]]:
        """Return the nodes of the cluster; none where there is none, or the user may not know."""
        import redis

        try:
            slots = _answer(self.quick.ask(("CLUSTER", "SLOTS"))[0])
        except (redis.RedisError, OSError):
            return []
        named = (node for _, _, *nodes in slots for node in nodes)
        return [((node[0] or b"").decode(), int(node[1])) for node in named]

    def let_go(self) -> None:
        """Close the connections."""
        self.quick.let_go()
        self.patient.let_go()


def _answer(answer: Any) -> Any:
    """Return `answer`, or raise the error that it is."""
    if isinstance(answer, Exception):
        raise answer
    return answer


def _call(script: Script, names: Sequence[Any], arguments: Sequence[Any]) -> tuple[Any, ...]:
    return ("EVALSHA", script.sha, len(names), *names, *arguments)
