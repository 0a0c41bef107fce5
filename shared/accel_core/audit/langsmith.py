"""Runs as LangSmith exports them: ``client.list_runs``, its API, bulk exports turned into JSON.

Fields: https://docs.langchain.com/langsmith/run-data-format. Only runs of a model (``run_type``
``llm``) are calls; the chains and tools around them are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.audit.fields import (
    Refused,
    between_s,
    max_output_of,
    number_of,
    params_of,
    parsed,
    refusal_of,
    stamp_s,
    tenant_in,
    tokens_of,
)
from accel_core.audit.logged import LoggedCall, Stated
from accel_core.audit.responses import NOTHING, read_response
from accel_core.audit.turns import turn_of
from accel_core.policy.identity import Prompt, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ASKED = ("messages", "prompts", "prompt", "input")
_OURS = frozenset({"_type", "ls_structured_output_format"})
"""Parameters that LangChain adds for its traces."""


def is_run(record: Mapping[str, Any]) -> bool:
    """Whether `record` is a run."""
    return "run_type" in record


def calls_in(run: Mapping[str, Any], tenant_fields: Sequence[str]) -> Iterator[LoggedCall]:
    """Yield the model calls of a run, those of its children included.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: something in it is no call.
    """
    if run["run_type"] == "llm":
        yield _call(run, tenant_fields)
    for child in run.get("child_runs") or ():
        yield from calls_in(child, tenant_fields)


def _call(run: Mapping[str, Any], tenant_fields: Sequence[str]) -> LoggedCall:
    inputs, outputs, extra = (
        parsed(run.get(name)) or {} for name in ("inputs", "outputs", "extra")
    )
    metadata = extra.get("metadata") or {}
    given = {
        **params_of(inputs, *_ASKED),
        **params_of(extra.get("invocation_params") or {}, *_OURS),
    }
    model = given.get("model") or given.get("model_name") or metadata.get("ls_model_name") or ""
    began_s = stamp_s(run.get("start_time"))
    refused = refusal_of(run["error"]) if run.get("error") else Refused()
    response = NOTHING if refused.failure else read_response(outputs)
    said, text = response.answer or (None, "")
    counted = {
        "input_tokens": run.get("prompt_tokens"),
        "output_tokens": run.get("completion_tokens"),
    }
    tokens = response.tokens or tokens_of(metadata.get("usage_metadata"), counted)
    prompt = Prompt(
        "audit.chat",
        given,
        _turns(inputs),
        tenant_in(tenant_fields, metadata),
        source=str(model),
    )
    stated = Stated(
        began_s,
        between_s(began_s, stamp_s(run.get("end_time"))),
        None if refused.failure else tokens,
        number_of(given | metadata, "temperature", "ls_temperature"),
        max_output_of(given),
        *refused,
    )
    return LoggedCall(prompt, said, text, stated)


def _turns(inputs: Mapping[str, Any]) -> tuple[Turn, ...]:
    asked = next((inputs[name] for name in _ASKED if inputs.get(name)), None)
    if isinstance(asked, list) and asked and isinstance(asked[0], list):
        asked = asked[0]
    if isinstance(asked, list) and asked and isinstance(asked[0], str):
        asked = asked[0]
    if isinstance(asked, str):
        return (Turn("user", (asked,)),)
    if not isinstance(asked, list):
        raise ValueError("its inputs hold no messages")
    return tuple(map(turn_of, asked))
