"""What tests of single flight share: applications of both frameworks, and how they are run."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import SecretStr

from langchain_accel import accelerate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    Build = Callable[[], Any]

QUESTION = "What is the capital of France?"
ANSWER = f"Answer to: {QUESTION}"
CROWD = 100


class Clock:
    """A monotonic clock that tests turn by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def loops_own(model: Any) -> AsyncIterator[Any]:
    """Give `model` an asynchronous client of the running loop."""
    limits = httpx.Limits(max_connections=2 * CROWD)
    async with httpx.AsyncClient(limits=limits, verify=False) as client:
        fields = {
            name: value
            for name, value in model.__dict__.items()
            if name in {"model_name", "max_retries", "temperature"}
        }
        kind = OpenAI if isinstance(model, OpenAI) else ChatOpenAI
        made = kind(
            base_url=model.openai_api_base,
            api_key=SecretStr("any"),
            http_async_client=client,
            **fields,
        )
        accel = getattr(type(model), "__accel__", None)
        yield made if accel is None else accelerate(made, accel)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def text_of(answer: Any) -> str:
    return answer if isinstance(answer, str) else str(answer.content)
