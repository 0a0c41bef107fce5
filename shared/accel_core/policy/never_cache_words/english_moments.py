"""What `never_cache` listens for in English: whatever depends on the moment."""

from __future__ import annotations

from typing import Final

from accel_core.policy.never_cache_words.rule import Rule, any_of

MOMENTS: Final = {
    "day": any_of("today tonight tomorrow now right_now outside currently at_the_moment"),
    "sky": any_of("weather traffic forecast temperature"),
    "place": r"(?:in|at|on|to|for) (?!celsius|fahrenheit|kelvin)<a>(?: <a>)?",
    "asset": any_of(
        """bitcoins? btc ethereum eth crypto gold silver oil gas petrol diesel dogecoin dollar
        euro yen pound rupee usd eur gbp inr tesla apple google amazon microsoft nvidia stock
        share"""
    ),
    "held": any_of(
        """president prime_minister ceo cfo cto governor mayor king queen pope chancellor
        champions? record_holder leader minister price prices rates? time date day temperature
        weather forecast news status score standings ranking version release inflation exchange
        interest market trends? events? situation location population season number_one traffic
        balance openings net_worth offers? promotions? deals? wait gdp"""
    ),
    "daily": any_of(
        """weather news date day game match prices? rates? menu specials? schedule episode stock
        session forecast scores? headlines lottery numbers puzzle word horoscope meetings? agenda
        deals? events? temperature high low appointments? lunch dinner show concert race"""
    ),
    "match": any_of("game match fight race won win happened closed? said lose lost play"),
    "month": any_of(
        """january february march april may june july august september october november december
        summer winter spring autumn"""
    ),
    "sincenow": r"(?<!usa today)(?<!until today)(?<!since today)(?<!from today)(?<!if today)",
    "free": any_of("open closed hiring available in_stock"),
    "due": any_of("train bus flight game match episode meeting holiday race election eclipse stop"),
    "coming": r"(?:next|upcoming) (?!to |steps? |thing |big |best |door |time )<a>",
    # The asker tells what happened, or asks what the model itself does or likes.
    "told": r"<i>(?: 've| 'm| am| have| had| just)? (?:<did>|(?!need)\w+ed|\d+)",
    "did": any_of(
        "was were am went got made did bought put had took sent saw have currently work now"
    ),
    "survey": r"""did you
        are you (?!open|closed|hiring|available|working|serving)<a>
        do you (?:think|feel|like|love)
        (?:made|makes?) (?:you|your)
        you (?:did|are|learn\w*)
        your (?:<word>{0,2}?favou?rite|life)
        how (?:are|old are) you
        in life""",
}

VOLATILE: Final = (
    Rule(
        "volatile",
        """weather temperature forecast hot cold warm windy humid raining snowing rain snow umbrella
        traffic sunset sunrise""",
        r"""(?:what|how)<is> the <sky>(?: (?:like|looking|report))*(?: <place>)?(?: <day>)*<end>
        weather <word>{0,4}?(?:today|tomorrow|tonight|now|this|next|forecast|outside|report)
        weather (?:in|for) <a>(?: <a>)?<end>
        (?:is|will) it (?:going to |gonna |still |currently )?(?:rain|snow)(?:ing)?
        do i need an umbrella
        how (?:hot|cold|warm|windy|humid) is it(?: outside)?(?: <day>)*<end>
        (?:temperature|weather) outside
        any traffic
        (?:when|what time)<is>? (?:the )?(?:sunset|sunrise)""",
        "<means>|affects?|in <month>",
    ),
    Rule(
        "volatile",
        "much usd eur gbp inr price prices worth rate rates trading market markets",
        r"""<asset> prices? (?:today|now|of|for|right|in) <a>
        what<is> (?:the )?<plain>{0,2}?<asset>(?: stock| share)? (?:price|rate)s?
        what<is> (?:the )?(?:stock |share )?(?:price|value|rate)s? (?:of|for) (?:an? |1 )?<asset>
        how much<is> (?:an? |one |\d+ )?<asset>s? (?:stock |shares? )?(?:worth|trading|in|going)
        what<is> (?:the )?(?:<a> to <a> |(?!an? )<plain>{0,2}?)(?:exchange rate|mortgage rates)
        how(?:<is>| did) the <plain>{0,1}?markets? (?:doing|today|close|open|perform)
        is the (?:stock )?market (?:open|up|down|closed)
        trading at
        <asset>s? (?:to|in|into) <asset>s?(?: rate)?<end>""",
        r"<general>|why|determin\w+|calculat\w+|in \d{4}",
    ),
    Rule(
        "volatile",
        "news headlines trending happening playing new score scores winning leading won",
        r"""(?:any|recent|breaking|local|world|today 's|top|sports) (?:news|headlines)
        news (?:today|this|right|now)
        <start>news (?:about|on|from|for) <a>
        what<is> (?:in )?(?:the )?(?:news|headlines|trending)
        what<is> happening (?:in|at|with|today|tonight|right|this) <a>
        what(?: is| 's|s) new(?: with| in|<end>)
        what(?: is| 's|s) (?:playing|on tv)
        what<is> the <plain>{0,2}?scores?(?: of| in| for|<end>)
        who(?: is| 's|s) (?:winning|leading)
        who won (?:the )?(?:(?:today|yesterday|last night) 's )?<plain>{0,2}?<match><end>""",
        r"<means>|fake news|\d{4}|credit",
    ),
    Rule(
        "volatile",
        "time date day year month",
        r"""what (?:time|day|date|year|month) is (?:it|today)(?: <place>)?(?: <day>)?<end>
        what(?: is| 's|s) (?:the |today 's )(?:time|date|day)(?: <place>)?(?: <day>)*<end>
        <start>time (?:now|in) <a>""",
        "<means>",
    ),
    Rule(
        "volatile",
        "until till next upcoming",
        r"""how (?:many|long) <word>{0,4}?(?:until|till) (?!an? |it |i |you |we |they |my )<a>
        (?:when|what time)(?:<is>| do| does| will) <plain>{0,3}?(?:the <plain>{0,2}?)?<coming>
        (?:what|where|who)(?:<is>| will) <plain>{0,2}?the next <plain>{0,2}?(?:<due>|<held>)
        (?:play|race) next<end>
        next (?:train|bus|flight|game|match|episode)
        upcoming <plain>{0,3}?(?:movies?|games?|elections?|events?|concerts?|holidays?|match)""",
        r"<general>|\d{4}",
    ),
    Rule(
        "volatile",
        "open closed down delayed available hiring stock wait queue line random flip toss roll",
        r"""<start>(?:<hello> )*<word>{0,3}random (?:number|word|letter|name|color|card)
        <start>(?:<hello> )*pick <word>{1,8}?at random
        (?:flip|toss) a coin
        roll (?:a|the|two|\d+) (?:dice|die|d20)
        <start>(?:is|are) (?:the |my |your )?<plain>{1,3}?(?:down|delayed|on time|back online)<end>
        how long is the (?:wait|queue|line)
        <start>(?:is|are) (?:the|your|any) <word>{1,4}?<free>(?: <day>| yet| still|<end>)
        are you <free>(?: <day>| yet| still|<end>)""",
        "<means>",
    ),
    Rule(
        "volatile",
        "now moment",
        r"""right now
        at (?:the|this) (?:very |present )?moment
        as of (?:right )?now
        now<end>(?<!from now)(?<!until now)(?<!till now)(?<!before now)(?<!by now)(?<!what now)
        is now a""",
        r"<general>|(?:what|who|where)<is> (?!it |he |she |they )<a> now|<survey>|<told>"
        "\n(?:days|weeks|months|years) (?:from )?now",
    ),
    Rule(
        "volatile",
        "today tonight tomorrow yesterday night",
        r"""today(?! 's)<sincenow>
        today 's <daily>
        tonight(?! show)
        tomorrow(?: 's <daily>|<end>| morning| night| evening| in| at)
        <match> <word>{0,5}?yesterday
        (?:yesterday|last night) 's <daily>""",
        "<general>|<survey>|<told>|why|would|world|useful|become|became"
        "|still (?:have|exist|relevant|used|practiced|alive|around)|exists?",
    ),
    Rule(
        "volatile",
        "latest newest current version release",
        "(?:latest|newest|current) <plain>?(?:version|release|update)",
        "<general>|<told>|how (?:do|does|did)|(?:please |can you )*<craft>",
        firm=True,
    ),
    Rule(
        "volatile",
        "latest newest recent current currently up-to-date real-time live",
        r"""(?:latest(?<!at the latest)|newest) (?!age|date|year|you|i |time|possible)<a>
        most recent <a>
        current(?<!my current)(?<!electric current)(?<!a current) <plain>{0,2}?<held>
        currently(?<!i currently)(?<!am currently)(?<!'m currently)(?<!im currently)
        up-to-date
        real-time (?:<held>|data)
        live (?:scores?|stream|updates?|price|results)""",
        "<general>|<survey>|<told>|how (?:do|does|did)",
    ),
    Rule(
        "volatile",
        "week weekend month year season morning afternoon evening night",
        r"""this (?:coming |past )?(?:week|weekend|month|year|season)
        (?:who|did|what|<sky>|<match>) <word>{1,8}?this (?:morning|afternoon|evening)
        (?:who|did|what) <word>{1,8}?last (?:night|week|weekend)""",
        r"<general>|<survey>|<told>|\d{4}",
    ),
)
