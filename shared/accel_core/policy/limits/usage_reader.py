"""What a call used, read from its response: from a document, or from a stream as it passes.

A stream that breaks off with an error says that in the same passing (`stream_error`).

`Usage.input_tokens` is the whole prompt, including what was read from or written to the provider's
cache, and `cached_input_tokens` what was read. OpenAI counts so itself
(``prompt_tokens_details.cached_tokens``); Anthropic and Bedrock state the three parts, which add up
(https://platform.claude.com/docs/en/build-with-claude/prompt-caching).

A stream is looked at, not parsed: an event is read only where it names its usage or an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from accel_core.policy.limits.charge import Usage
from accel_core.policy.limits.stream_error import MARK, error_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accel_core.policy.limits.stream_error import StreamError

_MOST_TOKENS: Final = 1e9
_INPUT: Final = ("prompt_tokens", "input_tokens", "inputTokens")
_OUTPUT: Final = ("completion_tokens", "output_tokens", "outputTokens")
_READ: Final = ("cache_read_input_tokens", "cacheReadInputTokens")
_WRITTEN: Final = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details")
_OUTER: Final = ("response", "message", "x_groq")
"""Where an event keeps its usage: of the Responses API, Anthropic's first, Groq's last."""

_USAGE = re.compile(rb'"usage"\s{0,4}:\s{0,4}\{')
_CONTENT = re.compile(
    rb'"(?:content|text|delta|reasoning_content|reasoning|thinking|refusal|arguments|partial_json)"'
    rb'\s?:\s?"[^"]'
)
_LONGEST_LINE: Final = 4_194_304
"""Bytes: the Responses API repeats the whole answer in its last event."""


def amount(value: object) -> float | None:
    """Return a number of tokens, unless `value` is negative, absurd or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MOST_TOKENS else None


def usage_of(document: object) -> Usage | None:
    """Return what a response says that it used; None: it does not say.

    Reads chat and text completions, the Responses API, embeddings, Mistral, Anthropic's messages,
    Bedrock's Converse, and the events of their streams.

    >>> usage_of({"usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 5}})
    Usage(input_tokens=100.0, output_tokens=5.0, cached_input_tokens=90.0)
    """
    said = _said(document)
    return None if said is None else _usage(said)


class StreamUsage:
    """Reads usage and counts content while a stream passes; chunks may end anywhere.

    Lines end with a line feed, as every provider ends them. One owner at a time.

    Attributes:
        events: events with content so far. Providers send about a token in each, so they stand in
            for the output of a stream that breaks off.
    """

    __slots__ = ("_error", "_pending", "_pending_bytes", "_said", "_stated", "events")

    def __init__(self) -> None:
        self.events = 0
        self._error: StreamError | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._said: dict[str, Any] = {}
        self._stated = False

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream's body."""
        lines, line_feed, rest = chunk.rpartition(b"\n")
        if line_feed:
            if self._pending:
                lines = b"".join((*self._pending, lines))
            if self._pending_bytes <= _LONGEST_LINE:
                self._look(lines)
            else:
                self._look(lines.partition(b"\n")[2])
            self._pending, self._pending_bytes = [], 0
        if rest:
            self._pending_bytes += len(rest)
            # A line too long to be read is not kept either.
            if self._pending_bytes <= _LONGEST_LINE:
                self._pending.append(rest)
            else:
                self._pending = []

    @property
    def error(self) -> StreamError | None:
        """The error that the stream carries, if any."""
        return self._error or error_in(b"".join(self._pending))

    @property
    def usage(self) -> Usage | None:
        """What was used, as far as the provider said.

        Anthropic states the prompt first and the output last: in between, what was counted stands
        in for the output.
        """
        said, stated = self._said, self._stated
        if self._pending and _names_usage(rest := b"".join(self._pending)):
            more = _said_in(rest)
            if more is not None:
                said, stated = said | more, stated or _is_final(rest)
        usage = _usage(said)
        if usage is None or stated:
            return usage
        return usage._replace(output_tokens=max(usage.output_tokens, float(self.events)))

    def _look(self, lines: bytes) -> None:
        if MARK in lines and self._error is None:
            self._error = error_in(lines)
        if not _names_usage(lines):
            self.events += _count_content(lines)
            return
        for line in lines.split(b"\n"):
            said = _said_in(line) if _names_usage(line) else None
            if said is not None:
                self._said.update(said)
                self._stated = self._stated or _is_final(line)
            if said is None or b'"choices"' in line:
                self.events += _count_content(line)


def _names_usage(lines: bytes) -> bool:
    """Whether a line states usage; OpenAI names it in every event and says null."""
    return b'"usage"' in lines and _USAGE.search(lines) is not None


def _count_content(lines: bytes) -> int:
    """Count the lines that carry content, each at most once."""
    if lines.count(b"\n") <= 1:
        return 1 if _CONTENT.search(lines) else 0
    return sum(_CONTENT.search(line) is not None for line in lines.split(b"\n"))


def _is_final(line: bytes) -> bool:
    """Whether what it says of the output is the last word: not so in Anthropic's first event."""
    return b'"message_start"' not in line


def _said_in(line: bytes) -> dict[str, Any] | None:
    """Return the usage that one line of a stream states."""
    start = line.find(b"{")
    if start < 0:
        return None
    try:
        said = _said(orjson.loads(line[start:]))
    except ValueError:
        return None
    return (
        None if said is None else {key: value for key, value in said.items() if value is not None}
    )


def _said(document: object) -> Mapping[str, Any] | None:
    """Return the usage in a document, or in the object that an event wraps."""
    for level in _levels(document):
        usage = level.get("usage")
        if isinstance(usage, dict):
            return usage
    return None


def _levels(document: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, dict):
        yield document
        for key in _OUTER:
            if isinstance(document.get(key), dict):
                yield document[key]


def _usage(said: Mapping[str, Any]) -> Usage | None:
    read, written = _first(said, _READ), _first(said, _WRITTEN)
    prompt, output = _first(said, _INPUT), _first(said, _OUTPUT)
    if prompt is None and output is None:
        return None
    whole = (prompt or 0.0) + (read or 0.0) + (written or 0.0)
    cached = read if read is not None else _cached(said)
    return Usage(whole, output or 0.0, min(cached, whole))


def _cached(said: Mapping[str, Any]) -> float:
    for key in _DETAILS:
        details = said.get(key)
        if isinstance(details, dict):
            return amount(details.get("cached_tokens")) or 0.0
    return amount(said.get("prompt_cache_hit_tokens")) or 0.0


def _first(said: Mapping[str, Any], keys: tuple[str, ...]) -> float | None:
    for key in keys:
        found = amount(said.get(key))
        if found is not None:
            return found
    return None
