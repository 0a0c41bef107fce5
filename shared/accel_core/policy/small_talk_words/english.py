"""What `small_talk` knows in English."""

from __future__ import annotations

from typing import Final

from accel_core.policy.small_talk_words.english_talk import CONVERSATION, SMALL_TALK
from accel_core.policy.small_talk_words.phrases import Phrases

ENGLISH: Final = Phrases(
    greeting="""
        (hi|hello|hey|hiya|heya|yo|howdy|hallo|hullo|helo|hey hey|hi hi|hello hello|ahoy|
            aloha) (there|again|you|all|everyone|everybody|guys|folks|team|friend|my friend|
            buddy|mate|world|dear)?;
        (greetings|salutations|good day|gday|good to see you|nice to see you|welcome back|
            long time no see);
        (a very)? good (morning|afternoon|evening) (to you|to you too|everyone|all|team|
            there)?;
        (morning|evening|top of the morning to you|rise and shine);
        (pleased|nice|good|great|lovely) to meet you (too)?;
        (it is|its) (a pleasure|nice|good|great) to (meet|see|talk to) you (too)?;
        (im|i am) (back|here);
        (is|are) (anyone|anybody|you|someone|somebody) (there|here|around|online|
            still there|listening);
        (is)? (anyone|anybody|somebody) (else)? (there|here|home|around);
        (its|it is) me (again)?;
        (hey)? (can|do) you (hear|read|understand) me;
    """,
    farewell="""
        (ok|okay|alright)? (bye|goodbye|good bye|bye bye|byebye|cya|ciao|cheerio|ta ta|
            adios|farewell|so long|toodles) (for now|now|then|everyone|all|guys|friend|
            my friend|there)?;
        (see|catch|talk to) (you|ya|u) (later|soon|tomorrow|again|around|then|next time|
            next week|in a bit|on monday)?;
        (later|laters|later gator|see you later alligator|ttyl|brb|be right back|gtg|g2g|
            until next time|till next time|over and out);
        (good night|goodnight|gn|night|night night|nighty night|sleep well|
            sweet dreams) (to you|everyone|all)?;
        (have|enjoy) (a|an|your) (very)? (nice|good|great|lovely|wonderful|awesome|
            excellent|pleasant)? (day|one|evening|weekend|night|afternoon|morning|week|
            rest of your day|time) (ahead)?;
        (you have|have) a (nice|good|great|lovely) (day|one|evening|weekend|night|week) too;
        take (good)? care (of yourself)?;
        (i have to|ive got to|i gotta|gotta|i must|i need to|i should|ill|time to|lets) (go|
            run|leave|get going|head out|go now|be off) (now)?;
        (im|i am) (off|leaving|done for today|going to bed|going home|logging off|
            heading out);
        (talk|speak) (soon|later|to you later|to you soon|to you tomorrow);
        (that is|thats|that will be|thatll be) (all|it|everything) (for now|for today|
            i needed|i wanted|i wanted to know|i needed to know|from me|thanks)?;
        (ill|i will) be (right)? back (soon|later)?;
        (bye|goodbye) and (thanks|thank you);
        (no|nope|nothing)? (thats|that is)? (nothing|no) (else|more questions|
            further questions);
        (i have|ive got)? no (more|further|other) questions (for now)?;
    """,
    thanks="""
        (oh|ok|okay|great|perfect|cool|awesome|alright|well|and|yes|no|nah|nope|many|
            a lot of|big)? (thanks|thank you|thank u|thankyou|thx|tnx|thanx|thnx|ty|tysm|tyvm|
            cheers|ta|tks|danke|merci|gracias) (you|u)? (so much|very much|so very much|a lot|
            a bunch|a ton|a million|lots|loads|again|once again|anyway|anyways|in advance|
            kindly|heaps|man|mate|buddy|dear|friend|my friend|bot|everyone|all|though|too|then|
            indeed|to you too)?;
        (ok|great|many|cool|perfect)? (thanks|thank you|thx|cheers) (so much|very much|
            a lot|again)? for (your|the|all the|all your|that|this|everything|helping|
            helping me|your time|explaining|clarifying|the info|letting me know|
            the quick reply) (help|assistance|support|information|info|answer|answers|
            explanation|reply|response|clarification|effort|patience|tip|tips|advice|
            quick response|quick reply|quick answer|quick help|out|me|time|kind words|update)?;
        (i|we|much)? (really|truly|greatly|very much|highly)? (appreciate|appreciated|
            appreciate it|appreciate that|appreciate your help|appreciate your time|
            appreciate the help);
        (im|i am) (so|very|really|most)? (grateful|thankful|obliged);
        (thats|that is|that was|this was|this is|you are|youre|you have been|youve been|
            it was|its|very|so|really|super|most|was) (very|so|really|super|extremely|
            incredibly|most|quite)? (helpful|kind|nice|useful|kind of you|nice of you|sweet|
            sweet of you|a great help|a big help|a lifesaver|a star|a legend|the best|great|
            amazing|awesome|wonderful|brilliant|fantastic|clear|very clear);
        (thats|that|this|it) (really|definitely|actually)? (helps|helped|helps a lot|
            helped a lot|helped me|helps me|did the trick|works|worked|works now|solved it|
            was it|answers my question|answered my question|solves my problem|solved my problem|
            makes sense|makes sense now|made sense);
        (youre|you are|your|ur) (very|most|more than)? welcome;
        (no|not a) (problem|worries|prob|problemo) (at all|mate|man)?;
        (my|the) pleasure (is mine|was mine)?;
        (dont mention it|anytime|any time|np|nw|yw|glad to help|happy to help|
            no need to thank me);
        (i owe you one|much obliged|bless you|god bless|god bless you|
            i couldnt have done it without you);
    """,
    acknowledgement="""
        (ok|okay|okey|okie|okee|okidoki|okey dokey|okie dokie|k|kk|okk|alright|all right|
            alrighty|right|roger|roger that|copy that|10 4|aye|aye aye) (then|now|cool|great|
            good|fine|perfect|sure|got it|sounds good|i see|i understand|makes sense|will do|
            no problem|so|boss|sir|captain)?;
        (yes|yeah|yep|yup|yea|ya|yah|yas|yess|aha|uh huh|mhm|mm hmm|mmhmm|sure|sure thing|
            of course|certainly|absolutely|definitely|indeed|exactly|precisely|correct|totally|
            agreed|true|very true|so true|for sure|naturally) (please|thanks|thank you|
            of course|i do|i did|it is|it does|it did|it was|i am|i know|i think so|i would|
            i have|that is right|thats right|thats correct|thats it|thats true|exactly|right|
            sure|ok|okay|indeed|sir|maam|boss|lets do it|lets do that|lets go|go ahead|
            that works|thats fine|sounds good|definitely|absolutely)?;
        (no|nope|nah|na|naw|nay|not really|not at all|no way|never mind|nevermind|nvm|never|
            not right now|of course not|certainly not|absolutely not|definitely not|not yet|
            not now|not today|maybe|maybe later|maybe not|perhaps|possibly|probably|
            probably not|i guess|i guess so|i guess not|i suppose|i suppose so|i think so|
            i dont think so|i doubt it|i hope so|hopefully|we will see|well see|dunno|idk|
            i dont know|i do not know|not sure|im not sure|no idea|i have no idea|
            beats me) (thanks|thank you|please|its fine|its ok|its okay|thats fine|thats ok|
            thats all|thats it|im good|im fine|all good|not now|not today|i am good|i dont|
            i didnt|im not|sorry|yet|really)?;
        (got it|gotcha|got you|i got it|i see|ah i see|oh i see|i see now|understood|noted|
            duly noted|i understand|i understand now|i get it|i get it now|now i get it|
            now i understand|makes sense|makes sense to me|that makes sense|makes sense now|
            clear|all clear|crystal clear|point taken|fair enough|fair point|good point|
            good to know|thats good to know|nice to know|interesting to know|good to hear|
            glad to hear it|glad to hear that|im glad to hear that|thats good to hear|
            sounds good|sounds great|sounds like a plan|sounds right|sounds perfect|sounds fair|
            works for me|that works|that works for me|fine by me|fine with me|thats fine|
            its fine|thats ok|thats okay|its ok|its okay|all good|its all good|no worries|
            no problem|will do|lets do it|lets go|lets do this|deal|done|ready|im ready|you bet|
            my bad|oops|whoops|sorry|im sorry|so sorry|oh sorry|sorry about that|my mistake|
            sorry my mistake|my apologies|i apologize|excuse me|pardon me|just kidding|jk|
            im joking|i was joking|just joking|just testing|test|testing|this is a test|
            just a test|testing testing|one moment|one moment please|one sec|one second|
            just a moment|just a sec|just a second|give me a second|give me a minute|
            give me a moment|wait a second|wait a minute|hold on|hold on a sec|hold on a second|
            hang on|wait|go ahead|not bad at all|could be better|let me think|let me check|
            let me see|let me think about it|ill think about it|ill try that|ill try it|
            ill check|ill check it out|ill do that|ill give it a try|ill let you know|
            i will try that|i will try it|i will do that|take your time);
        (oh|ah|aha|wow|whoa|woah|woohoo|yay|yippee|hooray|hurray|hmm|hm|mm|mmm|huh|eh|um|uh|
            uhm|er|erm|meh|ugh|ouch|aww|aw|ooh|oooh|phew|geez|gosh|omg|oh my god|oh my gosh|
            oh my|my god|good god|good lord|wtf|lol|lmao|rofl|lmfao|haha|hahaha|hahahaha|ha|
            haha ha|ha ha|hehe|hehehe|hihi|lolol|xd|lulz) (ok|okay|nice|cool|great|wow|yes|no|
            right|i see|sure|thats funny|funny|good one|lol|thats cool|thats great|thats nice|
            interesting|really|well)?;
        (thats|that is|that was|this is|its|it is|it was|you are|youre|how|what|very|so|
            pretty|really|quite|absolutely|simply|just|oh)? (a|an|so|very|really|pretty|quite|
            super|absolutely|just)? (nice|cool|great|good|perfect|excellent|awesome|amazing|
            wonderful|fantastic|brilliant|superb|lovely|sweet|neat|fabulous|splendid|marvelous|
            terrific|impressive|incredible|interesting|fascinating|funny|hilarious|fun|crazy|
            wild|insane|sad|so sad|too bad|unfortunate|strange|weird|odd|surprising|exciting|
            boring|beautiful|right|correct|true|fine|lit|dope|rad|sick|epic|classic|fair|wow|
            bad|terrible|awful|shame|pity|bummer) (job|work|one|stuff|answer|explanation|idea|
            news|thing|to know|to hear|joke|story|question|point|then|man|dude|bro|indeed|
            thanks|right|ok|isnt it|day)?;
        (well|nicely|nice) (done|said|put|played|explained|one);
        (good|great|nice|excellent|amazing|fantastic|awesome|brilliant) (job|work|answer|
            explanation|stuff|one|bot|boy|girl|point|question|joke|idea);
        (i|we) (like|love|liked|loved|enjoy|enjoyed) (it|that|this|your answer|the answer|
            that one|this one|talking to you|chatting with you|your answers|our chat);
        (i|we) (dont|didnt|do not|did not)? (agree|disagree|know|believe it|believe you|
            believe that|think so|care|mind|remember) (with you|with that|either|too|that)?;
        (really|seriously|for real|is that so|is that right|are you sure|
            are you sure about that|are you serious|are you kidding|are you kidding me|you sure|
            no kidding|you dont say|oh really|oh yeah|oh well|oh no|oh dear|oh ok|oh okay|
            oh yes|oh nice|oh cool|oh great|oh wow|whatever|so what|big deal|who cares|and|so|
            then|well|anyway|anyways|too bad|what a shame|what a pity|thats life|such is life|
            bingo|voila|tada|touche|cheers|congrats|congratulations|bravo|kudos|hurrah|respect|
            wonderful news|great news|good news|amen|same|same here|me too|me neither|me either|
            i am too|im too|so am i|so do i|likewise|same to you|you too|u too|and you too|
            back at you|right back at you|works like a charm|finally|at last|thank god|
            thank goodness|mission accomplished|problem solved|issue solved|issue resolved|
            resolved|solved|fixed|it works|it worked|it works now|works now|works|it helped|
            success|nothing much|not much|none|nobody|no one|never mind then|forget it|
            forget about it|forget i asked|drop it|skip it|lets move on|moving on|lets start|
            lets begin|lets get started);
        (very|so|super|really|pretty|quite|more)? (happy|satisfied|pleased|impressed|
            helpful|useful|clear|informative|detailed|thorough|good enough|well done|
            well explained|much better|better|better now);
    """,
    small_talk=SMALL_TALK,
    conversation=CONVERSATION,
    filler="""
        (please|pls|plz|so|well|then|now|just|and|but|too|also|really|very|ok|okay|oh|ah|
            hmm|right|yeah|yes|no|anyway|anyways|today|there|again|guys|everyone|folks|friend|
            my friend|buddy|pal|mate|dude|man|bro|bruh|sir|maam|madam|dear|honey|darling|babe|
            bot|robot|chatbot|assistant|computer|ai|chatgpt|gpt|siri|alexa|claude|by the way|
            btw|actually|basically|honestly|indeed|i think|i guess|i mean|you know|haha|lol|
            hehe|xd);
    """,
)
