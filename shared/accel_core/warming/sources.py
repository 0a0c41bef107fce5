"""Which questions a warm-up asks: the most frequent first, each once."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from accel_core.errors import LabelledFileError
from accel_core.evaluation.shadow_labels import read_log
from accel_core.ports import Selector

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from accel_core.ports import Store


def most_asked(asked: Iterable[tuple[str, int]], top: int | None = None) -> list[str]:
    """Return the questions of `asked` with their counts summed, the most frequent first.

    Args:
        asked: questions and how often; equal ones are one, and so are those that differ in outer
            blanks only. Of two as frequent, the one named first comes first.
        top: so many of them, at most.
    """
    counts: Counter[str] = Counter()
    for question, count in asked:
        if question.strip():
            counts[question.strip()] += count
    return [question for question, _ in counts.most_common(top)]


def from_file(path: Path) -> list[tuple[str, int]]:
    """Read questions, a line each: a JSON text, or ``{"question": …, "count": …}``.

    Raises:
        LabelledFileError: the file cannot be read, or a line is neither.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelledFileError(path, None, f"cannot be read: {error}", "check the file") from error
    return [_asked(path, n, line) for n, line in enumerate(lines, 1) if line.strip()]


def from_log(path: Path, tenants: Collection[bytes]) -> list[tuple[str, int]]:
    """Return the questions that one tenant asked according to the shadow log at `path`.

    Args:
        path: the log.
        tenants: digests of the tenant; nothing of another is read out.

    Raises:
        LabelledFileError: it cannot be read, or is no shadow log.
    """
    meant = {tenant.hex() for tenant in tenants}
    return [(compared.b, 1) for _, compared in read_log(path) if compared.tenant in meant]


def from_store(store: Store, tenants: Collection[bytes]) -> list[tuple[str, int]]:
    """Return the questions of one tenant's entries, the most recently asked first.

    How often an entry was asked for is not stored; a question that has several (of several models,
    say) counts once for each.

    Args:
        store: where they are.
        tenants: digests of the tenant; nothing of another is read out.
    """
    entries = [
        entry
        for tenant in tenants
        for key in store.select(Selector(tenant=tenant))
        if (entry := store.fetch(key)) is not None and entry.text and entry.tenant == tenant
    ]
    entries.sort(key=lambda entry: entry.created_s, reverse=True)
    return [(entry.text, 1) for entry in entries]


def _asked(path: Path, number: int, line: str) -> tuple[str, int]:
    remedy = 'write a JSON text, or {"question": …, "count": …}'
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise LabelledFileError(path, number, "is not JSON", remedy) from error
    question = row.get("question", row.get("text")) if isinstance(row, dict) else row
    count = row.get("count", 1) if isinstance(row, dict) else 1
    if not isinstance(question, str) or not question.strip():
        raise LabelledFileError(path, number, "holds no question", remedy)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise LabelledFileError(path, number, f"has the count {count!r}", "write 1 or more")
    return question, count
