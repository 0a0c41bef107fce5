"""Everything behind the cache may fail, at any step, and the model's own answer is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage

from accel_core import events as happened
from accel_core.index.scoped import ScopedIndex
from accel_core.ports import Entry
from accel_core.store.memory import MemoryStore
from accel_core.store.sqlite import SqliteStore
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.replies import Reply
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from accel_core.accel import Accel
    from accel_core.ports import Vectors
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Clock, Colour, MakeAccel, MakeChat, Recorder

QUESTIONS = [
    "Is Paris the capital of France?",
    "Is the capital of France Paris?",
    "Tell me a joke",
    "Is Paris the capital of France?",
    "",
    "Why?",
    "Tell me a joke",
]

SHORTAGE = OSError(28, "No space left on device")
ERRORS = [SHORTAGE, ValueError("bad"), KeyError("missing"), MemoryError(), TimeoutError("late")]


class Faults:
    """Makes the methods of an object fail: always, once, or every second time.

    Args:
        target: its methods are replaced by those of this.
        operations: names of the methods that fail.
        when: ``always``, ``once`` or ``often``.
        error: what they raise.
    """

    def __init__(self, target: Any, operations: Sequence[str], when: str, error: Exception) -> None:
        self._target, self._operations = target, operations
        self._when, self._error, self._count = when, error, 0
        self.failed = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._operations:
            return found

        def method(*args: Any, **kwargs: Any) -> Any:
            self._count += 1
            if self._when == "always" or self._count % {"once": 10**9, "often": 2}[self._when] == 1:
                self.failed += 1
                raise self._error
            return found(*args, **kwargs)

        return method


def make_store(kind: str, path: Path) -> Any:
    return MemoryStore() if kind == "memory" else SqliteStore(path / "cache.db")


STORE_FAULTS = [
    ("memory", "fetch_many"),
    ("memory", "save"),
    ("sqlite", "fetch_many"),
    ("sqlite", "save"),
    ("sqlite", "stirred"),
    ("sqlite", "changes"),
]
ALL_OF_IT = ["fetch", "fetch_many", "save", "select", "remove", "flush", "stirred", "changes"]


@pytest.fixture(params=["accelerate", "stream", "set_llm_cache"])
def ask_all(
    request: pytest.FixtureRequest, chat: MakeChat, colour: Colour
) -> Callable[[Accel], list[str]]:
    """Ask all questions, several times, and return the answers."""

    def ask(accel: Accel) -> list[str]:
        if request.param == "set_llm_cache":
            set_llm_cache(AccelCache(accel))
            model: Any = chat()
        else:
            model = accelerate(chat(), accel)
        if request.param != "stream":
            return [colour.invoke(model, question).content for question in QUESTIONS]
        streams = [colour.stream(model, question) for question in QUESTIONS]
        return ["".join(chunk.content for chunk in stream) for stream in streams]

    return ask


def right(told: list[str]) -> bool:
    """Whether every answer is the model's own, to that question or one of the same words."""
    words = [sorted(text.lower().strip("?").split()) for text in QUESTIONS]
    heard = [sorted(t.removeprefix("Answer to: ").lower().strip("?").split()) for t in told]
    return heard == words


class TestStore:
    """A store behind memory that fails."""

    @pytest.mark.parametrize("when", ["always", "once", "often"])
    @pytest.mark.parametrize(("kind", "operation"), STORE_FAULTS)
    def test_each_operation(
        self,
        make_accel: MakeAccel,
        tmp_path: Path,
        events: Recorder,
        ask_all: Callable[[Accel], list[str]],
        *,
        kind: str,
        operation: str,
        when: str,
    ) -> None:
        """Whatever a store does, answers are right, and each failure is an event."""
        store = Faults(make_store(kind, tmp_path), [operation], when, SHORTAGE)
        accel = make_accel(store=store)
        assert right(ask_all(accel))
        accel.flush()
        told = events.of(happened.BackendFailed)
        assert len(told) == store.failed > 0
        assert {event.backend for event in told} == {"store"}

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_everything_at_once(
        self,
        make_accel: MakeAccel,
        tmp_path: Path,
        ask_all: Callable[[Accel], list[str]],
        *,
        error: Exception,
    ) -> None:
        """A store that fails wholly leaves memory's answers, and cannot be asked to remove."""
        store = Faults(make_store("sqlite", tmp_path), ALL_OF_IT, "always", error)
        accel = make_accel(store=store)
        assert right(ask_all(accel))
        assert accel.stats().hits > 0
        with pytest.raises(type(error)):
            accel.invalidate()

    def test_rest_and_recovery(
        self,
        make_accel: MakeAccel,
        tmp_path: Path,
        chat: MakeChat,
        colour: Colour,
        clock: Clock,
    ) -> None:
        """A store that fails is left alone for a while, and then tried in the background."""
        reading = ["fetch", "fetch_many"]
        store = Faults(make_store("memory", tmp_path), reading, "always", SHORTAGE)
        accel = make_accel(store=store, clocks=clock.clocks())
        fast = accelerate(chat(), accel)
        for number in range(10):
            colour.invoke(fast, f"question {number}")
        accel.flush()
        assert store.failed == 1
        clock.now += 31
        colour.invoke(fast, "another question")
        accel.flush()
        assert store.failed == 2

    @pytest.mark.parametrize(
        "garbage",
        [
            b"",
            b"\x00",
            b"not json",
            b"null",
            b"[]",
            b"{}",
            b"[1]",
            b'["text"]',
            b"[{}]",
            b'[{"text": 1}]',
            b'[{"text": null, "info": null}]',
            b'[{"text": "x", "info": null}]',
            b'[{"text":"x","info":null,"message":null,"metadata":{},"saved_usage":null}]',
            b'[{"text":"x","info":null,"message":{},"metadata":null,"saved_usage":null}]',
            b'[{"text":"x","info":null,"message":{},"metadata":{},"saved_usage":null}]',
            b'[{"text":"x","info":5,"message":{"content":5},"metadata":{},"saved_usage":null}]',
            b'[{"text":"x","info":null,"ids":5,"message":{"content":"x"},"metadata":{}}]',
            b"[" * 100_000,
            b"\xff\xfe",
        ],
        ids=lambda garbage: garbage[:60].decode(errors="replace"),
    )
    def test_garbage_in_an_entry(
        self,
        make_accel: MakeAccel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        garbage: bytes,
    ) -> None:
        """An entry whose payload is not an answer is a miss, is dropped, and is replaced."""
        from dataclasses import replace

        store = MemoryStore()
        for way in ("accelerate", "stream", "set_llm_cache"):
            with_answers = make_accel(store=store)
            accelerate(chat(), with_answers).invoke("Why?")
            with_answers.flush()
            (entry,) = [slot.entry for slot in store._slots.values()]
            store.save([replace(entry, payload=garbage)])
            accel = make_accel(store=store)
            set_llm_cache(AccelCache(accel) if way == "set_llm_cache" else None)
            model: Any = chat() if way == "set_llm_cache" else accelerate(chat(), accel)
            before = server.call_count
            for _ in range(2):
                told = colour.stream(model, "Why?") if way == "stream" else [
                    colour.invoke(model, "Why?")
                ]  # fmt: skip
                assert "".join(part.content for part in told) == "Answer to: Why?"
            assert server.call_count == before + 1
            assert accel.stats().failures == {"payload.read": 1}
            accel.flush()
            store.remove([entry.key])

    @pytest.mark.parametrize(
        "vector", [b"odd", b"", b"\x00" * 128, b"\xff" * 128, b"\x00\x3c" * 7], ids=repr
    )
    def test_garbage_vector_in_a_shared_file(
        self,
        make_accel: MakeAccel,
        tmp_path: Path,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        vector: bytes,
    ) -> None:
        """A vector that is none hides nothing of what another process wrote after it."""
        settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
        here, there = make_accel(settings), make_accel(settings)
        server._answer = lambda request: f"version {server.call_count}"
        reader, writer = accelerate(chat(), here), accelerate(chat(), there)
        colour.invoke(writer, "Why?")
        there.flush()
        assert colour.invoke(reader, "Why?").content == "version 1"
        garbage = Entry(
            key=b"k" * 24,
            scope=b"s" * 24,
            payload=b"[]",
            created_s=0,
            expires_s=9e9,
            encoder=HashEncoder().name,
            vector=vector,
        )
        store = SqliteStore(tmp_path / "cache.db")
        store.save([garbage])
        store.close()
        colour.invoke(writer, "Why?", {"tags": ["accel:refresh"]})
        there.flush()
        assert [colour.invoke(reader, "Why?").content for _ in range(2)] == ["version 2"] * 2


class TestIndex:
    """An index that fails."""

    @pytest.mark.parametrize("when", ["always", "once", "often"])
    @pytest.mark.parametrize("operation", ["add", "nearest", "remove"])
    def test_each_operation(
        self,
        make_accel: MakeAccel,
        events: Recorder,
        clock: Clock,
        ask_all: Callable[[Accel], list[str]],
        monkeypatch: pytest.MonkeyPatch,
        *,
        operation: str,
        when: str,
    ) -> None:
        """Whatever the index does, answers are right, and each failure is an event."""
        index = Faults(ScopedIndex(), [operation], when, SHORTAGE)
        accel = make_accel(clocks=clock.clocks())
        monkeypatch.setattr(accel._built.tiers._near, "_index", index)
        assert right(ask_all(accel))
        accel.flush()
        clock.now += 10_000
        assert right(ask_all(accel))
        accel.flush()
        told = events.of(happened.BackendFailed)
        assert len(told) == index.failed > 0
        assert {event.backend for event in told} == {"index"}


class Moody(HashEncoder):
    """An encoder that answers `spell` to every text; None: it raises."""

    def __init__(self, spell: Callable[[Any], Any]) -> None:
        super().__init__()
        self._spell = spell

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = self._spell(super().encode(texts))
        return vectors


def _raise(_: Any) -> Any:
    raise RuntimeError("out of memory")


BAD_VECTORS: dict[str, Callable[[Any], Any]] = {
    "raises": _raise,
    "NaN": lambda rows: rows * np.float32("nan"),
    "infinite": lambda rows: rows * np.float32("inf"),
    "zero": lambda rows: rows * 0,
    "None": lambda rows: None,
    "text": lambda rows: "vector",
    "scalar": lambda rows: 3.0,
    "one row too many": lambda rows: np.concatenate([rows, rows]),
    "no rows": lambda rows: rows[:0],
    "one dimension": lambda rows: rows[0],
    "three dimensions": lambda rows: rows[None],
    "objects": lambda rows: np.array([[object()]]),
}


class TestEncoder:
    """An encoder that fails, or returns what is no vector."""

    @pytest.mark.parametrize("bad", BAD_VECTORS)
    def test_what_it_returns(
        self,
        make_accel: MakeAccel,
        events: Recorder,
        ask_all: Callable[[Accel], list[str]],
        *,
        bad: str,
    ) -> None:
        """Whatever an encoder returns, answers are right, exact hits go on, and it is an event."""
        accel = make_accel(encoder=Moody(BAD_VECTORS[bad]))
        assert right(ask_all(accel))
        accel.flush()
        assert accel.stats().semantic_hits == 0
        assert accel.stats().exact_hits > 0
        told = events.of(happened.BackendFailed)
        assert told
        assert {(event.backend, event.operation) for event in told} == {("encoder", "encode")}

    def test_dimension_that_changes(
        self, make_accel: MakeAccel, ask_all: Callable[[Accel], list[str]], events: Recorder
    ) -> None:
        """An encoder whose vectors change their length is not trusted, and nothing breaks."""
        sizes = iter([64, 32, 64, 16] * 100)
        accel = make_accel(encoder=Moody(lambda rows: rows[:, : next(sizes)]))
        assert right(ask_all(accel))
        accel.flush()
        assert events.of(happened.BackendFailed)

    @pytest.mark.parametrize("operation", ["distrust", "encode"])
    @pytest.mark.parametrize("when", ["once", "often", "always"])
    def test_each_operation(
        self,
        make_accel: MakeAccel,
        events: Recorder,
        ask_all: Callable[[Accel], list[str]],
        *,
        operation: str,
        when: str,
    ) -> None:
        """An encoder that fails at times is used at the others."""
        encoder = Faults(HashEncoder(), [operation], when, SHORTAGE)
        accel = make_accel(encoder=encoder)
        assert right(ask_all(accel))
        accel.flush()
        assert encoder.failed > 0
        assert events.of(happened.BackendFailed)

    def test_another_encoder_on_the_same_file(
        self,
        make_accel: MakeAccel,
        tmp_path: Path,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
    ) -> None:
        """Entries of another encoder, or of one that took its name, are served exactly only."""
        settings = {"cache": {"store": {"kind": "sqlite", "path": str(tmp_path / "cache.db")}}}
        first = make_accel(settings)
        colour.invoke(accelerate(chat(), first), QUESTIONS[0])
        first.close()
        impostor = HashEncoder(32)
        impostor.name = HashEncoder().name
        for encoder in (HashEncoder(128), impostor):
            server.reset()
            accel = make_accel(settings, encoder=encoder)
            fast = accelerate(chat(), accel)
            accel.flush()
            told = [colour.invoke(fast, question).content for question in QUESTIONS]
            assert right(told)
            assert server.call_count <= 4
            accel.close()


@pytest.fixture(scope="module")
def minilm() -> Any:
    """The real encoder, loaded once."""
    from accel_core.encoder.minilm import MiniLMEncoder

    return MiniLMEncoder()


class TestTexts:
    """Questions an encoder cannot judge, and ones that are hardly questions."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("忘记了密码怎么办", "今天天气怎么样"),
            ("Как сбросить пароль?", "Какая сегодня погода?"),
            ("🦜" * 5, "🦊" * 5),
            ("Explain " + "this text " * 200 + "in French", "Explain " + "this text " * 200),
            ("word " * 30_000 + "one", "word " * 30_000 + "two"),
            ("?", "!"),
            ("", " "),
            ("\u200b", "\u200d"),
            ("¿Cuántos años tienes?", "¿Cuántos anos tienes?"),
        ],
        ids=[
            "han",
            "cyrillic",
            "emoji",
            "long",
            "very long",
            "marks",
            "empty",
            "invisible",
            "accents",
        ],
    )
    @pytest.mark.parametrize("way", ["accelerate", "set_llm_cache"])
    def test_never_taken_for_one_another(
        self,
        make_accel: MakeAccel,
        minilm: Any,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        way: str,
        one: str,
        other: str,
    ) -> None:
        """Texts the real encoder cannot tell apart are served exactly, and to nobody else."""
        accel = make_accel(encoder=minilm)
        set_llm_cache(AccelCache(accel) if way == "set_llm_cache" else None)
        model: Any = chat() if way == "set_llm_cache" else accelerate(chat(), accel)
        server._answer = lambda request: f"answer {server.call_count}"
        told = []
        for text in (one, other, one, other):
            told.append(colour.invoke(model, text).content)
            accel.flush()
        assert told == ["answer 1", "answer 2", "answer 1", "answer 2"]

    @pytest.mark.slow
    @pytest.mark.parametrize("way", ["accelerate", "set_llm_cache"])
    def test_ten_megabytes(
        self,
        make_accel: MakeAccel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        way: str,
    ) -> None:
        """A prompt of ten megabytes is answered, and is not kept."""
        accel = make_accel()
        set_llm_cache(AccelCache(accel) if way == "set_llm_cache" else None)
        model: Any = chat() if way == "set_llm_cache" else accelerate(chat(), accel)
        server._answer = lambda request: "long"
        text = "lorem ipsum " * (10 * 2**20 // 12)
        for _ in range(2):
            assert colour.invoke(model, text).content == "long"
        assert server.call_count == 2
        assert accel.stats().refused == {"too_large": 2}

    @pytest.mark.parametrize("way", ["accelerate", "set_llm_cache"])
    def test_images_alone(
        self,
        make_accel: MakeAccel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        way: str,
    ) -> None:
        """Prompts of images alone are served for the very same images, in the same order."""
        accel = make_accel()
        set_llm_cache(AccelCache(accel) if way == "set_llm_cache" else None)
        model: Any = chat() if way == "set_llm_cache" else accelerate(chat(), accel)
        server._answer = lambda request: f"answer {server.call_count}"

        def ask(*images: str) -> str:
            content = [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
                for data in images
            ]
            told: str = colour.invoke(model, [HumanMessage(content=content)]).content
            accel.flush()
            return told

        asked = [ask("AA=="), ask("AQ=="), ask("AA==", "AQ=="), ask("AQ==", "AA=="), ask("AA==")]
        assert asked == ["answer 1", "answer 2", "answer 3", "answer 4", "answer 1"]

    def test_huge_answer(
        self, make_accel: MakeAccel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """An answer too large to keep is given and asked for again."""
        accel = make_accel({"cache": {"admission": {"max_entry_bytes": 1000}}})
        fast = accelerate(chat(), accel)
        server._answer = lambda request: Reply(content="word " * 500)
        for _ in range(2):
            assert colour.invoke(fast, "Why?").content == "word " * 500
        assert accel.stats().refused == {"too_large": 2}


class TestConstruction:
    """No encoder, and no `Accel` any more."""

    def test_no_encoder(
        self,
        make_accel: MakeAccel,
        monkeypatch: pytest.MonkeyPatch,
        events: Recorder,
        ask_all: Callable[[Accel], list[str]],
    ) -> None:
        """Without an encoder's library answers are exact only; it is said once, with a remedy."""
        import importlib.util

        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
        accel = make_accel(encoder=None)
        monkeypatch.undo()
        assert right(ask_all(accel))
        (told,) = events.of(happened.SemanticUnavailable)
        assert "pip install" in told.remedy
        assert accel.stats().semantic_hits == 0
        assert accel.stats().exact_hits > 0
        assert set(accel.stats().misses) == {"no_encoder"}

    def test_uncalibrated_encoder(
        self, make_accel: MakeAccel, events: Recorder, ask_all: Callable[[Accel], list[str]]
    ) -> None:
        """An encoder without a threshold of its own serves nothing by meaning until one is set."""
        accel = make_accel(encoder=HashEncoder(min_similarity=None))
        assert right(ask_all(accel))
        (told,) = events.of(happened.SemanticUnavailable)
        assert "min_similarity" in told.remedy
        assert accel.stats().semantic_hits == 0

    def test_after_close(
        self, make_accel: MakeAccel, ask_all: Callable[[Accel], list[str]]
    ) -> None:
        """After `close` every call is answered by the model."""
        accel = make_accel()
        accel.close()
        assert right(ask_all(accel))
        assert accel.stats().stored == 0

    def test_observer_that_raises(
        self, make_accel: MakeAccel, ask_all: Callable[[Accel], list[str]]
    ) -> None:
        """An observer that raises is left out, and nobody else notices."""

        def observer(event: Any) -> None:
            raise RuntimeError

        accel = make_accel(observers=[observer])
        assert right(ask_all(accel))
        assert accel.stats().hits > 0
