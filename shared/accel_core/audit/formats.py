"""Which format a log is in, and its calls: the one way from files to `LoggedCall`s.

Invariant: whatever is not read is counted, with the line of the first such places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from accel_core.audit import langsmith, otel, plain, runs
from accel_core.audit.records import Broken, values_in
from accel_core.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from accel_core.audit.logged import LoggedCall

    Reader = Callable[[Any, Sequence[str]], Iterator[LoggedCall]]

Format = Literal["langsmith", "otel", "openai", "questions", "messages"]
FORMATS: Final[tuple[Format, ...]] = ("langsmith", "otel", "openai", "questions", "messages")

_LOOKED_AT = 100
_SHOWN = 5
_MOST_PROBLEMS = 100
"""Told apart: some hold what stood there."""
_MOST_SAID = 120
"""Letters of a problem: it may quote what stood there."""
_LISTS = ("runs", "data", "items", "records", "calls")
_REMEDY = f"name one of {', '.join(FORMATS)} as --format, or convert it: see docs/audit.md"
_NO_CALL = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError,
)  # fmt: skip


@dataclass(slots=True)
class Seen:
    """What reading came to.

    Attributes:
        formats: by file's name.
        records: values of JSON that were read.
        calls: calls among them.
        others: records of the format that are no call, such as chains and tools.
        broken: places that could not be read, by problem.
        places: the first of those, as ``file, line: problem``.
    """

    formats: dict[str, str] = field(default_factory=dict)
    records: int = 0
    calls: int = 0
    others: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    places: list[str] = field(default_factory=list)

    def add_broken(self, path: Path, line: int, problem: str) -> None:
        """Note a place that could not be read."""
        kind = problem if problem in self.broken or len(self.broken) < _MOST_PROBLEMS else "others"
        self.broken[kind] += 1
        if len(self.places) < _SHOWN:
            self.places.append(f"{path.name}, line {line}: {problem}")


def read_calls(
    paths: Sequence[Path],
    seen: Seen,
    *,
    pinned: Format | None = None,
    tenant_fields: Sequence[str] = (),
    report: Callable[[float], None] = lambda _: None,
) -> Iterator[LoggedCall]:
    """Yield the calls of files, in the order in which they are written there.

    Files of OpenTelemetry's log records come first: spans are read together with them.

    Args:
        paths: of the files.
        seen: is told what was read.
        pinned: the format of all of them; None: each is looked at.
        tenant_fields: where whose call it is may be named.
        report: told the share that is read.

    Raises:
        FileError: a file cannot be read, is of no known format, or all of them hold no call.
    """
    # A pattern names a file under several spellings, too: what is read twice counts twice.
    paths = list({path.resolve(): path for path in reversed(paths)}.values())[::-1]
    kinds = {path: pinned or detected(path) for path in paths}
    for path, kind in kinds.items():
        seen.formats[path.name] = kind
    telemetry = otel.OtelReader()
    total, done = sum(path.stat().st_size for path in paths) or 1, 0
    for path in sorted(paths, key=lambda one: not _holds_logs(one, kinds[one])):
        before = done

        def tell(read_bytes: int, before: int = before) -> None:
            report(min(1.0, (before + read_bytes) / total))

        yield from _calls(path, _reader(kinds[path], telemetry), tenant_fields, seen, tell)
        done += path.stat().st_size
    if not seen.calls:
        problem = f"holds no call that can be replayed ({seen.records:,} records"
        problem += f", {sum(seen.broken.values()):,} not readable)"
        problem += "".join(f"; {place}" for place in seen.places)
        raise FileError(", ".join(map(str, paths)), None, problem, _REMEDY)


def detected(path: Path) -> Format:
    """Return the format of a file, by its first records.

    Raises:
        FileError: it is none that is known, or holds nothing.
    """
    looked_at = 0
    for _, value in values_in(path):
        if not isinstance(value, Broken):
            kind = format_of(value)
            if kind is not None:
                return kind
        looked_at += 1
        if looked_at == _LOOKED_AT:
            break
    if not looked_at:
        raise FileError(path, None, "is empty", _REMEDY)
    raise FileError(path, None, "is of no format that is known", _REMEDY)


def format_of(value: Any) -> Format | None:
    """Return the format that one record is in; None where that cannot be told."""
    if isinstance(value, Mapping):
        inside = _inside(value)
        if inside is not None:
            return next(filter(None, map(format_of, inside[:_LOOKED_AT])), None)
        if otel.is_telemetry(value):
            return "otel"
        if langsmith.is_run(value):
            return "langsmith"
        if plain.is_pair(value):
            return "openai"
        if plain.is_question(value):
            return "questions"
    return "messages" if runs.is_messages(value) or runs.is_message(value) else None


def _holds_logs(path: Path, kind: Format) -> bool:
    if kind != "otel":
        return False
    first: Any = next((value for _, value in values_in(path) if not isinstance(value, Broken)), {})
    return isinstance(first, Mapping) and otel.is_logs(first)


def _reader(kind: Format, telemetry: otel.OtelReader) -> Reader:
    readers: dict[Format, Reader] = {
        "langsmith": langsmith.calls_in,
        "otel": telemetry.calls_in,
        "openai": plain.pairs_in,
        "questions": plain.questions_in,
        "messages": runs.calls_in,
    }
    return readers[kind]


def _calls(
    path: Path,
    reader: Reader,
    tenant_fields: Sequence[str],
    seen: Seen,
    tell: Callable[[int], None],
) -> Iterator[LoggedCall]:
    for line, value in _runs(values_in(path, tell)):
        if isinstance(value, Broken):
            seen.add_broken(path, line, value.problem)
            continue
        inside = _inside(value) if isinstance(value, Mapping) else None
        for record in [value] if inside is None else inside:
            seen.records += 1
            before = seen.calls
            try:
                for call in reader(record, tenant_fields):
                    seen.calls += 1
                    yield call
            except _NO_CALL as error:
                seen.add_broken(path, line, _problem(error))
            else:
                seen.others += seen.calls == before


def _runs(values: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Yield `values`; single messages, of which a file that is one run consists, as that run."""
    run: list[Any] = []
    for line, value in values:
        if runs.is_message(value):
            run.append(value)
        else:
            yield line, value
    if run:
        yield 1, run


def _inside(value: Mapping[str, Any]) -> list[Any] | None:
    """Return the records that an object holds beside an export's own notes."""
    held = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), None)
    return held if held and all(isinstance(record, Mapping | list) for record in held) else None


def _problem(error: Exception) -> str:
    if isinstance(error, KeyError):
        said = f"{error} is missing"
    else:
        said = f"{error}" if isinstance(error, ValueError) else f"is no call ({error})"
    return said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}…"
