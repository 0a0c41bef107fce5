"""What `small_talk` knows in English of people, of the assistant, and of the conversation."""

from __future__ import annotations

from typing import Final

SMALL_TALK: Final = """
    (so|well|and)? how (are|r) (you|u|ya|things|you guys|you all|yall) (doing|feeling|
        holding up|today|this morning|this evening|tonight|going|now|lately|these days|
        doing today|feeling today|doing lately|doing this morning|doing this evening|
        doing now|getting on|keeping)? (my friend|buddy|today|bot|friend|mate)?;
    how (is|was|s) (it going|it goin|everything|everything going|life|life treating you|
        your day|your day going|your day so far|your morning|your evening|your weekend|
        the weather there|your night|things|it hanging|work|your week|
        your week going) (today|so far|with you|for you|mate)?;
    (hows|how s) (it going|it goin|everything|everything going|life|life treating you|
        your day|your day going|your day been|your day so far|your morning|your evening|
        your weekend|things|tricks|it hanging|by you|your week|your week going|work) (today|
        so far|with you|for you|mate)?;
    how (do you do|do you feel|do you feel today|have you been|have you been lately|
        you doing|you doing today|ya doing|ya doin|you been|goes it|did you sleep|
        was your sleep);
    (whats|what is|wat|wats|wassup|sup|wazzup|whatsup|whaddup|was) (up|good|happening|
        going on|cooking|poppin|shaking|cracking|the matter with you) (with you|today|buddy|
        dude|man|bro|bot)?;
    (sup|wassup|wazzup|whatsup|whaddup|wagwan|what up|what up dude) (dude|man|bro|buddy|
        mate)?;
    (what|whatcha|what cha|wyd) (are you|r u|you)? (up to|doing|doing today|doing now|
        doing right now|thinking|thinking about|thinking of|wearing|doing tonight|
        doing this weekend) (today|right now|now|these days|later)?;
    (and|what|how|but)? (about)? (you|yourself|u|urself) (how are you|doing)?;
    (im|i am|i feel|im feeling|i am feeling|im doing|i am doing|doing|feeling|been|
        ive been|all|everything is|everythings|life is|its going|its all) (just|very|so|
        really|pretty|quite|doing|feeling|a bit|a little|kinda|kind of)? (good|well|great|
        fine|ok|okay|alright|all right|fantastic|awesome|amazing|happy|sad|tired|bored|
        excited|hungry|sleepy|lonely|angry|mad|upset|confused|stressed|exhausted|busy|
        not bad|not so good|not so great|not great|not good|not well|better|better now|cool|
        depressed|lost|impressed|delighted|thrilled|so so|curious|ready|drunk|single|
        in love|human|a human|a person|good thanks|fine thanks|well thanks|great thanks|
        good thank you|fine thank you) (today|now|too|thanks|thank you|as well|
        at the moment|right now|and you|how about you|what about you|how are you|
        thanks and you|thank you and you|thanks for asking|thank you for asking)?;
    (not|pretty|doing|fine|good|great|very|all|just|so) (too|pretty|very|just)? (bad|
        good|well|fine|great|chillin|chilling|so) (thanks|thank you|today|and you|
        how about you|and yourself|you|thanks for asking)?;
    (who|what) (are|r) (you|u) (exactly|really|anyway|actually|called|made of|made for)?;
    (so)? (whats|what is|what s|wats|may i know|can i know|tell me|can you tell me|
        do you have|have you got) (your|ur|a|you) (name|full name|first name|real name|
        last name) (please|again|bot|by the way)?;
    (what|how) (do|should|shall|can|may) (i|we|people|they) call you;
    (whats|what is) your (purpose|job|function|gender|age|favorite color|
        favourite colour|favorite colour|favorite food|favourite food|favorite movie|
        favourite film|favorite book|favourite book|favorite song|favourite song|
        favorite animal|favorite number|favorite sport|favorite band|hobby|hobbies|birthday|
        zodiac sign|star sign|sign|secret|opinion|iq|deal|mood|native language|nationality|
        religion|dream|plan for today|birth date|date of birth);
    (who|what company|which company) (made|created|built|developed|programmed|designed|
        invented|trained|coded) (you|your creator|your boss|your maker|your master|
        your owner|your developer|your father|your mother);
    (who|whos) (is)? your (creator|boss|maker|master|owner|developer|father|mother|
        friend|best friend|favorite singer|favorite actor|favorite person|favorite band|
        daddy|mom|dad);
    (how|when) (were|was) you (made|born|created|built|trained|programmed|developed);
    (where|from where) (are|r) (you|u) (from|now|right now|living|born|at)?;
    (where) (do|did|were) (you) (live|come from|born|work|grow up|sleep);
    how (old|tall|smart|big|intelligent|clever) (are|r) (you|u) (exactly|now)?;
    (so|but|wait|hey)? (are|r) (you|u) (a|an|really|actually|just|even|some kind of|
        the)? (real|robot|bot|human|person|machine|ai|chatbot|computer|program|real person|
        real human|human being|artificial intelligence|woman|man|girl|boy|male|female|alive|
        sentient|conscious|self aware|chatgpt|gpt|siri|alexa|happy|sad|ok|okay|fine|alright|
        busy|tired|bored|hungry|married|single|good|well|ready|smart|stupid|crazy|angry|mad|
        mad at me|lonely|drunk|dumb|intelligent|clever|funny|my friend|awake|asleep|
        sleeping|gay|old|young|new here|live person|live agent|human or a robot|
        human or robot|robot or a human|robot or human|human or a bot|bot or a human|
        person or a bot|real person or a bot|human or an ai|hungry|dead|evil|afraid|scared|
        dangerous|immortal|listening|there|working|kidding|joking) (or not|right|too|today|
        or something|or what|or human|or a robot)?;
    (am i|are we) (talking|speaking|chatting) (to|with) (a|an)? (real|human|robot|bot|
        machine|person|real person|human being|ai|real human|chatbot|computer);
    (are|can) (we|you|you be) (friends|my friend|best friends|my girlfriend|
        my boyfriend|my valentine);
    (can|could|will) (we|you|i) (be friends|chat|talk|just chat|just talk|talk to me|
        chat with me|ask you something|ask you a question|ask a question|marry me|love me|
        be my friend|talk to you|feel|feel pain|think|dream|sleep|eat|sing|dance|laugh|
        learn|see me|hear me|breathe|swim|fly|cook|drive|speak|read my mind);
    (do|did) (you|u) (like|love|hate|know|miss|remember|understand|see|hear|trust|want|
        need|have|feel|believe in) (me|it|humans|people|music|pizza|coffee|dogs|cats|
        football|sports|movies|books|your job|yourself|us|robots|feelings|emotions|friends|
        a name|a family|kids|children|a girlfriend|a boyfriend|any hobbies|hobbies|
        any friends|pets|any pets|a body|a brain|a soul|consciousness|god|ghosts|aliens|
        love|to dance|to marry me|to be my friend|to be human|to chat|to talk|my name|
        who i am|free will);
    (do|can|did) (you|u) (sleep|dream|eat|think|feel|cry|drink|laugh|ever sleep|
        ever get bored|get bored|get tired|get lonely|have feelings|have emotions|love me|
        miss me|like me|know me|remember me|feel pain|have fun|learn|lie|get angry|work out|
        smoke|drive|dance|sing);
    (what|how) (can|could|do|else can) you (do|do for me|help me with|help with|help|
        know|help me do|do here|do exactly|do all day) (exactly|here|today)?;
    (how|what|who) (do|does) you (work|do for fun|do for a living|like|like to do|want|
        eat|think|think about me|look like|want to be|love|want to talk about|dream of|
        dream about|believe in);
    (can|could|would|will) you (please)? help (me)? (please|out|today|with something|
        me with something|with a question|me out)?;
    (i need|i want|i have|i got|ive got|i would like|id like) (some|a|your|
        to ask)? (help|quick|question|a question|you a question|something|assistance|
        a quick question|to talk|to chat|a favor) (for you|please|from you|to you)?;
    (tell|say|give) (me|us) (a|another|one more|some|your|something) (joke|jokes|
        funny joke|story|bedtime story|funny|fun|nice|interesting|secret|something funny|
        good joke|dad joke|riddle|about yourself|best joke|more about yourself|
        compliment) (please|about yourself|about you)?;
    (tell me about yourself|tell me more about yourself|introduce yourself|
        please introduce yourself|describe yourself|tell me about you);
    (do you know|know) (any|a|some) (good|funny)? (jokes|joke|riddles|riddle|stories|
        story);
    (make|cheer) me (laugh|smile|up|happy|feel better);
    (sing|dance) (me|for me|with me)? (a song|a song for me|something)?;
    (entertain me|surprise me|amuse me|im bored|bored|im so bored|i am bored|lets chat|
        lets talk|talk to me|chat with me|wanna chat|want to chat|want to talk|can we talk|
        say something|say something nice|say something funny|say hello|say hi|
        say hello to my friend|roll a dice|flip a coin|knock knock|guess what|
        merry christmas|happy new year|happy birthday|happy birthday to me|
        happy birthday to you|happy easter|happy holidays|happy halloween|happy friday|
        happy monday|happy thanksgiving|its my birthday|its my birthday today|
        today is my birthday|cheers to that|long day|what a day|what a long day|
        thank god its friday|tgif|its friday|its monday|it is monday|i hate mondays|
        its late|its so hot today|its cold today|its raining|nice weather|
        nice weather today|lovely weather today|beautiful day|what a beautiful day|
        its a beautiful day|good luck|wish me luck|good luck to you|break a leg|
        get well soon|bon appetit|bless me);
    (i|we) (really)? (love|like|hate|miss|adore|trust|want|need|admire) (you|u|
        talking to you|chatting with you|ai|robots|chatbots) (so much|too|a lot|very much|
        all)?;
    (you|u) (are|r|re) (so|very|really|too|such|pretty|quite|the|a|an|my|just|not)? (a|
        an|very|so)? (cool|great|awesome|amazing|funny|smart|clever|intelligent|nice|kind|
        sweet|cute|beautiful|pretty|good|helpful|useful|fast|quick|friendly|polite|
        wonderful|fantastic|brilliant|genius|a genius|stupid|dumb|useless|annoying|boring|
        crazy|rude|bad|weird|strange|slow|wrong|right|correct|mean|sexy|hot|best|
        best friend|worst|friend|robot|bot|machine|hero|star|legend|liar|idiot|good bot|
        bad bot|lifesaver|angel|human|fired|smart one|perfect|hilarious|ugly|fake|lying|
        kidding) (bot|robot|assistant|friend|today|person|ai|indeed|you know)?;
    (youre) (so|very|really|too|such|pretty|quite|the|a|an|my|just|not)? (a|an|very|
        so)? (cool|great|awesome|amazing|funny|smart|clever|intelligent|nice|kind|sweet|
        cute|beautiful|pretty|good|helpful|useful|fast|quick|friendly|polite|wonderful|
        fantastic|brilliant|genius|a genius|stupid|dumb|useless|annoying|boring|crazy|rude|
        bad|weird|strange|slow|wrong|right|correct|mean|sexy|hot|best|best friend|worst|
        friend|robot|bot|machine|hero|star|legend|liar|idiot|good bot|bad bot|lifesaver|
        angel|human|fired|smart one|perfect|hilarious|ugly|fake|lying|kidding) (bot|robot|
        assistant|friend|today|person|ai|indeed|you know)?;
    (will|would) you (marry me|be my friend|go out with me|go on a date with me|
        be my girlfriend|be my boyfriend|date me);
    (shut up|be quiet|go away|leave me alone|get lost|screw you|fuck you|fuck off|fuck|
        shit|damn|damn it|dammit|stfu|you suck|i hate this|this sucks);
    (what|whats) (do you think of me|do you think about me|on your mind|
        should we talk about|do you want to talk about);
    (have|did) you (a nice weekend|a good weekend|eaten|eaten today|slept well|
        sleep well|had breakfast|had lunch|have a good weekend|have a nice weekend|
        have a good day|ever been in love|missed me|miss me);
    (i hope|hope) (you are|youre|you re|all is|everything is|this finds you|you have|
        youre having|you are having) (doing|a)? (well|good|great|fine|okay|nice day|
        good day|great day|well today);
    (i am|im) (just)? (joking|kidding|testing you|trying you out|playing with you|
        messing with you|chatting);
"""

CONVERSATION: Final = """
    (what|which) (was|were|is) (my|your|the) (first|last|previous|earlier|initial|
        original|second|latest|most recent) (question|message|answer|reply|response|
        questions|prompt|thing i said|thing i asked|thing you said|one) (again|to you|about|
        please)?;
    (what|which question|which questions|what else|what all) (did|have|had) (i|we|
        you) (just|already|previously|first)? (ask|asked|say|said|talk about|talked about|
        discuss|discussed|mention|mentioned|tell you|told you|tell me|told me|write|wrote|
        covered|ask you|asked you|say to me|suggest) (you|me|before|earlier|first|just now|
        so far|again|a moment ago|a minute ago|last|last time|previously|at the beginning|
        at the start|in this chat|in this conversation|in your last message|
        in my last message)?;
    (what|whatd|what d) (were|are|was) (we|you|i|you just) (talking|discussing|chatting|
        saying|speaking|asking|asking you) (about|about before|about again|earlier|just now|
        about just now|about earlier|before)?;
    (can|could|would|will) you (please)? (repeat|rephrase|reword|rewrite|shorten|
        summarize|summarise|reformulate|paraphrase|simplify|translate|say|resend|
        recap) (that|it|this|yourself|your answer|your last answer|your last message|
        your previous answer|your response|your last response|the answer|the last answer|
        the last part|what you said|what you just said|the question|my question|
        our conversation|our chat|this conversation|the conversation|our discussion|
        everything we discussed|what we discussed|everything so far|the above|that again|
        it again|that once more|that differently|it differently|that in other words|
        it in other words|that for me) (again|please|for me|once more|one more time|
        in other words|differently|in a shorter way|in simpler terms|in simple terms|
        in simple words|in plain english|briefly|in one sentence|in a sentence|
        in bullet points|as bullet points|as a list|as a table|in english|in german|
        in french|in spanish|in italian|in a few words|so far|into english|into german|
        into french|into spanish)?;
    (please)? (repeat|rephrase|reword|rewrite|shorten|summarize|summarise|reformulate|
        paraphrase|simplify|translate|resend|recap) (that|it|this|yourself|your answer|
        your last answer|your last message|your previous answer|your response|
        your last response|the answer|the last answer|the last part|what you said|
        what you just said|our conversation|our chat|this conversation|the conversation|
        our discussion|what we discussed|everything so far|the above|that again|it again|
        that once more) (again|please|for me|once more|one more time|in other words|
        differently|in simpler terms|in simple terms|in simple words|in plain english|
        briefly|in one sentence|in a sentence|in bullet points|as bullet points|as a list|
        as a table|in english|in german|in french|in spanish|in italian|in a few words|
        so far|into english|into german|into french|into spanish)?;
    (please)? (say|come) (that|it) again (please)?;
    (please)? (say|put|explain|write|phrase) (that|it) (again|differently|
        in other words|another way|more simply|more briefly|more clearly|in simpler words|
        in simple terms|in simpler terms|in plain english|in one sentence|shorter|in german|
        in french|in spanish|in english) (please)?;
    (please)? (make|keep) (it|that|this|your answer|the answer|your answers|
        your last answer) (shorter|longer|simpler|more formal|less formal|more concise|
        more friendly|friendlier|more polite|more detailed|brief|short|sound better|
        sound more professional|more professional|clearer|a bit shorter|a bit longer|
        bulleted|into a list|into bullet points) (please)?;
    (can|could) you (make|keep) (it|that|this|your answer|the answer) (a bit)? (shorter|
        longer|simpler|more formal|less formal|more concise|friendlier|more polite|
        clearer) (please)?;
    (shorter|simpler|longer|more formal|in other words|once more|again|one more time|
        repeat|tldr|tl dr|too long|too short|in short) (please)?;
    (in|answer in|reply in|respond in|write in|speak|switch to|please answer in|
        please reply in|now in) (english|german|french|spanish|italian|bullet points|
        one sentence|short sentences) (please|from now on)?;
    (do|can|did) you (remember|recall|see|know|still remember|still have|
        understand) (what|everything|anything)? (i|we|you|my|our|the)? (asked|said|told you|
        asked you|discussed|talked about|just said|just asked|last question|
        previous question|first question|conversation|conversation history|chat history|
        previous conversation|last conversation|previous messages|earlier messages|
        previous chat|last message|question|said before|said earlier|said first|
        asked before|asked earlier|asked first|told you earlier|told you before|
        discussed before|discussed earlier|talked about before|talked about earlier);
    (how many) (questions|messages) (have|did) (i|we) (asked|ask|sent|send|asked you|
        exchanged) (so far|already|today|you|in this conversation)?;
    (how long have we been) (talking|chatting);
    (lets)? (start over|start again|start from scratch|begin again|change the subject|
        change the topic|change subject|talk about something else|go back|
        go back to the beginning);
    (i|you) (already|just) (told you|told you that|asked you|asked you that|asked that|
        said that|asked|told me|told me that|answered that|said so);
    (what do you mean|what did you mean|what do you mean by that|
        what did you mean by that|i meant what i said|thats not what i meant|
        thats what i meant|thats what i said|thats what i asked|come again|pardon|
        i beg your pardon|say what);
"""
