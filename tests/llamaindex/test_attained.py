"""Whether calls kept their tier's target is told, however a limiter was attached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accel_core import Limiter
from accel_core.clocks import Clocks
from accel_core.events.requests import RequestEnded
from accel_core.policy.limits.tiers import Attainment
from accel_core.testing.replies import Reply
from llamaindex_accel import TokenRateLimiter, accelerate
from tests.llamaindex.test_limits_without_client import Local

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.doubles import RecordingObserver
    from accel_core.testing.model_server import ModelServer
    from tests.llamaindex.support import Caller

INSTANT, PATIENT = 1e-9, 100.0
TIERS: dict[str, float | None] = {"platinum": INSTANT, "gold": PATIENT}
CONFIGURED = {"platinum_s": INSTANT, "gold_s": PATIENT}
LIMITS: dict[str, Any] = {"requests_per_minute": 2, "max_wait_s": 0.0}

Attached = tuple[Any, Limiter, "Accel"]


def _configured(make_llm: Any, make_accel: Any, _: Any) -> Attached:
    limits = {"provider": "openai", "tiers": CONFIGURED, **LIMITS}
    accel = make_accel({"limits": limits}, clocks=Clocks())
    return accelerate(make_llm(), accel), accel.limiter, accel


def _argument(make_llm: Any, make_accel: Any, _: Any) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel(clocks=Clocks())
    return accelerate(make_llm(), accel, limiter=limiter), limiter, accel


def _clients(make_llm: Any, make_accel: Any, clients: dict[str, Any]) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel(clocks=Clocks())
    limited = {name: limiter.limited(client) for name, client in clients.items()}
    return accelerate(make_llm(**limited), accel), limiter, accel


def _rate_limiter(make_llm: Any, make_accel: Any, _: Any) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel(clocks=Clocks())
    return accelerate(make_llm(rate_limiter=TokenRateLimiter(limiter)), accel), limiter, accel


def _without_client(_: Any, make_accel: Any, __: Any) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel(clocks=Clocks())
    return accelerate(Local(), accel, limiter=limiter), limiter, accel


@pytest.mark.parametrize(
    "attach", [_configured, _argument, _clients, _rate_limiter, _without_client]
)
@pytest.mark.parametrize("method", ["chat", "achat", "stream_chat", "astream_complete"])
def test_every_way_of_limiting(
    *,
    attach: Callable[..., Attached],
    method: str,
    make_llm: Any,
    make_accel: Any,
    ask: Caller,
    http_clients: dict[str, Any],
    observed: RecordingObserver,
) -> None:
    """A call is in time, late, or turned away, and counts so under its tier; a hit does not."""
    llm, limiter, accel = attach(make_llm, make_accel, http_clients)
    for tier in TIERS:
        with limiter.tier(tier):
            ask(llm, method, f"How long does a refund take, by {tier}?")
    with limiter.tier("gold"):
        ask(llm, method, "How long does a refund take, by gold?")
    with pytest.raises(Exception, match=r"limit|[Cc]onnection"):
        ask(llm, method, "Where is my parcel?")
    assert dict(accel.stats().attained) == {
        "platinum": Attainment(late=1),
        "gold": Attainment(kept=1),
        "best_effort": Attainment(rejected=1),
    }
    ended = [one for one in observed.events if isinstance(one, RequestEnded)]
    told = [(one.outcome, one.attained) for one in ended]
    assert told == [("miss", "late"), ("miss", "kept"), ("hit", ""), ("miss", "rejected")]


@pytest.mark.parametrize("method", ["chat", "achat"])
def test_what_fails_attains_nothing(
    make_llm: Any, make_accel: Any, ask: Caller, server: ModelServer, method: str
) -> None:
    """A call without an answer was neither in time nor late, and nobody turned it away."""
    limiter, accel = Limiter("openai", tiers=TIERS), make_accel()
    server._answer = lambda _: Reply(status=400)
    with pytest.raises(Exception, match="400"):
        ask(accelerate(make_llm(), accel, limiter=limiter), method)
    assert accel.stats().attained == {}
    assert accel.stats().requests.endings == {"chat.miss.failed": 1}
