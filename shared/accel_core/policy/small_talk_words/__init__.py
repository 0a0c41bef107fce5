"""What `small_talk` knows by heart, language by language.

Data only: `small_talk` reads it. To add a language, write a module like these and name it here.
"""

from __future__ import annotations

from typing import Final

from accel_core.policy.small_talk_words.english import ENGLISH
from accel_core.policy.small_talk_words.french import FRENCH
from accel_core.policy.small_talk_words.german import GERMAN
from accel_core.policy.small_talk_words.phrases import KINDS, Kind, Phrase, Phrases
from accel_core.policy.small_talk_words.spanish import SPANISH

__all__ = ["KINDS", "LANGUAGES", "Kind", "Phrase", "Phrases"]

LANGUAGES: Final = {"de": GERMAN, "en": ENGLISH, "es": SPANISH, "fr": FRENCH}
