"""A store as a source: how many entries, how old, how large, and whose texts they are."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from typing import TYPE_CHECKING

from accel_core.files.statistics_lines import ID_DIGITS
from accel_core.ports import Entry, Selector
from accel_core.report.spread import Spread
from accel_core.report.values import Entries, Report
from accel_core.transfer.looking import pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.inspection import InspectableStore

_NEWEST = 15
_MOST_TEXTS = 200_000


def read_store(
    store: InspectableStore, place: str, *, now_s: float, progress: Callable[[float], None]
) -> tuple[Report, dict[str, str]]:
    """Return what `store` tells, and the texts of its entries by the digits of their ids.

    Args:
        store: is read whole.
        place: what it is called.
        now_s: seconds since the epoch.
        progress: told how much is read, in [0, 1].

    Raises:
        StoreError: it fails.
    """
    ages, sizes = Spread(), Spread()
    namespaces: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    texts: dict[str, str] = {}
    count = expired = semantic = unreadable = size_bytes = 0
    newest: list[tuple[float, str, int]] = []
    for page in pages(store, [Selector()], progress):
        for stored in page.values():
            count += 1
            size_bytes += stored.size_bytes
            sizes.add(float(stored.size_bytes))
            entry = stored.found
            if not isinstance(entry, Entry):
                unreadable += 1
                continue
            ages.add(max(1.0, now_s - entry.created_s))
            expired += entry.expires_s <= now_s
            semantic += entry.semantic
            namespaces[entry.namespace] += 1
            sources[entry.source] += 1
            short = entry.id[:ID_DIGITS]
            if len(texts) < _MOST_TEXTS:
                texts[short] = entry.text
            newest.append((entry.created_s, short, stored.size_bytes))
        newest = nlargest(_NEWEST, newest)
    entries = Entries(
        count=count,
        bytes=size_bytes,
        expired=expired,
        semantic=semantic,
        unreadable=unreadable,
        ages=ages.bins(),
        sizes=sizes.bins(),
        namespaces=dict(namespaces.most_common()),
        sources=dict(sources.most_common()),
        newest=tuple((id_, now_s - at_s, size, texts.get(id_)) for at_s, id_, size in newest),
    )
    return Report(sources=(place,), made_at_s=now_s, entries=entries), texts
