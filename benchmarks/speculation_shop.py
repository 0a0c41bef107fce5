"""A shop with a real database and a carrier behind HTTP, and a model that answers its customers.

The model is a local OpenAI-compatible server, so real clients and frameworks ask it. It looks for
the customer's orders, asks the carrier for each parcel, writes down that the customer was told, and
tells the customer.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import urllib.request
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from accel_core.testing.replies import Reply

if TYPE_CHECKING:
    from types import TracebackType

_ORDERS_EACH = 2


def question(customer: str) -> str:
    """Return what a customer asks."""
    return f"Where are the orders of {customer}?"


def answer(request: dict[str, Any]) -> Reply:
    """Answer for the model: go on from what the last customer's tools have told."""
    messages = request["messages"]
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    customer = str(messages[last]["content"]).rstrip("?").rsplit(" ", 1)[-1]
    results = [str(m["content"]) for m in messages[last:] if m["role"] == "tool"]
    if not results:
        return Reply(tool_calls=(("find_orders", {"customer": customer}),))
    orders = json.loads(results[0])
    told, written = results[1 : 1 + len(orders)], results[1 + len(orders) :]
    if not told:
        return Reply(tool_calls=tuple(("track", {"parcel": o["parcel"]}) for o in orders))
    if not written:
        note = {"order": orders[0]["id"], "text": told[0]}
        return Reply(tool_calls=(("note", note),))
    return Reply(content=f"{customer}: " + "; ".join(told))


class Shop:
    """The database and the carrier, to be used as a context manager.

    Args:
        customers: how many there are: ``customer0`` and so on.
        carrier_s: how long the carrier takes to answer, seconds.
    """

    def __init__(self, customers: int, carrier_s: float) -> None:
        self._customers, self._carrier_s = customers, carrier_s
        self._closing = threading.Event()
        self.asked: list[str] = []
        """Parcels that the carrier was asked for."""

    def __enter__(self) -> Shop:
        self._folder = TemporaryDirectory()
        self._file = str(Path(self._folder.name) / "shop.sqlite")
        with closing(sqlite3.connect(self._file)) as database, database:
            database.execute("create table orders (id integer primary key, customer, parcel)")
            database.execute("create table notes (order_id, text)")
            rows = [
                (f"customer{n // _ORDERS_EACH}", f"parcel-{n}")
                for n in range(self._customers * _ORDERS_EACH)
            ]
            database.executemany("insert into orders (customer, parcel) values (?, ?)", rows)
        self._carrier = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._carrier.daemon_threads = True
        threading.Thread(target=self._carrier.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._carrier.shutdown()
        self._carrier.server_close()
        self._folder.cleanup()

    def find_orders(self, customer: str) -> str:
        """Find a customer's orders, as JSON."""
        with closing(sqlite3.connect(self._file)) as database:
            found = database.execute(
                "select id, parcel from orders where customer = ? order by id", (customer,)
            ).fetchall()
        return json.dumps([{"id": id_, "parcel": parcel} for id_, parcel in found])

    def track(self, parcel: str) -> str:
        """Ask the carrier where a parcel is."""
        url = f"http://127.0.0.1:{self._carrier.server_address[1]}/{parcel}"
        with urllib.request.urlopen(url, timeout=30) as response:
            return str(response.read().decode())

    def note(self, order: int, text: str) -> str:
        """Write down what a customer was told of an order."""
        with closing(sqlite3.connect(self._file)) as database, database:
            database.execute("insert into notes values (?, ?)", (order, text))
        return "written"

    def notes(self) -> list[tuple[int, str]]:
        """Return what was written down, in order."""
        with closing(sqlite3.connect(self._file)) as database:
            return database.execute("select order_id, text from notes order by rowid").fetchall()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shop = self

        class Carrier(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parcel = self.path.strip("/")
                shop.asked.append(parcel)
                shop._closing.wait(shop._carrier_s)
                body = f"{parcel} is on its way".encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

        return Carrier
