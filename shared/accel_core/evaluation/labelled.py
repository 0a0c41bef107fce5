"""Labelled questions, read from files: pairs with a verdict, or questions with an identity.

A file of pairs says of two texts whether they have the same answer; a file of questions names what
each one asks. Both become *clusters*: wordings that deserve one answer which no other cluster
deserves. Whatever is wrong with a file is said with its line and a remedy, before anything is
computed from it: nothing is guessed, and nothing is skipped silently.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from accel_core.errors import LabelledFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_COLUMNS = {
    "a": ("a", "question1", "text_a", "sentence1"),
    "b": ("b", "question2", "text_b", "sentence2"),
    "same": ("same", "is_duplicate", "label"),
    "text": ("text", "question"),
    "intent": ("intent", "label", "cluster", "id"),
    "needed": ("needed", "label"),
}
"""What a column may be called; the first name is the one in messages."""
_TRUE, _FALSE = (
    frozenset({"1", "true", "yes", "same"}),
    frozenset({"0", "false", "no", "different"}),
)


class Pair(NamedTuple):
    """Two questions and whether they have the same answer; ``line`` is where the file says so."""

    a: str
    b: str
    same: bool
    line: int


class Need(NamedTuple):
    """A message and whether it needs documents."""

    text: str
    needed: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """Wordings that deserve one answer.

    Attributes:
        id: its number, unique in its file.
        asks: the wordings, no two equal.
        near: id of a cluster that reads alike and means something else, if one is known.
    """

    id: int
    asks: tuple[str, ...]
    near: int | None = None


def read_pairs(path: Path) -> list[Pair]:
    """Read labelled pairs: columns ``a``, ``b`` and ``same``.

    Args:
        path: ``.jsonl``, ``.csv`` or ``.tsv``, gzipped where the name ends in ``.gz``.

    Raises:
        LabelledFileError: the file cannot be read, a row lacks a column or a label, two rows
            contradict each other, or all rows have one label.
    """
    pairs: list[Pair] = []
    seen: dict[frozenset[str], Pair] = {}
    for line, row in _rows(path):
        a, b = (_text(path, line, row, name) for name in ("a", "b"))
        remedy = "write 1 where both have the same answer, 0 where not"
        pair = Pair(a, b, _verdict(path, line, _value(path, line, row, "same"), remedy), line)
        earlier = seen.setdefault(frozenset((a, b)), pair)
        if earlier.same != pair.same:
            problem = f"contradicts line {earlier.line}: the same two texts, another label"
            raise LabelledFileError(path, line, problem, "keep one of the two rows")
        if earlier is pair:
            pairs.append(pair)
    if len({pair.same for pair in pairs}) < 2:
        remedy = "give pairs with the same answer (1) and pairs with different answers (0)"
        raise LabelledFileError(path, None, "holds pairs of one kind only", remedy)
    return pairs


def read_clusters(path: Path) -> list[Cluster]:
    """Read clusters: rows of ``text`` and ``intent``, of ``asks``, or labelled pairs.

    Questions that pairs with the same answer join, directly or through others, are one cluster; a
    question that is never joined is a cluster by itself.

    Raises:
        LabelledFileError: as `read_pairs`, and where a text has two intents.
    """
    first = next(_rows(path), (0, {}))[1]
    if "asks" in first:
        rows = enumerate(_rows(path), 1)
        return [
            Cluster(row.get("id", number), _asks(path, line, row), row.get("near"))
            for number, (line, row) in rows
        ]
    if _column(first, "text") is None:
        return clusters_of(read_pairs(path))
    by_intent: dict[str, dict[str, None]] = {}
    intents: dict[str, tuple[str, int]] = {}
    for line, row in _rows(path):
        text = _text(path, line, row, "text")
        intent = str(_value(path, line, row, "intent"))
        earlier, where = intents.setdefault(text, (intent, line))
        if earlier != intent:
            problem = f"contradicts line {where}: the same text, another intent"
            raise LabelledFileError(path, line, problem, "keep one of the two rows")
        by_intent.setdefault(intent, {})[text] = None
    return [Cluster(number, tuple(texts)) for number, texts in enumerate(by_intent.values(), 1)]


def read_needs(path: Path) -> list[Need]:
    """Read messages labelled with whether they need retrieval: columns ``text`` and ``needed``.

    Messages that differ in capitals or outer blanks only are one.

    Raises:
        LabelledFileError: as `read_pairs`.
    """
    seen: dict[str, tuple[Need, int]] = {}
    for line, row in _rows(path):
        text = _text(path, line, row, "text").strip()
        value = _value(path, line, row, "needed")
        need = Need(text, _verdict(path, line, value, "write 1 where it needs documents, 0 if not"))
        earlier, where = seen.setdefault(text.casefold(), (need, line))
        if earlier.needed != need.needed:
            problem = f"contradicts line {where}: the same text, another label"
            raise LabelledFileError(path, line, problem, "keep one of the two rows")
    if len({need.needed for need, _ in seen.values()}) < 2:
        remedy = "give messages that need documents (1) and messages that do not (0)"
        raise LabelledFileError(path, None, "holds messages of one kind only", remedy)
    return [need for need, _ in seen.values()]


def clusters_of(pairs: Iterable[Pair]) -> list[Cluster]:
    """Join the texts of pairs with the same answer into clusters, in order of appearance."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while (above := parent[text]) != text:
            parent[text] = text = parent[above]  # halving the path keeps the next walk short
        return text

    for pair in pairs:
        parent.setdefault(pair.a, pair.a)
        parent.setdefault(pair.b, pair.b)
        if pair.same:
            # The root stays the text that came first: dicts keep order, so clusters do too.
            parent[root(pair.b)] = root(pair.a)
    members: dict[str, list[str]] = {}
    for text in parent:
        members.setdefault(root(text), []).append(text)
    return [Cluster(number, tuple(texts)) for number, texts in enumerate(members.values(), 1)]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line numbers and rows of `path`."""
    kinds = path.suffixes[:-1] if path.suffix == ".gz" else path.suffixes
    kind = kinds[-1] if kinds else ""
    if kind not in {".jsonl", ".csv", ".tsv"}:
        raise LabelledFileError(path, None, "is of an unknown kind", "name it .jsonl, .csv or .tsv")
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8", newline="") as lines
        ):
            yield from _json(path, lines) if kind == ".jsonl" else _table(path, lines, kind)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise LabelledFileError(path, None, f"cannot be read: {error}", "check the file") from error


def _json(path: Path, lines: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise LabelledFileError(path, number, "is not JSON", "one object per line") from error
        if not isinstance(row, dict):
            raise LabelledFileError(path, number, "is not a JSON object", 'write {"a": …, …}')
        yield number, row


def _table(path: Path, lines: TextIO, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(lines, delimiter="\t" if kind == ".tsv" else ",")
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        remedy = "quote fields that hold separators"
        raise LabelledFileError(
            path, reader.line_num, f"is not a table: {error}", remedy
        ) from error


def _column(row: dict[str, Any], name: str) -> str | None:
    return next((column for column in _COLUMNS[name] if column in row), None)


def _value(path: Path, line: int, row: dict[str, Any], name: str) -> Any:
    column = _column(row, name)
    if column is None:
        found = ", ".join(map(repr, row)) or "nothing"
        wanted = " or ".join(map(repr, _COLUMNS[name]))
        raise LabelledFileError(
            path, line, f"has no column {name!r}", f"name one {wanted}; found {found}"
        )
    value = row[column]
    if value is None or value == "":
        raise LabelledFileError(
            path, line, f"has no value for {column!r}", "fill it in or drop the row"
        )
    return value


def _text(path: Path, line: int, row: dict[str, Any], name: str) -> str:
    value = _value(path, line, row, name)
    if not isinstance(value, str) or not value.strip():
        raise LabelledFileError(
            path, line, f"{name!r} is {value!r}", "give a text that is not blank"
        )
    return value


def _asks(path: Path, line: int, row: dict[str, Any]) -> tuple[str, ...]:
    asks = row.get("asks")
    if not isinstance(asks, list) or not asks or not all(isinstance(ask, str) for ask in asks):
        raise LabelledFileError(path, line, f"'asks' is {asks!r}", "give a list of texts")
    return tuple(asks)


def _verdict(path: Path, line: int, value: Any, remedy: str) -> bool:
    spelled = str(value).strip().lower()
    if spelled in _TRUE:
        return True
    if spelled in _FALSE:
        return False
    raise LabelledFileError(path, line, f"has the label {value!r}", remedy)


def texts_of(clusters: Sequence[Cluster]) -> list[str]:
    """Return every wording of `clusters`, in order."""
    return [text for cluster in clusters for text in cluster.asks]


def halves(pairs: Sequence[Pair]) -> tuple[list[Cluster], list[Cluster]]:
    """Split the clusters of `pairs` in two of about the same size, for fitting and for judging.

    Whatever a pair of either label connects stays together: otherwise a question's look-alikes
    would lie in the other half, and both halves would be easier than the whole.
    """
    joined = clusters_of(pair._replace(same=True) for pair in pairs)
    place = {text: group.id for group in joined for text in group.asks}
    sides: tuple[list[Cluster], list[Cluster]] = ([], [])
    for cluster in clusters_of(pairs):
        group = place[cluster.asks[0]]
        digest = hashlib.blake2b(str(group).encode(), digest_size=1).digest()
        sides[digest[0] & 1].append(cluster)
    return sides
