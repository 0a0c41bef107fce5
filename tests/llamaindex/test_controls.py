"""Per-call control through ``instrument_tags``, and tenants, which it cannot choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.instrumentation.dispatcher import instrument_tags

from accel_core.events import CacheBypassed, ControlIgnored
from llamaindex_accel import accelerate
from tests.llamaindex.support import METHODS, origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.llms.openai import OpenAI

    from accel_core.accel import Accel
    from accel_core.testing.doubles import ManualClock, RecordingObserver
    from tests.llamaindex.support import Caller

pytestmark = pytest.mark.parametrize("method", METHODS["chat"])


def test_no_cache(method: str, llm: OpenAI, accel: Accel, ask: Caller) -> None:
    """``accel:no-cache`` neither reads nor writes."""
    with instrument_tags({"accel:no-cache": True}):
        ask(llm, method)
    assert origin(ask(llm, method)[-1]) is None
    with instrument_tags({"accel:no-cache": True}):
        assert origin(ask(llm, method)[-1]) is None
    assert accel.stats().bypassed == {"no_cache": 2}
    assert origin(ask(llm, method)[-1]) == "exact"


def test_no_store(method: str, llm: OpenAI, ask: Caller) -> None:
    """``accel:no-store`` reads, and writes nothing."""
    with instrument_tags({"accel:no-store": True}):
        ask(llm, method)
        assert origin(ask(llm, method)[-1]) is None
    ask(llm, method)
    with instrument_tags({"accel:no-store": True}):
        assert origin(ask(llm, method)[-1]) == "exact"


def test_refresh(method: str, llm: OpenAI, ask: Caller) -> None:
    """``accel:refresh`` asks again, and what is answered is served from then on."""
    first = ask(llm, method)[-1]
    with instrument_tags({"accel:refresh": True}):
        assert origin(ask(llm, method)[-1]) is None
    assert origin(ask(llm, method)[-1]) == "exact"
    assert origin(first) is None


def test_a_switch_that_is_off_is_off(method: str, llm: OpenAI, ask: Caller) -> None:
    """A false value asks for nothing."""
    with instrument_tags({"accel:no-cache": False, "accel:no-store": 0, "other": "tag"}):
        ask(llm, method)
        assert origin(ask(llm, method)[-1]) == "exact"


def test_ttl(method: str, llm: OpenAI, clock: ManualClock, ask: Caller) -> None:
    """``accel_ttl_s`` shortens the life of what is stored."""
    with instrument_tags({"accel_ttl_s": 10}):
        ask(llm, method)
    clock.advance(9.0)
    assert origin(ask(llm, method)[-1]) == "exact"
    clock.advance(2.0)
    assert origin(ask(llm, method)[-1]) is None


def test_namespace(method: str, llm: OpenAI, accel: Accel, ask: Caller) -> None:
    """``accel_namespace`` is a space of its own, which can be emptied by name."""
    with instrument_tags({"accel_namespace": "beta"}):
        ask(llm, method)
        assert origin(ask(llm, method)[-1]) == "exact"
    assert origin(ask(llm, method)[-1]) is None
    assert len(accel.invalidate(namespace="beta")) == 1
    assert origin(ask(llm, method)[-1]) == "exact"


def test_tags_and_user(method: str, llm: OpenAI, accel: Accel, ask: Caller) -> None:
    """``accel_tags`` and ``accel_user`` are what entries are invalidated and forgotten by."""
    with instrument_tags({"accel_tags": ["prices"], "accel_user": "ann"}):
        told = ask(llm, method)
        told = ask(llm, method)[-1].additional_kwargs["accel"]
    assert accel.forget(user="ann", dry_run=True).removed == (told["id"],)
    assert accel.invalidate(tag="prices") == [told["id"]]
    assert origin(ask(llm, method)[-1]) is None


def test_wrong_values_are_said(
    method: str, llm: OpenAI, ask: Caller, observed: RecordingObserver
) -> None:
    """A control that cannot be used is left out, and named."""
    with instrument_tags({"accel_ttl_s": -1, "accel_namespace": 5}):
        ask(llm, method)
    assert {event.name for event in observed.of(ControlIgnored)} == {
        "accel_ttl_s",
        "accel_namespace",
    }
    assert origin(ask(llm, method)[-1]) == "exact"


def test_tags_choose_no_tenant(method: str, llm: OpenAI, accel: Accel, ask: Caller) -> None:
    """Only `Accel.tenant` makes a call somebody's; nothing a client sends does."""
    with accel.tenant("a"):
        ask(llm, method)
    forged: dict[str, Any] = {"tenant": "a", "accel_tenant": "a", "accel_user": "a"}
    with instrument_tags(forged):
        assert origin(ask(llm, method)[-1]) is None
    with accel.tenant("b"):
        assert origin(ask(llm, method)[-1]) is None
    with accel.tenant("a"), instrument_tags({"accel_tenant": "b"}):
        assert origin(ask(llm, method)[-1]) == "exact"


def test_a_required_tenant(
    method: str,
    make_accel: Callable[..., Accel],
    make_llm: Callable[..., OpenAI],
    ask: Caller,
    observed: RecordingObserver,
) -> None:
    """Where tenants are required, calls of nobody bypass the cache."""
    accel = make_accel({"security": {"tenant_required": True}})
    llm = accelerate(make_llm(), accel)
    assert [origin(ask(llm, method)[-1]) for _ in range(2)] == [None, None]
    assert {event.reason for event in observed.of(CacheBypassed)} == {"tenant_required"}
    with accel.tenant("a"):
        assert [origin(ask(llm, method)[-1]) for _ in range(2)] == [None, "exact"]
