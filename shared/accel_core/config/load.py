"""Reading a configuration, with errors that say where, what was found and what belongs there.

The dataclasses of `tree` are the schema: their type hints decide what is accepted, their
``__post_init__`` checks ranges. ``${NAME}`` in a text is replaced from the environment. Settings
that end in ``_s`` take seconds or a text such as ``15m``.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from accel_core.config.dialect import PLACES, speaks, translate
from accel_core.config.tree import AccelConfig
from accel_core.errors import ConfigError

T = TypeVar("T")

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def from_yaml(path: str | os.PathLike[str]) -> AccelConfig:
    """Read the YAML file at `path`.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or a setting is wrong.
    """
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"must be a readable file ({error.strerror})"
        raise ConfigError("config file", str(path), reason) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("config file", str(path), f"must be YAML ({error})") from error
    return from_mapping(data)


def from_mapping(data: Any) -> AccelConfig:
    """Read a configuration from nested mappings; None is an empty one.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
    """
    if not speaks(data):
        return _read(AccelConfig, {} if data is None else data, "")
    try:
        return _read(AccelConfig, translate(data), "")
    except ConfigError as error:
        place = PLACES.get(error.path, error.path)
        raise ConfigError(place, error.value, error.expected) from None


def _read(cls: type[T], data: Any, path: str) -> T:
    """Read dataclass `cls` from the mapping `data` found at `path`."""
    if not isinstance(data, dict):
        raise ConfigError(path or "configuration", data, "must be a mapping of settings")
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    names = [field.name for field in fields if field.init]
    values: dict[str, Any] = {}
    for key, value in data.items():
        place = f"{path}.{key}" if path else str(key)
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(names)}"
            raise ConfigError(place, value, f"unknown setting{hint}")
        values[key] = _value(hints[key], value, place)
    try:
        return cls(**values)
    except ConfigError as error:
        place = f"{path}.{error.path}" if path else error.path
        raise ConfigError(place, error.value, error.expected) from None


def _value(hint: Any, value: Any, place: str) -> Any:
    """Return `value` as `hint` asks, or raise."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _read(hint, {} if value is None else value, place)
    if isinstance(value, str):
        value = _expanded(value, place)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        if value is None:
            return None
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices or isinstance(value, bool):
            listed = ", ".join(repr(choice) for choice in choices)
            raise ConfigError(place, value, f"must be one of {listed}")
        return value
    if typing.get_origin(hint) is tuple:
        return _texts(value, place)
    if hint is float and isinstance(value, str) and place.endswith("_s"):
        value = _seconds(value, place)
    return _scalar(hint, value, place)


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise ConfigError(place, value, "must be a list of texts")
    return tuple(_expanded(text, place) for text in value)


def _scalar(hint: Any, value: Any, place: str) -> Any:
    accepted = (int, float) if hint is float else (hint,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(place, value, f"must be {_KINDS[hint]}")
    return hint(value)


def _seconds(text: str, place: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(place, text, "must be seconds, or a text such as '90s', '15m', '1h'")
    return float(match[1]) * _UNITS_S[match[2]]


def _expanded(text: str, place: str) -> str:
    def lookup(match: re.Match[str]) -> str:
        try:
            return os.environ[match[1]]
        except KeyError:
            expected = f"environment variable {match[1]} must be set"
            # Not the whole text: it may hold a secret.
            raise ConfigError(place, match[0], expected) from None

    return _VARIABLE.sub(lookup, text)
