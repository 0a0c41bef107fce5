"""Runs of made-up agents in a few fields, for tests, benchmarks, and the forest that is shipped.

- a *travel desk*: bookings found by their code or a surname, connections searched between places,
- a *help desk* whose agent asks for several tools in one answer: tickets of an account, articles,
- a *workshop*: machines of a customer, parts by the name that the customer uses for them,
- an *analyst*: queries that nobody could put for him; here guesses can only be wasted.

They differ in how ids look, how observations nest, and how often agents look into what they have
found: some open a whole list, some stop at what was named, some only answer. Everything is drawn
from a seed; every run has people and ids of its own.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

from accel_core.policy.trajectory import Observed, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accel_core.policy.trajectory import Trajectory

_FIRST = (
    "Ana Boris Chloe Dario Emre Freya Goran Hana Ivo Jana Karl Lena Marco Nadia Oskar Pia".split()
)
_LAST = "Alder Brandt Costa Dvorak Eklund Faber Greco Horvat Ilves Jansen Kovar Lund Novak".split()
_PLACES = ["Porto", "Lyon", "Graz", "Bergen", "New Haven", "Split", "Ghent", "San Remo", "Turku"]
_TOPICS = "password printer invoice mailbox projector badge keyboard backup licence network".split()
_PARTS = ["drive belt", "filter", "spindle", "pressure valve", "cutting head", "pump", "fuse box"]
_MACHINES = ["lathe", "table saw", "compressor", "band saw", "drill press", "plotter"]
_GREETINGS = ["Hello! ", "Hi, ", "", "Good morning. ", "Hey there, "]
_ASKS = ["Could you help me?", "What can you do?", "Please have a look.", "Thanks!", ""]


class _Run:
    """A run as it is written down."""

    def __init__(self, dice: Random) -> None:
        self.dice, self.events, self._turn = dice, [], 0  # type: ignore[var-annotated]

    def user(self, *texts: str) -> None:
        self.events.append(Said("user", self.dice.choice(texts)))

    def answer(self, *texts: str) -> None:
        self.events.append(Said("assistant", self.dice.choice(texts)))
        self._turn += 1

    def call(self, tool: str, result: Any, **arguments: Any) -> None:
        self.calls([(tool, arguments, result)])

    def calls(self, asked: Sequence[tuple[str, dict[str, Any], Any]]) -> None:
        """Ask for several tools in one answer."""
        for tool, arguments, result in asked:
            text = result if isinstance(result, str) else json.dumps(result)
            failed = text.startswith("Error")
            self.events.append(Observed(tool, arguments, text, failed, self._turn))
        self._turn += 1

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    @property
    def trajectory(self) -> Trajectory:
        return tuple(self.events)


TRAVEL_FREE = frozenset(
    {"lookup_booking", "bookings_by_surname", "search_connections", "fare_rules"}
)


def travel_desk(seed: int) -> Trajectory:
    """Return a run of the travel desk."""
    run = _Run(Random(seed))
    dice = run.dice
    surname = dice.choice(_LAST)
    codes = ["".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=2)) + f"-{dice.randrange(10**4):04}"
             for _ in range(dice.randint(1, 4))]  # fmt: skip
    places = {code: dice.sample(_PLACES, 2) for code in codes}
    wish = dice.choice(["cancel", "move", "ask"])
    meant = dice.choice(codes)
    greeting, ask = dice.choice(_GREETINGS), dice.choice(_ASKS)
    verb = {"cancel": "cancel", "move": "change the date of", "ask": "know more about"}[wish]
    run.user(f"{greeting}I want to {verb} my trip to {places[meant][1]}. {ask}",
             f"{greeting}can I {verb} a booking? {ask}")  # fmt: skip
    if run.chance(0.5):
        run.answer("Gladly. Which booking is it?", "Of course. What is the booking code?")
        run.user(f"It is {meant}.", f"The code is {meant}, thank you")
        opened = [meant]
    else:
        run.answer("What is the surname on the booking?", "Under which surname did you book?")
        run.user(f"{surname}", f"My surname is {surname}.", f"It's under {surname}, I think.")
        run.call("bookings_by_surname", {"surname": surname, "codes": codes}, surname=surname)
        asks_first = run.chance(0.4)
        if asks_first:
            run.answer("I see several. Which one is it?", f"There are {len(codes)} bookings.")
            run.user(f"{meant} please", f"I mean {meant}", "I do not know the code, please look")
        named = asks_first and meant in run.events[-1].text
        opened = [meant] if named else codes[: codes.index(meant) + 1]
    for code in opened:
        start, end = places[code]
        legs = [
            {"from": start, "to": end, "date": f"2031-0{dice.randint(1, 9)}-{dice.randint(10, 28)}"}
        ]
        fare = dice.choice(["flex", "saver", "night"])
        run.call("lookup_booking", {"code": code, "legs": legs, "fare": fare}, code=code)
    if wish == "ask" or run.chance(0.3):
        run.call("fare_rules", {"fare": fare, "refund": dice.choice([True, False])}, fare=fare)
    if wish == "move":
        run.answer("To which date?", "When would you like to travel?")
        date = f"2031-0{dice.randint(1, 9)}-{dice.randint(10, 28)}"
        run.user(f"On {date}, please", date)
        found = [
            {"id": f"C{dice.randrange(10**5)}", "price": dice.randrange(20, 300)} for _ in "abc"
        ]
        run.call("search_connections", found, start=start, end=end, date=date)
        run.answer("I found three. Shall I take the cheapest?")
        run.user("Yes, go ahead.", "Yes")
        run.call("rebook", "done", code=meant, connection=found[0]["id"])
    elif wish == "cancel":
        run.answer("Shall I cancel it?", "This cannot be undone. Cancel?")
        run.user("Yes", "Yes, please.")
        run.call("cancel_booking", "done", code=meant)
    run.answer("Done. Anything else?", "Here you are.")
    run.user("No, thank you.", "That is all.")
    return run.trajectory


HELP_FREE = frozenset({"account_of", "tickets", "ticket", "search_articles", "article"})


def help_desk(seed: int) -> Trajectory:
    """Return a run of the help desk, whose agent asks for several tools in one answer."""
    run = _Run(Random(seed))
    dice = run.dice
    first, last = dice.choice(_FIRST), dice.choice(_LAST)
    email = f"{first.lower()}{dice.choice(['.', '_', ''])}{last.lower()}@desk.example"
    account = dice.randrange(10**5, 10**6)
    topic = dice.choice(_TOPICS)
    wish = dice.choice(["status", "status", "close", "learn"])
    opening = {"status": f"what happens with my tickets about the {topic}?",
               "close": f"the {topic} works again, please close my ticket.",
               "learn": f"how do I set up the {topic}?"}[wish]  # fmt: skip
    run.user(f"{dice.choice(_GREETINGS)}{opening} My mail is {email}.",
             f"{dice.choice(_GREETINGS)}{opening} I am {first}, {email}")  # fmt: skip
    if wish == "learn":
        ids = [dice.randrange(1000, 9999) for _ in range(dice.randint(2, 4))]
        hits = {"hits": [{"article": number, "title": f"{topic} guide"} for number in ids]}
        run.call("search_articles", hits, query=topic)
        chosen = ids[: dice.choice([1, 1, 2])]
        run.calls([("article", {"article": n}, {"article": n, "body": "…"}) for n in chosen])
        run.answer("Here is how it is done.", "Please follow the guide.")
        run.user("Thanks, that helps.", "Great.")
        return run.trajectory
    run.call("account_of", {"account": account, "name": f"{first} {last}"}, email=email)
    about = {
        f"T-{dice.randrange(10**6):06}": dice.choice(_TOPICS) for _ in range(dice.randint(1, 5))
    }
    about[meant := f"T-{dice.randrange(10**6):06}"] = topic
    state = dice.choice(["open", "all"])
    listed = {"tickets": [{"id": key, "about": what} for key, what in about.items()]}
    run.call("tickets", listed, account=account, state=state)
    chosen_ = [key for key, what in about.items() if what == topic]
    if wish == "status" and run.chance(0.6):
        chosen_ = list(about)
    run.calls([("ticket", {"id": key}, {"id": key, "state": "open", "log": []}) for key in chosen_])
    if wish == "close":
        run.answer("I will close it. Is that right?")
        run.user("Yes, do.", "Yes please")
        run.call("close_ticket", "closed", id=meant)
        if run.chance(0.4):
            run.call("tickets", listed, account=account, state=state)
    run.answer("That is where it stands.", "All done.")
    run.user("Thank you!", "Good, bye.")
    return run.trajectory


WORKSHOP_FREE = frozenset({"customer_by_phone", "machine", "part_stock", "list_services"})


def workshop(seed: int) -> Trajectory:
    """Return a run of the workshop."""
    run = _Run(Random(seed))
    dice = run.dice
    phone = f"0{dice.randrange(100, 999)}/{dice.randrange(10**6):06}"
    kinds = dice.sample(_MACHINES, dice.randint(1, 4))
    machines = {f"m{dice.randrange(10**7):07}": kind for kind in kinds}
    kind = dice.choice(kinds)
    part = dice.choice(_PARTS)
    wish = dice.choice(["order", "order", "price", "service"])
    if wish == "service":
        run.user("Which services do you have?", "Do you come and look at machines, too?")
    else:
        greeting = dice.choice(_GREETINGS)
        run.user(
            f"{greeting}I need a new {part} for my {kind}.",
            f"{greeting}the {part} of the {kind} broke, what now?",
        )
    if wish == "service":
        run.call("list_services", ["repair", "check", "cleaning"])
        run.answer("We repair, check and clean.")
        run.user("Good to know.", "Please check one of mine then")
    run.answer("Which phone number do we have of you?", "Your phone number, please?")
    run.user(phone, f"It is {phone}", f"You can reach me at {phone}.")
    known = {"customer": {"phone": phone, "machines": [
        {"serial": serial, "type": name} for serial, name in machines.items()]}}  # fmt: skip
    run.call("customer_by_phone", known, phone=phone)
    serials = [s for s, name in machines.items() if name == kind]
    if wish == "service" or run.chance(0.25):
        serials = list(machines)
    for serial in serials:
        parts = dice.sample(_PARTS, 4)
        if machines[serial] == kind and part not in parts:
            parts[dice.randrange(4)] = part
        fitted = {
            f"{dice.randrange(10**4):04}.{dice.randrange(100):02}": {"name": name} for name in parts
        }
        run.call("machine", {"serial": serial, "fitted": fitted}, serial=serial)
        if machines[serial] == kind:
            number = next(key for key, value in fitted.items() if value["name"] == part)
    if wish != "service":
        run.call("part_stock", {"number": number, "stock": dice.randrange(9)}, number=number)
    if wish == "order":
        run.answer("We have it. Shall I order?", "It is in stock. Order it?")
        run.user("Yes", "Please do.")
        run.call("order_part", "ordered", number=number, phone=phone)
    run.answer("Good. Anything else?", "Done.")
    run.user("No.", "That was it, thanks.")
    return run.trajectory


ANALYST_FREE = frozenset({"list_sources", "describe_source", "run_query"})
_SOURCES = "orders visits staff rooms suppliers shifts returns batches meters routes".split()


def analyst(seed: int) -> Trajectory:
    """Return a run of an analyst, whose questions nobody could put for him."""
    run = _Run(Random(seed))
    dice = run.dice
    sources = dice.sample(_SOURCES, dice.randint(3, 6))
    meant = dice.sample(sources, dice.choice([1, 1, 2]))
    run.user(f"How many {meant[0]} were there in the last month?", "What sold best, and where?")
    if run.chance(0.9):
        run.call("list_sources", [[name] for name in sources])
    for name in meant:
        if run.chance(0.8):
            run.call("describe_source", [["id", "int"], ["at", "date"]], source=name)
    for _ in range(dice.randint(1, 3)):
        query = (
            f"SELECT {dice.randrange(10**6)} FROM {meant[-1]} WHERE id > {dice.randrange(10**4)}"
        )
        run.call("run_query", [[dice.randrange(10**4)]], sql=query)
    run.answer("That many.", "Here are the figures.")
    return run.trajectory


FRUGAL: dict[str, tuple[Callable[[int], Trajectory], frozenset[str]]] = {
    "analyst": (analyst, ANALYST_FREE),
}
"""The same of fields in which hardly anything can be known before."""

FIELDS: dict[str, tuple[Callable[[int], Trajectory], frozenset[str]]] = {
    "travel": (travel_desk, TRAVEL_FREE),
    "help": (help_desk, HELP_FREE),
    "workshop": (workshop, WORKSHOP_FREE),
}
"""Of each field what makes a run, and its tools that change nothing."""
