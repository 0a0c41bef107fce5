"""Prices read from YAML: those that are shipped, and a file of the application's own before them.

A file holds ``prices:``, a list of rows with the fields of `policy.prices.Price`, of which only
``cached_input`` may be left out.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

from accel_core.errors import ConfigError
from accel_core.policy.prices import Price, PriceTable

SHIPPED = Path(__file__).with_name("prices.yaml")
_TEXTS = ("model", "date", "source")


@functools.cache
def load_prices(path: str | None = None) -> PriceTable:
    """Return the shipped prices, and those in the file at `path`, which count before them.

    Raises:
        ConfigError: the file cannot be read, or a row is wrong; the message names it.
    """
    rows = _rows(SHIPPED)
    return PriceTable(rows if path is None else [*rows, *_rows(Path(path))])


def _rows(path: Path) -> list[Price]:
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"must be a readable file ({error.strerror})"
        raise ConfigError("observe.prices", str(path), reason) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("observe.prices", str(path), f"must be YAML ({error})") from error
    rows = data.get("prices") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ConfigError("observe.prices", str(path), "must hold a list of rows under 'prices'")
    return [_price(row, f"{path}: row {number}") for number, row in enumerate(rows, 1)]


def _price(row: Any, place: str) -> Price:
    if not isinstance(row, dict) or not {*row} <= {*Price._fields}:
        raise ConfigError(
            "observe.prices", place, f"must have the fields {', '.join(Price._fields)}"
        )
    for name in _TEXTS:
        if not isinstance(row.get(name), str) or not row[name]:
            raise ConfigError("observe.prices", place, f"must have a text for {name!r}")
    amounts = {name: _amount(row.get(name), name, place) for name in ("input", "output")}
    cached = row.get("cached_input")
    return Price(
        row["model"],
        amounts["input"],
        amounts["output"],
        None if cached is None else _amount(cached, "cached_input", place),
        row["date"],
        row["source"],
    )


def _amount(value: Any, name: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigError("observe.prices", place, f"{name} must be dollars, 0 or more")
    return float(value)
