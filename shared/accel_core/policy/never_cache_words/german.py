"""What `never_cache` listens for in German."""

from __future__ import annotations

from typing import Final

from accel_core.policy.never_cache_words.rule import Language, Rule, any_of

# Verbs by their stem: "storniere", "stornieren Sie", "kannst du ... stornieren".
_STEMS = """stornier uberweis schick send zahl bezahl buch bestell kauf verkauf reservier losch
entfern sperr entsperr kundig verschieb erinner weck aktivier deaktivier bestatig verlanger
erstatt ander spiel stell schalt mach setz fug leg trag erneuer stopp start ruf kopple teil"""


def _forms(stem: str) -> list[str]:
    return [stem, f"{stem}e", f"{stem}en", f"{stem}n"]


_VERBS = " ".join(form for stem in _STEMS.split() for form in _forms(stem))

_TERMS = {
    "my": any_of(r"mein(?:e[nmrs]?)? unser(?:e[nmrs]?)?"),
    "record": r"[\w-]*(?:kontos?|kontostand|guthaben|saldo|bestellung(?:en)?|paket\w?|lieferung"
    r"|sendung|rechnung(?:en)?|termine?n?|buchung(?:en)?|reservierung(?:en)?|flug|karte"
    r"|uberweisung(?:en)?|zahlung(?:en)?|erstattung|gehalt|vertrag|abo|abonnement|nachricht(?:en)?|mails?|kalender|punkte"
    r"|standort|adresse|tickets?|antrag|rezept|sitzplatz|postfach|aufgaben|erinnerung(?:en)?|wecker"
    r"|depot|kredit|passwort|name|limit|geld)",
    "own": "<my> <word>{0,2}?<record>",
    "object": any_of(
        r"""<my> mir mich uns das den die dem diese[nrsm]? es alles? alle eine?[nmr]? <number> ihn
        ihm ihr bitte licht an aus heizung zum zur"""
    ),
    "verb": any_of(_VERBS),
    "hello": any_of(
        "bitte hallo hi hey ok okay ja nein und dann jetzt also so danke alexa mal doch sie"
    ),
    "ask": any_of(
        r"""kannst_du konntest_du konnen_sie konnten_sie wurdest_du wurden_sie
        ich_(?:mochte|will|wurde_gerne?|muss)"""
    ),
    "general": r"""wie (?!viele? |hoch|lange|spat|lautet|geht|ist|wird|steht)<a> (?:ich|man|wir|sie)
        wie (?:geht das|lange dauert|funktioniert)
        (?:was|wo|wann) (?:kann|muss|soll|sollte) (?:ich|man|wir)
        (?:was (?:bedeutet|heisst|versteht)|wofur steht)
        was (?:ist|sind) (?:eine?|der unterschied)
        (?:soll|sollte|sollten|kann|darf|muss) (?:ich|man|wir)
        ist es (?:moglich|erlaubt|sicher|besser|sinnvoll)
        (?:unterschied|bedeutung|definition|beispiele?|ratschlag|tipps)""",
    "craft": any_of(
        "schreib verfass formulier ubersetz erklar beschreib erzahl entwirf programmier"
    ),
    "moment": any_of("heute heute_abend morgen jetzt gerade aktuell im_moment hier draussen"),
}

GERMAN: Final = Language(
    _TERMS,
    r"""<start>(?:bitte )?(?:<craft>)e?n?
    <code>
    (?:gedicht|songtext|liedtext|satz|absatz|aufsatz|funktion|skript)
    folgenden? (?:text|satz|liste)""",
    (
        Rule(
            "acting",
            f"{_VERBS} bitte",
            r"""(?:<start>(?:<hello> )*|bitte )<verb>(?: (?:sie|bitte|doch|mal))* <object>
            <start>(?:<hello> )*(?:erinner|weck)\w* (?:mich|uns)
            <start>(?:<hello> )*(?:rufe? <word>{1,2}an|spiele? (?:musik|<a> von))
            <start>(?:<hello> )*setze? <word>{1,4}auf
            <start>(?:<hello> )*(?:schick|sende?)e? <a> (?:eine?n?|die|den|das) <a>
            <ask> <word>{0,2}?<object> <word>{0,6}?(?:an|aus|ein|ab|um|hinzu)?<verb>
            bitte (?:<my>|den|die|das) <word>{1,5}?(?:an|aus|ein|ab)?<verb>
            bitte (?:<my>|die|den|das)? ?[\w-]*(?:bestellung|buchung|termin|abo) <number> <verb>""",
        ),
        Rule(
            "personal",
            "mein meine meinen meinem meiner meines unser unsere unseren unserem unserer",
            r"""wo (?:ist|sind|bleibt|bleiben|steckt) <my>
            wann <word>{1,2}?<own>
            (?:wie (?:hoch|viele?|lautet|steht)|was|welche\w*) <word>{0,4}?<own>
            <start>(?:ist|sind|war|wurde|wurden|hat|haben|kommt|lauft) <own>
            (?:zeige?n?|sag|nenne?|prufe?|finde|gib|lies|verfolge) <word>{0,4}?<own>
            warum (?:ist|wurde|wurden|hat|kommt|kam|geht) <own>
            <own> (?:ist|wurde|hat|kam|kommt) <word>{0,3}?(?:nicht|abgelehnt|weg|verschwunden)""",
        ),
        Rule(
            "personal",
            "ich nahe",
            r"""habe ich <word>{0,3}?(?:<record>|etwas vor|ungelesene)
            wie viele? <word>{0,3}?(?:habe|hatte|schulde|bekomme) ich
            wann (?:habe|fliege|arbeite|treffe|muss) ich
            was habe ich (?:heute|morgen|diese|zuletzt)
            wo bin ich(?: gerade)?<end>
            (?:ich (?:habe|wurde)|wurde ich) <word>{0,4}?(?:belastet|nicht (?:erhalten|bekommen))
            in (?:meiner|der) nahe<end>""",
        ),
        Rule(
            "volatile",
            """wetter regnet regnen schneit spat uhr uhrzeit tag datum kurs nachrichten gewonnen
            steht preis goldpreis bis fuhrt nachste nachster nachstes nachsten aktienkurs
            wechselkurs
            bitcoinkurs""",
            r"""wie (?:ist|wird) das wetter(?: in <a>)?(?: <moment>)*<end>
            wetter <word>{0,3}?(?:heute|morgen|ubermorgen|jetzt|am wochenende|in <a><end>)
            (?:regnet|schneit) es
            wird es <word>{0,3}?(?:regnen|schneien)
            wie spat ist es
            wie viel uhr
            welche[rns]? (?:tag|datum|uhrzeit) (?:ist|haben)(?: wir)?(?: <moment>)?<end>
            (?:aktien|wechsel|bitcoin|euro|dollar)kurs
            wie steht (?:es|das spiel|der (?:dax|kurs))
            (?:goldpreis|preis (?:von|fur) (?:gold|bitcoin|ol))
            wer (?:hat|fuhrt) <word>{0,4}?(?:gewonnen|spiel)<end>
            nachrichten (?:von heute|heute|aus <a>|zu <a>)
            wie (?:viele tage|lange) <word>{0,3}?bis <a>
            wann <word>{1,3}?nachste[rsn]? <a>""",
            r"<general>|\d{4}",
        ),
        Rule(
            "volatile",
            """heute jetzt moment momentan derzeit zurzeit aktuell aktuelle aktueller aktuelles
            aktuellen neueste neuester neuestes neuesten diese dieses diesen gestern morgen""",
            r"""heute(?<!bis heute)(?<!von heute)(?<!noch heute)(?! noch)
            jetzt<end>(?<!bis jetzt)(?<!ab jetzt)
            (?:im moment|momentan|derzeit|zurzeit|gerade jetzt|jetzt gerade)
            (?:aktuelle[rsn]?|neueste[rsn]?) <a>
            <start>(?:was|wer|wo|wie) ist aktuell <a>
            jetzt (?:offen|geoffnet|verfugbar|auf)<end>
            (?:diese woche|diesen monat|dieses jahr|dieses wochenende|diese saison)
            gestern (?:abend|nacht)
            morgen<end>(?<!guten morgen)(?<!am morgen)""",
            "<general>|warum|wieso|ich (?:bin|war|habe|hatte|wurde)|welt|gesellschaft",
        ),
    ),
)
