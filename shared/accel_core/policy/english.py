"""English words that carry structure: closed classes, and opposites that change an answer.

General knowledge of the language, not of anybody's questions. Content words and how they are
related are the lexicon's (`accel_core.lexicon`).
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS = _words(
    "a an the of to in on at for from by with about as into than then that this these those"
    " is are was were be been being am do does did doing have has had having"
    " i me my mine myself we us our ours you your yours he him his she her it its they them their"
    " there here and or but if so because while what which who whom whose when where why how"
    " can could may might must shall should will would please just really actually also very too"
    " any some such ever i'm i've i'd i'll you're it's that's what's how's where's who's when's"
    " there's let's don't doesn't didn't can't won't isn't aren't wasn't"
)
"""Words that carry no meaning by themselves."""

COURTESIES = _words(
    "hi hello hey dear greetings thanks thank kindly please sorry cheers advance appreciated"
    " regards"
)
"""Words that ask nicely."""

WEAK_WORDS = COURTESIES | _words(
    "way ways get gets getting got best good people person someone thing things tip tips like know"
    " use using make makes find tell explain idea ideas think exactly kind sort need want help"
    " give show describe mean means possible able question answer"
    " meaning definition"
)
"""Words that carry meaning and rarely decide an answer."""

NEGATIONS = _words(
    "not no never without cannot neither nor none nobody nothing cant dont doesnt didnt wont isnt"
    " arent wasnt shouldnt couldnt wouldnt havent hasnt except excluding"
)

QUESTION_WORDS = {
    "what": "what", "what's": "what", "which": "what", "who": "who", "who's": "who",
    "whom": "who", "whose": "who", "when": "when", "when's": "when", "where": "where",
    "where's": "where", "why": "why", "how": "how", "how's": "how",
}  # fmt: skip
"""Question words and what they ask for."""

QUANTITIES_ASKED = {
    "much": "how much", "many": "how much", "long": "how long", "old": "how old",
    "far": "how far", "often": "how often", "big": "how large", "large": "how large",
    "tall": "how tall", "high": "how tall", "fast": "how fast", "soon": "how soon",
}  # fmt: skip
"""What "how" asks for with the word after it."""

AUXILIARIES = _words(
    "is are was were am do does did can could may might must shall should will would has have had"
    " isn't aren't wasn't don't doesn't didn't can't couldn't shouldn't won't wouldn't"
)

_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty"
)
NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTED.split())} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70",
    "eighty": "80", "ninety": "90", "hundred": "100", "thousand": "1000",
}  # fmt: skip

MAGNITUDES = {
    "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
}  # fmt: skip
"""Number words that multiply what stands before them."""

_ORDERED = "second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
ORDINALS = {word: str(value) for value, word in enumerate(_ORDERED.split(), 2)}
"""Of "first", see `policy.gates_values`."""

MULTIPLES = {
    "once": "1", "one": "1", "first": "1", "single": "1", "twice": "2", "double": "2",
    "duplicate": "2", "couple": "2", "pair": "2", "both": "2", "thrice": "3", "triple": "3",
    "dozen": "12",
}  # fmt: skip
"""Words that imply a number, or say as little as an article does."""

LIGHT_VERBS = _words(
    "come comes came coming go goes going went gone take takes took taking taken give gives gave"
    " given bring brings keep let stay leave start ask answer"
)
"""Verbs whose meaning is in what follows them: "go about it", "take place"."""

ROMAN_NUMERALS = {
    "II": "2", "III": "3", "IV": "4", "VI": "6", "VII": "7", "VIII": "8", "IX": "9", "XI": "11",
    "XII": "12", "XIII": "13", "XIV": "14", "XV": "15", "XVI": "16", "XVII": "17", "XVIII": "18",
    "XIX": "19", "XX": "20",
}  # fmt: skip
"""Those of more than one letter."""

DATE_WORDS = _words(
    "january february march april may june july august september october november december jan feb"
    " mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday"
    " sunday today tomorrow yesterday tonight morning afternoon evening night noon midnight spring"
    " summer autumn fall winter weekday weekend christmas xmas easter thanksgiving halloween"
    " ramadan century decade quarter bc ad bce ce"
)

DATE_ALIASES = {
    "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june",
    "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october",
    "nov": "november", "dec": "december", "fall": "autumn", "xmas": "christmas", "bce": "bc",
    "ce": "ad",
}  # fmt: skip

AMBIGUOUS_DATES = _words("march may mar spring fall quarter second ad ce dec sun")
"""Words that are dates in some sentences only."""

UNIT_WORDS = _words(
    "celsius fahrenheit kelvin meter metre kilometer kilometre km mile foot feet inch yard cm mm"
    " gram kilogram kg milligram mg microgram mcg pound lb ounce oz ton tonne stone liter litre ml"
    " gallon quart pint cup tablespoon teaspoon tbsp tsp second minute hour day week month year"
    " dollar euro yen rupee usd eur gbp jpy inr cad aud cent byte kb mb gb tb kilobyte megabyte"
    " gigabyte terabyte bit watt kilowatt volt amp joule calorie kilojoule kj psi bar pascal mph"
    " kph knot hertz mhz ghz acre hectare percent radian degree millisecond microsecond nanosecond"
    " centimeter centimetre millimeter millimetre milliliter millilitre micron kilo daily"
    " weekly monthly yearly annual annually hourly quarterly decade century"
    " lbs kgs hrs mins secs"
    " franc peso ruble rouble lira zloty krona krone yuan renminbi rupiah ringgit shekel baht rand"
    " dirham cny chf penny pence quid buck atm mmhg torr carat furlong fathom fortnight barrel"
    " bushel horsepower hp megawatt milliwatt gigawatt kwh milliamp ohm millivolt kilovolt"
    " electronvolt ev btu lumen lux decibel db pixel px rpm dpi petabyte exabyte nanometer"
    " nanometre nanogram decimeter deciliter kilobit megabit gigabit mbps kbps gbps kmh kilocalorie"
    " megahertz gigahertz kilohertz khz rad fortnightly biweekly semester square cubic nautical"
    " mmol millimole micromole ppm ppb microliter microlitre centiliter centilitre kilopascal kpa"
    " megapascal mpa kilonewton lightyear parsec millennium millennia trimester mpg fps kibibyte"
    " mebibyte gibibyte kib mib gib dinar dong forint naira riyal rial shilling bitcoin btc"
    " krw mxn brl sek nok dkk pln czk huf zar ngn aed sar hkd sgd nzd thb"
)
"""Units of measure, singular, and how often something happens."""

UNIT_ALIASES = {
    "km": "kilometer", "kilometre": "kilometer", "metre": "meter", "cm": "centimeter",
    "centimetre": "centimeter", "mm": "millimeter", "millimetre": "millimeter", "feet": "foot",
    "ft": "foot", "kg": "kilogram", "kilo": "kilogram", "mg": "milligram", "mcg": "microgram",
    "µg": "microgram", "μg": "microgram", "ug": "microgram", "lb": "pound",
    "oz": "ounce", "tonne": "ton", "litre": "liter", "ml": "milliliter",
    "millilitre": "milliliter", "tbsp": "tablespoon", "tsp": "teaspoon", "usd": "dollar",
    "eur": "euro", "gbp": "pound", "jpy": "yen", "inr": "rupee", "kb": "kilobyte",
    "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte", "kj": "kilojoule", "daily": "day",
    "weekly": "week", "monthly": "month", "yearly": "year", "annual": "year", "annually": "year",
    "hourly": "hour", "quarterly": "quarter", "ms": "millisecond", "hr": "hour", "hrs": "hour",
    "min": "minute", "mins": "minute", "sec": "second", "secs": "second", "wk": "week",
    "mo": "month", "yr": "year", "yrs": "year", "lbs": "pound", "kgs": "kilogram", "g": "gram",
    "l": "liter", "m": "meter", "c": "celsius", "f": "fahrenheit", "w": "watt", "kw": "kilowatt",
    "v": "volt", "$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee",
    "h": "hour", "kcal": "calorie", "cal": "calorie", "kilocalorie": "calorie",
    "rouble": "ruble", "cny": "yuan", "renminbi": "yuan", "chf": "franc", "quid": "pound",
    "buck": "dollar", "pence": "penny", "hp": "horsepower", "ev": "electronvolt", "db": "decibel",
    "px": "pixel", "rad": "radian", "nanometre": "nanometer", "mhz": "megahertz",
    "ghz": "gigahertz", "khz": "kilohertz", "hz": "hertz", "fortnightly": "fortnight",
    "mw": "megawatt", "ma": "milliamp", "mv": "millivolt", "nm": "nanometer", "dl": "deciliter",
    "mi": "mile", "yd": "yard", "mol": "mole", "mmol": "millimole", "kpa": "kilopascal",
    "mpa": "megapascal", "microlitre": "microliter", "ul": "microliter", "cl": "centiliter",
    "centilitre": "centiliter", "millennia": "millennium", "kib": "kibibyte", "mib": "mebibyte",
    "gib": "gibibyte", "btc": "bitcoin", "sek": "krona", "nok": "krone", "dkk": "krone",
    "pln": "zloty", "mxn": "peso", "zar": "rand", "aed": "dirham", "thb": "baht", "huf": "forint",
    "ngn": "naira", "pb": "petabyte", "sq": "square", "atmosphere": "atm",
}  # fmt: skip
"""Units as they are abbreviated, and as signs."""

UNIT_RATES = {
    "mph": ("mile", "hour"), "kph": ("kilometer", "hour"), "kmh": ("kilometer", "hour"),
    "mbps": ("megabit", "second"), "kbps": ("kilobit", "second"), "gbps": ("gigabit", "second"),
}  # fmt: skip
"""Abbreviations of one unit per another."""

ALL_WORDS = _words("all every each everything everybody everyone entire whole complete full")
ONE_WORDS = _words("one single example another")
LIST_WORDS = _words("list name enumerate")

_OPPOSITES = """
more:less more:fewer most:least greater:less greater:fewer max:min maximum:minimum at:over
above:below over:under up:down in:out on:off into:out before:after first:last best:worst
better:worse with:without inside:outside start:stop begin:end enable:disable open:close buy:sell
increase:decrease raise:lower rise:fall high:low highest:lowest big:small large:small larger:smaller
largest:smallest biggest:smallest long:short longer:shorter longest:shortest tall:short
tallest:shortest fast:slow faster:slower fastest:slowest cheap:expensive cheaper:dearer
cheapest:dearest early:late earlier:later earliest:latest new:old newer:older newest:oldest
young:old younger:older youngest:oldest import:export upload:download install:uninstall lock:unlock
login:logout gain:lose win:lose lend:borrow send:receive give:take push:pull add:remove left:right
north:south east:west male:female man:woman men:women boy:girl parent:child mother:father
brother:sister son:daughter husband:wife gross:net public:private input:output credit:debit
income:expense asset:liability deposit:withdraw deposit:withdrawal arrival:departure arrive:depart
teach:learn hire:fire pass:fail accept:reject accept:decline approve:reject allow:forbid allow:block
show:hide encrypt:decrypt compress:decompress encode:decode ascending:descending
horizontal:vertical upper:lower indoor:outdoor hot:cold warm:cool wet:dry hard:soft safe:dangerous
legal:illegal possible:impossible strong:weak rich:poor thick:thin wide:narrow deep:shallow
heavy:light heavier:lighter heaviest:lightest full:empty positive:negative pros:cons pro:con
advantage:disadvantage benefit:risk benefit:drawback cause:effect cause:cure like:hate love:hate
always:never ever:never once:always since:until for:against true:false same:different same:opposite
win:loss profit:loss front:back top:bottom near:far nearest:farthest internal:external
incoming:outgoing inbound:outbound front:rear odd:even plus:minus multiply:divide forward:backward
manual:automatic temporary:permanent acute:chronic benign:malignant mild:severe oral:topical
simple:compound fixed:variable domestic:international local:remote online:offline wired:wireless
synchronous:asynchronous active:passive concave:convex even:uneven tight:loose fresh:frozen
raw:cooked sweet:sour guilty:innocent plaintiff:defendant buyer:seller tenant:landlord
lender:borrower teacher:student doctor:patient predator:prey
good:bad easy:hard easy:difficult easier:harder easiest:hardest many:few little:much little:many
he:she him:her his:her his:hers himself:herself mr:mrs mr:ms king:queen uncle:aunt nephew:niece
former:latter next:previous next:last closer:farther closer:further nearer:farther nearer:further
safest:riskiest safer:riskier lightest:darkest light:dark day:night dawn:dusk sunrise:sunset
join:leave enter:exit enter:leave attract:repel freeze:thaw freeze:melt grow:shrink
expand:contract expand:collapse inflate:deflate rise:drop climb:drop climb:fall grow:decline
increase:reduce increase:lower increase:cut raise:reduce raise:cut speed:slow strengthen:weaken
tighten:loosen thicken:thin improve:worsen gain:drop cause:prevent cause:relieve cause:treat
help:harm hurt:help build:demolish create:delete create:destroy insert:delete append:prepend
push:pop mount:unmount merge:split commit:rollback serialize:deserialize static:dynamic
mutable:immutable read:write row:column local:global uppercase:lowercase prefix:suffix asc:desc
client:server sender:recipient sender:receiver source:destination source:target
inflation:deflation surplus:deficit bullish:bearish bull:bear gain:loss gains:losses
appreciate:depreciate appreciation:depreciation premium:discount supply:demand wholesale:retail
revenue:expense assets:liabilities bid:ask call:put fixed:adjustable fixed:floating
debtor:creditor secured:unsecured spend:save earn:spend allow:prevent approve:deny
accept:deny grant:deny allow:deny permit:forbid permit:prohibit allow:prohibit voluntary:mandatory
optional:mandatory optional:required civil:criminal prosecution:defense majority:minority
winner:loser friend:enemy systolic:diastolic viral:bacterial artery:vein proximal:distal
anterior:posterior superior:inferior congenital:acquired agonist:antagonist diarrhea:constipation
tachycardia:bradycardia hypertension:hypotension mortality:survival inpatient:outpatient
donor:recipient liquid:solid maternal:paternal dominant:recessive prior:following
compulsory:optional compulsory:voluntary ahead:behind acidic:alkaline steep:flat steeper:flatter
rough:smooth sharp:blunt transparent:opaque singular:plural natural:artificial natural:synthetic
abstract:concrete absolute:relative qualitative:quantitative major:minor senior:junior urban:rural
introvert:extrovert optimist:pessimist ancestor:descendant bride:groom expand:shrink ascend:descend
attack:defend attach:detach reward:punish reward:punishment succeed:fail success:failure
victory:defeat admit:deny remember:forget alive:dead birth:death marry:divorce reveal:conceal
reveal:hide float:sink inhale:exhale peak:trough lengthen:shorten widen:narrow darken:lighten
brighten:darken brighten:dim soften:harden heating:cooling cold:warm hot:cool evaporate:condense
melt:solidify rise:plunge soar:plunge thicken:dilute beyond:within
metric:imperial single:double once:twice including:excluding include:exclude
"""

OPPOSITES = frozenset(
    frozenset(pair.split(":")) for pair in _OPPOSITES.split() if len(set(pair.split(":"))) == 2
)
"""Pairs of words of which one turns an answer into another."""

OPPOSITE_PARTS = (
    ("er", "ee"), ("or", "ee"), ("in", "de"),
    ("over", "under"), ("pre", "post"), ("hyper", "hypo"), ("macro", "micro"), ("inter", "intra"),
    ("up", "down"), ("in", "out"), ("in", "ex"), ("on", "off"), ("max", "min"),
    ("multi", "single"), ("ful", "less"), ("pre", "after"), ("endo", "exo"), ("mono", "poly"),
    ("homo", "hetero"), ("brady", "tachy"), ("anti", "pro"),
)  # fmt: skip
"""Beginnings, and endings, that make opposites of what follows or precedes them."""

NEGATING_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "de", "mis", "anti", "counter")

NAME_ALIASES = {
    "usa": "us", "america": "us", "american": "us", "americans": "us", "britain": "uk",
    "british": "uk", "european": "eu", "nyc": "ny",
}  # fmt: skip
"""Countries and cities as they are abbreviated, and who lives there."""

SAME_QUANTITIES = {
    "each": "every", "everybody": "everyone", "several": "multiple", "few": "multiple",
    "various": "multiple", "entire": "whole", "anybody": "anyone", "somebody": "someone",
}  # fmt: skip
"""Quantities that two words name alike."""

_SHARED = _words(
    "a i in an am so was will me on no do he as her us hat man war bat hand arm bad mar con pro min"
    " max plus minus son bit bar top tonne litre metre volt euro or ton part sale don fin ad ce dec"
    " franc peso lira euro krona krone baht rand carat lumen lux pixel decibel torr dirham square"
    " major minor senior junior singular plural rural natural absolute sink"
    " semester quid atm rad db ma dl horsepower dong dinar rial riyal bitcoin imperial mi cl metric"
    " sec men die not art gift rest mit note general normal personal local simple total"
)
"""English words that other languages have too."""

ENGLISH_WORDS = (
    FUNCTION_WORDS | WEAK_WORDS | NEGATIONS | AUXILIARIES | DATE_WORDS | UNIT_WORDS | ALL_WORDS
    | ONE_WORDS | LIST_WORDS | QUESTION_WORDS.keys() | NUMBER_WORDS.keys() | ORDINALS.keys()
    | {word for pair in OPPOSITES for word in pair}
) - _SHARED  # fmt: skip
"""Words that show that a text is English."""

FOREIGN_WORDS = _words(
    "el la los las del al una unos unas y que en por para con sin se su sus lo como más qué"
    " cómo cuál cuáles dónde cuándo cuánto cuántos puedo puede mi es son está hay de"
    " le les des du et est une dans sur qui quel quelle quels quelles comment où pourquoi je il"
    " elle nous vous ne pas aux cette mon ma mes avec sans peut puis combien quand faire"
    " der das und ist nicht ein eine einen einem einer ich wie kann mein meine meinen meinem dem"
    " den zu auf für von wo wann warum welche welcher welches wird sind kein keine mich sich bei"
    " oder gli che di non come cosa dove quando è sono mio mia della dei nel alla posso quale"
    " ou um uma não meu minha qual onde os na da dos"
    " het een van ik niet hoe mijn te wat waar kun je naar voor met"
    " og er det som hvordan jeg hva til med av ikke hur vad jag och att det"
    " jak czy nie na jest bagaimana apa yang saya cara untuk bir nasil"
)
"""Function words of the larger languages in Latin letters."""

AMBIGUOUS_WORDS = FUNCTION_WORDS & _SHARED
"""Function words that English shares with others."""
