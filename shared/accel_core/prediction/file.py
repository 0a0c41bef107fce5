"""The file of a mined predictor: small JSON, checked when it is read.

It holds counts and trees: names of tools and arguments, paths into observations, shapes, hashes of
words, and constants that several runs gave without anybody having said them. No text of a user and
no observation is in it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_core.errors import FileError
from accel_core.files import private
from accel_core.policy.prediction.model import FORMAT, CallModel, Forests

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

_REMEDY = "learn it again with: accel learn-tools TRACES"
_LARGEST_BYTES = 64_000_000


def load(path: str | os.PathLike[str]) -> CallModel:
    """Read what `save` wrote.

    Raises:
        FileError: there is no such file, or it is not one of these.
    """
    try:
        if Path(path).stat().st_size > _LARGEST_BYTES:
            raise FileError(path, None, "is far larger than what tools are learned into", _REMEDY)
        spelled = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise FileError(path, None, f"cannot be read ({error.strerror})", _REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise FileError(path, getattr(error, "lineno", None), "is no JSON", _REMEDY) from error
    found = spelled.get("format") if isinstance(spelled, dict) else None
    if found != FORMAT:
        raise FileError(path, None, f"is of format {found!r}, not {FORMAT}", _REMEDY)
    try:
        return CallModel.from_json(spelled)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FileError(path, None, f"is not what was learned: {error!r}", _REMEDY) from error


def save(path: str | os.PathLike[str], spelled: Mapping[str, Any]) -> None:
    """Put a file of what a model spells there, readable by its owner alone.

    Raises:
        FileError: it cannot be written.
    """
    try:
        private.replace(Path(path), json.dumps(spelled, separators=(",", ":")).encode())
    except OSError as error:
        remedy = "name a place that can be written to"
        raise FileError(path, None, f"cannot be written ({error.strerror})", remedy) from error


@cache
def shipped_forests() -> Forests:
    """Return the forests that judge until some are grown on runs of one's own."""
    text = resources.files("accel_core.prediction").joinpath("forests.json").read_text("utf-8")
    return Forests.from_json(json.loads(text))
