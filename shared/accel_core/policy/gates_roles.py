"""Who does what to whom, as far as English shows it by word order.

An English clause names who acts, then the verb, then what is acted on. A passive with "by" and a
question for the object ("whom did he see") turn that around, and count as turned; of a preposition
or "than", what follows it is what it is about. Two texts that hold the same words in other roles
ask for different things.

Invariant: symmetric; a text has the roles of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accel_core.policy.english import AUXILIARIES, COURTESIES, QUANTITIES_ASKED

if TYPE_CHECKING:
    from accel_core.policy.difference import Difference, Lexicon
    from accel_core.policy.reading import Reading

ARTICLES = frozenset("a an the my your our his her its their this that these those some".split())
BE = frozenset({"is", "are", "was", "were", "am", "be", "been", "being", "get", "got", "gets"})

_PERSONS = {
    "i": "i", "me": "i", "we": "we", "us": "we", "he": "he", "him": "he", "she": "she",
    "her": "she", "they": "they", "them": "they", "you": "you", "it": "it",
}  # fmt: skip
_WHO = frozenset({"who", "whom", "what", "which"})
_DO = frozenset({"do", "does", "did"})
_OPENING = (AUXILIARIES - {"am"}) | {"if", "because", "that", "while", "whether"}
_RANKING = frozenset("than before after by instead minus".split())
_LINKS = frozenset("of in from to for with".split())
_AFTER_VERB = frozenset("to on against for at with of about into by after over".split())
_SAID_OF = frozenset({"me", "us", "him", "her", "them"})
_MODAL = frozenset("have has need needs want wants able allowed supposed going".split())
_PASSING = frozenset("also still ever really actually even just only usually normally".split())
_MOVED = _DO | _SAID_OF | {"by"}
_MUTUAL = frozenset(
    "marry married marries meet meets met mix mixes match matches resemble resembles rhyme rhymes"
    " border borders touch touches agree combine interact equal equals coexist collide correlate"
    " cooperate".split()
)
"""Verbs of which it is all one who acts."""
_PEOPLE = frozenset(_PERSONS.values())
_ASKED = "?"
_EDGE = 3
_LEAD = 4


class _Roles(NamedTuple):
    """Of one verb, as it is written: who acts and what is acted on, as stems and persons.

    `rest` is all that follows the verb where it follows what acts.
    """

    verb: str
    acting: frozenset[str]
    acted: frozenset[str]
    rest: frozenset[str] = frozenset()


def turned(difference: Difference, lexicon: Lexicon, *, tight: bool) -> bool:
    """Whether two texts say that the same is done, or holds, the other way round.

    `tight` says that they differ in little else, so that every preposition may count.
    """
    if not _reordered(difference):
        return False
    return _exchanged_roles(difference, lexicon) or _exchanged_links(difference, tight=tight)


def _exchanged_roles(difference: Difference, lexicon: Lexicon) -> bool:
    """Whether who acts in one text is acted on in the other, by the same verb."""
    roles_a, roles_b = _clauses(difference.a), _clauses(difference.b)
    for verb, one in roles_a.items():
        other = roles_b.get(verb) or _same_verb(one.verb, roles_b, lexicon)
        if other and (_crossed(one, other) or _asked_of(one, other, difference)):
            return True
    return False


def _asked_of(one: _Roles, other: _Roles, difference: Difference) -> bool:
    """Whether one text asks who acts, the other on whom: "who buys from A", "does A buy from".

    Who acts in one of them is then named in both.
    """
    if (_ASKED in one.acting) == (_ASKED in other.acting):
        return False
    acting = other.acting if _ASKED in one.acting else one.acting
    both = set(difference.a.stems).intersection(difference.b.stems)
    asks = not (_WHO.isdisjoint(difference.a.words) or _WHO.isdisjoint(difference.b.words))
    return asks and bool(acting) and acting <= both and acting.isdisjoint(_PEOPLE)


def _same_verb(verb: str, roles: dict[str, _Roles], lexicon: Lexicon) -> _Roles | None:
    """Return the roles of another form of `verb`: "taught", "teach"."""
    for found in roles.values():
        if found.verb[0] == verb[0] and lexicon.relation(found.verb, verb) == "same":
            return found
    return None


def _reordered(difference: Difference) -> bool:
    """Whether roles can differ: by the order of what both say, by persons, or by a verb's form."""
    a, b, only_a, only_b, _ = difference
    moved = _MOVED.intersection(a.words) ^ _MOVED.intersection(b.words)
    if not moved <= _DO or (moved and only_a.content and only_b.content and _asks_who(difference)):
        return True
    both = set(a.stems).intersection(b.stems)
    return _said(a, both) != _said(b, both)


def _asks_who(difference: Difference) -> bool:
    """Whether both texts ask for somebody or something, in little else than the verb's form."""
    a, b, only_a, only_b, _ = difference
    if len(only_a.strong) > 1 or len(only_b.strong) > 1:
        return False
    return not (_WHO.isdisjoint(a.words) or _WHO.isdisjoint(b.words))


def _said(reading: Reading, both: set[str]) -> list[str]:
    """Return the stems in `both` that carry meaning, in the order of a text."""
    return [
        stem
        for stem, carries in zip(reading.stems, reading.content, strict=True)
        if carries and stem in both
    ]


def _crossed(one: _Roles, other: _Roles) -> bool:
    if one.verb in _MUTUAL:
        return False
    if one.acting & other.rest and other.acting & one.rest and one.acting.isdisjoint(other.acting):
        return True
    return bool(
        (one.acting - one.acted) & (other.acted - other.acting)
        and (one.acted - one.acting) & (other.acting - other.acted)
    )


def _clauses(reading: Reading) -> dict[str, _Roles]:
    """Return by verb the roles of the clause that a text opens with, or "if" opens."""
    words = reading.words
    begin = next((at for at, word in enumerate(words) if word not in COURTESIES), len(words))
    found: dict[str, _Roles] = {}
    for place in range(begin, min(len(words), begin + _LEAD)):
        if words[place + 1 : place + 2] == ("if",):
            continue  # "what if"
        if words[place] in _WHO or (words[place] == "how" and _counts(words, place)):
            found.update(_asked_for(reading, place))
            break
        if words[place] in _OPENING:
            found.update(_told(reading, place + 1, frozenset(), passive=words[place] in BE))
            break
    return found


def _counts(words: tuple[str, ...], place: int) -> bool:
    return QUANTITIES_ASKED.get("".join(words[place + 1 : place + 2])) == "how much"


def _asked_for(reading: Reading, place: int) -> dict[str, _Roles]:
    """Return the roles in a question for "who", "what", "which …" or "how many …"."""
    words, stems = reading.words, reading.stems
    asked = {_ASKED}
    at = place + 1 + (words[place] == "how")
    found: dict[str, _Roles] = {}
    for step in range(_LEAD):
        here = at + step
        if here >= len(words):
            break
        if words[here] in AUXILIARIES:
            turned = words[here] in BE
            if not turned and words[here] not in _DO:  # "who can …", "which has …"
                found.update(_acting(reading, here + 1, asked))
            if not turned or here + 2 < len(words):
                found.update(_told(reading, here + 1, frozenset(asked), passive=turned))
            break
        if not reading.content[here]:
            break
        if step or words[place] in {"who", "what"}:
            found.update(_acting(reading, here, asked))
        asked.add(stems[here])
    return found


def _acting(reading: Reading, place: int, asked: set[str]) -> dict[str, _Roles]:
    """Return the roles of a verb at `place` of which what is asked for acts: "who can sue A"."""
    if place >= len(reading.words) or not reading.content[place]:
        return {}
    roles = _Roles(reading.words[place], frozenset(asked), _phrase(reading, place + 1))
    return {reading.stems[place]: roles}


def _told(
    reading: Reading, start: int, asked: frozenset[str], *, passive: bool
) -> dict[str, _Roles]:
    """Return by each word that may be the verb the roles of a clause whose subject is at `start`.

    `asked` are the words of a question for the object, which stand in front of it.
    """
    words = reading.words
    subject: set[str] = set()
    found: dict[str, _Roles] = {}
    for place in range(start, min(len(words), start + _LEAD + _EDGE)):
        word = words[place]
        if subject and _passed(words, place):
            continue
        if word in _PERSONS and word != "her":
            if subject:
                break
            subject.add(_PERSONS[word])
        elif reading.content[place]:
            turned = passive or (place > start and words[place - 1] in BE)
            found.update(_one_verb(reading, place, frozenset(subject), asked, passive=turned))
            if subject and subject <= _PEOPLE and not word.endswith("ly"):
                break  # a pronoun is a whole subject: what follows it is the verb
            subject.add(reading.stems[place])
        elif word not in ARTICLES and word not in BE:
            break
    return found


def _passed(words: tuple[str, ...], place: int) -> bool:
    """Whether a verb may still follow: after "have to", "also", "am able to"."""
    if words[place] == "to":
        return words[place - 1] in _MODAL
    return words[place] in _PASSING or (
        words[place] in _MODAL and "".join(words[place + 1 : place + 2]) == "to"
    )


def _one_verb(
    reading: Reading, place: int, subject: frozenset[str], asked: frozenset[str], *, passive: bool
) -> dict[str, _Roles]:
    words = reading.words
    verb = words[place]
    following = "".join(words[place + 1 : place + 2])
    by = passive and following == "by"
    after = _phrase(reading, place + 1)
    if not subject:
        # "Which firms were bought by X": what is asked for was acted on.
        return {reading.stems[place]: _Roles(verb, after, asked)} if by and asked and after else {}
    if by:  # "Was A beaten by B", "who was A taught by"
        return {reading.stems[place]: _Roles(verb, after or asked, subject)}
    if passive and asked:
        return {}
    rest = frozenset() if passive else _rest(reading, place + 1)
    return {reading.stems[place]: _Roles(verb, subject, after or asked, rest)}


def _rest(reading: Reading, place: int) -> frozenset[str]:
    """Return the stems and persons from `place` on, up to another question."""
    found: set[str] = set()
    for at in range(place, len(reading.words)):
        word = reading.words[at]
        if word in AUXILIARIES:
            break
        if reading.content[at] or word in _PERSONS:
            found.add(_PERSONS.get(word, reading.stems[at]))
    return frozenset(found)


def _phrase(reading: Reading, place: int) -> frozenset[str]:
    """Return the words from `place` on that name one thing, a preposition in front aside."""
    words = reading.words
    found: set[str] = set()
    if place < len(words) and words[place] in _AFTER_VERB:
        place += 1
    while place < len(words) and len(found) < _EDGE:
        word = words[place]
        if word in _PERSONS and not (word == "her" and place + 1 < len(words)):
            if not found:
                found.add(_PERSONS[word])
            break
        if reading.content[place]:
            found.add(reading.stems[place])
        elif (found or word not in ARTICLES) and not (found and word == "from"):
            break
        place += 1
    return frozenset(found)


def _exchanged_links(difference: Difference, *, tight: bool) -> bool:
    """Whether one word follows "than", "before", "of" … here, another there, and both have both."""
    a, b = difference.a, difference.b
    links = _RANKING | _LINKS if tight else _RANKING
    shared = links.intersection(a.words, b.words)
    if not shared:
        return False
    for link in shared:
        (before_a, after_a), (before_b, after_b) = _around(a, link), _around(b, link)
        fresh_a, fresh_b = after_a - after_b, after_b - after_a
        if link in _RANKING:
            before_a, before_b = set(a.stems), set(b.stems)
        elif fresh_a and fresh_b:
            before_a |= {stem for stem in a.stems if stem[0].isdigit()}
            before_b |= {stem for stem in b.stems if stem[0].isdigit()}
        if fresh_a & before_b and fresh_b & before_a:
            return True
    return False


def _around(reading: Reading, link: str) -> tuple[set[str], set[str]]:
    """Return the stems of the words right before `link`, and of the phrase that follows it."""
    before: set[str] = set()
    after: set[str] = set()
    for place, word in enumerate(reading.words):
        if word == link:
            after |= _phrase(reading, place + 1 + (link == "instead"))
            start = place - 1
            while start >= max(0, place - _LEAD) and (
                reading.content[start] or reading.words[start] in ARTICLES
            ):
                before.add(reading.stems[start])
                start -= 1
    return before, after
