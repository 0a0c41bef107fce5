"""Which request a LangChain call is: its model, parameters and conversation, named by the core.

LangChain gives a cache two texts, and the second can be stale: a model's serialised form is
computed once, so a changed or copied model keeps the key of the old one. The fresh parameters that
callbacks see are therefore part of the name wherever they are known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from accel_core.policy.identity import Prompt, Turn
from langchain_accel._turns import from_dump

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from accel_core.accel import Accel
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request
    from langchain_accel._context import Run

_TEMPERATURE = re.compile(r"""['"]temperature['"](?::|,)\s*['"]?([0-9][0-9.eE+-]*)""")
_SEPARATOR = "---"
_MEMO_CHARS = 4 << 20
_PLAIN = (str, int, float, type)
_UNSEEN_PARAMS = frozenset({"stream", "stream_options"})
"""How an answer travels, not what it says: streamed and whole answers are one."""


class Requests:
    """Names calls, and remembers names, since parsing a long prompt costs more than a lookup."""

    def __init__(self, accel: Accel) -> None:
        self._accel = accel
        self._memo: dict[Hashable, tuple[Request | None, int]] = {}
        self._chars = 0
        accel.remembers(self)

    def forget_texts(self) -> None:
        """Forget every prompt."""
        self._memo, self._chars = {}, 0

    def of_dump(
        self, prompt: str, llm_string: str, run: Run | None, controls: Controls
    ) -> Request | None:
        """Name a call from what a cache is given; None: it bypasses the cache."""
        tenant = self._accel.current_tenant()
        freshness = None if run is None else fingerprint(run, llm_string)
        key = (prompt, llm_string, tenant, controls.namespace, freshness)
        known = self._memo.get(key)
        if known is None:
            known = self._name(prompt, llm_string, run, controls), len(prompt) + len(llm_string)
            self._remember(key, known)
        return known[0]

    def _name(
        self, prompt: str, llm_string: str, run: Run | None, controls: Controls
    ) -> Request | None:
        turns = from_dump(prompt) if run is not None or _SEPARATOR in llm_string else None
        params = {} if run is None or turns is None else seen(run.params)
        if not self._accel.admits(temperature(params, llm_string)):
            return None
        if turns is None:
            named = Prompt("langchain.llm", llm_string, (Turn("user", (prompt,)),))
        elif params:
            model = {"llm": llm_string.partition(_SEPARATOR)[0], "params": params}
            named = Prompt("langchain.chat", model, turns, source=source(params))
        else:
            named = Prompt("langchain.chat", llm_string, turns)
        return identify(self._accel, named, controls)

    def _remember(self, key: Hashable, known: tuple[Request | None, int]) -> None:
        size = known[1]
        if known[0] is None or size > _MEMO_CHARS // 8:
            return
        self._memo[key] = known
        self._chars += size
        while self._chars > _MEMO_CHARS:
            try:
                oldest = next(iter(self._memo))
                self._chars -= self._memo.pop(oldest)[1]
            except (StopIteration, KeyError, RuntimeError):
                return  # another thread is trimming


def identify(accel: Accel, prompt: Prompt, controls: Controls) -> Request | None:
    """Name `prompt` as the caller's own."""
    namespace = accel.namespace(controls.namespace)
    return accel.identify(prompt._replace(tenant=accel.current_tenant(), namespace=namespace))


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
    return str(params.get("model") or params.get("model_name") or "")


def fingerprint(run: Run, llm_string: str) -> Hashable:
    """Return what of a run's parameters its ``llm_string`` may not show.

    Call arguments are in the string, but classes only by name; the model's own fields may be stale.
    """
    marks: list[Any] = list(run.params)
    for name, value in run.params.items():
        if value is None or isinstance(value, _PLAIN):
            marks.append(value)
        elif f"('{name}', " not in llm_string:
            marks.append(repr(value))
    return tuple(marks)
