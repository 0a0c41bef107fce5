"""How many calls at once: grows while it is used and quick, shrinks when slow or refused."""

from __future__ import annotations

from accel_core.policy.limits.concurrency import Answered, Concurrency


def rounds(made: Concurrency, count: int, *, first_s: float, token_s: float, now_s: float) -> float:
    """Let `count` windows pass in which all that may be is under way."""
    for _ in range(count):
        made.under_way(made.limit)
        for _ in range(10):
            made.answered(Answered(first_s, 100, token_s))
        now_s += 1.0
        made.review(now_s)
    return now_s


def test_it_grows_while_answers_come_as_fast_as_ever() -> None:
    made = Concurrency(start=4, most=50)
    rounds(made, 20, first_s=0.2, token_s=0.01, now_s=0.0)
    assert made.limit == 50


def test_a_queue_or_a_full_batch_shrinks_it() -> None:
    for slow in ({"first_s": 2.0, "token_s": 0.01}, {"first_s": 0.2, "token_s": 0.03}):
        made = Concurrency(start=4, most=50)
        now_s = rounds(made, 20, first_s=0.2, token_s=0.01, now_s=0.0)
        rounds(made, 10, **slow, now_s=now_s)
        assert made.limit < 35


def test_a_refusal_shrinks_it_once_a_second_and_is_remembered() -> None:
    made = Concurrency(start=40, most=100)
    now_s = rounds(made, 3, first_s=0.2, token_s=0.01, now_s=0.0)
    before = made.limit
    for _ in range(20):
        made.under_way(before)
        made.refused()
        made.review(now_s)
    cut = made.limit
    assert 0.8 * before <= cut < before
    now_s = rounds(made, 100, first_s=0.2, token_s=0.01, now_s=now_s)
    assert cut < made.limit <= before * 1.2


def test_what_is_not_used_does_not_grow() -> None:
    made = Concurrency(start=20)
    for second in range(30):
        made.under_way(2)
        made.answered(Answered(0.2, 100, 0.01))
        made.review(float(second))
    assert made.limit == 20


def test_answers_that_come_whole_say_how_fast_tokens_come() -> None:
    made = Concurrency(start=4, most=50)
    for second in range(30):
        made.under_way(made.limit)
        made.answered(Answered(None, 100, 0.01 if second < 15 else 0.05))
        made.review(float(second))
    assert made.limit < 50


def test_it_never_falls_below_its_least() -> None:
    made = Concurrency(start=2, least=1)
    for second in range(100):
        made.refused()
        assert made.review(2.0 * second) >= 1
