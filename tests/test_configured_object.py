"""What is given in the place of the configured object, or to it, is refused in words that help."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI

import langchain_accel
import llamaindex_accel
from accel_core.accel import Accel
from accel_core.errors import ConfigError, UnsupportedError

CHAT = ChatOpenAI(model="gpt-4o-mini", api_key="none")
LLM = OpenAI(model="gpt-4o-mini", api_key="none")


def always(_: object) -> bool:
    return True


TAKES: dict[str, Any] = {
    "langchain accelerate": lambda accel: langchain_accel.accelerate(CHAT, accel=accel),
    "llamaindex accelerate": lambda accel: llamaindex_accel.accelerate(LLM, accel=accel),
    "cache": langchain_accel.AccelCache,
    "middleware": lambda accel: langchain_accel.SpeculativeTools(accel=accel),
    "speculate": lambda accel: llamaindex_accel.speculate([], LLM, accel),
    "langchain race": lambda accel: langchain_accel.race([CHAT] * 2, accept=always, accel=accel),
    "llamaindex race": lambda accel: llamaindex_accel.race([LLM] * 2, accept=always, accel=accel),
}


@pytest.mark.parametrize("takes", TAKES.values(), ids=TAKES)
@pytest.mark.parametrize("given", [{}, "accel.yaml"])
def test_settings_are_no_accel(takes: Any, given: object) -> None:
    """An empty mapping is one of them, and no wish for the default."""
    with pytest.raises(UnsupportedError, match=r"accel= takes an Accel, .* got (dict|str)"):
        takes(given)


@pytest.mark.parametrize("observers", [print, [3], [print, None]])
def test_observers_are_a_list_of_functions(observers: Any) -> None:
    with pytest.raises(ConfigError, match=r"observers: must be a list of functions .* \[print\]"):
        Accel(observers=observers)


@pytest.mark.parametrize("race", [langchain_accel.race, llamaindex_accel.race])
@pytest.mark.parametrize("paths", [CHAT, LLM, None])
def test_one_model_is_no_race(race: Any, paths: object) -> None:
    with pytest.raises(UnsupportedError, match=r"race\(paths\) takes a list or mapping of paths"):
        race(paths, accept=always)
