"""What the documents show is run: the examples as programs, the README's Python as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from accel_core.testing.model_server import ModelServer

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "demo.py")
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = [dedent(fence) for fence in re.findall(r"^ *```python\n(.*?)^ *```", README, re.S | re.M)]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(path: Path) -> None:
    """Every example ends well against an OpenAI-compatible server."""
    with ModelServer() as server:
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_BASE": server.url,
        }
        done = subprocess.run(
            [sys.executable, str(path)],
            env=environment,
            capture_output=True,
            text=True,
            cwd=ROOT / "examples",
            check=False,
            timeout=55,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's Python runs as it stands, one block after another."""
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.globals import set_llm_cache
    from langchain_core.messages import AIMessage
    from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex

    from accel_core.accel import default_accel

    monkeypatch.chdir(ROOT / "examples")
    Settings.tokenizer = str.split
    names: dict[str, Any] = {
        "my_embeddings": DeterministicFakeEmbedding(size=8),
        "index": VectorStoreIndex.from_documents(
            [Document(text="A refund is paid within 14 days.")],
            embed_model=MockEmbedding(embed_dim=8),
        ),
        "Document": Document,
        "message": AIMessage("", response_metadata={"accel": {}}),
    }
    with ModelServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        try:
            for fence in FENCES:
                exec(compile(fence, "README.md", "exec"), names)
            # A chat model's question, and one of a query engine.
            assert server.call_count == 2
        finally:
            set_llm_cache(None)
            Settings._llm = Settings._tokenizer = None
            default_accel().close()
            default_accel.cache_clear()
    assert len(FENCES) >= 5
