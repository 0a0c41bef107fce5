"""A question that was looked up by meaning, and the nearest one that is kept."""

from __future__ import annotations

from typing import NamedTuple


class Looked(NamedTuple):
    """What a lookup by meaning came to, with the texts: no event, so that observers are told none.

    Attributes:
        key: under which the question's own answer is kept, if it is.
        text: the question.
        tenant: digest of whose it is.
        reason: why the nearest is served, or why not, as of `events.CacheMiss`.
        served: whether it is.
        near_key: of the nearest entry; None: there is none.
        near_text: its question.
        similarity: the cosine of both.
        probability: that its answer is right, where that was worked out.
    """

    key: bytes
    text: str
    tenant: bytes
    reason: str
    served: bool = False
    near_key: bytes | None = None
    near_text: str = ""
    similarity: float | None = None
    probability: float | None = None
