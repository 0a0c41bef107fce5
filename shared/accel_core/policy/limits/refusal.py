"""What a refused call may do: wait for a limit, back off, or give up.

Not every 429 is worth another attempt: an exhausted account stays exhausted
(https://platform.openai.com/docs/guides/error-codes), and a call that asks for more than a limit
is told to try again for ever (BerriAI/litellm#3274). What is not known is taken by its status.

The message of OpenAI and Groq says exactly how much was used when a call was refused; its figures
go before those of the headers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from accel_core.policy.limits.account import DAY_S, MINUTE_S, Shown
from accel_core.policy.limits.charge import UNITS
from accel_core.policy.limits.error_body import kept, read_error
from accel_core.policy.limits.limit_headers import duration_s, number, read_headers, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from accel_core.policy.limits.charge import Charge
    from accel_core.policy.limits.error_body import ErrorBody
    from accel_core.policy.limits.provider_profile import Dialect

Kind = Literal["limit", "final", "too_large", "overloaded", "rejected"]

_FINAL_CODES: Final = (
    "insufficientquota",
    "exceededcurrentquota",
    "billing",
    "creditbalance",
    "spendlimit",
    "insufficientbalance",
    "insufficientcredit",
    "paymentrequired",
    "accountdeactivated",
    "accountdisabled",
    "accessterminated",
    "organizationdisabled",
    "organizationdeactivated",
)
_FINAL_TEXT = re.compile(
    r"credit balance is too low|insufficient (?:balance|credits?)|spend(?:ing)? limit.{0,40}"
    r"(?:reached|exceeded)|(?:reached|exceeded).{0,40}(?:spend(?:ing)? limit|API usage limits)"
    r"|(?:account|organization) (?:has been|is) (?:disabled|deactivated|suspended|not active)",
    re.IGNORECASE,
)
_CONTEXT_CODES: Final = ("contextlength", "contextwindow", "stringabovemaxlength")
_CONTEXT_TEXT = re.compile(
    r"maximum context length|context (?:window|length)|prompt is too long|maximum model length",
    re.IGNORECASE,
)
_TOO_LARGE_CODES: Final = ("requesttoolarge",)
_OVERLOADED_CODES: Final = ("overload", "slowdown", "nocapacity", "modelnotready", "modeltimeout")
_OVERLOADED_TEXT = re.compile(r"\boverloaded\b", re.IGNORECASE)
_SERVICE_CODES: Final = ("servererror", "apierror", "internalerror", "timeouterror")
"""Of errors inside a stream, whose status was sent before."""
_LIMIT_CODES: Final = ("ratelimit", "throttl", "toomanyrequests", "resourceexhausted")
_OVERLOADED: Final = frozenset((408, 409))
"""Timeouts, and locks that somebody else holds; beside nearly all of the 5xx."""
_FIRST_ERROR: Final = 400
_NOT_IMPLEMENTED: Final = frozenset((501, 505))

_AMOUNT = r"[:\s]{1,3}~?([0-9][0-9,]{0,15})"
_LIMIT = re.compile(rf"\bLimit{_AMOUNT}")
_USED = re.compile(rf"\bUsed{_AMOUNT}")
_REQUESTED = re.compile(rf"\bRequested{_AMOUNT}")
_UNIT = r"(input tokens|output tokens|tokens|requests) per (min|day)"
_PER = re.compile(rf"\b{_UNIT}", re.IGNORECASE)
_STATED = re.compile(rf"\blimit\b[^.\n]{{0,200}}?\bof ([0-9][0-9,]{{0,15}}) {_UNIT}", re.IGNORECASE)
_AGAIN = re.compile(
    r"(?:try again|retry)\s{1,3}(?:in|after)\s{1,3}([0-9][0-9.dhmsuµn]{0,40})"
    r"(?:\s?(millisecond|second|minute|hour))?",
    re.IGNORECASE,
)
_WORD_S: Final = {"millisecond": 1e-3, "second": 1.0, "minute": 60.0, "hour": 3_600.0}


class Refusal(NamedTuple):
    """What a provider's error means for the call.

    Attributes:
        kind: ``limit``: wait for it and try again; ``overloaded``: try again with growing pauses;
            ``too_large``: a limit can never take it; ``final``: the account's, not the call's;
            ``rejected``: it would be refused again.
        retry_after_s: when the provider wants to be asked again; None: it does not say.
        shown: the limits that headers and message show.
        code: the provider's own; empty where there is none.
        message: at most 200 characters of it, without secrets.
        named: the limit that the message names.
    """

    kind: Kind
    retry_after_s: float | None
    shown: tuple[Shown, ...]
    code: str
    message: str
    named: Shown | None = None

    def never_fits(self, charge: Charge) -> tuple[Shown, ...]:
        """Return the limits that can never take a call of `charge`, which was refused for that.

        The one its message names; where it names none, those of the headers that `charge` exceeds.
        """
        if self.kind != "too_large":
            return ()
        if self.named is not None:
            return (self.named,)
        return tuple(
            one for one in self.shown if one.limit is not None and charge[one.unit] > one.limit
        )


class _Figures(NamedTuple):
    """The amounts that a message names."""

    shown: Shown | None = None
    requested: float = 0.0


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes | str,
    dialect: Dialect,
    wall_now_s: float,
) -> Refusal:
    """Return what a response that is an error means.

    Args:
        status: of the response; 200 where an error came inside a stream.
        headers: of the response.
        body: its body, or the error event of a stream.
        dialect: how its headers are spelled.
        wall_now_s: seconds since 1970.
    """
    error = read_error(body, headers)
    figures = _figures(error.text)
    wait_s = retry_after_s(headers, wall_now_s)
    return Refusal(
        _kind(status, error, figures),
        _again_s(error.text) if wait_s is None else wait_s,
        _together(figures.shown, read_headers(dialect, headers)),
        error.code,
        kept(error.text),
        figures.shown,
    )


def _kind(status: int, error: ErrorBody, figures: _Figures) -> Kind:
    text = error.text
    if status == 402 or _any(_FINAL_CODES, error.codes):
        return "final"
    if status < 500 and _FINAL_TEXT.search(text):
        return "final"
    if _never_fits(status, error, figures):
        return "too_large"
    if _any(_CONTEXT_CODES, error.codes) or (status in (400, 413) and _CONTEXT_TEXT.search(text)):
        return "rejected"
    if _any(_OVERLOADED_CODES, error.codes) or (status == 429 and _OVERLOADED_TEXT.search(text)):
        return "overloaded"
    if status == 429 or _any(_LIMIT_CODES, error.codes):
        return "limit"
    if status < _FIRST_ERROR and _any(_SERVICE_CODES, error.codes):
        return "overloaded"
    if status in _OVERLOADED or (status >= 500 and status not in _NOT_IMPLEMENTED):
        return "overloaded"
    return "rejected"


def _never_fits(status: int, error: ErrorBody, figures: _Figures) -> bool:
    if _any(_TOO_LARGE_CODES, error.codes):
        return True
    if figures.shown is not None and figures.shown.limit is not None:
        return figures.requested > figures.shown.limit
    return status == 413 and not _CONTEXT_TEXT.search(error.text)


def _figures(text: str) -> _Figures:
    """Read ``on tokens per min (TPM): Limit 30000, Used 14567, Requested 24754``."""
    stated = _STATED.search(text)
    if stated is not None:
        return _Figures(_shown(stated[2], stated[3], _amount(stated[1]), None))
    per, limit = _PER.search(text), _amount(_found(_LIMIT, text))
    if per is None or limit is None:
        return _Figures()
    used = _amount(_found(_USED, text))
    remaining = None if used is None else max(0.0, limit - used)
    requested = _amount(_found(_REQUESTED, text)) or 0.0
    return _Figures(_shown(per[1], per[2], limit, remaining), requested)


def _shown(unit: str, per: str, limit: float | None, remaining: float | None) -> Shown:
    index = UNITS.index(unit.lower().replace(" ", "_"))
    return Shown(index, limit, remaining, DAY_S if per.lower() == "day" else MINUTE_S)


def _together(told: Shown | None, shown: Iterable[Shown]) -> tuple[Shown, ...]:
    """Return both, of one limit only what the message told."""
    if told is None:
        return tuple(shown)
    others = [one for one in shown if (one.unit, one.per_s) != (told.unit, told.per_s)]
    return (told, *others)


def _again_s(text: str) -> float | None:
    """Return the seconds of ``try again in 18.642s`` or ``retry after 26 seconds``."""
    again = _AGAIN.search(text)
    if again is None:
        return None
    wait_s = duration_s(again[1].rstrip("."))
    if wait_s is None:
        return None
    wait_s *= _WORD_S[again[2].lower()] if again[2] else 1.0
    return wait_s if wait_s <= DAY_S else None


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return None if match is None else match[1]


def _amount(text: str | None) -> float | None:
    return None if text is None else number(text.replace(",", ""))


def _any(words: Iterable[str], codes: Iterable[str]) -> bool:
    return any(word in code for code in codes for word in words)
