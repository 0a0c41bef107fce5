"""Errors of every provider: which to wait for, which to retry, which to give up on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.limits.account import DAY_S, MINUTE_S, Shown
from accel_core.policy.limits.charge import NOTHING, Charge
from accel_core.policy.limits.refusal import Refusal, classify

REQUESTS, TOKENS, INPUT, OUTPUT = range(4)
NOW_S = 1_790_000_000.0


def refused(status: int, body: Any, headers: dict[str, str] | None = None) -> Refusal:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return classify(status, headers or {}, text, "openai", NOW_S)


def openai(message: str, code: str | None = "rate_limit_exceeded", kind: str = "tokens") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


LOGS = [
    # semanser/codel#72
    (
        "Rate limit reached for gpt-4o in organization org-XXXXXXXX on tokens per min (TPM): Limit "
        "30000, Used 14567, Requested 24754. Please try again in 18.642s. Visit "
        "https://platform.openai.com/account/rate-limits to learn more.",
        ("limit", 18.642, Shown(TOKENS, 30_000.0, 15_433.0, MINUTE_S)),
    ),
    # crewAIInc/crewAI#494: more was used than the limit
    (
        "Rate limit reached for model `llama3-70b-8192` in organization `org_01hz` on tokens per "
        "minute (TPM): Limit 5000, Used 5747, Requested ~4251. Please try again in 59.977s.",
        ("limit", 59.977, Shown(TOKENS, 5_000.0, 0.0, MINUTE_S)),
    ),
    # BerriAI/litellm#3274: it can never fit, whatever the message says
    (
        "Rate limit reached for model `llama3-8b` in organization `org_01hz` on tokens per minute "
        "(TPM): Limit 9000, Used 0, Requested 16008. Please try again in 46.72s.",
        ("too_large", 46.72, Shown(TOKENS, 9_000.0, 9_000.0, MINUTE_S)),
    ),
    # BuilderIO/micro-agent#86
    (
        "Rate limit reached for gpt-4o in organization org-uOti on tokens per min (TPM): Limit "
        "30000, Used 29937, Requested 385. Please try again in 644ms.",
        ("limit", 0.644, Shown(TOKENS, 30_000.0, 63.0, MINUTE_S)),
    ),
    # TheR1D/shell_gpt#653
    (
        "Request too large for gpt-4o in organization org-78 on tokens per min (TPM): \nLimit "
        "30000, Requested 31538. \nThe input or output tokens must be reduced in order to run.",
        ("too_large", None, Shown(TOKENS, 30_000.0, None, MINUTE_S)),
    ),
    (
        "Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20s.",
        ("limit", 20.0, Shown(REQUESTS, 3.0, 0.0, MINUTE_S)),
    ),
    (
        "Rate limit reached for gpt-4o on requests per day (RPD): Limit 200, Used 200, Requested "
        "1. Please try again in 7m12s.",
        ("limit", 432.0, Shown(REQUESTS, 200.0, 0.0, DAY_S)),
    ),
    (
        "Rate limit reached for model `x` on tokens per day (TPD): Limit 500000, Used 499000, "
        "Requested 2000. Please try again in 2m52.8s.",
        ("limit", 172.8, Shown(TOKENS, 500_000.0, 1_000.0, DAY_S)),
    ),
    # daveshap/Medical_Intake#9
    (
        "Rate limit reached for 10KTPM-200RPM in organization org-gv on tokens per min. Limit: "
        "10000 / min. Please try again in 6ms. Contact us through our help center.",
        ("limit", 0.006, Shown(TOKENS, 10_000.0, None, MINUTE_S)),
    ),
    # OpenHands/OpenHands#9259
    (
        "This request would exceed the rate limit for your organization (0dccdde6-f924-4f1b-bb3b-"
        "92ef846e0a5b) of 20,000 input tokens per minute. For details, refer to: https://docs",
        ("limit", None, Shown(INPUT, 20_000.0, None, MINUTE_S)),
    ),
]


@pytest.mark.parametrize(("message", "expected"), LOGS)
def test_messages_tell_the_limit_and_the_wait(message: str, expected: tuple[Any, ...]) -> None:
    """As public logs have them, in JSON and as plain text."""
    kind, wait_s, shown = expected
    for body in (openai(message), message, json.dumps(openai(message)).encode()):
        found = refused(429, body)
        assert (found.kind, found.shown) == (kind, (shown,))
        assert found.retry_after_s == (None if wait_s is None else pytest.approx(wait_s))


def test_headers_without_a_message_tell_the_same() -> None:
    """openai/openai-realtime-console#42: 15482 of 20000 tokens left."""
    found = refused(
        429, b"", {"X-RateLimit-Limit-Tokens": "20000", "x-ratelimit-remaining-tokens": "15482"}
    )
    assert found.shown == (Shown(TOKENS, 20_000.0, 15_482.0, MINUTE_S),)


def test_only_what_a_refusal_names_can_never_take_the_call() -> None:
    """Of the headers beside a message nothing is to blame; without one, what the call exceeds."""
    headers = {"x-ratelimit-limit-tokens": "30000", "x-ratelimit-limit-requests": "500"}
    told = refused(429, openai(next(text for text, (kind, *_) in LOGS if kind == "too_large")))
    assert told.never_fits(NOTHING) == told.shown
    charge = Charge(1.0, 31_538.0, 31_538.0, 0.0)
    message = "Request too large for m on tokens per min (TPM): Limit 5, Requested 60"
    both = refused(429, openai(message), headers)
    assert both.never_fits(charge) == (Shown(TOKENS, 5.0, None, MINUTE_S),)
    silent = refused(413, "<html>413 Request Entity Too Large</html>", headers)
    assert silent.never_fits(charge) == (Shown(TOKENS, 30_000.0, None, MINUTE_S),)
    assert refused(429, openai("Rate limit reached"), headers).never_fits(charge) == ()


def test_of_one_limit_the_message_goes_before_the_headers() -> None:
    """It names what was used when the call was refused."""
    headers = {
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-limit-requests": "500",
        "retry-after-ms": "700",
    }
    found = refused(429, openai(LOGS[0][0]), headers)
    assert found.shown == (
        Shown(TOKENS, 30_000.0, 15_433.0, MINUTE_S),
        Shown(REQUESTS, 500.0, None, MINUTE_S),
    )
    assert found.retry_after_s == 0.7


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, openai("You exceeded your current quota", "insufficient_quota"), "final"),
        (429, openai("Billing hard limit", "billing_hard_limit_reached"), "final"),
        (429, openai("…", "credit_balance_exhausted"), "final"),
        (429, openai("…", "project_spend_limit_exceeded"), "final"),
        (429, openai("…", "enforced_spend_limit_reached"), "final"),
        (429, openai("Your account is not active, please check", "billing_not_active"), "final"),
        (401, openai("…", "account_deactivated"), "final"),
        (402, openai("Insufficient Balance", None, "unknown_error"), "final"),
        (
            400,
            anthropic("invalid_request_error", "Your credit balance is too low to access"),
            "final",
        ),
        (
            400,
            anthropic("invalid_request_error", "You have reached your specified API usage limits."),
            "final",
        ),
        (403, anthropic("permission_error", "This organization has been disabled."), "final"),
        (413, anthropic("request_too_large", "Request exceeds the maximum size"), "too_large"),
        (413, "<html>413 Request Entity Too Large</html>", "too_large"),
        (
            400,
            openai("This model's maximum context length is 8192 tokens", "context_length_exceeded"),
            "rejected",
        ),
        (400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens"), "rejected"),
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens.",
                "type": "BadRequestError",
                "code": 400,
            },
            "rejected",
        ),
        (529, anthropic("overloaded_error", "Overloaded"), "overloaded"),
        (200, anthropic("overloaded_error", "Overloaded"), "overloaded"),
        (200, anthropic("rate_limit_error", "Slower"), "limit"),
        (503, openai("Slow Down", "slow_down"), "overloaded"),
        (429, openai("Slow Down", "slow_down"), "overloaded"),
        (
            429,
            openai("That model is currently overloaded with other requests.", None),
            "overloaded",
        ),
        (429, anthropic("rate_limit_error", "Number of concurrent connections has"), "limit"),
        (429, {"message": "Too many tokens, please wait before trying again."}, "limit"),
        (400, {"__type": "com.amazon.coral#ThrottlingException", "message": "Rate"}, "limit"),
        (424, {"__type": "ModelErrorException"}, "rejected"),
        (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], "limit"),
        (429, {"detail": "Too many"}, "limit"),
        (429, "", "limit"),
        (404, openai("The model `x` does not exist", "model_not_found"), "rejected"),
        (401, openai("Incorrect API key provided: sk-1", "invalid_api_key"), "rejected"),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "rejected"),
        (501, "", "rejected"),
        *[(status, "", "overloaded") for status in (408, 409, 500, 502, 503, 504, 520, 529)],
        *[(status, "", "rejected") for status in (400, 401, 403, 404, 405, 410, 415, 422, 451)],
    ],
)
def test_errors_are_told_apart(status: int, body: Any, kind: str) -> None:
    """By code, by message, and by status where neither says more."""
    assert refused(status, body).kind == kind


def test_azure_and_bedrock_say_it_their_way() -> None:
    """Azure in a sentence, Bedrock in a header."""
    azure = {
        "error": {
            "code": "429",
            "message": "Requests to the ChatCompletions_Create Operation under Azure OpenAI API "
            "version 2023-05-15 have exceeded token rate limit of your current OpenAI S0 pricing "
            "tier. Please retry after 26 seconds.",
        }
    }
    assert refused(429, azure)[:4] == ("limit", 26.0, (), "429")
    bedrock = {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/"}
    assert refused(400, b"{}", bedrock).code == "ThrottlingException"
    assert refused(400, b"{}", bedrock).kind == "limit"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-AbCdEf0123456789",
        "sk-abc***********xyz",
        "gsk_0123456789abcdef",
        "org-uOtiSEwvUnroadaOnJJquBEC",
        "0123456789abcdef0123456789abcdef",
        "0dccdde6-f924-4f1b-bb3b-92ef846e0a5b",
        "AKIAIOSFODNN7EXAMPLE",
        "Bearer abc.def.ghi",
    ],
)
def test_what_is_kept_carries_no_secret_and_is_short(secret: str) -> None:
    """Errors about a key repeat it."""
    body = openai(f"Incorrect API key provided: {secret}. In `{secret}`. {'Go on. ' * 99}", secret)
    found = refused(401, body)
    assert secret not in found.message + found.code
    assert secret[-6:] not in found.message
    assert found.message.startswith("Incorrect API key")
    assert len(found.message) <= 200


def test_a_body_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    """Only 64 kB are looked at, so long ones are no JSON any more."""
    body = json.dumps(openai("No more", "insufficient_quota") | {"more": "x" * 10_000_000})
    found = refused(429, body.encode())
    assert (found.kind, found.code, found.message) == ("final", "insufficient_quota", "No more")


words = st.sampled_from(
    """Limit 5|Used ~9|Requested 7,0|tokens per min|requests per day|try again in |5ms|{"error":|é
    limit of 3 output tokens per day|99999999999999999999|inf|\0""".split("|")
)
bodies = st.one_of(st.binary(max_size=60), st.lists(words, max_size=8).map(" ".join))


@given(st.integers(0, 999), bodies)
def test_no_body_raises_or_makes_up_figures(status: int, body: bytes | str) -> None:
    """Whatever comes, the figures are sane."""
    found = refused(status, body)
    assert found.retry_after_s is None or 0.0 <= found.retry_after_s <= DAY_S
    for shown in found.shown:
        assert shown.limit is None or 0.0 <= shown.limit < 1e12
        assert shown.remaining is None or 0.0 <= shown.remaining < 1e12


@pytest.mark.parametrize(
    "piece", ["limit ", "[", '{"error":', '"message":"\\', "A1", "of 1 tokens"]
)
def test_a_hostile_body_takes_no_time(piece: str) -> None:
    """No pattern runs away on repetitions, and no depth overflows."""
    assert refused(429, piece * 200_000).kind == "limit"
