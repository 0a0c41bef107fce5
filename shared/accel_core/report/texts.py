"""Questions in a report: taken out unless they are asked for, and added from where they are known.

Invariant: what `without_texts` returns holds nobody's words.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accel_core.report.values import Report


def without_texts(report: Report) -> Report:
    """Return `report` without any question."""
    return _with(report, {}, keep=False)


def with_texts(report: Report, texts: Mapping[str, str]) -> Report:
    """Return `report` with the questions of `texts`, by their entries' ids, where it has none."""
    return _with(report, texts, keep=True)


def _with(report: Report, texts: Mapping[str, str], *, keep: bool) -> Report:
    def of(id_: str, known: str | None) -> str | None:
        return known if keep and known is not None else texts.get(id_)

    near, questions, entries = report.near, report.questions, report.entries
    if near is not None:
        pairs = tuple(
            replace(one, question=of(one.id, one.question), nearest=of(one.nearest_id, one.nearest))
            for one in near.pairs
        )
        near = replace(near, pairs=pairs)
    if questions is not None:
        questions = tuple(replace(one, text=of(one.id, one.text)) for one in questions)
    if entries is not None:
        newest = tuple((id_, age, size, of(id_, text)) for id_, age, size, text in entries.newest)
        entries = replace(entries, newest=newest)
    return replace(report, near=near, questions=questions, entries=entries)
