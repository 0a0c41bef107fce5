"""Whether calls kept their tier's target is told, however a limiter was attached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accel_core import Limiter
from accel_core.events.requests import RequestEnded
from accel_core.policy.limits.tiers import Attainment
from accel_core.testing.replies import Reply
from langchain_accel import TokenRateLimiter, accelerate
from tests.langchain.test_limits_without_client import Converse

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, Recorder

INSTANT, PATIENT = 1e-9, 100.0
TIERS: dict[str, float | None] = {"platinum": INSTANT, "gold": PATIENT}
CONFIGURED = {"platinum_s": INSTANT, "gold_s": PATIENT}
LIMITS: dict[str, Any] = {"requests_per_minute": 2, "max_wait_s": 0.0}

Attached = tuple[Any, Limiter, "Accel"]


def _configured(chat: Any, make_accel: MakeAccel, _: Any) -> Attached:
    accel = make_accel({"limits": {"provider": "openai", "tiers": CONFIGURED, **LIMITS}})
    assert accel.limiter is not None
    return accelerate(chat(), accel), accel.limiter, accel


def _argument(chat: Any, make_accel: MakeAccel, _: Any) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel()
    return accelerate(chat(), accel, limiter=limiter), limiter, accel


def _clients(chat: Any, make_accel: MakeAccel, clients: dict[str, Any]) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel()
    limited = {name: limiter.limited(client) for name, client in clients.items()}
    return accelerate(chat(**limited), accel), limiter, accel


def _rate_limiter(chat: Any, make_accel: MakeAccel, _: Any) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel()
    return accelerate(chat(rate_limiter=TokenRateLimiter(limiter)), accel), limiter, accel


def _without_client(_: Any, make_accel: MakeAccel, __: Any) -> Attached:
    limiter, accel = Limiter("openai", tiers=TIERS, **LIMITS), make_accel()
    return accelerate(Converse(), accel, limiter=limiter), limiter, accel


ways = pytest.mark.parametrize(
    "attach", [_configured, _argument, _clients, _rate_limiter, _without_client]
)
hows = pytest.mark.parametrize("how", ["invoke", "stream"])


@ways
@hows
def test_every_way_of_limiting(
    *,
    attach: Callable[..., Attached],
    how: str,
    chat: Any,
    make_accel: MakeAccel,
    colour: Colour,
    http_clients: dict[str, Any],
    events: Recorder,
) -> None:
    """A call is in time, late, or turned away, and counts so under its tier; a hit does not."""
    model, limiter, accel = attach(chat, make_accel, http_clients)
    ask = getattr(colour, how)
    for tier in TIERS:
        with limiter.tier(tier):
            ask(model, f"How long does a refund take, by {tier}?")
    with limiter.tier("gold"):
        ask(model, "How long does a refund take, by gold?")
    with pytest.raises(Exception, match=r"limit|[Cc]onnection"):
        ask(model, "Where is my parcel?")
    assert dict(accel.stats().attained) == {
        "platinum": Attainment(late=1),
        "gold": Attainment(kept=1),
        "best_effort": Attainment(rejected=1),
    }
    told = [(one.outcome, one.attained) for one in events.of(RequestEnded)]
    assert told == [("miss", "late"), ("miss", "kept"), ("hit", ""), ("miss", "rejected")]
    assert "tier gold: 100.0% attained" in accel.stats()._repr_html_()


def test_limiters_do_not_mix(chat: Any, make_accel: MakeAccel, colour: Colour) -> None:
    """Of a limiter that two accelerators share, each tells of its own calls."""
    limiter = Limiter("openai", tiers=TIERS)
    accels = [make_accel(), make_accel()]
    models = [accelerate(chat(), accel, limiter=limiter) for accel in accels]
    with limiter.tier("gold"):
        for model in (*models, models[1]):
            colour.invoke(model, f"Who am I, number {id(model)}?", max_tokens=9)
        colour.invoke(models[1], "And who is asked?")
    told = [dict(accel.stats().attained) for accel in accels]
    assert told == [{"gold": Attainment(kept=1)}, {"gold": Attainment(kept=2)}]
    assert limiter.state().attained["gold"] == Attainment(kept=3)


def test_what_fails_attains_nothing(
    chat: Any, make_accel: MakeAccel, colour: Colour, server: ModelServer
) -> None:
    """A call without an answer was neither in time nor late, and nobody turned it away."""
    limiter, accel = Limiter("openai", tiers=TIERS), make_accel()
    server._answer = lambda _: Reply(status=400)
    with pytest.raises(Exception, match="400"):
        colour.invoke(accelerate(chat(), accel, limiter=limiter), "one")
    assert accel.stats().attained == {}
    assert accel.stats().requests.endings == {"chat.miss.failed": 1}
