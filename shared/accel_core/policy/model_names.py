"""Names of models as they may be told: in metrics, spans, logs and files.

Invariant: a name is what the application wrote as one. What else stands in the place of a name, a
live client for instance, spells who knows what, its key included.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def model_named(name: object) -> str:
    """Return `name`, where it is one; ``""``: it is something else.

    A model may go by the address of a server of one's own: of that neither user nor password nor
    query is told.

    >>> model_named("gpt-4o-mini"), model_named(object())
    ('gpt-4o-mini', '')
    >>> model_named("https://me:secret@host/v1?key=secret")
    'https://host/v1'
    """
    if not isinstance(name, str):
        return ""
    return _address(name) if "://" in name else name


def _address(name: str) -> str:
    try:
        scheme, place, path, *_ = urlsplit(name)
    except ValueError:
        return name.partition("://")[0]
    return urlunsplit((scheme, place.rpartition("@")[2], path, "", ""))
