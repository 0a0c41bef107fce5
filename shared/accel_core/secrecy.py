"""The secrets that key digests and MACs: named in the configuration, held by the environment.

Invariant: no secret is printed, and none is shorter than a key should be.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accel_core.errors import ConfigError
from accel_core.policy.identity import Identifier

if TYPE_CHECKING:
    from accel_core.config import SecurityConfig

_MIN_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret in use and the one before it."""

    current: bytes | None = None
    previous: bytes | None = None

    def __repr__(self) -> str:
        return f"Secrets(current={self.current is not None}, previous={self.previous is not None})"


def read_secrets(config: SecurityConfig) -> Secrets:
    """Read the secrets from the environment variables that `config` names.

    Raises:
        ConfigError: a variable is not set, or its secret is shorter than 32 bytes.
    """
    return Secrets(
        _secret("security.key_env", config.key_env),
        _secret("security.previous_key_env", config.previous_key_env),
    )


def _secret(place: str, variable: str | None) -> bytes | None:
    if variable is None:
        return None
    secret = os.environ.get(variable, "").encode()
    if len(secret) < _MIN_SECRET_BYTES:
        expected = f"must name a variable with a secret of at least {_MIN_SECRET_BYTES} bytes"
        raise ConfigError(place, variable, expected)
    return secret


def build_identifier(secrets: Secrets) -> Identifier:
    """Return what names requests under `secrets`."""
    return Identifier(secrets.current, secrets.previous)
