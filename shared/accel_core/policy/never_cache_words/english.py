"""What `never_cache` listens for in English: deeds, and the asker's own data."""

from __future__ import annotations

from typing import Final

from accel_core.policy.never_cache_words.english_moments import MOMENTS, VOLATILE
from accel_core.policy.never_cache_words.rule import Language, Rule, any_of

_DROP = "cancel delete erase unsubscribe uninstall dismiss"
_DO = """deactivate terminate reschedule postpone refund reimburse transfer wire withdraw redeem
freeze unfreeze block unblock suspend renew confirm dispute approve reject decline void archive
snooze mute unmute unfollow rebook escalate authorize revoke pay reorder"""
_ALTER = """change update edit remove add move replace return exchange report clear rename extend
submit reset set close reopen open stop start pause resume restart reboot lock unlock enable
disable activate upgrade downgrade switch turn forward print upload post run merge deploy assign
put increase decrease raise lower dim push kill place apply ship link unlink mark shut charge
release"""
_ERRAND = """remind wake alert notify text ping email e-mail mail message send forward call phone
ring dial sign log enrol enroll register subscribe opt connect let get give issue find buy sell
purchase order book reserve schedule arrange hail check lend venmo zelle deposit donate drop make
create file play do undo redo proceed go skip repeat replay share"""

_PEOPLE = {
    "i": any_of("i we"),
    "my": any_of("my our"),
    "is": "(?:s| 's| is| are| was| were| 're)",
    "not": "(?:n 't|nt| not)",
    # What may stand between "my" and the thing.
    "plain": "(?!<joint> )<word>",
    "joint": any_of("the to of for with in on as by from that is are be and or if when not 's"),
    "own": "<my> <plain>{0,3}?<record>",
    "record": any_of(
        r"""accounts? balances? orders? packages? parcels? delivery deliveries shipments? refunds?
        payments? appointments? meetings? calendars? schedules? agenda bookings? reservations?
        flights? tickets? subscriptions? memberships? bills? invoices? statements? transactions?
        transfers? cards? loans? paychecks? salary mortgage applications? claims? points miles
        rewards inbox messages? e-?mails? mail notifications? voicemails? reminders? alarms?
        timers? tasks? to-?do_list todos? shopping_list playlists? contacts? files? documents?
        usage plan prescriptions? results grades? limit location address phone_number portfolio
        investments? savings spending expenses budget cart wallet profile password username pin
        deadlines? shifts? seat gate luggage driver ride top-?ups? deposits? cheques?
        direct_debits? withdrawals? money cash purchases? events? policy contract lease visa
        coverage deductible credit_score pull_requests? builds? server"""
    ),
    "moved": any_of(
        r"""payments? transfers? cards? orders? packages? parcels? refunds? deposits? delivery
        fees? shipments? top-?ups? cheques? transactions? withdrawals? direct_debits? bookings?
        money cash flights? luggage claims? paycheck invoices? subscription purchases?"""
    ),
    "queried": r"""what<is> <sought>{0,7}?
        <start>(?:is|are|was|were|has|have|did|does|did<not>|has<not>)<gap>
        how (?:much|many|long|far|high|low) <sought>{0,6}?
        (?:how(?:<is>| did)|(?:where|when) (?:was|were|did)|<start>(?:did|has) <a> <a>(?: to)?)<gap>
        (?:any(?:thing)?|something|there) <plain>{0,4}?(?:on|in|for|from|about|with)<gap>
        who (?:called|paid|sent|is|has|charged|used) <plain>{0,2}?(?:(?:on|in|from|to) )?""",
    "gap": "[ ]",
    "sought": "(?!<aim> )<word>",
    "aim": any_of("best good way ways to how if why point use risk should can would takes?"),
    "view": any_of(
        "show tell give check track find look_up pull_up list see read display fetch view"
    ),
    "ask": "(?:<start>(?:<hello> )*|please |you |me |(?:want|like|need) to |<i> )",
    "item": r"""(?:order|ticket|claim|flight|case|request|build|package|parcel|job) \w*\d\w*
        (?=\w*[a-z])\w*\d\w*""",
    "part": "(?:me|us|out|for|if|whether|about|on|up|what|the|all|of|in|status|balance|is) ",
    "past": any_of(
        r"""charged? billed paid pay refunded received? order(?:ed)? book(?:ed)? miss(?:ed)?
        spen[dt] overdrawn approved registered enrolled scheduled subscribed logged reached used
        exceeded sen[dt] forg[eo]t said say ask(?:ed)? buy bought eat doing over_my
        free_(?:on|at|today|this)"""
    ),
    "billed": any_of("charged billed debited overcharged refunded"),
    "went": any_of(
        r"""never seems? has have had was were did got failed went disappeared keeps? hasn haven
        wasn didn isn aren doesn don won hasnt didnt wasnt isnt is_not"""
    ),
}

_COMMANDS = {
    "count": any_of("<number> one two three four five six seven eight nine ten a_dozen"),
    "sum": any_of(
        "<number> twenty fifty hundred thousand money cash funds dollars euros pounds bucks"
    ),
    "it": any_of("my our me us it this that these those them him her all every everything"),
    "the": any_of("my our this that these those the all"),
    "me": any_of("me us him her them"),
    "drop": any_of(_DROP),
    "do": any_of(_DO),
    "alter": any_of(_ALTER),
    "book": any_of("book reserve order schedule arrange"),
    "thing": any_of(
        r"""<record> lists? servers? services? jobs? backup instance vm container cluster lights?
        lamp tv television heating heater thermostat ac air_conditioning fan doors? garage blinds
        curtains volume music song wifi folders? photos? thread settings computer oven dishwasher
        vacuum camera complaint dispute wishlist queue temperature rent ones? name details issues?
        room table timesheet requests? deployment pod promo_code coupon prs?"""
    ),
    "errand": any_of(
        """alarm timer reminder appointment reservation booking payment transfer deposit donation
        complaint claim dispute ticket order meeting event case bet trade stopwatch countdown
        call"""
    ),
    "note": any_of(
        "message text e-?mail invite invitation invoice note reply receipt gift reminder"
    ),
    "how": any_of(
        "to at in on about when tomorrow by if every my the this that your an?_(?:copy|link)"
    ),
    "verb": "(?:<drop>|<do>|<alter>|<book>)",
    "within": r"(?:<plain>{0,3}?|<word>{0,4}?(?:to|from|in|on|for|of|with) )",
    "command": r"""<drop> (?:<it>|the|both|<number>)
        (?:<do>|<book>) (?:<it>|<sum>)
        <verb> (?:(?:off|on|up|down) )?<within>(?:<the>|<a> 's) <plain>{0,2}?<thing>
        <verb> (?:(?:off|on|up|down) )?<thing> (?:(?:number|no|id) )?(?:\w*\d\w*|please)
        (?:turn|switch|shut) (?:on|off|up|down) <thing>
        (?:<drop>|<do>) <thing><end>
        (?:deploy|push|ship|release) (?:<a> )?to (?:production|prod|staging|main|master)
        (?:skip|repeat|replay) (?:this|that|it|the) <a>
        share (?:my|our) <a>
        sell all (?:my|the) <a>
        (?:turn|switch) (?:it|them|that|everything) (?:on|off|up|down)
        (?:set|create|start|make|open|file|place) (?:me )?(?:an?|the|another) <plain>{0,3}?<errand>
        (?:order|buy|sell|purchase|reserve) (?:<count>|some|more|another) (?!of |is |and )<a>
        (?:buy|purchase|get|find|call|hail) (?:me|us) (?:an?|some|the|<count>)
        (?:remind|alert|notify|text|ping|e-?mail|mail|message|send|forward|wake) <me>(?: up)? <how>
        (?:text|call|message|e-?mail|phone|ring|dial) (?:mom|mum|dad|my|him|her|them|back|<number>)
        call me (?:at|back|when|tomorrow|in|on|<number>)
        call (?:an?|the) (?:cab|taxi|uber|ambulance|police|office|bank|doctor|hotel|school)
        (?:sign|log|check) me (?:up|in|out)
        (?:add|remove|enroll?|register|subscribe|unsubscribe|opt|put|connect) me
        let me (?:talk|speak) (?:to|with)
        pay (?:off )?(?:the|my|for (?:the|my|it|this)) <a>
        (?:send|pay|transfer|wire|lend|venmo|zelle|deposit|withdraw|move|donate) <plain>{0,3}?<sum>
        (?:send|drop) (?:<plain>{1,3}?)?(?:an?|the|my|this|that|it) <plain>{0,2}?<note>
        send (?:it|this|that|them) to
        post (?:it|this|that)
        play (?:some|my|next|that|this|music|songs|a song|the (?:song|next|album|playlist|radio))
        (?:do|undo|redo|stop|submit|send) (?:it|that|this)<end>
        (?:proceed|go ahead|undo)<end>
        (?:give|issue|get) me (?:an? |my )?<plain>{0,1}?(?:refund|replacement|money)""",
    "wish": "<book> (?:an?|some|another|tickets|seats|<count>) (?!of )<a>",
    "hello": any_of(
        """please pls plz kindly hi hello hey there ok okay yes no so and then also now well
        actually just alexa siri google alright great thanks go_ahead_and let_'s lets"""
    ),
    "begin": "(?:<start>(?:<hello> )*|(?:please|pls|plz) |(?:'d|would|i|just) <want>)",
    "want": "(?:like|want|need|wanna) (?:you )?(?:to )?(?!.* (?:how|what|which|where|should) )",
    "canyou": "<start>(?:<hello> )*(?:can|could|would|will) (?:you|u) (?:(?:<hello>|help me) )*",
}

_GENERAL = {
    "general": r"""how to
        how (?:do|does|can|could|should|would|might|will) (?:<i>|you|u|one|people|an?)
        (?:ways? (?:to|of)|steps? to|process (?:to|of|for)|tips|advice|recommend\w*|suggest\w*)
        (?:what|when|where|who|which <a>|why) (?:should|could|would|must|if|can <i>)
        what (?:do|does) (?:<i>|you|one|it) (?:do|need|take|cost)
        (?:what|how) about
        (?:should|must) (?:<i>|you|one)
        is (?:it|there) (?:an?y? )?(?:possible|ok|okay|safe|legal|illegal|better|worth|good|bad|way)
        <means>""",
    "means": any_of(
        r"""means? meant meaning definition define synonyms? etymology pronounced? translation
        difference_between differ stands?_for examples?"""
    ),
    "craft": any_of(
        """write draft compose rewrite rephrase paraphrase translate summari[sz]e implement
        generate explain describe design imagine act_as you_are pretend complete correct proofread
        classify"""
    ),
}

ENGLISH: Final = Language(
    _PEOPLE | _COMMANDS | MOMENTS | _GENERAL,
    r"""<start>(?:(?:please|can you|could you|help me|now) )*<craft>
    <code>
    (?:react|vba|svg|numpy|pandas|django|docker|kubernetes|github|vim|dataframe|latex|array|query)
    (?:function|script|algorithm|api)
    (?:this|the|my|following|source) code
    code (?:that|to|for|which|below|in)
    (?:lyrics|chords|soundtrack|synopsis|explained|sentences?|paragraph|passage|essay|equation)
    (?:story|poem|screenplay)
    following (?:text|words?|numbers?|list|code|table|data)""",
    (
        Rule(
            "acting",
            f"{_DROP} {_DO} {_ALTER} {_ERRAND} replacement money",
            """<begin>(?:<command>|<wish>)
            <canyou><command>
            (?:'d|would|i|just) <want>(?:an? |my )(?:full )?(?:refund|replacement|money back)""",
            r"<means>|vs|versus|or .*\?",
        ),
        Rule(
            "personal",
            "my our",
            r"""(?:where|when)(?: is|s| 's| are| does| will) <my>
            <queried><own>
            what(?:s| 's| is| was) my (?:(?:last|previous) <a>|<word>{0,2}<a><end>)
            (?:which|any|how many) of my <a>
            will <my> <plain>{0,2}?<moved> (?:arrive|come)
            why (?:is|was|were|has|have|did|does|are)<not>? <my> <plain>{0,2}?<moved>""",
            "<general>|options|chances|rights|if",
        ),
        Rule(
            "personal",
            "my our",
            "<my> <plain>{0,2}?<moved> (?:(?:still|just|also|already) )*<went>",
            "(?:if|when|whenever|unless|after|before) <my>|<general>",
        ),
        Rule(
            "personal",
            "show tell give check track find look pull list see read display fetch view status",
            r"""<ask><view> <part>{0,5}<plain>{0,2}?<own>
            (?:show|tell) me (?:what|which) <plain>{0,2}?<record> <i> have
            (?:status (?:of|on|for)|track) <plain>{0,2}?(?:the )?<item>""",
            "<means>|(?:how|where) (?:to|do|does|can|could|should)|(?:ways?|app|someone|people) to",
        ),
        Rule(
            "personal",
            "i",
            r"""how (?:much|many) <plain>{0,4}?do i (?:still |currently |now )?(?:have(?! to )|owe)
            how (?:much|many) <plain>{0,4}?(?:did|have|was|am) i
            do i (?:still |currently )?have <plain>{0,3}?(?:<record>|calls?|class(?:es)?|plans|left)
            do i (?:have (?:anything|something)|(?:still )?owe)
            (?:<start>|what |which )(?:which )?<plain>{0,3}?<record> do i have(?! to )
            (?:when|where) (?:did|was) i
            what (?:did|was) i (?:just )?<past>
            what time (?:do|did|am) i
            when (?:do|am) i (?:next |have(?! to )|fly|leav|work|land|arriv|get paid|meet|due)\w*
            what do i have (?:on|today|tomorrow|this|next|planned|scheduled|due|going|left)
            (?:what|which) <word>{1,3}?(?:am i (?:on|in|using|paying|enrolled)|did i)
            <start>(?:did|have|was|am) i (?:(?:already|been|still|ever|just) )*<past>
            where am i(?: now| right now)?<end>
            i (?:was|got|have been|am being|'ve been|keep getting) <plain>{0,1}?<billed>
            i (?:still |just )?(?:have<not>|did<not>|never) (?:yet )?(?:received?|get|got) <own>
            why (?:do|did|have|was|am) i (?!need|want|have to )<plain>{0,3}?(?:<billed>|<moved>)""",
            "<means>",
        ),
        Rule(
            "personal",
            "near nearest closest nearby around area new unread missed",
            r"""(?:any|many) <plain>?(?:new|unread|missed) (?:messages|e-?mails|calls|texts)
            near (?:me|here|my (?:house|home|place|location|hotel|office))
            around here<end>
            (?:nearest|closest) <word>{1,3}?to (?:me|here|us|my)
            where(?:s| is| 's| are) the (?:nearest|closest) (?!star|galaxy)<a>
            (?:<start>|any |find |find me )<word>{1,2}nearby<end>
            in my area<end>""",
            "<means>",
        ),
        *VOLATILE,
    ),
)
