"""What tests of identity share: how a model is asked, and questions."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from accel_core.accel import Accel
from accel_core.semantic_cache import Miss
from accel_core.testing.encoders import HashEncoder
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from accel_core.policy.identity import Request

QUESTION = "Is Paris the capital of France?"


def image(data: bytes, form: str = "image_url") -> dict[str, Any]:
    """Return a block with an image."""
    text = base64.b64encode(data).decode()
    if form == "image_url":
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}
    return {"type": "image", "base64": text, "mime_type": "image/png"}


@tool
def weather(place: str) -> str:
    """Tell the weather at a place."""
    return place


WAYS = ["accelerate", "set_llm_cache"]


def made(way: str, accel: Accel, runnable: Any) -> Any:
    """Return `runnable` answering from `accel`, in one way or the other."""
    if way == "accelerate":
        return accelerate(runnable, accel)
    set_llm_cache(AccelCache(accel))
    return runnable


class Silent(ChatOpenAI):
    """A model that says one thing and asks nobody."""

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("x"))])


class Namer:
    """Names conversations in both ways, by listening to what the cache is asked for."""

    def __init__(self) -> None:
        self.accel = Accel(encoder=HashEncoder())
        self.model = Silent(model="gpt-4o-mini", api_key="any")  # type: ignore[arg-type]
        self.fast = accelerate(self.model, self.accel)
        self._seen: list[Request] = []
        self.accel.cache.at_once = lambda *_: None  # type: ignore[method-assign]
        self.accel.cache.lookup = self._lookup  # type: ignore[method-assign]

    def _lookup(self, request: Request, *_: Any) -> Miss:
        self._seen.append(request)
        return Miss("told")

    def __call__(self, messages: list[AnyMessage]) -> Request:
        """Return the name, which must be the same in both ways, whatever else is in it."""
        self._seen.clear()
        set_llm_cache(AccelCache(self.accel))
        self.fast.invoke(messages)
        self.model.invoke(messages)
        set_llm_cache(None)
        live, dumped = self._seen
        assert live == dumped
        return live
