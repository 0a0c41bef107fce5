"""How often an adopted result is checked against the real call, and what counts as the same.

A tool that was declared free of side effects and is not, such as the cursor behind "next page",
answers a repeated call differently. So some of the calls that could be spared are made all the
same, those of a tool that has been trusted seldom more often.
"""

from __future__ import annotations

from typing import Any

from accel_core.policy.canonical import Unidentifiable, canonical_json

_FIRST, _FEW = 0.25, 8


def audit_probability(adopted: int, share: float) -> float:
    """Return how probable it should be that the next result is checked, in [0, 1].

    A quarter for a tool's first one, and less with each; of its first hundred about five are.

    Args:
        adopted: how many of the tool's results have been adopted or checked.
        share: in the end, in [0, 1]; 0: none ever is.

    >>> [audit_probability(n, 0.02) for n in (0, 8, 32, 1000)]
    [0.25, 0.125, 0.05, 0.02]
    """
    return max(share, _FIRST / (1 + adopted / _FEW)) if share > 0 else 0.0


def same_result(one: Any, other: Any) -> bool | None:
    """Whether two results of a tool say the same; None: nobody can tell.

    What can be spelled is compared by its spelling (`policy.canonical`), what has an equality of
    its own by that.
    """
    try:
        return canonical_json(one) == canonical_json(other)
    except Unidentifiable:
        pass
    if type(one) is not type(other):
        return False
    if getattr(type(one), "__eq__", None) is object.__eq__:
        return None
    try:
        return bool(one == other)
    except Exception:  # somebody's equality: arrays have none that is a truth
        return None
