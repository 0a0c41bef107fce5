"""What must not be said again though it is asked in the same words, and what passes."""

from __future__ import annotations

import copy
import pickle
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.errors import ConfigError
from accel_core.policy import never_cache
from accel_core.policy.never_cache import KINDS, Kind, NeverCache
from accel_core.policy.never_cache_words import LANGUAGES

ENGLISH = NeverCache()
ALL = NeverCache(languages=("en", "de", "es", "fr"))

VOLATILE = [
    "what's the weather right now",
    "How is the weather in Oslo today?",
    "Will it rain tomorrow?",
    "latest stock price",
    "What is the current price of gold?",
    "how much is one bitcoin worth",
    "What's the exchange rate?",
    "who won today's game",
    "Who's winning?",
    "Who won the match?",
    "news this week",
    "Any news about the strike today?",
    "What's trending?",
    "What time is it in Tokyo?",
    "what is today's date",
    "How many days until Christmas?",
    "When is the next train to Leeds?",
    "Is the library open now?",
    "is the website down",
    "Who is the current prime minister of Japan?",
    "What's the latest version of Python?",
    "Which films are on tonight?",
    "Is there a match tomorrow night?",
    "Who is currently leading the league?",
    "What events are on this weekend?",
    "What was said at last night's debate?",
    "Pick a random number",
    "Flip a coin",
    "How hot is it outside?",
    "EUR to USD",
    "How long is the wait?",
]

PERSONAL = [
    "what's my balance",
    "Whats my account balance?",
    "where is my order",
    "Where are my keys?",
    "when is my next appointment",
    "When will my new card arrive?",
    "do I have any unread messages",
    "Do I have anything planned for Friday?",
    "How much do I owe?",
    "How much did I spend on food?",
    "how many points do I have left",
    "Has my refund been paid?",
    "Is there anything on my calendar for Monday?",
    "Show me my last five transactions",
    "Can you check the status of my claim?",
    "What's the status of order 1182?",
    "Was I charged twice?",
    "I was charged twice for the same thing",
    "Why was my card declined?",
    "My payment still hasn't gone through",
    "I haven't received my parcel",
    "What did I ask you before?",
    "What was my previous question?",
    "What is my name?",
    "Any good pizza places near me?",
    "Where's the nearest pharmacy?",
    "Which of my invoices are overdue?",
    "What's my blood pressure?",
    "Do I owe any taxes?",
]

ACTING = [
    "transfer $50 to Ann",
    "Send fifty dollars to Ann",
    "please cancel my order 1182",
    "Cancel order 1182",
    "cancel it",
    "book me a table for two",
    "Book a flight to Rome for Friday",
    "remind me at 5",
    "delete the second one",
    "Could you please delete this account?",
    "I'd like to close my account.",
    "I want to cancel my subscription",
    "Hi, can you reschedule my appointment to Monday?",
    "Set an alarm for 7",
    "turn off the lights",
    "Turn the heating down",
    "Play some jazz",
    "Call me a taxi",
    "Email my landlord that the rent is on its way",
    "Send Mr. Patel an invite",
    "Add milk to my shopping list",
    "Pay my electricity bill",
    "Order two pizzas",
    "Close issue 12",
    "Restart the server",
    "Sign me up",
    "Let me talk to a human",
    "The parcel is lost. Refund it.",
    "I changed my mind, please cancel the booking",
    "Do it.",
    "yes, go ahead",
    "I want my money back",
    "Merge PR 42",
    "Deploy it to production",
    "Approve Bob's leave request",
    "Share my location with Ann",
]

GENERAL = [
    "how do I reset my password",
    "how can I cancel a subscription",
    "How do I check my balance?",
    "how to book a flight",
    "What is the best way to transfer money abroad?",
    "what does current mean in physics",
    "What does my credit score mean?",
    "what is Amazon Now",
    "What is USA Today?",
    "should I transfer my 401k",
    "Should I cancel my life insurance?",
    "write a poem about today's youth",
    "Write an email to my landlord saying that my payment was delayed",
    "cancel a promise in JavaScript",
    "Cancel the running task in Python",
    "Write a function that deletes a file",
    "Write a function that returns the current time",
    "How do I get the current date in Excel?",
    "How do I install the latest version of Python?",
    "Write a query for the latest row of each group",
    "current date in Excel",
    "order of operations",
    "Order the following numbers from smallest to largest: 3, 1, 2",
    "book recommendations",
    "Book of Job summary",
    "Send in the Clowns lyrics",
    "Call of Duty",
    "Call me by your name",
    "Buy or lease a car?",
    "Buy a house or rent?",
    "Pay off my mortgage or invest?",
    "Remind me how photosynthesis works",
    "Remove the adjectives from this sentence: the big red dog",
    "Can you book a flight without a passport?",
    "Can you cancel a flight within 24 hours?",
    "What should I do with my life?",
    "How can I improve my English?",
    "What is the point of my savings account if rates are low?",
    "What should I do if my card was stolen?",
    "What is the difference between my balance and my available balance?",
    "What is the difference between weather and climate?",
    "How is the weather in Goa in December?",
    "How is a stock price determined?",
    "What is an exchange rate?",
    "Who won the 2014 World Cup?",
    "Why do we have two ears?",
    "How are you today?",
    "How does a nearest neighbour search work?",
    "Explain alternating current",
    "What happened in 1848?",
    "transfer learning",
    "Drop table in SQL",
    "Print the first ten primes",
    "Add three and five",
    "Remove stains from a shirt",
    "return policy",
    "reserve currency",
    "What do I need to start a business?",
    "I want to learn Spanish",
    "Do I have a cold or the flu?",
    "When was my country founded?",
    "Delivery drone",
    "Cancel culture",
    "Play",
    "",
    " \n\t ",
    "?!",
]

FOREIGN: dict[str, dict[Kind | None, list[str]]] = {
    "de": {
        "volatile": [
            "Wie ist das Wetter heute?",
            "Wie spät ist es?",
            "Was kostet der Sprit jetzt?",
            "Welche Filme laufen heute Abend?",
            "Wer hat das Spiel gewonnen?",
            "Was ist die neueste Version von Django?",
            "Wie ist der aktuelle Stand im DAX?",
            "Was ist diese Woche los?",
        ],
        "personal": [
            "Wo ist meine Bestellung?",
            "Wie hoch ist mein Kontostand?",
            "Wann ist mein nächster Zahnarzttermin?",
            "Habe ich ungelesene Nachrichten?",
            "Zeig mir meine letzten Überweisungen",
            "Wurde meine Rechnung schon bezahlt?",
            "Wie viel Geld habe ich noch?",
        ],
        "acting": [
            "Überweise 50 Euro an Anna",
            "Bitte storniere meine Bestellung 1182",
            "Stornieren Sie bitte meine Buchung",
            "Kannst du mir einen Tisch für zwei reservieren?",
            "Erinnere mich um 5 an den Kuchen",
            "Lösche das zweite",
            "Schalte das Licht aus",
            "Ich möchte mein Abo kündigen",
            "Stell einen Wecker für 7 Uhr",
        ],
        None: [
            "Wie setze ich mein Passwort zurück?",
            "Wie kann ich ein Abo kündigen?",
            "Wie kündige ich meinen Vertrag?",
            "Was bedeutet Strom in der Physik?",
            "Soll ich mein Konto wechseln?",
            "Schreibe ein Gedicht über die Jugend von heute",
            "Guten Morgen",
            "Buche und Eiche im Vergleich",
            "Was ist ein Wechselkurs?",
            "Warum ist der Himmel blau?",
        ],
    },
    "es": {
        "volatile": [
            "¿Qué tiempo hace hoy?",
            "¿Qué hora es?",
            "¿Quién ganó el partido?",
            "¿Cuál es el precio del bitcoin?",
            "¿Qué ponen en la tele esta noche?",
            "Últimas noticias",
            "¿Quién es el presidente actual de Chile?",
            "¿Está abierta la farmacia ahora?",
        ],
        "personal": [
            "¿Dónde está mi pedido?",
            "¿Cuál es mi saldo?",
            "¿Cuándo es mi próxima cita?",
            "¿Tengo mensajes sin leer?",
            "Muéstrame mis facturas",
            "¿Ha llegado mi paquete?",
            "¿Cuánto dinero tengo?",
        ],
        "acting": [
            "Transfiere 50 euros a Ana",
            "Por favor, cancela mi pedido 1182",
            "Resérvame una mesa para dos",
            "Recuérdame a las 5 llamar a Ana",
            "Borra el segundo",
            "¿Puedes cancelar mi reserva?",
            "Quiero cancelar mi suscripción",
            "Apaga la luz",
        ],
        None: [
            "¿Cómo restablezco mi contraseña?",
            "¿Cómo puedo cancelar una suscripción?",
            "¿Cómo cancelar mi reserva?",
            "¿Qué significa corriente en física?",
            "¿Debo cambiar mi cuenta de banco?",
            "Escribe un poema sobre la juventud de hoy",
            "Reserva de la biosfera",
            "¿Qué es un tipo de cambio?",
            "¿Cuántos años tiene un siglo?",
        ],
    },
    "fr": {
        "volatile": [
            "Quel temps fait-il aujourd'hui ?",
            "Quelle heure est-il ?",
            "Qui a gagné le match ?",
            "Quel est le cours du bitcoin ?",
            "Que passe-t-il à la télé ce soir ?",
            "Quelles sont les dernières nouvelles ?",
            "Qui est le président actuel du Chili ?",
            "La pharmacie est-elle ouverte maintenant ?",
        ],
        "personal": [
            "Où est ma commande ?",
            "Quel est mon solde ?",
            "Quand est mon prochain rendez-vous ?",
            "Ai-je des messages non lus ?",
            "Montre-moi mes factures",
            "Est-ce que mon colis est arrivé ?",
            "Combien d'argent ai-je ?",
        ],
        "acting": [
            "Vire 50 euros à Anne",
            "Annule ma commande 1182 s'il te plaît",
            "Réserve-moi une table pour deux",
            "Rappelle-moi à 5 heures d'appeler Anne",
            "Supprime le deuxième",
            "Pouvez-vous annuler ma réservation ?",
            "Je voudrais résilier mon abonnement",
            "Éteins la lumière",
        ],
        None: [
            "Comment réinitialiser mon mot de passe ?",
            "Comment puis-je annuler un abonnement ?",
            "Que signifie courant en physique ?",
            "Dois-je changer ma carte ?",
            "Écris un poème sur la jeunesse d'aujourd'hui",
            "Réserve naturelle de Camargue",
            "Qu'est-ce qu'un taux de change ?",
            "Pourquoi le ciel est-il bleu ?",
        ],
    },
}
TABLE: list[tuple[str, Kind | None]] = [
    *((text, "volatile") for text in VOLATILE),
    *((text, "personal") for text in PERSONAL),
    *((text, "acting") for text in ACTING),
    *((text, None) for text in GENERAL),
]
FOREIGN_TABLE = [
    (language, text, kind)
    for language, kinds in FOREIGN.items()
    for kind, texts in kinds.items()
    for text in texts
]
TEXTS = st.sampled_from([text for text, _ in TABLE] + [text for _, text, _ in FOREIGN_TABLE])
WORDS = sorted({word for text, _ in TABLE for word in re.findall(r"\w+", text)})
SENTENCES = st.lists(st.sampled_from([*WORDS, "?", ".", ",", "\n\n"]), max_size=30).map(" ".join)
PLAIN = "The committee met in the old hall and spoke about bridges. "


@pytest.mark.parametrize(("text", "kind"), TABLE)
def test_english(text: str, kind: Kind | None) -> None:
    """What depends on the moment, on the asker or on a deed is told apart, and the rest passes."""
    assert ENGLISH.kind(text) == kind


@pytest.mark.parametrize(("language", "text", "kind"), FOREIGN_TABLE)
def test_languages(language: str, text: str, kind: Kind | None) -> None:
    """The other languages tell the same three kinds from general questions."""
    assert NeverCache(languages=(language,)).kind(text) == kind


@pytest.mark.parametrize(("language", "text", "kind"), FOREIGN_TABLE)
def test_languages_that_are_not_configured(language: str, text: str, kind: Kind | None) -> None:
    """A language that is not configured is left alone."""
    assert ENGLISH.kind(text) is None


@pytest.mark.parametrize(("text", "kind"), TABLE)
def test_languages_together(text: str, kind: Kind | None) -> None:
    """Knowing more languages changes nothing in English."""
    assert ALL.kind(text) == kind


def test_no_language() -> None:
    """Without a language only the user's own words count."""
    rules = NeverCache(languages=(), volatile_words=("tide table",))
    assert rules.kind("What's my balance right now?") is None
    assert rules.kind("Show the tide table") == "volatile"


@pytest.mark.parametrize(("text", "kind"), TABLE)
def test_case(text: str, kind: Kind | None) -> None:
    """Capitals say nothing."""
    assert ENGLISH.kind(text.upper()) == ENGLISH.kind(text.lower()) == kind


@pytest.mark.parametrize("apostrophe", ["'", "\u2018", "\u2019", "\u02bc", "\uff07"])
def test_typography(apostrophe: str) -> None:
    """Curly and other apostrophes and wide letters are read as the plain ones."""
    text = f"what{apostrophe}s my balance"
    wide = text.translate({code: code + 0xFEE0 for code in range(ord("a"), ord("z") + 1)})
    assert ENGLISH.kind(text) == ENGLISH.kind(wide) == "personal"


@pytest.mark.parametrize(
    "text", ["Où est ma commande", "Ou est ma commande", "Ou\u0300 est ma commande"]
)
def test_accents(text: str) -> None:
    """Accents may be written, left out, or written apart."""
    assert ALL.kind(text) == "personal"


@pytest.mark.parametrize(
    "text",
    [
        "Thanks! Cancel order 1182.",
        "The second one is broken; cancel order 1182",
        "One more thing: cancel order 1182",
        "Hello there\n\ncancel order 1182\n\nKind regards",
        "What does APR mean? Cancel order 1182.",
    ],
)
def test_any_sentence_counts(text: str) -> None:
    """A command is found in whichever sentence it stands, beside general ones."""
    assert ENGLISH.kind(text) == "acting"


def test_excuses_hold_for_their_sentence() -> None:
    """A how-to question excuses no other sentence."""
    assert ENGLISH.kind("How do I check my balance? Where is my order?") == "personal"
    assert ENGLISH.kind("How do I check my balance? How do I track my order?") is None


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_the_user(kind: Kind) -> None:
    """A word or phrase of the user decides, in any case, accent or spacing, as whole words."""
    words = {f"{kind}_words": ("Häagen", "tide  table", "St. Malo", "e-bike")}
    rules = NeverCache(**words)  # type: ignore[arg-type]
    for text in ["haagen prices", "The TIDE\ntable", "Ferries from St. Malo", "any E-Bike?"]:
        assert rules.kind(text) == kind
        assert ENGLISH.kind(text) is None
    for text in ["Häagens", "tide and table", "table tide", "low tide. Table two", "Malo", "bike"]:
        assert rules.kind(text) is None


def test_words_of_the_user_are_no_patterns() -> None:
    """A user's word is read to the letter."""
    assert NeverCache(volatile_words=("a.c",)).kind("abc") is None


def test_words_of_the_user_hold_in_how_to_questions() -> None:
    """What excuses a shipped rule excuses no word of the user."""
    assert NeverCache(acting_words=("launch",)).kind("How do I launch?") == "acting"


def test_allowed_words() -> None:
    """An allowed phrase lets a text pass, whoever made the rule, and no other text."""
    rules = NeverCache(allowed_words=("the Daily Now app",), volatile_words=("daily",))
    assert rules.kind("What's the latest version of the daily now app right now?") is None
    assert rules.kind("What's the latest version of the Daily Now?") == "volatile"
    assert rules.kind("where is my order") == "personal"


@given(TEXTS | SENTENCES, st.sampled_from(WORDS))
def test_allowed_words_always_pass(text: str, word: str) -> None:
    """Whatever a text says, it passes with an allowed word in it."""
    rules = replace(ALL, allowed_words=(word,), volatile_words=("the",))
    assert rules.kind(f"{text} {word}") is None


@pytest.mark.parametrize(
    ("lifetimes", "kind"),
    [
        ({}, "acting"),
        ({"acting_ttl_s": 5}, "personal"),
        ({"acting_ttl_s": 5, "personal_ttl_s": 5}, "volatile"),
        ({"acting_ttl_s": 5, "personal_ttl_s": 9, "volatile_ttl_s": 7}, "acting"),
        ({"acting_ttl_s": 9, "personal_ttl_s": 9, "volatile_ttl_s": 7}, "volatile"),
    ],
)
def test_the_shortest_lifetime_wins(lifetimes: dict[str, float], kind: Kind) -> None:
    """A text of several kinds is of the one that lives shortest, and otherwise of the worst."""
    rules = NeverCache(**lifetimes)  # type: ignore[arg-type]
    assert rules.kind("Where is my order? Cancel it! And what's the weather right now?") == kind
    assert rules.lifetime_s(kind) == min(rules.lifetime_s(each) for each in KINDS)


def test_lifetimes() -> None:
    """Each kind has its own lifetime, and none is served at all unless it is given one."""
    rules = NeverCache(volatile_ttl_s=60, personal_ttl_s=5.5)
    assert [rules.lifetime_s(kind) for kind in KINDS] == [0, 5.5, 60]
    assert [ENGLISH.lifetime_s(kind) for kind in KINDS] == [0, 0, 0]


def test_long_texts_are_judged_by_their_ends() -> None:
    """Of a text over 64 words only the first and the last sentence are read."""
    story = PLAIN * 20
    assert ENGLISH.kind(f"Cancel order 1182. {story}") == "acting"
    assert ENGLISH.kind(f"{story}Cancel order 1182.") == "acting"
    assert ENGLISH.kind(f"{story}Where is my order? Cancel order 1182. {story}") is None
    assert ENGLISH.kind("Where is my order? " + "so he said and then " * 5) == "personal"


def test_a_cut_is_no_beginning() -> None:
    """Where a long sentence is cut, no command begins."""
    sentence = "people often " * 40 + "cancel order 1182 " + "and so on " * 10
    words = sentence.split()
    assert all(ENGLISH.kind(" ".join(words[n:])) is None for n in range(30))


@pytest.mark.parametrize(
    "unit", ["now and my order ", "my ", "a" * 50 + " ", "now", ". ", "\n", "-'"]
)
def test_huge_texts_are_bounded(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten thousand words no more is read than of two hundred."""
    read: list[int] = []
    monkeypatch.setattr(never_cache, "_fires", lambda rule, said: read.append(len(said)))
    ALL.kind(unit * 10_000)
    assert max(read, default=0) <= 1100


@given(st.text() | TEXTS | SENTENCES)
def test_never_fails(text: str) -> None:
    """Any text at all has a kind or none."""
    assert ALL.kind(text) in {None, *KINDS}


@given(TEXTS | SENTENCES, st.sampled_from([" ", "  ", "\t", "\n", "\u00a0", " \t "]))
def test_spelling_changes_nothing(text: str, space: str) -> None:
    """Neither capitals nor the kind and width of spaces change a verdict."""
    words = text.split()
    verdict = ALL.kind(" ".join(words))
    assert ALL.kind(space.join(words).upper()) == verdict
    assert ALL.kind(f"{space}{space.join(words).title().lower()}{space}") == verdict


@given(st.text() | SENTENCES, st.sampled_from(KINDS))
def test_more_words_never_let_a_text_pass(text: str, kind: Kind) -> None:
    """Adding a word can only catch more, and what it catches it holds."""
    more = replace(ENGLISH, **{f"{kind}_words": ("now",)})  # type: ignore[arg-type]
    if ENGLISH.kind(text) is not None:
        assert more.kind(text) is not None
    if more.kind(text) != ENGLISH.kind(text):
        assert "now" in text.lower()


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_triggers_can_occur(name: str) -> None:
    """Every trigger is a word as texts are read: one that is not could never be found."""
    for rule in LANGUAGES[name].rules:
        assert rule.kind in KINDS
        for trigger in rule.triggers.split():
            assert never_cache._words(trigger) == [trigger]


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_rules_find_their_triggers(name: str) -> None:
    """A rule fires on no text without one of its triggers, so leaving it untried loses nothing."""
    texts = [text for text, _ in TABLE] + [text for _, text, _ in FOREIGN_TABLE]
    for rule in never_cache._language(name):
        for text in texts:
            words = never_cache._words(text)
            if never_cache._fires(rule, f" . {' '.join(words)} . "):
                assert not rule.triggers.isdisjoint(words), (rule.kind, text)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"languages": ("en", "tlh")}, "tlh"),
        ({"languages": ("EN",)}, "EN"),
        ({"volatile_ttl_s": -1}, "-1"),
        ({"personal_ttl_s": float("nan")}, "nan"),
        ({"acting_ttl_s": float("inf")}, "inf"),
        ({"volatile_words": ("tide", "")}, "''"),
        ({"personal_words": (" ",)}, "' '"),
        ({"acting_words": ("?!",)}, "'?!'"),
        ({"allowed_words": ("...",)}, "'...'"),
    ],
    ids=str,
)
def test_wrong_settings(wrong: dict[str, object], named: str) -> None:
    """A setting that cannot be used is an error that names it and its value."""
    with pytest.raises(ConfigError, match=re.escape(named)) as raised:
        NeverCache(**wrong)  # type: ignore[arg-type]
    assert raised.value.path == next(iter(wrong))


def test_is_a_value() -> None:
    """Equal settings are equal, and a copy judges alike."""
    rules = NeverCache(volatile_words=("tide",))
    assert rules == NeverCache(volatile_words=("tide",)) != ENGLISH
    assert hash(rules) == hash(NeverCache(volatile_words=("tide",)))
    for other in (copy.copy(rules), copy.deepcopy(rules), pickle.loads(pickle.dumps(rules))):
        assert other == rules
        assert other.kind("When is the tide?") == "volatile"
