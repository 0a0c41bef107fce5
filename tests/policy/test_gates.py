"""The gates as a whole: which are asked, what none of them may do, and gates of one's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.lexicon.english import English
from accel_core.policy.difference import Difference, Lexicon, compare
from accel_core.policy.gates import GATES, STRICT, chosen, fired
from accel_core.policy.reading import read

LEXICON = English()
PLAIN = [
    "How do I transfer 200 euros from checking to savings?",
    "Why is my blood pressure higher in the morning than at night?",
    "Can a landlord in Texas raise the rent without notice?",
    "What is the largest number of shares a director may sell before March?",
    "Is it possible to list all files older than 7 days in Linux?",
    "When should I never take aspirin with warfarin?",
    "And how much would that be for the second one?",
    "Who was the first judge, and where did he serve?",
    "python sort a list of tuples descending",
    "How long does a wire to Germany take if I send it on Friday?",
]
WORDS = (
    "a the my is are can should do not never how why when who what which much many to from in"
    " with without for and or than more less most first last second all one list name best way"
    " buy sell bank loan rate dog cat fever tax court Paris Rome Monday May 5 12 km miles open"
    " closed legal illegal Python C++ -r e404 x.py > < before after every please hello you"
    " per once twice here there her she me have need fee charge sue owes Canada Canadians"
).split()
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.sampled_from(PLAIN)
NUMERIC = {"number", "identifier", "unit"}


def difference(one: str, other: str) -> Difference:
    return compare(read(one), read(other), LEXICON)


def fires(one: str, other: str) -> set[str]:
    there = difference(one, other)
    return {name for name, gate in GATES.items() if gate(there, LEXICON)}


@given(TEXTS | st.text(max_size=40), TEXTS | st.text(max_size=40))
def test_gates_are_symmetric(one: str, other: str) -> None:
    """The question and the stored text may be exchanged, whatever they hold."""
    assert fires(one, other) == fires(other, one)


@given(TEXTS | st.text(max_size=60))
def test_gates_pass_the_same_text(text: str) -> None:
    """No gate tells a text from itself."""
    assert not fires(text, text)


@pytest.mark.parametrize("text", PLAIN)
@pytest.mark.parametrize(
    "rewritten",
    [
        str.lower,
        str.upper,
        str.title,
        lambda text: text.replace("?", ""),
        lambda text: text.replace("?", "!?").replace(",", ";"),
        lambda text: f'"{text}"',
        lambda text: f"Hello, {text}",
        lambda text: f"Hi! {text} Thanks in advance.",
        lambda text: f"{text} please",
        lambda text: text.replace(" ", "  ").replace("'", "’"),  # noqa: RUF001
    ],
)
def test_gates_pass_other_spellings(text: str, rewritten: object) -> None:
    """Case, punctuation and politeness change no answer."""
    assert callable(rewritten)
    assert not fires(text, rewritten(text))


@pytest.mark.parametrize(
    ("polite", "plain"),
    [
        ("Could you please tell me why the sky is blue?", "Why is the sky blue?"),
        ("Please explain how a bond works.", "Explain how a bond works"),
        ("Can you tell me when banks open?", "When do banks open?"),
        ("I would like to know who signs a deed", "Who signs a deed?"),
        ("Would you kindly list the noble gases?", "List the noble gases."),
    ],
)
def test_gates_pass_polite_requests(polite: str, plain: str) -> None:
    """What is asked for inside a request is what is asked for."""
    assert not fires(polite, plain) - STRICT


FOREIGN = [
    ("¿Cómo cancelo mi plan anual?", "¿Cómo cancelo mi plan mensual?"),
    ("¿Por qué no funciona la tarjeta?", "¿Por qué funciona la tarjeta?"),
    ("¿Puedo viajar en mayo a París?", "¿Puedo viajar en junio a Roma?"),
    ("vuelos de Madrid a Lisboa", "vuelos de Lisboa a Madrid"),
    ("Wie eröffne ich ein Konto?", "Wie schließe ich ein Konto?"),
    ("Was kostet das in der Schweiz?", "Was kostet das in der Türkei?"),
    ("Wann fährt der erste Zug?", "Wann fährt der letzte Zug?"),
    ("Wie kann ich das am Montag machen?", "Wie kann ich das am Dienstag machen?"),
    ("Comment puis-je ouvrir un compte ?", "Comment puis-je fermer un compte ?"),
    ("Quelle est la capitale du Pérou ?", "Quelle est la capitale du Chili ?"),
    ("Est-ce que je peux le faire avec un visa ?", "Est-ce que je peux le faire sans visa ?"),
    ("Où est la meilleure banque ?", "Où est la pire banque ?"),
    ("如何开立账户", "如何关闭账户"),
    ("北京到上海的航班", "上海到北京的航班"),
    ("法国的首都是哪里", "秘鲁的首都是哪里"),
]


@pytest.mark.parametrize(("one", "other"), FOREIGN)
def test_english_gates_leave_other_languages_alone(one: str, other: str) -> None:
    """The encoder's own rule decides there."""
    assert not fires(one, other) - NUMERIC


@pytest.mark.parametrize(
    ("gate", "one", "other"),
    [
        ("number", "¿Cuánto cuesta un plan de 2 años?", "¿Cuánto cuesta un plan de 3 años?"),
        ("number", "每天吃2片可以吗", "每天吃3片可以吗"),
        ("number", "Wie hoch ist Steuer auf 5000 Euro?", "Wie hoch ist Steuer auf 50000 Euro?"),
        ("identifier", "Was bedeutet Fehler E404-A?", "Was bedeutet Fehler E404-B?"),
        ("identifier", "Que fait ls -l sous Linux ?", "Que fait ls -a sous Linux ?"),
        ("unit", "¿Puedo tomar 500 mg al día?", "¿Puedo tomar 500 g al día?"),
        ("unit", "Sind 40 € genug für Wien?", "Sind 40 $ genug für Wien?"),
    ],
)
def test_values_are_read_in_every_language(gate: str, one: str, other: str) -> None:
    """Digits, codes and signs mean the same everywhere."""
    assert gate in fires(one, other)


def test_contrast_needs_a_frame() -> None:
    """An opposite pair among many other words says nothing."""
    assert "polarity" in fires("How do I open my account?", "How do I close my account?")
    assert not fires(
        "My account was opened last spring, how do I change its address online?",
        "Which papers does a branch want to see before it closes somebody's deposit box?",
    )


def test_greetings_do_not_break_the_frame() -> None:
    """A trap is one also in polite company."""
    polite = "Hello! How do I enable roaming? Thanks in advance, best regards"
    assert "polarity" in fires(polite, "How do I disable roaming?")
    assert "exchange" in fires("How do I say hello in Thai?", "How do I say thanks in Thai?")


def test_two_turns_cancel() -> None:
    """Not safe is unsafe."""
    assert fires("Is this mushroom safe?", "Is this mushroom unsafe?")
    assert not fires("Which mushrooms are not safe?", "Which mushrooms are unsafe?")


def test_strict_gates_are_asked_in_strict_mode_only() -> None:
    """And the order is the package's."""
    everyday, strict = (chosen((), strict=mode, extra={}) for mode in (False, True))
    assert list(everyday) == [name for name in GATES if name not in STRICT]
    assert list(strict) == list(GATES)
    assert {"restriction", "substitution"} == STRICT


def test_a_gate_is_switched_off() -> None:
    """By its name; the others remain."""
    there = difference("Is 5 enough?", "Is 6 enough?")
    everyday = chosen((), strict=False, extra={})
    assert fired(there, LEXICON, everyday) == "number"
    without = chosen({"number"}, strict=False, extra={})
    assert everyday.keys() - without.keys() == {"number"}
    assert fired(there, LEXICON, {name: without[name] for name in ("unit", "date")}) is None


def test_a_gate_of_ones_own() -> None:
    """One function; asked after the package's, and switched off like them."""

    def colour(there: Difference, lexicon: Lexicon) -> bool:
        return ("red" in there.a.words) != ("red" in there.b.words)

    there = difference("Is it red?", "Is it so?")
    gates = chosen((), strict=False, extra={"colour": colour})
    assert list(gates)[-1] == "colour"
    assert fired(there, LEXICON, gates) == "colour"
    assert fired(difference("Is it red?", "is it red"), LEXICON, gates) is None
    assert "colour" not in chosen(("colour",), strict=True, extra={"colour": colour})


def test_a_gate_that_raises_refuses() -> None:
    """A wrong answer costs more than a miss; the gates before it are asked as ever."""

    def broken(there: Difference, lexicon: Lexicon) -> bool:
        raise LookupError(there.a.text)

    same, other = difference("Is it so?", "Is it so"), difference("Is 5 enough?", "Is 6 enough?")
    gates = chosen((), strict=False, extra={"broken": broken})
    assert fired(same, LEXICON, gates) == "broken"
    assert fired(other, LEXICON, gates) == "number"


def test_wrong_names_are_told() -> None:
    """An unknown gate cannot be switched off, and a name is not taken twice."""
    with pytest.raises(ConfigError, match=r"gates\.off: one of .*number"):
        chosen(["numbers"], strict=False, extra={})
    with pytest.raises(ConfigError, match="already has a gate of this name"):
        chosen((), strict=False, extra={"number": GATES["number"]})


def test_the_registry_is_constant() -> None:
    """Nobody's gate gets into everybody's."""
    with pytest.raises(TypeError):
        GATES["mine"] = GATES["number"]  # type: ignore[index]
    chosen((), strict=True, extra={"mine": GATES["number"]})
    assert "mine" not in GATES
