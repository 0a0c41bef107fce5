"""all-MiniLM-L6-v2: the default encoder, with the threshold that was calibrated for it.

Reads up to 256 word pieces of uncased Latin script; `distrust` names the texts of which it would
miss something. Both backends give the same vectors (cosine 1.000), so they share one name.

Importing and constructing load nothing. The first call loads what is on this machine, in a third
of a second; weights that must be downloaded are fetched in the background and the calls until then
fail, because nobody's question should wait for 91 MB. `warm` does all of it at once and waits.
"""

from __future__ import annotations

import threading
import unicodedata
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, get_args

from accel_core.encoder import minilm_files, minilm_onnx, minilm_torch
from accel_core.encoder.lazy import Lazy
from accel_core.errors import ConfigError, EncoderError, MissingExtraError
from accel_core.policy.trust import foreign_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

    from accel_core.encoder.minilm_onnx import Run
    from accel_core.ports import Vectors

Backend = Literal["auto", "onnx", "torch"]

WINDOW_TOKENS: Final = 256  # max_seq_length in the model's sentence_bert_config.json
WINDOW_CHARACTERS: Final = 5_000  # 254 word pieces of 20 characters: beyond any real text
SCRIPTS: Final = frozenset({"Latin"})
_FRAME = 2  # [CLS] and [SEP] around every text
_UNKNOWN, _SEPARATOR = 100, 102  # [UNK], [SEP] in the vocabulary of BERT uncased
_BATCH = 16  # texts of like length run together; more gains nothing and costs memory
_REMEMBERED = 64  # tokenised texts kept between `distrust` and `encode`
_PROBE = "How do I reset my password?"
_PROBE_VECTOR = (0.0069, -0.0630, -0.0720, -0.0325, -0.0427, 0.0704, 0.0091, 0.0154)
_PROBE_TOLERANCE = 5e-3  # other weights differ by ten times as much, other hardware by 1e-5


class MiniLMEncoder:
    """Encodes with all-MiniLM-L6-v2.

    Args:
        model: folder or hub name of the weights; None: see `minilm_files`.
        backend: ``onnx`` or ``torch``; ``auto`` takes torch where ONNX Runtime is not installed.
        threads: threads that ONNX Runtime uses for one call. More than one gains little for short
            texts and halves what several calls at once get done.
    """

    name = minilm_files.NAME
    min_similarity: float | None = 0.92

    def __init__(
        self, model: str | None = None, *, backend: Backend = "auto", threads: int = 1
    ) -> None:
        if backend not in get_args(Backend):
            raise ConfigError("encoder.backend", backend, f"one of {get_args(Backend)}")
        if threads < 1:
            raise ConfigError("encoder.threads", threads, "at least 1")
        self._model, self._backend, self._threads = model, backend, threads
        self._tokenizer = Lazy(self._load_tokenizer)
        self._run = Lazy(self._load_model)
        self._download = _Download(model)
        self._remembered: dict[str, list[int]] = {}

    def __repr__(self) -> str:
        return f"MiniLMEncoder({self._model!r}, backend={self._backend!r})"

    def __reduce__(self) -> tuple[Callable[[], MiniLMEncoder], tuple[()]]:
        # Another process loads for itself; locks and sessions do not travel.
        remade = partial(type(self), self._model, backend=self._backend, threads=self._threads)
        return remade, ()

    def warm(self) -> None:
        """Load everything, downloading what is not here, and return when it is ready.

        Raises:
            MissingExtraError: no backend is installed.
            EncoderError: the weights cannot be had, or are not this model's.
        """
        if minilm_files.find(self._model) is None:
            minilm_files.download(self._model)
        self._tokenizer.get()
        self._run.get()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order; (0, 384) for no texts."""
        import numpy as np

        run = self._run.get()
        tokens = [self._tokens_once(text) for text in texts]
        vectors = np.empty((len(tokens), minilm_onnx.DIMENSIONS), np.float32)
        for places in _batches([len(ids) for ids in tokens]):
            shape = len(places), max(len(tokens[place]) for place in places)
            ids, mask = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
            for row, place in enumerate(places):
                length = len(tokens[place])
                ids[row, :length], mask[row, :length] = tokens[place], 1
            vectors[places] = run(ids, mask)
        return vectors

    def distrust(self, text: str) -> str | None:
        """Return why `text` must not be compared by meaning, or None where it may.

        Reasons: ``empty``, ``window``, ``script``, ``unknown_tokens``.
        """
        if not text or text.isspace():
            return "empty"
        if len(text) > WINDOW_CHARACTERS:
            return "window"
        if foreign_script(text, SCRIPTS):
            return "script"
        if not text.isascii() and _has_marks(text):
            return "unknown_tokens"  # the tokenizer drops accents: "año" would be "ano"
        ids = self._tokenizer.get().encode(text).ids
        if len(ids) <= _FRAME:
            return "empty"  # characters that the tokenizer drops, and nothing else
        if len(ids) > WINDOW_TOKENS:
            return "window"
        if _UNKNOWN in ids:
            return "unknown_tokens"
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[text] = ids
        return None

    def after_fork(self) -> None:
        """Let go of the parent's locks; what is loaded stays usable."""
        self._tokenizer.after_fork()
        self._run.after_fork()
        self._download = _Download(self._model)

    def _tokens_once(self, text: str) -> list[int]:
        """Return the word pieces of `text`, those `distrust` has just found where it did."""
        # One dict operation each, so that callers in several threads need no lock; taking it out
        # leaves no text in memory longer than needed.
        ids = self._remembered.pop(text, None)
        if ids is None:
            # One text at a time: encode_batch starts threads, and warns at the next fork.
            ids = self._tokenizer.get().encode(text[:WINDOW_CHARACTERS]).ids
        if len(ids) > WINDOW_TOKENS:
            ids = [*ids[: WINDOW_TOKENS - 1], _SEPARATOR]
        return ids

    def _load_tokenizer(self) -> Tokenizer:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError("local", f"the {self.name} encoder") from error
        tokenizer = Tokenizer.from_file(str(self._folder() / "tokenizer.json"))
        # The file cuts and pads at 128; this model reads 256, and a lone text needs no padding.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def _load_model(self) -> Run:
        folder = self._folder()
        loaders = {
            "onnx": partial(minilm_onnx.load, folder, self._threads),
            "torch": partial(minilm_torch.load, folder),
        }
        wanted = ("onnx", "torch") if self._backend == "auto" else (self._backend,)
        missing: ImportError | None = None
        for backend in wanted:
            try:
                run = loaders[backend]()
            except ImportError as error:
                missing = error
            except Exception as error:
                detail = f"{folder} with {backend}: {type(error).__name__}"
                raise EncoderError(self.name, "load", detail) from error
            else:
                self._check(run, folder)
                return run
        raise MissingExtraError("local", f"the {self.name} encoder") from missing

    def _check(self, run: Run, folder: Path) -> None:
        """Refuse weights of another model: their vectors must not go by this one's name."""
        import numpy as np

        ids = np.array([self._tokenizer.get().encode(_PROBE).ids], np.int32)
        found = run(ids, np.ones_like(ids))[0][: len(_PROBE_VECTOR)]
        if not np.allclose(found, _PROBE_VECTOR, rtol=0, atol=_PROBE_TOLERANCE):
            raise EncoderError(self.name, "load", f"{folder} holds the weights of another model")

    def _folder(self) -> Path:
        folder = minilm_files.find(self._model)
        if folder is None:
            self._download.begin()
            detail = "the weights are not on this machine; they are being downloaded"
            raise EncoderError(self.name, "load", detail) from self._download.failure
        return folder


class _Download:
    """Fetches the weights in the background, one attempt at a time."""

    def __init__(self, model: str | None) -> None:
        self.failure: Exception | None = None
        self._model = model
        self._lock = threading.Lock()
        self._under_way = False

    def begin(self) -> None:
        """Start an attempt unless one is under way."""
        with self._lock:
            if self._under_way:
                return
            # Started under the lock: where no thread can be had, the next call may try again.
            threading.Thread(target=self._attempt, name="accel-download", daemon=True).start()
            self._under_way = True

    def _attempt(self) -> None:
        try:
            minilm_files.download(self._model)
        except Exception as error:  # shown as the cause of every call that needed the weights
            self.failure = error
        with self._lock:
            self._under_way = False


def _has_marks(text: str) -> bool:
    return any(unicodedata.combining(sign) for sign in unicodedata.normalize("NFD", text))


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield the places of texts of like length, so that little is padded."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), _BATCH):
        yield order[start : start + _BATCH]
