"""The frame of a page: its head, its policy and its one style sheet, for light, dark and phones.

The policy forbids everything but that style sheet, by its digest: were something not escaped, it
could neither run nor load nor send anything.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from accel_core.page.markup import Markup, joined, tag

if TYPE_CHECKING:
    from collections.abc import Iterable

_STYLE = Path(__file__).with_name("style.css")


def document(title: str, content: Iterable[object]) -> str:
    """Return a whole page.

    Args:
        title: of its tab; plain text.
        content: what stands in its body, in order.
    """
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = joined(
        (
            Markup('<meta charset="utf-8">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Markup('<meta name="color-scheme" content="light dark">'),
            Markup('<meta name="referrer" content="no-referrer">'),
            tag("title", title),
            Markup(f"<style>{style}</style>"),
        )
    )
    body = tag("body", tag("main", *content))
    whole = f'<!doctype html>\n<html lang="en">{tag("head", head)}\n{body}</html>\n'
    # A text may hold halves of characters, which UTF-8 cannot say.
    return whole.encode("utf-8", "replace").decode()
