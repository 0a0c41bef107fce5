"""The gate on what is asked for: when, why, how much … or whether at all.

A noun may ask for the same as a question word ("what time" is "when"), and a word may be said about
what is asked for rather than about what the question is about ("the way to"): see `said_by`.

Invariant: symmetric; silent where a text asks for nothing in particular.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from accel_core.policy.english import (
    AUXILIARIES,
    COURTESIES,
    QUANTITIES_ASKED,
    QUESTION_WORDS,
    UNIT_WORDS,
)
from accel_core.policy.reading import singular, stem

if TYPE_CHECKING:
    from accel_core.policy.difference import Difference, Lexicon, Side
    from accel_core.policy.reading import Reading

_HARD = frozenset({"why", "when", "where", "who", "how much", "how long", "how old", "how far",
                   "how often", "how large", "how tall", "how fast", "how soon"})  # fmt: skip
_ANSWERS = {
    "when": "circumstance condition point situation stage early late soon time date day year month"
    " hour deadline century decade season age",
    "where": "best place location city country site spot part website store shop area region"
    " source",
    "who": "person people name author inventor founder president leader team winner company country"
    " man woman actor writer",
    "why": "reason cause purpose point explain explanation make lead led significance important"
    " behind",
    "how much": "number amount price cost quantity count total sum size population fee rate charge"
    " pay dose percentage percent temperature length height weight salary average value worth"
    " expensive heavy deep wide thick hot cold warm allowance percent range limit maximum"
    " minimum weigh volume width depth speed pressure rent wage fare fine fuel mass area"
    " capacity power energy",
    "how long": "lifespan life time day week month year hour minute duration period length longer"
    " take limit",
    "how old": "age year youngest oldest",
    "how far": "distance mile kilometer away",
    "how often": "interval time frequency frequently day week month year",
    "how large": "size area dimension large width",
    "how tall": "height high limit amount",
    "how fast": "speed rate limit quick quickly",
    "how soon": "time long day when early",
}  # fmt: skip
NOUNS = {asked: frozenset(nouns.split()) for asked, nouns in _ANSWERS.items()}
_MEASURED = ("how long", "how tall", "how far", "how much")  # "what is it in yen"
NOUNS |= {asked: NOUNS[asked] | UNIT_WORDS for asked in _MEASURED}
_SAID = {
    "how": "way method procedure process step technique trick guide instruction tutorial recipe"
    " command formula rule sign symptom approach plan means manner mechanism working practice"
    " strategy method correct right proper properly safe safely easy easily simple simply go"
    " about take do cause happen reason",
    "what": "job role function duty task purpose word term idiom phrase call name kind type thing"
    " cause happen reason sort list main typical common difference between say step take do",
    "which": "kind type sort name call",
    "why": "cause happen make lead reason purpose point explain",
    "whether": "possible allow permit okay ok feasible option legal able true right acceptable"
    " necessary require need must compulsory worth expect happen ever really actually",
}  # fmt: skip
"""By what is asked for, words that ask for it, or say no more than that it is asked for."""
_SAID_BY = {
    asked: frozenset(
        form
        for word in (*NOUNS.get(asked, ()), *_SAID.get(asked, "").split())
        for form in (word, stem(word))
    )
    for asked in {*NOUNS, *_SAID}
}
_NOTHING: frozenset[str] = frozenset()
_TELLS = frozenset(
    "me us explain explaining tell telling know wondering wonder show understand describe"
    " say to learn see on about asking ask curious if and".split()
)
_ADVICE = frozenset({"how", "whether"})
_SHOULD = frozenset({"should", "must", "shall"})
_CLOSE = frozenset({frozenset({"who", "what"}), frozenset({"where", "what"})})
_WHEREABOUTS = frozenset({"where", "what"})
_WHETHER_WHAT = frozenset({"whether", "what"})
_DEFINED = re.compile(r"what(?:'s| is| are) (?:an? )?[\w-]+(?: [\w-]+)?\??$", re.IGNORECASE)
_ALONE = frozenset({"why", "who", "where"})
_MAY = frozenset({"can", "could", "may", "am"})
_GETTING = frozenset({"how", "where"})
_OBTAIN = frozenset(
    "get find buy order purchase obtain request see check view go learn start apply enter use"
    " submit set".split()
)
_WAITING = frozenset({"when", "how long"})
_UNTIL = frozenset("until till wait expect arrive".split())
_CONJUNCTIONS = frozenset({"when", "where"})
_COUNTS = frozenset({"many", "much"})
_DURATIONS = frozenset("time second minute hour day week month year".split())
_ASKS_ON = frozenset("to in on at exactly else".split())
_BE = frozenset({"is", "are", "was", "were", "am", "be"})
_CLAUSE = re.compile(
    r"(?:[.?!;:,(] *|\b(?:and|or|but) )(is|are|was|were|do|does|did|can|could|should|will|would|has"
    r"|have|what|which|who|when|where|why|how)\b(?: (\w+))?"
)
_ASKING = 9
_EXPLAINED = 2


def question_type(difference: Difference, _: Lexicon) -> bool:
    """Another thing is asked for, unless a noun asks for it: "when" is "what time".

    Of two questions in one text, either may be the one that the other text asks.
    """
    a, b = difference.a, difference.b
    if not (_framed(difference.only_a) and _framed(difference.only_b)):
        return False
    asked_a, asked_b = asked_for(a), asked_for(b)
    if asked_a == asked_b or not asked_a or not asked_b:
        return False
    pair = frozenset((asked_a, asked_b))
    if pair == _ADVICE:
        return not _SHOULD.isdisjoint((a.words[0], b.words[0]))
    if not pair & _HARD or pair in _CLOSE:
        return False
    if pair == _GETTING and not _OBTAIN.isdisjoint((*a.words, *b.words)):
        return False  # "where can I get it" is how
    if pair == _WAITING and not _UNTIL.isdisjoint((*a.words, *b.words)):
        return False  # "how long until it comes" is when
    named = _named(asked_a, b) if asked_a in _HARD else False
    named = named or (_named(asked_b, a) if asked_b in _HARD else False)
    if named and not (pair <= _HARD and pair & _ALONE):
        return False  # of "why is there a fee" no noun makes "how much is the fee"
    return not (_also(a, asked_b) or _also(b, asked_a))


def otherwise(a: Reading, b: Reading) -> bool:
    """Whether two texts of the same words ask for other things.

    Whether one can and how one does; where something is and what; what it is and whether.
    """
    asked_a, asked_b = asked_for(a), asked_for(b)
    pair = frozenset((asked_a, asked_b))
    if pair == _ADVICE:
        reading = a if asked_a == "whether" else b
        return not _MAY.isdisjoint(reading.words[:1]) and "you" not in reading.words[:2]
    if pair == _WHEREABOUTS:
        return not _named("where", a if asked_a == "what" else b)
    return (
        pair == _WHETHER_WHAT and _DEFINED.match((a if asked_a == "what" else b).text) is not None
    )


def said_by(reading: Reading) -> frozenset[str]:
    """Return words, and stems, that say no more than what `reading` asks for by a question word."""
    return _SAID_BY.get(asked_for(reading), _NOTHING)


def _framed(side: Side) -> bool:
    """Whether at most two words are unexplained, those of "how long" aside."""
    return sum(word not in QUANTITIES_ASKED for word in side.strong) <= _EXPLAINED


def _named(asked: str, other: Reading) -> bool:
    """Whether a noun of `other` asks for the same."""
    return not NOUNS[asked].isdisjoint(map(singular, other.words))


def _also(reading: Reading, asked: str) -> bool:
    """Whether `asked` begins another question or clause of a text."""
    found = _CLAUSE.findall(reading.text.lower())
    if asked == "whether":
        return any(word in AUXILIARIES for word, _ in found)
    return any(_meaning(word, following) == asked for word, following in found)


def asked_for(reading: Reading) -> str:
    """Return what is asked for, also inside "could you tell me why …" and after "when I …,"."""
    words = reading.words
    begin = next((at for at, word in enumerate(words) if word not in COURTESIES), len(words))
    first = "".join(words[begin : begin + 1])
    places = [place for place, word in enumerate(words) if word in QUESTION_WORDS]
    told = [place for place in places if begin < place < _ASKING and words[place - 1] in _TELLS]
    if first in AUXILIARIES and not told:
        return "whether"
    if told and (first in AUXILIARIES or first in _TELLS or first == "i"):
        places = told
    elif places and words[places[0]] in _CONJUNCTIONS and not _asks_on(words, places[0]):
        places = places[1:]  # "when I click on it, what …"
    if not places:
        return ""
    word, following, then = (*words[places[0] : places[0] + 3], "", "")[:3]
    if word == "how" and following in _COUNTS and singular(then) in _DURATIONS:
        return "how long"
    degree = word == "how" and following not in AUXILIARIES and following not in QUANTITIES_ASKED
    # "How safe is it" asks whether it is.
    return "whether" if degree and then in _BE else _meaning(word, following)


def _asks_on(words: tuple[str, ...], place: int) -> bool:
    following = words[place + 1] if place + 1 < len(words) else ""
    return not following or following in AUXILIARIES or following in _ASKS_ON


def _meaning(word: str, following: str) -> str:
    asked = QUESTION_WORDS.get(word, "")
    if asked == "how" and following == "come":
        return "why"
    return QUANTITIES_ASKED.get(following, asked) if asked == "how" else asked
