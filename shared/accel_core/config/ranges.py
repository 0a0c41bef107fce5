"""Range checks that several sections of the configuration share."""

from __future__ import annotations

from accel_core.errors import ConfigError


def positive(name: str, value: float) -> None:
    """Raise `ConfigError` where `value` is not above 0."""
    if not value > 0:
        raise ConfigError(name, value, "must be above 0")
