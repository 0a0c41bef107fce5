"""Which request a LangChain call is: its model, parameters and conversation, named by the core.

LangChain gives a cache two texts, and the second can be stale: a model's serialised form is
computed once, so a changed or copied model keeps the key of the old one. The fresh parameters that
callbacks see are therefore part of the name wherever they are known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.runnables.config import ensure_config, merge_configs

from accel_core.policy.canonical import Unidentifiable
from accel_core.policy.identity import Prompt, Turn
from accel_core.policy.model_names import model_named
from langchain_accel._turns import from_dump

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableConfig

    from accel_core.accel import Accel
    from accel_core.asking import Asking
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request
    from langchain_accel._context import Run

_TEMPERATURE = re.compile(r"""['"]temperature['"](?::|,)\s*['"]?([0-9][0-9.eE+-]*)""")
_SEPARATOR = "---"
_MEMO_CHARS = 4 << 20
_UNSEEN_PARAMS = frozenset({"stream", "stream_options"})
"""How an answer travels, not what it says: streamed and whole answers are one."""


_PLAIN_ONLY = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)

_Key = tuple[str, str, str | None, str, bytes | None]
"""Prompt, model, tenant, namespace, fresh parameters."""


class Requests:
    """Names calls, and remembers names, since parsing a long prompt costs more than a lookup."""

    def __init__(self, accel: Accel) -> None:
        self._accel = accel
        self._memo: dict[_Key, Request] = {}
        self._chars = 0
        accel.remembers(self)

    def forget_texts(self) -> None:
        """Forget every prompt."""
        self._memo, self._chars = {}, 0

    def of_dump(
        self, prompt: str, llm_string: str, run: Run | None, controls: Controls, *, report: bool
    ) -> Request | None:
        """Name a call from what a cache is given; None: it bypasses the cache."""
        tenant = self._accel.current_tenant()
        mark = b"" if run is None else fingerprint(run)
        key = (prompt, llm_string, tenant, controls.namespace, mark)
        request = None if mark is None else self._memo.get(key)
        if request is None:
            request = name_dump(self._accel, (prompt, llm_string), run, controls, report=report)
            if request is not None and mark is not None:
                self._remember(key, request, len(prompt) + len(llm_string) + len(mark))
        return request

    def _remember(self, key: _Key, request: Request, chars: int) -> None:
        if chars > _MEMO_CHARS // 8:
            return
        self._memo[key] = request
        self._chars += chars
        while self._chars > _MEMO_CHARS:
            try:
                oldest = next(iter(self._memo))
                self._memo.pop(oldest)
            except (StopIteration, KeyError, RuntimeError):
                return  # another thread is trimming
            self._chars -= len(oldest[0]) + len(oldest[1]) + len(oldest[4] or b"")


def name_dump(
    accel: Asking,
    given: tuple[str, str],
    run: Run | None,
    controls: Controls,
    *,
    report: bool = True,
) -> Request | None:
    """Name a call from what a cache is `given`, prompt and model; None: it bypasses the cache."""
    prompt, llm_string = given
    try:
        turns = from_dump(prompt) if run is not None or _SEPARATOR in llm_string else None
    except Unidentifiable:
        accel.bypass("unidentifiable", report=report)
        return None
    params = {} if run is None or turns is None else seen(run.params)
    if not accel.admits(temperature(params, llm_string), report=report):
        return None
    if turns is None:
        named = Prompt("langchain.llm", llm_string, (Turn("user", (prompt,)),))
    elif params:
        printed = "" if run is None else run.printed
        model = {"llm": llm_string + printed, "params": params}
        named = Prompt("langchain.chat", model, turns, source=source(params))
    else:
        named = Prompt("langchain.chat", llm_string, turns)
    return identify(accel, named, controls, report=report)


def identify(
    accel: Asking, prompt: Prompt, controls: Controls, *, report: bool = True
) -> Request | None:
    """Name `prompt` as the caller's own."""
    namespace = accel.namespace(controls.namespace)
    owned = prompt._replace(tenant=accel.current_tenant(), namespace=namespace)
    return accel.identify(owned, report=report)


def seen(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that can change an answer."""
    return {key: value for key, value in params.items() if key not in _UNSEEN_PARAMS}


def temperature(params: Mapping[str, Any], llm_string: str) -> float | None:
    """Return the temperature of a call, wherever its provider keeps it; None where it is unset."""
    value = params.get("temperature")
    if isinstance(value, (int, float)):
        return float(value)
    named = _TEMPERATURE.findall(llm_string)
    return float(named[-1]) if named else None


def source(params: Mapping[str, Any]) -> str:
    """Return a readable name of the model."""
    return model_named(params.get("model")) or model_named(params.get("model_name"))


def fingerprint(run: Run) -> bytes | None:
    """Return a spelling of fresh parameters that is cheap; None where there is none.

    It only has to differ whenever what a provider is sent does, which is JSON: an ``llm_string``
    may be stale, and names objects by how they print.
    """
    try:
        return orjson.dumps([run.printed, run.params], None, _PLAIN_ONLY)
    except TypeError:
        return None  # an object that is not plain data: name the call anew each time


def configured(
    accel: Asking,
    asked: BaseChatModel | BaseRetriever,
    config: RunnableConfig | None,
    bound: Sequence[RunnableConfig],
) -> tuple[RunnableConfig, Controls | None]:
    """Return the configuration that ``asked.invoke`` would have, and the call's controls by it.

    Args:
        accel: reads them.
        asked: a model or retriever, whose own metadata and tags count, too.
        config: as ``invoke`` takes it.
        bound: configurations that it is bound with, the outermost first.
    """
    told = ensure_config(merge_configs(*reversed(bound), config))
    metadata = {**(asked.metadata or {}), **told["metadata"]}
    return told, accel.controls(metadata, [*(asked.tags or ()), *told["tags"]])
