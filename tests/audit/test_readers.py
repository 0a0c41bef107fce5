"""Logs of every format, as calls: exports of real tracers, and documented forms beside them."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tracers import LangChainTracer
from langchain_openai import ChatOpenAI
from langsmith import Client
from langsmith.schemas import Run
from llama_index.core.base.llms.types import ChatMessage
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from accel_core.audit.fields import TENANT_FIELDS
from accel_core.audit.formats import Seen, read_calls
from accel_core.errors import FileError
from accel_core.events.requests import Tokens
from accel_core.policy.limits.account import Shown
from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accel_core.audit.logged import LoggedCall

BEGAN_S = 1_767_323_045.0
SECOND = 1_000_000_000
LIMITED = (
    "RateLimitError(\"Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o-mini"
    " in organization org-1 on tokens per min (TPM): Limit 30000, Used 29990, Requested 50. Please"
    " try again in 80ms.', 'type': 'tokens', 'code': 'rate_limit_exceeded'}}\")"
)
OTEL_INPUT = [{"role": "user", "parts": [{"type": "text", "content": "Two and two?"}]}]
OTEL_OUTPUT = [
    {"role": "assistant", "parts": [{"type": "text", "content": "Four."}], "finish_reason": "stop"}
]
OTEL_REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.0,
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3,
}
OTEL_CONTENT = {
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps(OTEL_INPUT),
    "gen_ai.output.messages": json.dumps(OTEL_OUTPUT),
}


class Reading:
    """Reads texts as files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, Seen()

    def __call__(self, *texts: object, **options: Any) -> list[LoggedCall]:
        """Read texts, or values as lines of JSON, each from a file of its own."""
        paths = []
        for number, text in enumerate(texts):
            path = self.folder / f"log{number}.jsonl"
            path.write_text(text if isinstance(text, str) else lines(text))
            paths.append(path)
        return list(read_calls(paths, self.seen, tenant_fields=TENANT_FIELDS, **options))


@pytest.fixture
def read(tmp_path: Path) -> Reading:
    """Read logs."""
    return Reading(tmp_path)


def lines(values: Any) -> str:
    """Spell values as lines."""
    return "".join(f"{json.dumps(value, default=str)}\n" for value in values)


class _Tracing(Client):
    """Keeps what would be sent, as LangSmith gives it back."""

    def __init__(self) -> None:
        super().__init__(api_url="http://127.0.0.1:1", api_key="none", auto_batch_tracing=False)
        self.kept: dict[str, dict[str, Any]] = {}

    def create_run(self, name: str, inputs: Any, run_type: Any, **more: Any) -> None:
        """Keep a run."""
        self.kept[str(more["id"])] = {"name": name, "inputs": inputs, "run_type": run_type, **more}

    def update_run(self, run_id: Any, *_: Any, **more: Any) -> None:
        """Keep what came of it."""
        self.kept[str(run_id)] |= more


def test_runs_that_langchain_traced_are_read(read: Reading) -> None:
    """Question, answer, tools, usage, times and parameters; two questions of one scope share it."""
    replies = iter(["Four.", "Five.", Reply(tool_calls=(("look", {"at": "x"}),))])
    client = _Tracing()
    tracer = LangChainTracer(client=client)
    with ModelServer(lambda _: next(replies)) as server:
        model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key="none", temperature=0)
        for question in ("Two and two?", "Two and three?"):
            model.invoke(
                [SystemMessage("Be brief."), HumanMessage(question)],
                {"callbacks": [tracer], "metadata": {"tenant": "north"}},
            )
        tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
        model.bind_tools([tool]).invoke("Look.", {"callbacks": [tracer]})
    tracer.wait_for_futures()
    runs = [Run(**run) for run in client.kept.values()]
    first, second, third = read("".join(f"{run.model_dump_json()}\n" for run in runs))
    assert read.seen.formats == {"log0.jsonl": "langsmith"}
    assert [turn.texts for turn in first.prompt.turns] == [("Be brief.",), ("Two and two?",)]
    assert (first.text, second.text) == ("Four.", "Five.")
    assert first.prompt._replace(turns=()) == second.prompt._replace(turns=())
    assert (first.prompt.tenant, first.prompt.source) == ("north", "gpt-4o-mini")
    assert first.answer is not None
    assert first.answer.finish_reasons == ("stop",)
    assert first.stated.tokens is not None
    assert first.stated.tokens.output_tokens > 0
    assert first.stated.temperature == 0.0
    assert first.stated.took_s is not None
    assert third.answer is not None
    assert third.answer.tool_calls
    assert third.prompt.model["tools"] == [tool]


def test_runs_of_the_sdk_wrapper_and_refusals_are_read(read: Reading) -> None:
    """Requests as OpenAI has them under inputs; a refusal shows the limit that it names."""
    run = {
        "id": "1", "name": "ChatOpenAI", "run_type": "llm", "start_time": "2026-01-02T03:04:05",
        "end_time": "2026-01-02T03:04:07.500000", "extra": {"metadata": {"ls_temperature": 0.7}},
        "inputs": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Two?"}]},
        "outputs": {"choices": [{"message": {"role": "assistant", "content": "2"}}]},
        "prompt_tokens": 9, "completion_tokens": 1,
    }  # fmt: skip
    chain = {"run_type": "chain", "inputs": {}, "child_runs": [run]}
    refused = {**run, "outputs": None, "error": LIMITED}
    empty = {"run_type": "tool", "inputs": {}}
    first, nested, limited = read([run, chain, refused, empty])
    assert first == nested
    assert first.stated.began_s == BEGAN_S
    assert first.stated.took_s == 2.5
    assert first.stated.tokens == Tokens(9.0, 1.0)
    assert first.stated.temperature == 0.7
    assert limited.stated.failure == "limited"
    assert limited.stated.shown == (Shown(1, 30_000.0, 10.0),)
    assert limited.answer is None
    assert (read.seen.calls, read.seen.others) == (3, 1)


def printed_span(attributes: dict[str, Any], events: dict[str, dict[str, Any]]) -> str:
    """Return a span as the SDK's console exporter prints it, over many lines."""
    out = io.StringIO()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
    span = provider.get_tracer("t").start_span("chat", start_time=int(BEGAN_S) * SECOND)
    span.set_attributes(attributes)
    for name, said in events.items():
        span.add_event(name, said)
    span.end(int(BEGAN_S + 2) * SECOND)
    return out.getvalue()


def value(plain: Any) -> dict[str, Any]:
    """Spell a value as OTLP does."""
    if isinstance(plain, str):
        return {"stringValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(one) for one in plain]}}
    if isinstance(plain, dict):
        return {"kvlistValue": {"values": attributes_of(plain)}}
    return {"doubleValue": plain}


def attributes_of(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """Spell attributes as OTLP does."""
    return [{"key": key, "value": value(one)} for key, one in plain.items()]


def exported(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an export of OTLP with one span."""
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "name": "chat gpt-4o-mini", "kind": 3, "startTimeUnixNano": f"{int(BEGAN_S) * SECOND}",
        "endTimeUnixNano": f"{int(BEGAN_S + 2) * SECOND}", "attributes": attributes_of(attributes),
        **more,
    }  # fmt: skip
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}


OLD_EVENTS = {
    "gen_ai.system.message": {"content": "Be brief."},
    "gen_ai.user.message": {"content": "Two and two?"},
    "gen_ai.choice": {
        "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Four."},
    },
}  # fmt: skip


def logged(events: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return an export of OTLP with events of the span above as log records."""
    records = [
        {"eventName": name, "spanId": "eee19b7ec3c1b174", "body": value(body),
         "timeUnixNano": f"{int(BEGAN_S) * SECOND}"}
        for name, body in events.items()
    ]  # fmt: skip
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]}


FLAT = {
    "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be brief.",
    "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "Two and two?",
    "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Four.",
    "gen_ai.completion.0.finish_reason": "stop",
}  # fmt: skip
SPANS: dict[str, Callable[[], list[object]]] = {
    "attributes": lambda: [[exported({**OTEL_REQUEST, **OTEL_CONTENT})]],
    "structured attributes": lambda: [
        [
            exported(
                {
                    **OTEL_REQUEST,
                    "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
                    "gen_ai.input.messages": OTEL_INPUT,
                    "gen_ai.output.messages": OTEL_OUTPUT,
                }
            )
        ]
    ],
    "printed by the SDK": lambda: [printed_span({**OTEL_REQUEST, **OTEL_CONTENT}, {}) * 2],
    "details on the span": lambda: [
        printed_span(OTEL_REQUEST, {"gen_ai.client.inference.operation.details": OTEL_CONTENT})
    ],
    "events of the span": lambda: [
        printed_span(
            OTEL_REQUEST,
            {
                **OLD_EVENTS,
                "gen_ai.choice": {"finish_reason": "stop", "message": '{"content": "Four."}'},
            },
        )
    ],
    "events in a file of logs": lambda: [[exported(OTEL_REQUEST)], [logged(OLD_EVENTS)]],
    "numbered attributes": lambda: [[exported({**OTEL_REQUEST, **FLAT})]],
}


@pytest.mark.parametrize("form", SPANS)
def test_spans_are_read_wherever_contents_stand(read: Reading, form: str) -> None:
    """Of the conventions old and new, exported and printed: one call, the same each time."""
    call, *others = read(*SPANS[form]())
    assert all(other == call for other in others)
    assert set(read.seen.formats.values()) == {"otel"}
    assert [(turn.role, turn.texts) for turn in call.prompt.turns] == [
        ("system", ("Be brief.",)),
        ("user", ("Two and two?",)),
    ]
    assert call.text == "Four."
    assert call.answer is not None
    assert call.answer.finish_reasons == ("stop",)
    assert call.stated.tokens == Tokens(12.0, 3.0)
    assert (call.stated.began_s, call.stated.took_s) == (BEGAN_S, 2.0)
    assert (call.prompt.source, call.stated.temperature) == ("gpt-4o-mini", 0.0)


def test_spans_that_are_no_calls_or_hold_no_contents_are_counted(read: Reading) -> None:
    """An agent's span is no call; one without messages cannot be replayed, and says why."""
    agent = exported({**OTEL_REQUEST, **OTEL_CONTENT, "gen_ai.operation.name": "invoke_agent"})
    failed = exported(
        {**OTEL_REQUEST, **OTEL_CONTENT, "error.type": "RateLimitError"},
        status={"code": 2, "message": LIMITED},
    )
    (call,) = read([agent, exported(OTEL_REQUEST), failed])
    assert call.stated.failure == "limited"
    assert call.answer is None
    assert read.seen.others == 1
    assert list(read.seen.broken) == ["its span holds no messages: contents were not recorded"]
    assert read.seen.places[0].startswith("log0.jsonl, line 2: ")


PAIR = {
    "request": {
        "model": "gpt-4o-mini", "temperature": 0, "stream": True, "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Two?"}]}],
    },
    "response": {
        "choices": [{"message": {"role": "assistant", "content": "2"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1,
                  "prompt_tokens_details": {"cached_tokens": 4}},
    },
    "started_at": "2026-01-02T04:04:05+01:00", "latency_ms": 750, "metadata": {"tenant_id": 7},
}  # fmt: skip


def test_requests_with_responses_are_read(read: Reading) -> None:
    """As two objects, in one object, of the Responses API, and wrapped as batches have them."""
    flat = {
        "model": "gpt-4o-mini", "temperature": 0, "max_tokens": 50, "id": "x", "note": "mine",
        **PAIR["response"], "messages": PAIR["request"]["messages"],
        "timestamp": BEGAN_S * 1e3, "duration_s": 0.75, "tenant": "7",
    }  # fmt: skip
    batch = {
        **PAIR, "request": {"body": PAIR["request"]},
        "response": {"status_code": 200, "body": PAIR["response"],
                     "headers": {"x-ratelimit-limit-tokens": "30000",
                                 "x-ratelimit-remaining-tokens": "20000"}},
    }  # fmt: skip
    responses = {
        "request": {"model": "gpt-4o", "input": "Two?"},
        "response": {
            "status": "completed", "usage": {"input_tokens": 9, "output_tokens": 1},
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "content": [{"type": "output_text", "text": "2"}]},
            ],
        },
    }  # fmt: skip
    pair, one, wrapped, items = read([PAIR, flat, batch, responses])
    assert one == pair
    assert wrapped._replace(stated=pair.stated) == pair
    assert [shown.limit for shown in wrapped.stated.shown] == [30_000.0]
    assert (pair.prompt.tenant, pair.text) == ("7", "2")
    assert "stream" not in pair.prompt.model
    assert pair.stated.tokens == Tokens(9.0, 1.0, 4.0)
    assert (pair.stated.began_s, pair.stated.took_s) == (BEGAN_S, 0.75)
    assert pair.stated.max_output_tokens == 50
    assert (items.text, items.stated.tokens) == ("2", Tokens(9.0, 1.0))
    assert items.prompt.turns[-1].texts == ("Two?",)


def test_errors_of_requests_are_read(read: Reading) -> None:
    """A refusal for a limit, one that waiting does not help, and a failure are told apart."""
    body = {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}
    quota = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    request = PAIR["request"]
    calls = read(
        [
            {"request": request, "response": {"status_code": 429, "body": body}},
            {"request": request, "response": {"status_code": 429, "body": quota}},
            {"request": request, "error": "Connection error."},
            {"request": request, "status": 429, "error": "rate limited"},
        ]
    )
    assert [call.stated.failure for call in calls] == ["limited", "failed", "failed", "limited"]
    assert not any(call.answer or call.stated.tokens for call in calls)


def test_questions_are_read_without_what_is_beside_them(read: Reading) -> None:
    """Notes of a log, such as ids, are no part of the scope; what is not stated is not known."""
    first, second = read(
        [
            {"question": "Two?", "answer": "2", "at": BEGAN_S, "id": 1, "user": "a"},
            {"question": "Two?", "answer": None, "id": 2, "user": "b"},
        ]
    )
    assert read.seen.formats == {"log0.jsonl": "questions"}
    assert first.prompt == second.prompt
    assert (first.text, second.answer) == ("2", None)
    assert first.stated.tokens is None
    assert second.stated.began_s is None


CONVERSATION = [
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "Three?"},
    {"role": "assistant", "content": "3"},
]


def test_messages_are_read_as_the_calls_between_them(read: Reading) -> None:
    """In the forms of OpenAI, LangChain and LlamaIndex, several runs or one list of messages."""
    langchain = [
        dumpd(
            HumanMessage(m["content"])
            if m["role"] == "user"
            else AIMessage(
                m["content"],
                usage_metadata={
                    "input_tokens": 9,
                    "output_tokens": 1,
                    "total_tokens": 10,
                    "input_token_details": {"cache_read": 4},
                },
            )
        )
        for m in CONVERSATION
    ]
    llamaindex = [ChatMessage(**message).model_dump(mode="json") for message in CONVERSATION]
    calls = read([{"messages": CONVERSATION, "tenant": "x"}, langchain, {"input": llamaindex}])
    assert [call.text for call in calls] == ["2", "3"] * 3
    assert calls[0].prompt.turns == calls[2].prompt.turns == calls[4].prompt.turns
    assert len(calls[1].prompt.turns) == 3
    assert [call.prompt.tenant for call in calls[:3]] == ["x", "x", None]
    assert calls[2].stated.tokens == Tokens(9.0, 1.0, 4.0)
    assert [call.text for call in read(json.dumps(CONVERSATION, indent=1))] == ["2", "3"]


def test_what_a_model_sees_differently_has_another_scope(read: Reading) -> None:
    """Pictures and calls of tools count, the ids of calls do not."""

    def asked(*before: object) -> dict[str, Any]:
        return {"request": {"messages": [*before, {"role": "user", "content": "So?"}]}}

    def tool(number: str, at: str) -> list[dict[str, Any]]:
        call = {"id": number, "function": {"name": "look", "arguments": json.dumps({"at": at})}}
        said = {"role": "tool", "tool_call_id": number, "content": "sun"}
        return [{"role": "assistant", "content": None, "tool_calls": [call]}, said]

    def picture(url: str) -> dict[str, Any]:
        block = {"type": "image_url", "image_url": {"url": url}}
        return {"role": "user", "content": [block]}

    from accel_core.policy.identity import Identifier

    calls = read(
        [
            asked(*tool("1", "Graz")),
            asked(*tool("2", "Graz")),
            asked(*tool("1", "Lyon")),
            asked(picture("a")),
            asked(picture("b")),
        ]
    )
    scopes = [Identifier().identify(call.prompt).scope for call in calls]
    assert scopes[0] == scopes[1]
    assert len(set(scopes)) == 4


def test_broken_places_are_counted_and_named(read: Reading) -> None:
    """Lines that are no JSON, cut off, or no call cost themselves alone."""
    pair = json.dumps(PAIR)
    text = f"{pair}\n{pair[:40]}\nnonsense\n{pair}\n{json.dumps({'request': {'messages': 7}})}\n\n"
    assert len(read(text)) == 2
    assert sum(read.seen.broken.values()) == 3
    assert [place.split(":")[0] for place in read.seen.places] == [
        "log0.jsonl, line 2",
        "log0.jsonl, line 3",
        "log0.jsonl, line 5",
    ]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_that_is_cut_off_is_read_as_far_as_it_goes(
    read: Reading, indent: int | None
) -> None:
    """And says where it ends; a large value may lie over many parts that are read."""
    large = {**PAIR, "note": "x" * 3_000_000}
    text = json.dumps([PAIR, large, PAIR], indent=indent)
    assert len(read(text)) == 3
    assert not read.seen.broken
    assert len(read(text[:-40])) == 2
    assert list(read.seen.broken) == ["is no JSON, or cut off: nothing behind it was read"]


def test_exports_in_an_object_and_zipped_are_read(tmp_path: Path) -> None:
    """``{"runs": […]}``, printed over lines, with gzip."""
    path = tmp_path / "runs.json.gz"
    path.write_bytes(
        gzip.compress(json.dumps({"runs": [PAIR, PAIR], "next": None}, indent=2).encode())
    )
    told: list[float] = []
    assert len(list(read_calls([path], Seen(), report=told.append))) == 2
    assert told[-1] == 1.0
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match="cut off"):
        list(read_calls([path], Seen()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ('{"a": 1}\n', "is of no format that is known"),
        ("hello\n", "is of no format that is known"),
        (json.dumps({"run_type": "chain", "inputs": {}}), "holds no call that can be replayed"),
    ],
)
def test_what_is_no_log_is_said(read: Reading, text: str, message: str) -> None:
    """With the remedy."""
    with pytest.raises(FileError, match=message) as caught:
        read(text)
    assert "--format" in str(caught.value)


def test_a_format_can_be_pinned(read: Reading) -> None:
    """Where a record could be read in two ways."""
    record = {"messages": CONVERSATION, "answer": "4"}
    assert [call.text for call in read([record])] == ["4"]
    assert [call.text for call in read([record], pinned="messages")] == ["2", "3"]
