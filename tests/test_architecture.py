"""The shape of the code, held by tests: sizes, public names, what importing loads."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [ROOT / "langchain_accel", ROOT / "llamaindex_accel", ROOT / "shared" / "accel_core"]
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
MAX_LINES = 400


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_small_and_say_what_they_are_for(path: Path) -> None:
    """No module is over 400 lines, and each begins with a docstring."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert text.startswith('"""')


@pytest.mark.parametrize("name", ["accel_core", "langchain_accel", "llamaindex_accel"])
def test_public_names_are_sorted_and_there(name: str) -> None:
    """Each package lists its public names, sorted, and every one can be had."""
    package = importlib.import_module(name)
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert getattr(package, public) is not None
    with pytest.raises(AttributeError):
        package.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", ["accel_core", "langchain_accel", "llamaindex_accel"])
def test_packages_are_typed(name: str) -> None:
    """Each package ships the marker of its types."""
    package = importlib.import_module(name)
    assert (Path(package.__path__[0]) / "py.typed").is_file()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "from langchain_accel import AccelCache, accelerate",
            ["torch", "redis", "tiktoken", "numpy", "usearch", "llama_index", "sqlite3", "yaml"],
        ),
        (
            "from langchain_accel import accelerate, speculatable",
            ["langchain", "langchain.agents", "langgraph"],
        ),
        ("import llamaindex_accel", ["llama_index", "torch", "numpy", "langchain_core"]),
        ("from accel_core import Accel", ["langchain_core", "llama_index", "torch", "numpy"]),
        ("from accel_core import Limiter", ["httpx", "aiohttp", "tiktoken"]),
        ("import accel_core.testing", ["pytest", "numpy", "openai"]),
    ],
)
def test_imports_load_nothing_heavy(statement: str, absent: list[str]) -> None:
    """Importing what people import loads no model library and no framework but the one named."""
    check = f"{statement}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_index_and_encoder_libraries_live_together() -> None:
    """The graph index can be loaded before the encoder's runtime without a crash."""
    check = "import usearch.index, onnxruntime"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, check=False)
    assert done.returncode == 0


def test_there_is_one_copy_of_the_core() -> None:
    """The core's folder is not a package under its folder's name."""
    assert not (ROOT / "shared" / "__init__.py").exists()
