"""What the documents show is run: the examples as programs, the Python of each page as written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from accel_core.testing.model_server import ModelServer

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "demo.py")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def python_of(page: Path) -> list[str]:
    """Return the blocks of Python on a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [dedent(fence) for fence in re.findall(r"^ *```python\n(.*?)^ *```", text, re.S | re.M)]


RUN_ALL = """
import runpy, sys
for path in sys.argv[1:]:
    print("#", path, flush=True)
    runpy.run_path(path, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_examples_run(framework: str) -> None:
    """Every example ends well against an OpenAI-compatible server, and says something.

    Those of a framework in one process: to import it takes longer than to run them all.
    """
    paths = [str(path) for path in EXAMPLES if path.name.startswith(f"{framework}_")]
    with ModelServer() as server:
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_BASE": server.url,
        }
        done = subprocess.run(
            [sys.executable, "-c", RUN_ALL, *paths],
            env=environment,
            capture_output=True,
            text=True,
            cwd=ROOT / "examples",
            check=False,
            timeout=110,
        )
    assert done.returncode == 0, done.stderr
    told = re.split(r"^# (.+)$", done.stdout, flags=re.M)[1:]
    assert told[::2] == paths
    assert all(text.strip() for text in told[1::2])


def test_every_example_is_of_a_framework() -> None:
    """So none is left out above."""
    assert {path.name.partition("_")[0] for path in EXAMPLES} == {"langchain", "llamaindex"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of a page runs as it stands, one block after another."""
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.globals import set_llm_cache
    from langchain_core.messages import AIMessage
    from langchain_core.vectorstores import InMemoryVectorStore
    from langchain_openai import ChatOpenAI
    from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
    from llama_index.llms.openai import OpenAI
    from llama_index_instrumentation import root_dispatcher

    from accel_core.default import default_accel
    from accel_core.prediction.mined import MinedPredictor

    # What a page adds is heard by later tests otherwise.
    for kind in ("event_handlers", "span_handlers"):
        monkeypatch.setattr(root_dispatcher, kind, list(getattr(root_dispatcher, kind)))
    fences = python_of(page)
    # The files that pages name: of the examples, and of `accel learn-tools`.
    shutil.copytree(ROOT / "examples", tmp_path, dirs_exist_ok=True)
    MinedPredictor().save(tmp_path / "tools.json")
    monkeypatch.chdir(tmp_path)
    Settings.tokenizer = str.split
    with ModelServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        Settings.llm = OpenAI(model="gpt-4o-mini")
        names: dict[str, Any] = {
            "ChatOpenAI": ChatOpenAI,
            "Document": Document,
            "index": VectorStoreIndex.from_documents(
                [Document(text="A refund is paid within 14 days.")],
                embed_model=MockEmbedding(embed_dim=8),
            ),
            "llm": ChatOpenAI(model="gpt-4o-mini"),
            "message": AIMessage("", response_metadata={"accel": {}}),
            "tools": [],
            "my_embeddings": DeterministicFakeEmbedding(size=8),
            "vectorstore": InMemoryVectorStore(DeterministicFakeEmbedding(size=8)),
        }
        try:
            for fence in fences:
                exec(compile(fence, page.name, "exec"), names)
            assert page.name != "README.md" or server.call_count == 1
        finally:
            set_llm_cache(None)
            Settings._llm = Settings._tokenizer = None
            default_accel().close()
            default_accel.cache_clear()
    assert fences or page.name in {"audit.md", "measurements.md", "stores.md"}
