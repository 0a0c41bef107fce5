"""The model server through the clients people use: each promise as they would notice it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai import OpenAI as LlamaOpenAI
from pydantic import BaseModel, Field, SecretStr

from accel_core.testing.model_server import ModelServer
from accel_core.testing.openai_wire import DIMENSIONS, IMAGE_TOKENS, Usage
from accel_core.testing.replies import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

QUESTION = "What is the capital of France?"
ERROR = {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}
ECHO = f"Answer to: {QUESTION}"


class Weather(BaseModel):
    """Weather at a place."""

    place: str
    days: int = Field(ge=1)
    unit: str | None = None
    tags: list[str] = Field(min_length=1)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture
async def ahttp() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def langchain_chat(
    server: ModelServer, client: httpx.Client | httpx.AsyncClient, **options: Any
) -> ChatOpenAI:
    side = "http_client" if isinstance(client, httpx.Client) else "http_async_client"
    options = {"model": "gpt-4o-mini", "max_retries": 0, side: client, **options}
    return ChatOpenAI(base_url=server.url, api_key=SecretStr("any"), **options)


def llama_chat(server: ModelServer, client: httpx.Client | httpx.AsyncClient) -> LlamaOpenAI:
    side = "http_client" if isinstance(client, httpx.Client) else "async_http_client"
    options: dict[str, Any] = {side: client, "max_retries": 0}
    return LlamaOpenAI(model="gpt-4o-mini", api_base=server.url, api_key="any", **options)


def joined(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


class TestLangChainChat:
    def test_invoke(self, server: ModelServer, http: httpx.Client) -> None:
        """An answer carries usage, model and fingerprint, and an id of its own."""
        chat = langchain_chat(server, http)
        first, second = chat.invoke(QUESTION), chat.invoke(QUESTION)
        assert first.content == second.content == ECHO
        assert first.usage_metadata is not None
        assert first.usage_metadata["input_tokens"] == 6
        assert first.usage_metadata["output_tokens"] == 8
        meta = first.response_metadata
        assert (meta["model_name"], meta["finish_reason"]) == ("gpt-4o-mini", "stop")
        assert meta["system_fingerprint"]
        assert meta["id"] != second.response_metadata["id"]

    async def test_ainvoke(self, server: ModelServer, ahttp: httpx.AsyncClient) -> None:
        """The asynchronous client gets the same."""
        assert (await langchain_chat(server, ahttp).ainvoke(QUESTION)).content == ECHO

    @pytest.mark.parametrize("usage", [True, False])
    def test_stream(self, server: ModelServer, http: httpx.Client, *, usage: bool) -> None:
        """A stream comes in words; usage comes last, where it was asked for."""
        chat = langchain_chat(server, http, stream_usage=usage)
        chunks = list(chat.stream(QUESTION))
        whole = joined(chunks)
        assert whole.content == ECHO
        assert sum(bool(chunk.content) for chunk in chunks) == 8
        assert whole.response_metadata["finish_reason"] == "stop"
        assert bool(whole.usage_metadata) is usage
        assert server.usage == Usage(6, 8)

    async def test_astream(self, server: ModelServer, ahttp: httpx.AsyncClient) -> None:
        """The asynchronous client streams the same."""
        chat = langchain_chat(server, ahttp)
        assert joined([chunk async for chunk in chat.astream(QUESTION)]).content == ECHO

    def test_several_choices(self, http: httpx.Client) -> None:
        """``n`` asks for the answer so many times, whole or streamed in turns."""
        numbers = iter(range(9))
        with ModelServer(lambda request: f"number {next(numbers)}") as server:
            found = langchain_chat(server, http, n=3).generate([[HumanMessage(QUESTION)]])
            asked: Any = [{"role": "user", "content": QUESTION}]
            client = openai.OpenAI(base_url=server.url, api_key="any", http_client=http)
            stream = client.chat.completions.create(model="m", messages=asked, n=2, stream=True)
            texts = ["", ""]
            for choice in (event.choices[0] for event in stream):
                texts[choice.index] += choice.delta.content or ""
        assert [g.text for g in found.generations[0]] == ["number 0", "number 1", "number 2"]
        assert texts == ["number 3", "number 4"]

    def test_stop_and_limit(self, server: ModelServer, http: httpx.Client) -> None:
        """A stop sequence ends the text; a token limit cuts it and says so."""
        chat = langchain_chat(server, http)
        assert chat.invoke(QUESTION, stop=["capital"]).content == "Answer to: What is the "
        short = langchain_chat(server, http, max_tokens=3).invoke(QUESTION)
        assert short.content == "Answer to: What "
        assert short.response_metadata["finish_reason"] == "length"

    def test_images(self, server: ModelServer, http: httpx.Client) -> None:
        """The text beside an image is the question; the image is charged."""
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        content: list[str | dict[str, Any]] = [{"type": "text", "text": "What is this?"}, image]
        assert langchain_chat(server, http).invoke([("user", content)]).content == (
            "Answer to: What is this?"
        )
        assert server.usage.prompt_tokens == 3 + IMAGE_TOKENS

    def test_json_object(self, server: ModelServer, http: httpx.Client) -> None:
        """JSON mode gets a JSON object."""
        chat = langchain_chat(server, http).bind(response_format={"type": "json_object"})
        assert json.loads(str(chat.invoke(QUESTION).content)) == {"answer": ECHO}

    @pytest.mark.parametrize("method", ["json_schema", "function_calling"])
    def test_structured_output(self, server: ModelServer, http: httpx.Client, method: Any) -> None:
        """Both ways to structured output give the smallest object the schema allows."""
        chat = langchain_chat(server, http).with_structured_output(Weather, method=method)
        assert chat.invoke(QUESTION) == Weather(place=ECHO, days=1, tags=[ECHO])


class TestTools:
    ASKED = Reply(tool_calls=(("Weather", {"place": "Paris"}), ("Weather", {"place": "Rome"})))

    def test_calls_have_ids_of_their_own(self, http: httpx.Client) -> None:
        """Tool calls come parsed, each with an id never used before."""
        with ModelServer(lambda request: self.ASKED) as server:
            chat = langchain_chat(server, http).bind_tools([Weather])
            messages = [chat.invoke(QUESTION), chat.invoke(QUESTION)]
        calls = [call for message in messages for call in message.tool_calls]
        assert [call["args"]["place"] for call in calls] == ["Paris", "Rome"] * 2
        assert len({call["id"] for call in calls}) == 4
        assert messages[0].response_metadata["finish_reason"] == "tool_calls"

    def test_calls_are_streamed_in_pieces(self, http: httpx.Client) -> None:
        """Arguments arrive cut, and add up."""
        with ModelServer(lambda request: self.ASKED) as server:
            chunks: list[Any] = list(
                langchain_chat(server, http).bind_tools([Weather]).stream(QUESTION)
            )
        whole = joined(chunks)
        assert isinstance(whole, AIMessageChunk)
        assert [call["args"]["place"] for call in whole.tool_calls] == ["Paris", "Rome"]
        assert sum(bool(chunk.tool_call_chunks) for chunk in chunks) == 6

    @pytest.mark.parametrize(("choice", "reason"), [("any", "tool_calls"), ("Weather", "stop")])
    def test_forced_choice(
        self, server: ModelServer, http: httpx.Client, choice: str, reason: str
    ) -> None:
        """A forced call is made; forced by name it ends in ``stop``, as with the service."""
        chat = langchain_chat(server, http).bind_tools([Weather], tool_choice=choice)
        message = chat.invoke(QUESTION)
        assert message.tool_calls[0]["args"] == {"place": ECHO, "days": 1, "tags": [ECHO]}
        assert message.response_metadata["finish_reason"] == reason

    def test_offered_tools_are_not_called_unasked(
        self, server: ModelServer, http: httpx.Client
    ) -> None:
        """With tools merely offered, the default answer is text."""
        message = langchain_chat(server, http).bind_tools([Weather]).invoke(QUESTION)
        assert (message.content, message.tool_calls) == (ECHO, [])

    def test_refusal(self, http: httpx.Client) -> None:
        """A refusal comes in its own field, whole or streamed, with no content."""
        with ModelServer(lambda request: Reply(refusal="I must not.")) as server:
            message = langchain_chat(server, http).invoke(QUESTION)
            # ChatOpenAI drops a streamed refusal, so the plain client must look.
            client = openai.OpenAI(base_url=server.url, api_key="any", http_client=http)
            asked: Any = [{"role": "user", "content": QUESTION}]
            stream = client.chat.completions.create(model="m", messages=asked, stream=True)
            deltas = [event.choices[0].delta for event in stream]
        assert (message.content, message.additional_kwargs) == ("", {"refusal": "I must not."})
        assert [delta.refusal for delta in deltas if delta.refusal] == ["I must not."]
        assert not any(delta.content for delta in deltas)


class TestOtherClients:
    def test_completions(self, server: ModelServer, http: httpx.Client) -> None:
        """The legacy endpoint answers every prompt of a list, and streams one."""
        llm = OpenAI(base_url=server.url, api_key=SecretStr("any"), http_client=http, max_retries=0)
        found = llm.generate(["one", "two"])
        assert [g[0].text for g in found.generations] == ["Answer to: one", "Answer to: two"]
        assert found.llm_output is not None
        assert found.llm_output["token_usage"]["total_tokens"] == 8
        assert list(llm.stream("three")) == ["Answer ", "to: ", "three", ""]
        assert server.call_count == 2

    def test_embeddings(self, server: ModelServer, http: httpx.Client) -> None:
        """Embeddings are of unit length, the same each time, near where words are shared."""
        options: dict[str, Any] = {"base_url": server.url, "api_key": "any", "http_client": http}
        model = OpenAIEmbeddings(check_embedding_ctx_length=False, **options)
        first, second, other = model.embed_documents([QUESTION, QUESTION.upper(), "Buy milk"])
        assert len(first) == DIMENSIONS
        assert sum(x * x for x in first) == pytest.approx(1, abs=1e-6)
        assert first == second
        assert abs(sum(x * y for x, y in zip(first, other, strict=True))) < 0.6
        small = OpenAIEmbeddings(dimensions=8, check_embedding_ctx_length=False, **options)
        assert len(small.embed_query("x")) == 8
        assert [call["model"] for call in server.embedding_calls] == [model.model] * 2
        assert server.call_count == 0

    def test_embedding_formats(self, server: ModelServer, http: httpx.Client) -> None:
        """Numbers are sent as numbers or as base64, and token lists are embedded as well."""
        with openai.OpenAI(base_url=server.url, api_key="any", http_client=http) as client:
            kinds: tuple[Any, ...] = ("float", "base64")
            found = [
                client.embeddings.create(model="m", input=[1, 2], encoding_format=kind)
                for kind in kinds
            ]
            assert [type(answer.data[0].embedding).__name__ for answer in found] == ["list", "str"]
            assert "gpt-4o-mini" in [model.id for model in client.models.list()]

    def test_llama_index(self, server: ModelServer, http: httpx.Client) -> None:
        """LlamaIndex completes, chats and streams."""
        llm, messages = llama_chat(server, http), [ChatMessage(role="user", content=QUESTION)]
        assert llm.complete(QUESTION).text == ECHO
        assert llm.chat(messages).message.content == ECHO
        assert [r.message.content for r in llm.stream_chat(messages)][-1] == ECHO

    async def test_llama_index_async(self, server: ModelServer, ahttp: httpx.AsyncClient) -> None:
        """LlamaIndex chats and streams asynchronously."""
        llm, messages = llama_chat(server, ahttp), [ChatMessage(role="user", content=QUESTION)]
        assert (await llm.achat(messages)).message.content == ECHO
        stream = await llm.astream_chat(messages)
        assert [r.message.content async for r in stream][-1] == ECHO


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (429, openai.RateLimitError),
            (500, openai.InternalServerError),
        ],
    )
    def test_status(self, http: httpx.Client, status: int, error: type[Exception]) -> None:
        """A status reaches the client as its own exception, whole or streamed."""
        with ModelServer(lambda request: Reply(status=status, content="not now")) as server:
            chat = langchain_chat(server, http, max_tokens=1)
            with pytest.raises(error, match="not now"):
                chat.invoke(QUESTION)
            with pytest.raises(error, match="not now"):
                list(chat.stream(QUESTION))
        assert server.usage == Usage()

    def test_retry_after(self, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """A client that retries waits as long as it is told, and every try is a call."""
        waited_s: list[float] = []
        monkeypatch.setattr(time, "sleep", waited_s.append)
        replies = iter([Reply(status=429, retry_after_s=7.5), Reply(content="now")])
        with ModelServer(lambda request: next(replies)) as server:
            assert langchain_chat(server, http, max_retries=1).invoke(QUESTION).content == "now"
        assert waited_s == [7.5]
        assert server.call_count == 2

    def test_cut_stream(self, http: httpx.Client) -> None:
        """The connection breaks after the chunks chosen."""
        reply = Reply(chunks=("Par", "is", "!"), break_after=2)
        with ModelServer(lambda request: reply) as server:
            stream = langchain_chat(server, http).stream(QUESTION)
            assert [next(stream).content for _ in range(3)] == ["", "Par", "is"]
            with pytest.raises(httpx.RemoteProtocolError):
                next(stream)
            with pytest.raises(openai.APIConnectionError):
                langchain_chat(server, http).invoke(QUESTION)

    def test_error_event(self, http: httpx.Client) -> None:
        """A stream ends with an error after the chunks chosen, which may be none."""
        for after, seen in ((2, ["", "Par", "is"]), (0, [])):
            reply = Reply(chunks=("Par", "is", "!"), error_after=after, error=ERROR)
            with ModelServer(lambda request, reply=reply: reply) as server:
                stream = langchain_chat(server, http).stream(QUESTION)
                assert [next(stream).content for _ in seen] == seen
                with pytest.raises(openai.APIError, match="slow down"):
                    next(stream)

    def test_failing_answer_is_raised(self, http: httpx.Client) -> None:
        """An assertion in the answer is not lost: the caller sees it where the block ends."""

        def answer(request: dict[str, Any]) -> str:
            raise AssertionError(request["messages"][-1]["content"])

        def ask() -> None:
            with ModelServer(answer) as server:
                with pytest.raises(openai.BadRequestError, match="answer raised"):
                    langchain_chat(server, http, max_retries=2).invoke(QUESTION)
                assert server.call_count == 1

        with pytest.raises(AssertionError, match="capital"):
            ask()

    def test_bad_requests(self, server: ModelServer, http: httpx.Client) -> None:
        """What is not a call is answered as the service does, and not counted."""
        post = f"{server.url}/chat/completions"
        assert http.post(post, content=b"{").status_code == 400
        assert http.post(post, json={"model": "m"}).json()["error"]["message"] == (
            "you must provide messages"
        )
        assert http.post(post, json=[]).status_code == 400
        assert http.post(f"{server.url}/nothing", json={}).status_code == 404
        assert http.get(f"{server.url}/nothing").status_code == 404
        assert server.call_count == 0


class TestRecordAndGates:
    def test_record(self, server: ModelServer, http: httpx.Client) -> None:
        """Calls are kept as they were sent, summed up, and forgotten on request."""
        chat = langchain_chat(server, http, temperature=0.2)
        chat.invoke(QUESTION)
        chat.invoke("Why?")
        assert [call["messages"][-1]["content"] for call in server.calls] == [QUESTION, "Why?"]
        assert server.calls[0]["temperature"] == 0.2
        assert server.usage == Usage(7, 11)
        assert server.usage.total_tokens == 18
        server.reset()
        assert (server.calls, server.call_count, server.usage) == ([], 0, Usage())

    def test_hold_threads(self, server: ModelServer, http: httpx.Client) -> None:
        """Calls on hold have arrived and none is answered; then all are."""
        chat = langchain_chat(server, http)
        with ThreadPoolExecutor(8) as pool:
            with server.hold():
                futures = [pool.submit(chat.invoke, f"question {n}") for n in range(8)]
                server.wait_for_calls(8)
                assert not any(future.done() for future in futures)
            answers = [future.result().content for future in futures]
        assert answers == [f"Answer to: question {n}" for n in range(8)]

    async def test_hold_tasks(self, server: ModelServer, ahttp: httpx.AsyncClient) -> None:
        """The same with tasks of one loop, which waits for arrivals in a thread."""
        chat = langchain_chat(server, ahttp)
        with server.hold():
            tasks = [asyncio.create_task(chat.ainvoke(f"question {n}")) for n in range(8)]
            await asyncio.to_thread(server.wait_for_calls, 8)
            assert not any(task.done() for task in tasks)
        assert len({message.content for message in await asyncio.gather(*tasks)}) == 8

    async def test_cancelled_call(self, server: ModelServer, ahttp: httpx.AsyncClient) -> None:
        """A client that hangs up disturbs nobody."""
        chat = langchain_chat(server, ahttp)
        with server.hold():
            task = asyncio.create_task(chat.ainvoke(QUESTION))
            await asyncio.to_thread(server.wait_for_calls, 1)
            task.cancel()
            await asyncio.wait([task])
        assert (await chat.ainvoke(QUESTION)).content == ECHO

    def test_missing_calls_are_said(self, server: ModelServer) -> None:
        """Waiting for calls that do not come ends, with the count."""
        with pytest.raises(TimeoutError, match="0 of 1 calls"):
            server.wait_for_calls(1, timeout_s=0.01)

    def test_latency(self, http: httpx.Client) -> None:
        """An answer takes the latency and the reply's own delay."""
        reply = Reply(content="late", delay_s=0.05)
        with ModelServer(lambda request: reply, latency_s=0.05) as server:
            start = time.monotonic()
            langchain_chat(server, http).invoke(QUESTION)
            assert time.monotonic() - start >= 0.1

    def test_round_trip(self, server: ModelServer, http: httpx.Client) -> None:
        """A call costs a few milliseconds: a delayed acknowledgement alone would be 40."""
        chat, times_s = langchain_chat(server, http), []
        for _ in range(20):
            start = time.perf_counter()
            chat.invoke(QUESTION)
            times_s.append(time.perf_counter() - start)
        # The first may pass; of the others every one would be delayed, on any machine.
        assert min(times_s[1:]) < 0.025


class TestClosing:
    @pytest.mark.parametrize("held", [True, False])
    def test_close_ends_what_waits(self, http: httpx.Client, *, held: bool) -> None:
        """Calls on hold or delayed fail at once, and every thread ends."""
        before = set(threading.enumerate())
        server = ModelServer(lambda request: Reply(delay_s=60))
        gate = server.hold() if held else nullcontext()
        with server, ThreadPoolExecutor(1) as pool, gate:
            future = pool.submit(langchain_chat(server, http).invoke, QUESTION)
            server.wait_for_calls(1)
            server.close()
            with pytest.raises(openai.APIConnectionError):
                future.result(timeout=5)
        for thread in set(threading.enumerate()) - before:
            thread.join(1)
            assert not thread.is_alive()

    def test_closed_server(self) -> None:
        """A closed server has no address; it can be opened again, but not twice at once."""
        server = ModelServer()
        with pytest.raises(RuntimeError, match="closed"):
            _ = server.url
        for _ in range(2):
            with server:
                assert server.url in repr(server)
                with pytest.raises(RuntimeError, match="running"):
                    server.__enter__()
        server.close()
        assert "closed" in repr(server)
