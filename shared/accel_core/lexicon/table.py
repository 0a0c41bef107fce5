"""The file of a lexicon: written by ``tools/build_lexicon.py``, read at first use.

All numbers are little-endian:

- `HEADER`: magic, version, bytes and CRC-32 of the body before compression; the zlib stream follows
- `SHAPE`: the words that have a rank; where each part of speech ends among the synsets; the bytes
  of the words
- the words in UTF-8, one a line. A word's line is its number, and for those that have a rank the
  rank: a line is left empty where the vocabulary has something that is no word. Lemmas and
  irregular forms from outside the vocabulary come last.
- seven tables in the order of `TABLES`, each `TABLE` (rows, values), one byte a row with the number
  of its values, and the values of all rows in two bytes each

Synsets are numbered by part of speech: nouns, verbs, adjectives, adverbs, then those that are only
hypernyms of others.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from itertools import accumulate, compress, islice
from typing import Final, NamedTuple

MAGIC: Final = b"LEXI"
VERSION: Final = 1
HEADER: Final = struct.Struct("<4sIII")
SHAPE: Final = struct.Struct("<6I")
TABLE: Final = struct.Struct("<2I")
TABLES: Final = (
    *("senses", "forms", "antonyms", "derived"),  # by word
    *("hypernym", "hypernyms", "similar"),  # by synset
)

Links = dict[int, tuple[int, ...]]
"""The rows that are not empty."""


class Table(NamedTuple):
    """The file, read. Arrays where nearly every row has a value: a fifth of what tuples take.

    Attributes:
        numbers: of the words.
        ranked: how many words, the first, have their number for a rank.
        parts: where each part of speech begins among the synsets, and where the last one ends.
        senses: synsets, word after word.
        starts: by word, where its senses begin.
        forms: by word, the lemmas it is a form of, each followed by its part of speech.
        antonyms: by word, words.
        derived: by word, words.
        hypernym: by synset, a synset; itself where it has none.
        hypernyms: by synset, what it has besides; one in forty has.
        similar: by synset, synsets.
    """

    numbers: dict[str, int]
    ranked: int
    parts: tuple[int, ...]
    senses: array[int]
    starts: array[int]
    forms: Links
    antonyms: Links
    derived: Links
    hypernym: array[int]
    hypernyms: Links
    similar: Links


def read(data: bytes) -> Table:
    """Return the table that `data` is the file of.

    Raises:
        RuntimeError: it is no such file, of another version, or damaged.
    """
    try:
        magic, version, size, checksum = HEADER.unpack_from(data)
        body = zlib.decompress(data[HEADER.size :])
    except (struct.error, zlib.error) as error:
        raise _damaged() from error
    if (magic, version) != (MAGIC, VERSION):
        raise _damaged()
    if len(body) != size or zlib.crc32(body) != checksum:
        raise _damaged()
    ranked, *ends, length = SHAPE.unpack_from(body)
    place = SHAPE.size + length
    words = body[SHAPE.size : place].decode().split("\n")
    numbers = {word: number for number, word in enumerate(words) if word}
    tables = {}
    for name in TABLES:
        rows, values = TABLE.unpack_from(body, place)
        middle = place + TABLE.size + rows
        end = middle + 2 * values
        tables[name] = body[place + TABLE.size : middle], _numbers(body[middle:end])
        place = end
    counts, senses = tables.pop("senses")
    _, hypernym = tables.pop("hypernym")
    return Table(
        numbers,
        ranked,
        (0, *ends),
        senses,
        array("I", accumulate(counts, initial=0)),
        hypernym=hypernym,
        **{name: _links(*table) for name, table in tables.items()},
    )


def _numbers(packed: bytes) -> array[int]:
    numbers = array("H", packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _links(counts: bytes, values: array[int]) -> Links:
    left = iter(values)
    rows = compress(range(len(counts)), counts)
    return {
        row: tuple(islice(left, count))
        for row, count in zip(rows, filter(None, counts), strict=True)
    }


def _damaged() -> RuntimeError:
    return RuntimeError("a lexicon is damaged or of another version: reinstall llm-accel")
