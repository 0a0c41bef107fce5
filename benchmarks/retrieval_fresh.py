"""What is served after documents changed: nothing stale, and nothing dropped that could be served.

Run as a module it is one process of several that share a corpus::

    python -m benchmarks.retrieval_fresh FOLDER SEED STEPS NUMBER COUNT

Documents are versions in a file that all map; a second number per document is the version whose
change has *returned*. Whoever asks reads that number first: an answer of an older version is stale.
"""

from __future__ import annotations

import json
import mmap
import random
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_core.clocks import Clocks
from benchmarks import children
from benchmarks.harness import Measured, Row
from benchmarks.retrieval_desk import Desk, opened

if TYPE_CHECKING:
    from benchmarks.harness import Context

_DOCUMENTS = 8
_CHANGES = 0.3
_EVERYTHING = 0.1
_PASSING = 0.05
_SEARCH_S = 0.3


class Shelf:
    """Versions of documents in a file that processes share, and the versions that are announced.

    Each process changes documents of its own, so that versions only grow.
    """

    def __init__(self, path: Path, own: range) -> None:
        if not path.exists():
            path.write_bytes(bytes(2 * 8 * _DOCUMENTS))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.own = own

    def version(self, document: int) -> int:
        return self._read(document)

    def announced(self, document: int) -> int:
        return self._read(_DOCUMENTS + document)

    def change(self, document: int) -> None:
        self._write(document, self.version(document) + 1)

    def announce(self, document: int) -> None:
        self._write(_DOCUMENTS + document, self.version(document))

    def _read(self, place: int) -> int:
        return int.from_bytes(self._map[8 * place : 8 * place + 8], "little")

    def _write(self, place: int, number: int) -> None:
        self._map[8 * place : 8 * place + 8] = number.to_bytes(8, "little")


def interleave(folder: Path, seed: int, steps: int, own: range) -> dict[str, int]:
    """Change documents and ask about them in random order; count what is stale."""
    dice = random.Random(seed)
    shelf = Shelf(folder / "versions", own)
    counts = {"asked": 0, "stale": 0, "retrieved": 0}
    passed_s = [0.0]
    clocks = Clocks(wall_now=lambda: 1e9 + passed_s[0], mono_now=lambda: passed_s[0])
    with opened(clocks, path=str(folder / "cache.db")) as accel:
        desk = Desk(accel)

        def retrieve(document: int) -> dict[str, Any]:
            counts["retrieved"] += 1
            return {f"d{document}": shelf.version(document)}

        for _ in range(steps):
            act = dice.random()
            if act < _CHANGES:
                document = dice.choice(shelf.own)
                shelf.change(document)
                named = None if dice.random() < _EVERYTHING else [f"d{document}"]
                desk.corpus.changed(named)
                shelf.announce(document)
            elif act < _CHANGES + _PASSING:
                passed_s[0] += dice.choice([1.0, 70.0])
            else:
                document = dice.randrange(_DOCUMENTS)
                least = shelf.announced(document)
                found = desk.ask(f"question {document}", lambda one=document: retrieve(one))
                counts["asked"] += 1
                counts["stale"] += found[f"d{document}"] < least
    return counts


def _processes(context: Context, count: int) -> Measured:
    steps = 1000 // count
    with tempfile.TemporaryDirectory() as folder:
        Shelf(Path(folder) / "versions", range(0))
        with ThreadPoolExecutor(count) as threads:
            told = list(
                threads.map(
                    lambda number: children.measure(
                        "benchmarks.retrieval_fresh", folder, str(context.seed + number),
                        str(steps), str(number), str(count),
                    ),
                    range(count),
                )
            )  # fmt: skip
    total = {name: sum(one[name] for one in told) for name in told[0]}
    note = f"{total['asked']} questions, {total['retrieved']} retrievals, {count} processes"
    return Measured(total["stale"], note)


def dropped(context: Context) -> Measured:
    """Change one of 1,000 documents, and count answers that are wrongly dropped or kept."""
    dice = random.Random(context.seed)
    rests = {
        f"question {number}": [f"d{document}" for document in dice.sample(range(1000), 3)]
        for number in range(1000)
    }
    named = [document for documents in rests.values() for document in documents]
    changed = max(set(named), key=named.count)
    again: list[str] = []
    with opened() as accel:
        desk = Desk(accel)

        def ask(question: str) -> None:
            def retrieve() -> dict[str, Any]:
                again.append(question)
                return dict.fromkeys(rests[question], "text")

            desk.ask(question, retrieve)

        for question in rests:
            ask(question)
        again.clear()
        desk.corpus.changed([changed])
        for question in rests:
            ask(question)
    used = {question for question, documents in rests.items() if changed in documents}
    return Measured(len(used ^ set(again)), f"{len(again)} of 1,000 dropped, {len(used)} used it")


def at_once(context: Context) -> Measured:
    """Ask one question from 200 threads at once."""
    retrievals: list[None] = []
    asking = threading.Barrier(200)

    def retrieve() -> dict[str, Any]:
        retrievals.append(None)
        threading.Event().wait(_SEARCH_S)
        return {"d1": "text"}

    with opened() as accel, ThreadPoolExecutor(200) as threads:
        desk = Desk(accel)

        def ask(_: int) -> dict[str, Any]:
            asking.wait()
            return desk.ask("the one question", retrieve)

        found = [threads.submit(ask, number) for number in range(200)]
        answers = [one.result() for one in found]
    assert all(answer == {"d1": "text"} for answer in answers)
    return Measured(len(retrievals), f"seed {context.seed}: {len(answers)} answers")


ROWS = [
    Row(
        name="stale-one-process",
        what="stale answers in 1,000 random changes and questions, one process",
        op="<=",
        bound=0,
        measure=lambda context: _processes(context, 1),
    ),
    Row(
        name="stale-four-processes",
        what="the same from four processes that share a store",
        op="<=",
        bound=0,
        measure=lambda context: _processes(context, 4),
    ),
    Row(
        name="dropped-by-name",
        what="answers wrongly dropped or kept when one of 1,000 documents changes",
        op="<=",
        bound=0,
        measure=dropped,
    ),
    Row(
        name="stampede",
        what="retrievals for 200 concurrent misses on one key",
        op="<=",
        bound=1,
        measure=at_once,
    ),
]


def _main(arguments: list[str]) -> None:
    folder, seed, steps, number, count = arguments
    share = _DOCUMENTS // int(count)
    own = range(int(number) * share, (int(number) + 1) * share)
    print(json.dumps(interleave(Path(folder), int(seed), int(steps), own)))


if __name__ == "__main__":
    _main(sys.argv[1:])
