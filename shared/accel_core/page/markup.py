"""Elements of HTML and SVG as text, in which everything that came from outside is escaped.

So are characters that nobody sees and that change what is seen: controls, and those that reverse
the direction of what follows (https://trojansource.codes). Texts are shown so that somebody judges
them.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def spell(content: object) -> Markup:
    """Return `content` as HTML: markup as it is, anything else as escaped text.

    >>> spell("a < b")
    'a &lt; b'
    """
    return content if isinstance(content, Markup) else Markup(_escaped(str(content)))


def _escaped(text: str) -> str:
    return escape(_UNSEEN.sub(lambda one: one[0].encode("unicode_escape").decode(), text))


def joined(parts: Iterable[object]) -> Markup:
    """Return parts one after the other."""
    return Markup("".join(map(spell, parts)))


def tag(name: str, *content: object, **attributes: object) -> Markup:
    """Return an element; of attributes ``_`` becomes ``-``, one after the name is dropped.

    >>> tag("text", "1 < 2", x=3, text_anchor="end", class_="axis")
    '<text x="3" text-anchor="end" class="axis">1 &lt; 2</text>'
    """
    spelled = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{spelled}>{joined(content)}</{name}>")


def _short(value: object) -> str:
    """Spell a number with a tenth of a pixel: pages of many marks stay small."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
