"""`batched` around what LangChain applications have: tools and embedding clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from langchain_core.tools import tool
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr

from langchain_accel import batched

if TYPE_CHECKING:
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour


def test_a_tool_is_still_a_tool(colour: Colour) -> None:
    """A batched function keeps its description and schema, and concurrent calls get their own."""

    @tool
    @batched(max_wait_s=0.01)
    def look_up(ids: list[str]) -> list[str]:
        """Look up records."""
        return [f"record {one}" for one in ids]

    assert look_up.description == "Look up records."
    assert list(look_up.args) == ["ids"]
    asked = [{"ids": [str(n), "x"]} for n in range(30)]
    assert colour.batch(look_up, asked) == [[f"record {n}", "record x"] for n in range(30)]


def test_a_real_client_makes_fewer_calls(server: ModelServer, http_clients: dict[str, Any]) -> None:
    """Concurrent embeddings of one text each share requests, and everybody gets its own vector."""
    model = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=server.url,
        api_key=SecretStr("any"),
        check_embedding_ctx_length=False,
        **http_clients,
    )
    texts = [f"text {n}" for n in range(40)]
    expected = model.embed_documents(texts)
    before = len(server.embedding_calls)
    embed = batched(model.embed_documents)
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda text: embed([text])[0], texts))
    assert found == expected
    assert len(server.embedding_calls) - before < len(texts)
