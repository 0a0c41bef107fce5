"""What `never_cache` listens for, language by language.

Data only: `never_cache` compiles it. To add a language, write a module like these and name it here.
"""

from __future__ import annotations

from typing import Final

from accel_core.policy.never_cache_words.english import ENGLISH
from accel_core.policy.never_cache_words.french import FRENCH
from accel_core.policy.never_cache_words.german import GERMAN
from accel_core.policy.never_cache_words.rule import TERMS, Kind, Language, Rule
from accel_core.policy.never_cache_words.spanish import SPANISH

__all__ = ["LANGUAGES", "TERMS", "Kind", "Language", "Rule"]

LANGUAGES: Final = {"de": GERMAN, "en": ENGLISH, "es": SPANISH, "fr": FRENCH}
