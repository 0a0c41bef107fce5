"""Shares an encoder between concurrent callers: batches where there is a crowd, nothing otherwise.

A caller who finds a slot of the `desk` free encodes in its own thread; who does not queues its text
for the workers. So nobody waits for a batch to fill, a lone call hops no thread, and a crowd forms
its batches by itself.

Whatever the encoder returns is checked before anybody sees it, and an error reaches the callers of
the text that caused it and nobody else.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from accel_core.encoder.desk import Desk
from accel_core.errors import AccelError, ConfigError, EncoderError
from accel_core.ports import AsyncEncoder

if TYPE_CHECKING:
    from concurrent.futures import Future

    from accel_core.encoder.desk import TextJob
    from accel_core.ports import Encoder, Vector, Vectors

_MOST_SLOTS: Final = 4  # beyond this, encoders of milliseconds contend for memory, not for cores
_UNIT_TOLERANCE: Final = 1e-4  # on the squared length; float32 rounding stays below 1e-6


class BatchingEncoder:
    """An encoder's front: one text at a time, from any thread and any event loop.

    Args:
        encoder: what encodes; called by at most `slots` threads at once.
        slots: how many may be inside it at once; None: one for each core, at most four.
        max_batch: texts in one call of it. Eight of like length gain what there is to gain;
            larger batches lose it again to padding.
    """

    def __init__(self, encoder: Encoder, *, slots: int | None = None, max_batch: int = 8) -> None:
        if slots is not None and slots < 1:
            raise ConfigError("encoder.slots", slots, "at least 1")
        if max_batch < 1:
            raise ConfigError("encoder.max_batch", max_batch, "at least 1")
        self.name = encoder.name
        self.min_similarity = encoder.min_similarity
        self._encoder = encoder
        self._awaitable = encoder if isinstance(encoder, AsyncEncoder) else None
        self._slots = slots or min(_MOST_SLOTS, os.cpu_count() or 1)
        self._max_batch = max_batch
        self._dimensions: int | None = None
        self._desk = self._new_desk()

    def __repr__(self) -> str:
        return f"BatchingEncoder({self._encoder!r}, slots={self._slots})"

    def distrust(self, text: str) -> str | None:
        """Return why `text` must not be compared by meaning, or None where it may."""
        return self._encoder.distrust(text)

    def encode_one(self, text: str) -> Vector:
        """Return the unit vector of `text`: at once if a slot is free, else with the next batch.

        Raises:
            EncoderError: the encoder failed, or returned something that is not a vector.
        """
        desk = self._desk
        waiting = desk.enter(text)
        if waiting is not None:
            return waiting.result()
        try:
            vector: Vector = self._encode([text])[0]
        finally:
            desk.leave()
        return vector

    def submit(self, text: str) -> Future[Vector]:
        """Queue `text` and return the future of its unit vector. Never waits.

        Cancelling the future takes the text out again, unless its batch has begun.
        """
        return self._desk.queue(text)

    async def aencode_one(self, text: str) -> Vector:
        """Async form of `encode_one`; awaits an encoder that can be awaited."""
        if self._awaitable is None:
            return await asyncio.wrap_future(self.submit(text))
        try:
            vector: Vector = self._checked(await self._awaitable.aencode([text]), 1)[0]
        except AccelError:
            raise
        except Exception as error:
            raise self._failed(type(error).__name__) from error
        return vector

    def close(self, timeout_s: float = 2.0) -> None:
        """Fail what is queued and what comes, and wait for the batches under way.

        To be called before the interpreter ends: a thread inside native code while Python is taken
        down can abort the process. The encoder stays its owner's, open.
        """
        self._desk.close(timeout_s)

    def after_fork(self) -> None:
        """Start anew in a forked child: the parent's locks, queue and workers mean nothing here."""
        self._desk = self._new_desk()
        inner = getattr(self._encoder, "after_fork", None)  # not in the port: few hold any lock
        if inner is not None:
            inner()

    def _new_desk(self) -> Desk:
        return Desk(self._slots, self._max_batch, self._encode_batch, self._failed)

    def _encode_batch(self, jobs: list[TextJob]) -> None:
        """Encode `jobs` together, or one by one where that fails, and settle their futures."""
        try:
            rows = self._encode([job.item for job in jobs])
        except BaseException as error:  # even SystemExit must not leave a caller waiting
            if len(jobs) == 1:
                ours = isinstance(error, AccelError)
                jobs[0].fail(error if ours else self._failed(type(error).__name__))
                return
            for job in jobs:
                self._encode_batch([job])
            return
        for job, row in zip(jobs, rows, strict=True):
            job.succeed(row)

    def _encode(self, texts: list[str]) -> Vectors:
        try:
            return self._checked(self._encoder.encode(texts), len(texts))
        except AccelError:
            raise
        except Exception as error:
            # Its type alone: a message may quote the text. The cause is chained for the log.
            raise self._failed(type(error).__name__) from error

    def _checked(self, returned: Vectors, count: int) -> Vectors:
        """Return `returned` as float32 of unit length; raise if it is not `count` vectors."""
        import numpy as np

        rows = np.asarray(returned, np.float32)
        expected = self._dimensions or (rows.shape[-1] if rows.ndim else 0)
        if not expected or rows.shape != (count, expected):
            raise self._failed(f"returned shape {rows.shape}, not {(count, expected or 'd')}")
        if not all(abs(np.vdot(row, row) - 1.0) <= _UNIT_TOLERANCE for row in rows):
            # In float64, where the square of no float32 overflows.
            norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
            if not (np.isfinite(norms) & (norms > 0)).all():
                raise self._failed("returned a vector that is zero or not finite")
            rows = (rows / norms).astype(np.float32)
        self._dimensions = expected
        return rows

    def _failed(self, detail: str) -> EncoderError:
        return EncoderError(self.name, "encode", detail)
