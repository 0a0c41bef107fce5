"""How each provider says what is left and why it refuses: headers and bodies, as real ones are.

Texts and header names are taken from public logs and the providers' pages. A dialect formats; it
decides nothing. Durations are seconds, moments are seconds since the epoch.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

Headers = dict[str, str]
Body = dict[str, Any]

_UNITS = {
    "requests": "requests per min (RPM)",
    "tokens": "tokens per min (TPM)",
    "input_tokens": "input tokens per minute",
    "output_tokens": "output tokens per minute",
}


class Standing(NamedTuple):
    """What one dimension's visible allowance shows.

    Attributes:
        name: ``requests``, ``tokens``, ``input_tokens`` or ``output_tokens``.
        limit: per minute.
        remaining: at this moment, below zero in debt.
        reset_s: until nothing counts as used.
    """

    name: str
    limit: float
    remaining: float
    reset_s: float


class Wanted(NamedTuple):
    """An amount that was refused.

    Attributes:
        standing: of the dimension that refused it.
        amount: that was asked for.
        retry_s: until it fits; None is not said.
    """

    standing: Standing
    amount: float
    retry_s: float | None


def spell_duration(seconds: float) -> str:
    """Spell a duration as Go does, to the millisecond.

    >>> spell_duration(360), spell_duration(13.554), spell_duration(0.012)
    ('6m0s', '13.554s', '12ms')
    """
    milliseconds = max(0, round(seconds * 1000))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    spelt = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{spelt}"
    return f"{minutes}m{spelt}" if minutes else spelt


class OpenAI:
    """OpenAI's: everything is said, to the millisecond."""

    model = "gpt-4o"
    organization = "org-accel"

    def headers(self, standings: list[Standing], wall_now: float) -> Headers:  # noqa: ARG002
        """Return what a reply, refused or not, says about what is left."""
        found = {}
        for one in standings:
            found[f"x-ratelimit-limit-{one.name}"] = f"{one.limit:.0f}"
            found[f"x-ratelimit-remaining-{one.name}"] = f"{max(0, math.floor(one.remaining))}"
            found[f"x-ratelimit-reset-{one.name}"] = spell_duration(one.reset_s)
        return found

    def retry_headers(self, retry_s: float | None) -> Headers:
        """Return what a refusal says about when to come back."""
        if retry_s is None:
            return {}
        return {
            "retry-after": f"{math.ceil(retry_s)}",
            "retry-after-ms": f"{math.ceil(retry_s * 1000)}",
        }

    def limited(self, wanted: Wanted) -> Body:
        """Return the body of a refusal that time will heal."""
        one = wanted.standing
        text = (
            f"Rate limit reached for {self.model} in organization {self.organization} on"
            f" {_UNITS[one.name]}: Limit {one.limit:.0f}, Used {one.limit - one.remaining:.0f},"
            f" Requested {wanted.amount:.0f}."
        )
        if wanted.retry_s is not None:
            text += f" Please try again in {spell_duration(wanted.retry_s)}."
        text += " Visit https://platform.openai.com/account/rate-limits to learn more."
        return _openai_body(text, one.name, "rate_limit_exceeded")

    def oversize(self, wanted: Wanted) -> Body:
        """Return the body of a refusal of what is larger than the limit."""
        one = wanted.standing
        text = (
            f"Request too large for {self.model} in organization {self.organization} on"
            f" {_UNITS[one.name]}: Limit {one.limit:.0f}, Requested {wanted.amount:.0f}. The input"
            " or output tokens must be reduced in order to run successfully. Visit"
            " https://platform.openai.com/account/rate-limits to learn more."
        )
        return _openai_body(text, one.name, "rate_limit_exceeded")

    def exhausted(self) -> Body:
        """Return the body of a refusal because the money is spent."""
        text = (
            "You exceeded your current quota, please check your plan and billing details. For more"
            " information on this error, read the docs:"
            " https://platform.openai.com/docs/guides/error-codes/api-errors."
        )
        return _openai_body(text, "insufficient_quota", "insufficient_quota")

    def crowded(self) -> Body:
        """Return the body of a refusal because too many calls are running."""
        text = "Too many concurrent requests. Please wait and try again later."
        return _openai_body(text, "requests", "rate_limit_exceeded")

    def failed(self, status: int) -> Body:
        """Return the body of a failure of the service."""
        text = "The server had an error while processing your request. Sorry about that!"
        if status in {503, 529}:
            text = "The server is currently overloaded with other requests. Sorry about that!"
        return _openai_body(text, "server_error", None)


def _openai_body(message: str, kind: str, code: str | None) -> Body:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class Groq(OpenAI):
    """Groq's: OpenAI's headers, and even what never fits is told to try again."""

    model = "llama-3.3-70b-versatile"

    def limited(self, wanted: Wanted) -> Body:
        """Return the body of a refusal that time will heal, or not."""
        one = wanted.standing
        unit = _UNITS[one.name].replace("min (", "minute (")
        text = (
            f"Rate limit reached for model `{self.model}` in organization `{self.organization}`"
            f" service tier `on_demand` on {unit}: Limit {one.limit:.0f},"
            f" Used {one.limit - one.remaining:.0f}, Requested ~{wanted.amount:.0f}."
            f" Please try again in {spell_duration(wanted.retry_s or 0.0)}."
            " Visit https://console.groq.com/docs/rate-limits for more information."
        )
        return _openai_body(text, one.name, "rate_limit_exceeded")

    def oversize(self, wanted: Wanted) -> Body:
        """Return what `limited` returns."""
        return self.limited(wanted)


class Azure(OpenAI):
    """Azure OpenAI's: what remains, but neither limits nor resets; whole seconds in the text."""

    def headers(self, standings: list[Standing], wall_now: float) -> Headers:
        """Return what a reply, refused or not, says about what is left."""
        said = super().headers(standings, wall_now)
        return {name: value for name, value in said.items() if "-remaining-" in name}

    def limited(self, wanted: Wanted) -> Body:
        """Return the body of a refusal that time will heal."""
        kind = "call rate" if wanted.standing.name == "requests" else "token rate"
        text = (
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded"
            f" {kind} limit of your current OpenAI S0 pricing tier. Please retry after"
            f" {math.ceil(wanted.retry_s or 0.0)} seconds."
        )
        return {"error": {"code": "429", "message": text}}


class Anthropic:
    """Anthropic's: RFC 3339 moments, tokens rounded to thousands, whole seconds to wait."""

    def headers(self, standings: list[Standing], wall_now: float) -> Headers:
        """Return what a reply, refused or not, says about what is left."""
        found = {}
        for one in standings:
            name = f"anthropic-ratelimit-{one.name.replace('_', '-')}"
            remaining = max(0, math.floor(one.remaining))
            if one.name != "requests":
                remaining = round(remaining, -3)
            full_at = datetime.fromtimestamp(math.ceil(wall_now + one.reset_s), UTC)
            found[f"{name}-limit"] = f"{one.limit:.0f}"
            found[f"{name}-remaining"] = f"{remaining}"
            found[f"{name}-reset"] = full_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return found

    def retry_headers(self, retry_s: float | None) -> Headers:
        """Return what a refusal says about when to come back."""
        return {} if retry_s is None else {"retry-after": f"{math.ceil(retry_s)}"}

    def limited(self, wanted: Wanted) -> Body:
        """Return the body of a refusal that time will heal."""
        one = wanted.standing
        unit = "requests per minute" if one.name == "requests" else _UNITS[one.name]
        return _anthropic_body(
            "rate_limit_error",
            f"This request would exceed your organization's rate limit of {one.limit:,.0f} {unit}."
            " For details, refer to: https://docs.claude.com/en/api/rate-limits.",
        )

    def oversize(self, wanted: Wanted) -> Body:
        """Return what `limited` returns."""
        return self.limited(wanted)

    def exhausted(self) -> Body:
        """Return the body of a refusal because the money is spent."""
        body = _anthropic_body(
            "rate_limit_error", "You have reached your specified API usage limits."
        )
        body["error"]["details"] = {"error_code": "enforced_spend_limit_reached"}
        return body

    def crowded(self) -> Body:
        """Return the body of a refusal because too many calls are running."""
        return _anthropic_body(
            "rate_limit_error",
            "Number of concurrent connections has exceeded your rate limit. Please try again later"
            " or contact sales at https://www.anthropic.com/contact-sales to discuss your options"
            " for a rate limit increase.",
        )

    def failed(self, status: int) -> Body:
        """Return the body of a failure of the service."""
        if status == 529:
            return _anthropic_body("overloaded_error", "Overloaded")
        return _anthropic_body("api_error", "Internal server error")


def _anthropic_body(kind: str, message: str) -> Body:
    return {"type": "error", "error": {"type": kind, "message": message}}


class Bedrock(OpenAI):
    """Bedrock's: nothing about what is left, nor when to come back."""

    def headers(self, standings: list[Standing], wall_now: float) -> Headers:  # noqa: ARG002
        """Return nothing."""
        return {}

    def retry_headers(self, retry_s: float | None) -> Headers:  # noqa: ARG002
        """Return the kind of error."""
        return {"x-amzn-errortype": "ThrottlingException"}

    def limited(self, wanted: Wanted) -> Body:
        """Return the body of a refusal that time will heal."""
        return {
            "message": f"Too many {wanted.standing.name}, please wait before trying again.",
            "__type": "ThrottlingException",
        }

    def oversize(self, wanted: Wanted) -> Body:
        """Return what `limited` returns."""
        return self.limited(wanted)


class Silent(OpenAI):
    """A self-hosted server's: OpenAI's bodies, no headers at all."""

    def headers(self, standings: list[Standing], wall_now: float) -> Headers:  # noqa: ARG002
        """Return nothing."""
        return {}

    def retry_headers(self, retry_s: float | None) -> Headers:  # noqa: ARG002
        """Return nothing."""
        return {}


Dialect = OpenAI | Anthropic
