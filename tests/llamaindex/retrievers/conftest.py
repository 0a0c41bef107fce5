"""An index of a few texts, and a way to ask it in both colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from llama_index.core import Settings, VectorStoreIndex

from tests.llamaindex.retrievers.rig import TEXTS
from tests.llamaindex.retrieving import COLOURS, Retrieve, WordEmbedding, document, index_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator


@pytest.fixture(params=COLOURS)
def retrieve(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Retrieve:
    return Retrieve(request.param, runner)


@pytest.fixture(autouse=True)
def offline() -> Iterator[None]:
    """Count tokens by words: LlamaIndex's own way looks for a file on the network."""
    before = Settings._tokenizer
    Settings.tokenizer = str.split
    yield
    Settings._tokenizer = before


@pytest.fixture
def embedding() -> WordEmbedding:
    return WordEmbedding()


@pytest.fixture
def index(embedding: WordEmbedding) -> VectorStoreIndex:
    return index_of([document(name, text, name=name) for name, text in TEXTS.items()], embedding)
