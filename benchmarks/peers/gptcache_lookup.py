"""GPTCache with SQLite and faiss, answering requests to be timed; run by its environment's Python.

Started by `benchmarks.children.Peer`, it reads one JSON object per line from standard input and
answers each with one line: ``{"load": …}`` fills the cache, ``{"lookups": n}`` carries out the next
n lookups and says how long they took. Vectors come from files and are looked up, never computed, so
encoding costs nothing here.

GPTCache is used as its documentation shows, with room for every entry, and spared what slows it on
some machines: its files are on a file system in memory where there is one (it commits to SQLite
at every hit), and its starter sets OMP_NUM_THREADS=1 (faiss with more threads waits for them when
cores are busy).
"""

from __future__ import annotations

import atexit
import importlib.metadata
import json
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gptcache import Cache  # type: ignore[import-not-found]
from gptcache.adapter.api import get  # type: ignore[import-not-found]
from gptcache.manager import CacheBase, VectorBase, get_data_manager  # type: ignore[import-not-found]
from gptcache.processor.pre import get_prompt  # type: ignore[import-not-found]
from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWER = "An answer of some length, as a model would give it to a short question."


class Lookups:
    """A filled GPTCache and the questions it is asked, over and over.

    Args:
        folder: holds ``entries.npy`` and ``questions.npy``, one unit vector per row.
        data: where GPTCache keeps its files.
    """

    def __init__(self, folder: str, data: str) -> None:
        entries = np.load(f"{folder}/entries.npy")
        questions = np.load(f"{folder}/questions.npy")
        self._vectors = {f"question {n}": row for n, row in enumerate(questions)}
        self._texts: Iterator[str] = cycle(self._vectors)
        manager = get_data_manager(
            CacheBase("sqlite", sql_url=f"sqlite:///{data}/sqlite.db"),
            VectorBase("faiss", dimension=entries.shape[1], index_path=f"{data}/faiss.index"),
            max_size=2 * len(entries),
        )
        self._cache = Cache()
        self._cache.init(
            pre_embedding_func=get_prompt,
            embedding_func=lambda text, **_: self._vectors[text],
            data_manager=manager,
            similarity_evaluation=SearchDistanceEvaluation(),
        )
        names = [f"entry {n}" for n in range(len(entries))]
        for start in range(0, len(entries), 1_000):
            part = slice(start, start + 1_000)
            rows = list(entries[part])
            manager.import_data(
                names[part], [_ANSWER] * len(rows), rows, session_ids=[None] * len(rows)
            )

    def run(self, calls: int) -> dict[str, Any]:
        """Carry out the next `calls` lookups."""
        texts = list(islice(self._texts, calls))
        began = time.perf_counter()
        found = [get(text, cache_obj=self._cache) for text in texts]
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "hits": sum(answer is not None for answer in found)}


def main() -> None:
    """Answer requests until standard input ends."""
    in_memory = Path("/dev/shm")
    data = tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None)
    # GPTCache writes its files at exit; what is registered before it runs after it.
    atexit.register(data.cleanup)
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing but answers may stand between them
    lookups: Lookups | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if "load" in request:
            lookups = Lookups(request["load"], data.name)
            answer: dict[str, Any] = {"version": importlib.metadata.version("gptcache")}
        else:
            assert lookups is not None, "load first"
            answer = lookups.run(request["lookups"])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
