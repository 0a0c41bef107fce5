"""Where an encoder may be trusted: only in the scripts it was declared for.

An encoder that never learnt a script still returns a vector, and unrelated texts then look alike
(all-MiniLM gives 1.000 between unrelated Chinese questions). So a text with one letter of an
undeclared script is not compared by meaning. Digits, punctuation, symbols and combining marks
belong to every script, and so do the few letters that Unicode calls Common (``µ``, the Japanese
length mark). What this Python's Unicode does not know yet counts as foreign: nobody can tell.

The table is the Script property of Unicode 17 (https://www.unicode.org/Public/UCD/latest/ucd/
Scripts.txt) reduced to letters: one range runs on to the next letter of another script.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from typing import Final

ANY_SCRIPT: Final = frozenset({"Any"})
"""The scripts of an encoder that reads every script."""

_TABLE = """
41-AA:Latin B5-B5:Common BA-2B8:Latin 2B9-2D1:Common 2E0-2E4:Latin 2EC-2EE:Common 370-373:Greek
374-374:Common 376-3E1:Greek 3F0-3FF:Greek 400-52F:Cyrillic 531-58C:Armenian 5D0-5F2:Hebrew
620-63F:Arabic 640-640:Common 641-6FF:Arabic 710-74F:Syriac 750-77F:Arabic 780-7B1:Thaana
860-86A:Syriac 870-8C9:Arabic 904-97F:Devanagari 980-9FC:Bengali A05-A74:Gurmukhi
A85-AF9:Gujarati B05-B71:Oriya B83-BD0:Tamil C05-C61:Telugu C80-CF2:Kannada D04-D7F:Malayalam
D85-DC6:Sinhala E01-E46:Thai E81-EDF:Lao F00-F8C:Tibetan 1000-108E:Myanmar 10A0-10FF:Georgian
1100-11FF:Hangul 1200-138F:Ethiopic 13A0-13FD:Cherokee 1780-17DC:Khmer 1820-18AA:Mongolian
1C80-1C8A:Cyrillic 1C90-1CBF:Georgian 1CE9-1CFA:Common 1D00-1D25:Latin 1D26-1D2A:Greek
1D2B-1D2B:Cyrillic 1D2C-1D5C:Latin 1D5D-1D61:Greek 1D62-1D65:Latin 1D66-1D6A:Greek
1D6B-1D77:Latin 1D78-1D78:Cyrillic 1D79-1DBE:Latin 1DBF-1DBF:Greek 1E00-1EFF:Latin
1F00-1FFC:Greek 2071-207F:Latin 208F-208F:Common 2090-209F:Latin 2102-2124:Common
2126-2126:Greek 2128-2128:Common 212A-212B:Latin 212C-2131:Common 2132-2132:Latin
2133-2149:Common 214E-2184:Latin 2C60-2C7F:Latin 2D00-2D2D:Georgian 2D80-2DDE:Ethiopic
2E2F-2E2F:Common 3005-3005:Han 3006-3035:Common 303B-303B:Han 303C-303C:Common
3041-309F:Hiragana 30A1-30FA:Katakana 30FC-30FC:Common 30FD-30FF:Katakana 3105-312F:Bopomofo
3131-318E:Hangul 31A0-31BF:Bopomofo 31F0-31FF:Katakana 3400-9FFF:Han A000-A48C:Yi
A640-A69D:Cyrillic A717-A71F:Common A722-A787:Latin A788-A788:Common A78B-A7FF:Latin
A8F2-A8FE:Devanagari A960-A97C:Hangul A9CF-A9CF:Common A9E0-A9FE:Myanmar AA60-AA7F:Myanmar
AB01-AB2E:Ethiopic AB30-AB64:Latin AB65-AB65:Greek AB66-AB6D:Latin AB70-ABBF:Cherokee
AC00-D7FB:Hangul F900-FAD9:Han FB00-FB06:Latin FB13-FB17:Armenian FB1D-FB4F:Hebrew
FB50-FEFC:Arabic FF21-FF5A:Latin FF66-FF6F:Katakana FF70-FF70:Common FF71-FF9D:Katakana
FF9E-FF9F:Common FFA0-FFDC:Hangul 10780-107BF:Latin 10EC2-10EEE:Arabic 11B0A-11B0A:Devanagari
11DF1-11DF1:Bengali 16FE3-16FF3:Han 1AFF0-1B000:Katakana 1B001-1B11F:Hiragana
1B120-1B122:Katakana 1B123-1B123:Hiragana 1B124-1B128:Katakana 1B132-1B152:Hiragana
1B155-1B168:Katakana 1D400-1D7CB:Common 1DF00-1DFF2:Latin 1DFF3-1DFF4:Greek 1DFF5-1DFFF:Latin
1E030-1E06D:Cyrillic 1E7E0-1E7FE:Ethiopic 1EE00-1EEBB:Arabic 20000-33479:Han
"""

_RANGES = [
    (int(first, 16), int(last, 16), script)
    for span, script in (entry.split(":") for entry in _TABLE.split())
    for first, last in (span.split("-"),)
]
_FIRSTS = [first for first, _, _ in _RANGES]
_UNKNOWN = frozenset({"Cn", "Co", "Cs"})  # unassigned, private use, lone surrogate


def foreign_script(text: str, scripts: frozenset[str]) -> bool:
    """Whether a letter of `text` belongs to a script that is not in `scripts`.

    Args:
        text: any text.
        scripts: Unicode script names, for example ``{"Latin", "Greek"}``, or `ANY_SCRIPT`.

    >>> foreign_script("déjà vu, 3 €", frozenset({"Latin"}))
    False
    >>> foreign_script("Wie sagt man 猫?", frozenset({"Latin"}))
    True
    """
    if scripts >= ANY_SCRIPT:
        return False
    if text.isascii() and "Latin" in scripts:
        return False
    return any(_foreign(letter, scripts) for letter in set(text))


def _foreign(character: str, scripts: frozenset[str]) -> bool:
    if not character.isalpha():
        return unicodedata.category(character) in _UNKNOWN
    code = ord(character)
    first, last, script = _RANGES[max(bisect_right(_FIRSTS, code) - 1, 0)]
    return not first <= code <= last or (script != "Common" and script not in scripts)
