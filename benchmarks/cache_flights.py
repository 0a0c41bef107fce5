"""Identical calls at the same time share one model call, in every variant there is."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from accel_core.accel import Accel
from benchmarks import cache_parts as parts
from benchmarks.cache_flight_variants import CALLS, HANGS_S, VARIANTS, crossing_completions
from benchmarks.harness import Context, Measured, Row
from langchain_accel import AccelCache, accelerate

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models.chat_models import BaseChatModel

    from benchmarks.cache_flight_variants import Outcome, Variant

    Wrap = Callable[[ChatOpenAI, Accel], BaseChatModel]


def _chat_model(url: str) -> ChatOpenAI:
    return ChatOpenAI(
        model="gpt-4o-mini", base_url=url, api_key=SecretStr("none"), temperature=0, max_retries=0
    )


def _with_cache(model: ChatOpenAI, accel: Accel) -> BaseChatModel:
    return model.model_copy(update={"cache": AccelCache(accel)})


def _watched(run: Callable[[], Outcome]) -> str:
    """Run a variant in a thread of its own and return what is wrong with it."""
    wrong = ["hangs"]

    def note() -> None:
        try:
            wrong[0] = run().wrong
        except Exception as error:  # told in the row's note
            wrong[0] = f"{type(error).__name__}: {error}"

    thread = threading.Thread(target=note, daemon=True)
    thread.start()
    thread.join(HANGS_S)
    return wrong[0]


def _run(variant: Variant, wrap: Wrap, accel: Accel) -> Outcome:
    return variant(lambda url: wrap(_chat_model(url), accel))


def single_flight(context: Context) -> Measured:
    encoder = context.once(parts.minilm)
    wraps: dict[str, Wrap] = {"AccelCache": _with_cache, "accelerate": accelerate}
    runs: dict[str, Callable[[Accel], Outcome]] = {
        f"{name}, {variant.__name__}": partial(_run, variant, wrap)
        for name, wrap in wraps.items()
        for variant in VARIANTS
    }
    runs["AccelCache, crossing_completions"] = crossing_completions
    failed: list[str] = []
    for number, (name, run) in enumerate(runs.items()):
        context.report(number / len(runs))
        with Accel(encoder=encoder) as accel:
            wrong = _watched(partial(run, accel))
        if wrong:
            failed.append(f"{name}: {wrong}")
    note = "; ".join(failed) or f"{len(runs)} variants pass, by AccelCache and by accelerate()"
    return Measured(len(failed), note)


ROWS = [
    Row(
        name="single-flight",
        what=f"{CALLS} identical concurrent calls: variants in which the model is asked too often,"
        " or somebody hangs",
        op="==",
        bound=0,
        measure=single_flight,
    ),
]
