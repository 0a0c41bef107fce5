"""What one call asks of the cache, read from the metadata and tags its framework carries.

Controls only narrow: they shorten a lifetime, choose a smaller space inside the tenant, or keep
out of the cache. Servers take metadata from clients, so nothing here may reach another tenant,
lengthen a lifetime, or loosen a rule. A value that cannot be used is named and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MAX_NAME = 256
_MAX_SECONDS = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """One call's wishes.

    Attributes:
        ttl_s: the stored answer lives at most this long.
        namespace: a space of its own inside the configured one.
        tags: names to invalidate the stored answer by.
        user: whom the stored answer concerns, for ``forget``.
        no_cache: neither read nor written.
        no_store: read, not written.
        refresh: written, not read.
    """

    ttl_s: float | None = None
    namespace: str = ""
    tags: tuple[str, ...] = ()
    user: str = ""
    no_cache: bool = False
    no_store: bool = False
    refresh: bool = False

    @property
    def user_tags(self) -> tuple[str, ...]:
        """The tags that whatever concerns the call's user bears."""
        return (user_tag(self.user),) if self.user else ()


class Problem(NamedTuple):
    """A control that could not be used."""

    name: str
    expected: str


DEFAULT = Controls()
"""A call that asks for nothing. Most calls: compare with ``is``."""

_SWITCHES = {
    "accel:no-cache": "no_cache",
    "accel:no-store": "no_store",
    "accel:refresh": "refresh",
}


def read_controls(
    metadata: Mapping[str, Any], tags: Collection[str]
) -> tuple[Controls, list[Problem]]:
    """Read the controls a call carries.

    Args:
        metadata: may hold ``accel_ttl_s`` (seconds), ``accel_namespace``, ``accel_tags`` (names)
            and ``accel_user``.
        tags: may hold ``accel:no-cache``, ``accel:no-store`` and ``accel:refresh``.
    """
    if not tags and _WATCHED.isdisjoint(metadata):
        return DEFAULT, []
    # A client may send anything for a tag.
    words = (tag for tag in tags if isinstance(tag, str))
    found: dict[str, Any] = {_SWITCHES[word]: True for word in words if word in _SWITCHES}
    if not found and _WATCHED.isdisjoint(metadata):
        return DEFAULT, []
    problems: list[Problem] = []
    for key, (name, read, expected) in _FIELDS.items():
        if key not in metadata:
            continue
        value = read(metadata[key])
        if value is None:
            problems.append(Problem(key, expected))
        else:
            found[name] = value
    return (Controls(**found) if found else DEFAULT), problems


def user_tag(user: str) -> str:
    """Return the tag that entries concerning `user` carry."""
    return f"user:{user}"


def _seconds(value: Any) -> float | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0 < value <= _MAX_SECONDS else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_NAME else None


def _names(value: Any) -> tuple[str, ...] | None:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple, set, frozenset)):
        return None
    return tuple(names) if all(_name(name) for name in names) else None


_FIELDS = {
    "accel_ttl_s": ("ttl_s", _seconds, "a number of seconds above 0"),
    "accel_namespace": ("namespace", _name, f"a text of 1 to {_MAX_NAME} characters"),
    "accel_tags": ("tags", _names, f"a list of texts of 1 to {_MAX_NAME} characters"),
    "accel_user": ("user", _name, f"a text of 1 to {_MAX_NAME} characters"),
}
_WATCHED = frozenset(_FIELDS)
