"""Questions in which kind and value decide the answer, and the phrasing does not.

A kind is a field's question, a value a city, a drug, a year; both together are the intent. Whoever
asks for another value, or for the opposite ("open", "close"), in the very same words must not get
this answer: such near neighbours are true traps, and no label is noisy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

_CITIES = (
    "Lisbon Oslo Vienna Madrid Dublin Prague Athens Warsaw Helsinki Zurich Naples Lyon Boston"
    " Toronto"
)
_COUNTRIES = (
    "France Spain Kenya Japan Peru Norway Egypt Canada Vietnam Chile Poland India Ghana Turkey"
)
_DRUGS = (
    "ibuprofen aspirin paracetamol metformin lisinopril atorvastatin omeprazole sertraline"
    " amoxicillin prednisone warfarin insulin"
)
_APPS = (
    "Slack Outlook Zoom Jira Dropbox Salesforce GitHub Notion Teams Figma Trello Okta Asana Webex"
)
_FOODS = (
    "rice|pasta|lentils|quinoa|eggs|potatoes|chickpeas|beetroot|artichokes|green beans|broccoli"
    "|sweetcorn|asparagus|carrots"
)
_ACCOUNTS = "savings|checking|joint|business|student|retirement|brokerage|children's"
_PETS = "dog cat rabbit hamster parrot goldfish turtle horse ferret canary chicken goat"
_SPORTS = "tennis golf rowing fencing judo cricket rugby hockey archery sailing boxing karate"
_YEARS = "2012 2013 2014 2015 2016 2017 2018 2019 2020 2021 2022 2023"
_LANGUAGES = "Python Java Rust Go Ruby Kotlin Swift Scala Perl Haskell"
_MILES = "5 10 12 15 18 20 25 30 35 40 60 75"
_MEMBERS = "child|spouse|mother|father|partner|grandparent|sibling|roommate"
_PARTS = "battery screen charger camera keyboard speaker hinge fan touchpad microphone"

_ACTS = (
    "How do I {}?",
    "What is the way to {}?",
    "Can you explain how to {}",
    "I want to {}. What do I do?",
    "steps to {}",
    "Is there a guide on how to {}?",
)
_FACTS = (
    "What is {}?",
    "Tell me {}",
    "Do you know {}?",
    "I need to know {}",
    "{}",
    "Could you look up {} for me?",
)
_TOUCHES = (
    "{}",
    "Hi, {}",
    "{} Thanks!",
    "Please: {}",
    "Hello! {}",
    "{} Thank you.",
    "quick one: {}",
)
_KINDS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (_ACTS, _ACCOUNTS, ("open a {} account", "set up a new {} account", "start a {} account")),
    (_ACTS, _ACCOUNTS, ("close my {} account", "shut down my {} account", "end my {} account")),
    (_FACTS, _ACCOUNTS, ("the interest rate of the {} account", "what a {} account pays a year")),
    (_ACTS, _APPS, ("reset my {} password", "change a forgotten {} password")),
    (_ACTS, _APPS, ("turn on notifications in {}", "enable alerts from {}")),
    (_ACTS, _APPS, ("turn off notifications in {}", "disable alerts from {}", "mute {}")),
    (_ACTS, _APPS, ("invite a colleague to {}", "add a team member in {}")),
    (_FACTS, _APPS, ("the monthly price of {}", "how much {} costs per month")),
    (_FACTS, _COUNTRIES, ("the population of {}", "how many people live in {}")),
    (_FACTS, _COUNTRIES, ("the capital of {}", "which city is the capital of {}")),
    (_FACTS, _COUNTRIES, ("the currency of {}", "which money is used in {}")),
    (_FACTS, _COUNTRIES, ("whether I need a visa for {}", "the visa rules for visiting {}")),
    (_FACTS, _CITIES, ("the best month to visit {}", "when to travel to {}")),
    (_FACTS, _CITIES, ("the baggage allowance to {}", "how many bags I may take to {}")),
    (_ACTS, _CITIES, ("get from the airport to central {}", "reach {} city centre by train")),
    (_ACTS, _CITIES, ("book a hotel in {}", "reserve a room in {}")),
    (_ACTS, _CITIES, ("cancel my hotel in {}", "call off my room in {}")),
    (_FACTS, _DRUGS, ("the side effects of {}", "the unwanted effects {} can have")),
    (_FACTS, _DRUGS, ("the maximum daily dose of {}", "how much {} I may take a day")),
    (_FACTS, _DRUGS, ("whether {} is safe in pregnancy", "if pregnant women can take {}")),
    (_FACTS, _FOODS, ("how long to boil {}", "the cooking time of {}")),
    (_ACTS, _FOODS, ("store cooked {}", "keep leftover {} fresh")),
    (_FACTS, _FOODS, ("how many calories {} have", "the energy in 100 grams of {}")),
    (_FACTS, _PETS, ("how often to feed a {}", "how many meals a {} needs a day")),
    (_ACTS, _PETS, ("travel by plane with a {}", "take my {} on a flight")),
    (_FACTS, _PETS, ("how long a {} lives", "the life expectancy of a {}")),
    (_FACTS, _SPORTS, ("the rules of {}", "how {} is played")),
    (_ACTS, _SPORTS, ("join a {} club", "become a member of a {} team")),
    (_FACTS, _SPORTS, ("what equipment {} needs", "the gear for {}")),
    (_FACTS, _YEARS, ("the company revenue in {}", "how much the company earned in {}")),
    (_FACTS, _MILES, ("{} miles in kilometres", "how many km {} miles are")),
    (_ACTS, _LANGUAGES, ("read a file line by line in {}", "loop over the lines of a {} file")),
    (_ACTS, _LANGUAGES, ("sort a list in {}", "order an array in {}")),
    (_ACTS, _LANGUAGES, ("parse JSON in {}", "decode a JSON string with {}")),
    (_ACTS, _MEMBERS, ("add my {} to my insurance", "insure my {} under my policy")),
    (_ACTS, _MEMBERS, ("remove my {} from my insurance", "take my {} off my policy")),
    (_ACTS, _PARTS, ("replace the {} of my laptop", "swap my laptop's {}")),
    (_ACTS, _PARTS, ("claim warranty for a broken {}", "get a faulty {} repaired for free")),
)
"""Frames, values, and wordings of what is asked."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What deserves one answer, and how it can be asked."""

    kind: int
    asks: tuple[str, ...]


def intents() -> list[Intent]:
    """Return all intents, every one with all its wordings."""
    made = []
    for kind, (frames, values, wordings) in enumerate(_KINDS):
        for value in values.split("|") if "|" in values else values.split():
            asks = [
                touch.format(frame.format(words.format(value)))
                for touch, frame, words in product(_TOUCHES, frames, wordings)
            ]
            made.append(Intent(kind, tuple(asks)))
    return made
