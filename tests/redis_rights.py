"""The rights that the documentation says a user of the server needs."""

from __future__ import annotations

import re
from pathlib import Path

_DOCUMENTED = Path(__file__).parents[1] / "docs" / "stores.md"


def rights(purpose: str) -> list[str]:
    """Return the rights that the documentation's table names for `purpose`."""
    row = re.search(rf"^\| {purpose} \| `(.*?)`", _DOCUMENTED.read_text("utf-8"), re.MULTILINE)
    assert row is not None
    return row[1].replace("\\", "").split()
