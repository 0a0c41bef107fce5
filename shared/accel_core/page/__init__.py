"""Pages that need nothing from anywhere: a frame with a strict policy, tables, and charts as SVG.

Invariant: whatever is put into a page is escaped, unless it is `Markup` made here; a page has no
script, no font, no picture, and asks no network.
"""

from __future__ import annotations

from accel_core.page.frame import document
from accel_core.page.markup import Markup, joined, spell, tag

__all__ = ["Markup", "document", "joined", "spell", "tag"]
