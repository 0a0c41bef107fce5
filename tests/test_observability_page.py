"""The page on observability runs as it stands, from above to below, in either framework.

With a small encoder in the place of the one that is used by default, which takes seconds to load.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index_instrumentation import root_dispatcher

import langchain_accel
from accel_core.accel import Accel
from accel_core.config import from_mapping
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parent.parent / "docs" / "observability.md").read_text()
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that clients of OpenAI find by their environment."""
    with ModelServer() as server:
        for name, value in (
            ("OPENAI_API_KEY", "any"), ("OPENAI_BASE_URL", server.url),
            ("OPENAI_API_BASE", server.url),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        small = functools.partial(Accel, encoder=HashEncoder())
        monkeypatch.setattr(langchain_accel, "Accel", small, raising=False)
        yield server


@pytest.fixture
def _settings() -> Iterator[None]:
    kept = vars(Settings).copy()
    events, spans = list(root_dispatcher.event_handlers), list(root_dispatcher.span_handlers)
    yield
    vars(Settings).update(kept)
    root_dispatcher.event_handlers[:], root_dispatcher.span_handlers[:] = events, spans


def run(framework: str, world: dict[str, Any]) -> None:
    """Run the page's blocks but those of another framework, in one world as a reader would."""
    other = {"langchain": "llama", "llama": "langchain"}[framework]
    for block in _BLOCK.findall(PAGE):
        if other not in block:
            exec(compile(block, "observability.md", "exec"), world)


def test_langchain(server: ModelServer) -> None:
    """A second call is a hit; a handler that is handed over is told of it."""
    world: dict[str, Any] = {}
    run("langchain", world)
    accel, handler = world["accel"], world["handler"]
    assert server.call_count == 1
    assert (handler.total.calls, handler.total.hits) == (1, 1)
    total = accel.stats().requests.total
    assert total.cost == pytest.approx(6 * 0.15e-6 + 8 * 0.6e-6)
    accel.close()


@pytest.mark.usefixtures("_settings", "server")
def test_llamaindex() -> None:
    """Handlers hear of a model that is accelerated as the readme says."""
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai import OpenAI

    from llamaindex_accel import accelerate

    with Accel(encoder=HashEncoder()) as accel:
        Settings.llm = llm = accelerate(OpenAI(model="gpt-4o-mini"), accel)
        question = [ChatMessage(role="user", content="How long does a refund take?")]
        _, answer = llm.chat(question), llm.chat(question)
        world = {"Accel": Accel, "accel": accel, "llm": llm, "answer": answer}
        run("llama", world)
        for _ in range(2):
            Settings.llm.chat([ChatMessage(role="user", content="What does a parcel cost?")])
        assert world["spending"].seen().total.hits == 1
        assert list(world["times"].took()) == ["OpenAI.chat"]
        assert world["handler"].total.hits == 1


def test_the_configuration() -> None:
    """Every setting that the page shows is one."""
    import yaml

    shown = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(shown) == 2
    for block in shown:
        settings = yaml.safe_load(block)
        settings["observe"].pop("prices", None)
        assert from_mapping(settings).observe.file.path == ".accel/statistics.jsonl"
