"""What `small_talk` knows in German."""

from __future__ import annotations

from typing import Final

from accel_core.policy.small_talk_words.phrases import Phrases

GERMAN: Final = Phrases(
    greeting="""
        (hallo|hi|hey|heyho|moin|moin moin|servus|gruezi|gruss gott|hallochen|huhu|na|tach|
            grussdich|gruss dich|grusse) (zusammen|du|ihr|sie|nochmal|wieder|alle|allerseits|da|
            liebes team)?;
        (einen)? (schonen|guten|wunderschonen)? (guten|schonen)? (morgen|tag|abend|mittag|
            vormittag|nachmittag) (zusammen|allerseits|auch|dir|ihnen)?;
        (schon|freut mich|nett|sehr erfreut) (dich|sie|euch)? (kennenzulernen|kennen zu lernen|
            zu sehen|wiederzusehen);
        (ist|bist|sind) (da)? (jemand|du|sie|wer) (da|noch da|online|wach|hier)?;
        (willkommen|willkommen zuruck|lange nicht gesehen|ich bin wieder da|ich bin da|
            kannst du mich horen|horst du mich);
    """,
    farewell="""
        (auf wiedersehen|wiedersehen|tschuss|tschuess|tschussi|tschau|ciao|bye|servus|ade|adieu|
            bis spater|bis bald|bis dann|bis morgen|bis gleich|bis demnachst|bis zum nachsten mal|
            bis nachste woche|machs gut|mach es gut|machen sie es gut|wir sehen uns|man sieht sich|
            leb wohl|gute nacht|schlaf gut|schlafen sie gut|schlaft gut|traum was schones|
            uber und aus|ich muss los|ich muss jetzt los|ich muss weg|ich gehe jetzt|
            ich bin dann mal weg|bin weg|feierabend|ich geh schlafen|ich gehe schlafen) (und danke|
            dann|zusammen|alle|du)?;
        (ich wunsche)? (dir|ihnen|euch)? (noch)? (einen|eine|ein|hab|habt|haben sie|noch|
            schones|schonen)? (noch)? (einen|eine|ein)? (schonen|schone|schones|guten|gute|
            angenehmen) (tag|abend|woche|wochenende|feierabend|nachmittag|restlichen tag|tag noch|
            abend noch|zeit|nacht) (noch|auch)?;
        (das|das ware|das war|das ist) (wars|wars schon|alles|ist alles|war alles|
            alles fur heute|alles was ich wissen wollte|es fur heute|es) (danke|erstmal|fur heute|
            von mir|vorerst)?;
        (nein)? (keine|ich habe keine) (weiteren|weitere) (fragen|frage) (mehr)?;
    """,
    thanks="""
        (ok|okay|super|gut|alles klar|prima|perfekt|toll|ja|nein|und|ah|oh|na dann|wunderbar|
            klasse)? (danke|dankeschon|danke schon|danke sehr|vielen dank|vielen lieben dank|
            herzlichen dank|besten dank|lieben dank|tausend dank|merci|thx|thanks|dankesehr|
            ich danke dir|ich danke ihnen|ich danke|danke dir|danke ihnen|danke euch|dank dir) (dir|
            ihnen|euch|schon|sehr|vielmals|nochmal|nochmals|im voraus|trotzdem|auch|gleichfalls|
            ebenfalls|dafur|du auch|fur alles|fur die hilfe|fur deine hilfe|fur ihre hilfe|
            fur die info|fur die infos|fur die information|fur die informationen|fur die antwort|
            fur deine antwort|fur ihre antwort|fur die schnelle antwort|fur die schnelle hilfe|
            fur die erklarung|fur deine zeit|fur ihre zeit|fur die auskunft|fur deine muhe|
            fur ihre muhe|fur die unterstutzung|fur ihre unterstutzung|fur den tipp|
            fur den hinweis)?;
        (das|du|sie|dies) (war|ist|warst|waren|bist|sind|hast|haben|hat) (mir)? (wirklich|sehr|
            echt|total|wirklich sehr|eine grosse)? (hilfreich|nett|lieb|freundlich|nett von dir|
            nett von ihnen|lieb von dir|geholfen|mir geholfen|mir sehr geholfen|weitergeholfen|
            hilfe|super|klasse|ein schatz|der beste|die beste|toll|spitze);
        (das hilft|das hilft mir|das hilft mir weiter|das hilft mir sehr|das hat geholfen|
            das hat geklappt|das hat funktioniert|das funktioniert|es funktioniert|es klappt|
            jetzt klappt es|jetzt funktioniert es|hat geklappt|hat funktioniert);
        (gern geschehen|gerne|gerne doch|sehr gerne|bitte|bitte schon|bitteschon|bitte sehr|
            kein problem|keine ursache|nichts zu danken|nicht dafur|immer gerne|jederzeit|
            null problemo|schon gut|passt schon|macht nichts|kein ding|kein thema);
    """,
    acknowledgement="""
        (ja|jep|jo|jup|jawohl|jawoll|klar|na klar|sicher|genau|natuerlich|naturlich|
            selbstverstandlich|stimmt|richtig|korrekt|eben|absolut|auf jeden fall|unbedingt|
            durchaus|ok|okay|oki|okidoki|in ordnung|geht klar|einverstanden|abgemacht|nein|ne|nee|
            no|noe|nicht wirklich|auf keinen fall|vielleicht|vielleicht spater|eher nicht|
            lieber nicht|noch nicht|jetzt nicht|nicht jetzt|weiss nicht|weiss ich nicht|
            ich weiss nicht|ich weiss es nicht|keine ahnung|mal sehen|mal schauen|schauen wir mal|
            ich glaube schon|ich glaube nicht|ich denke schon|ich denke ja|glaube ich|doch|egal|
            mir egal|ist mir egal|ist egal|schon|so so|soso|ach so|achso|ach ja|ach|aha|oha|oh|ah|
            hm|hmm|mhm|tja|naja|na ja|na gut|na schon|also gut|nun gut|wow|huch|ups|oje|o je|oh je|
            ohje|schade|sorry|entschuldigung|entschuldige|tut mir leid|verzeihung|pardon|haha|
            hahaha|hihi|hehe|lol|puh|juhu|hurra|mist|verdammt|scheisse|krass|heftig|wahnsinn|echt|
            wirklich|ernsthaft|im ernst|ehrlich|sicher|bist du sicher|sind sie sicher|
            bist du dir sicher|nicht schlecht|gar nicht schlecht|weiter so|nur so|nur ein test|test|
            das ist ein test|einen moment|einen moment bitte|moment|moment mal|warte|warte mal|
            warte kurz|sekunde|eine sekunde|los gehts|auf gehts|lass uns anfangen|fertig|bin bereit|
            ich bin bereit|ebenso|gleichfalls|ebenfalls|ich auch|ich auch nicht|dito|nichts|
            gar nichts|niemand|endlich|gott sei dank|zum gluck|herzlichen gluckwunsch|gluckwunsch|
            gratuliere|bravo|prost|gesundheit) (bitte|danke|gerne|genau|klar|gut|doch|mal|dann|ja|
            nein|sehr gut|alles klar|ok|okay|das stimmt|das passt|das ist richtig|das war es|
            mach das|machen wir|super|so ist es)?;
        (alles)? (klar|verstanden|verstehe|ich verstehe|ich verstehe jetzt|jetzt verstehe ich|
            jetzt verstehe ich es|ach so|kapiert|habs|ich habs|hab ich verstanden|
            habe ich verstanden|ich habe verstanden|ich habe es verstanden|macht sinn|
            das macht sinn|ergibt sinn|das ergibt sinn|leuchtet ein|das leuchtet ein|klingt gut|
            das klingt gut|hort sich gut an|das hort sich gut an|klingt super|
            klingt nach einem plan|passt|das passt|passt mir|passt so|geht in ordnung|ist gut|
            ist gut so|ist ok|das ist ok|das ist in ordnung|geht klar|wird gemacht|mache ich|
            mach ich|das mache ich|probiere ich|ich probiere es|ich probiere es aus|
            ich probiere das aus|ich versuche es|ich schaue mal|ich melde mich|gut zu wissen|
            schon zu wissen|freut mich|das freut mich|das freut mich zu horen|schon zu horen|
            guter punkt|guter hinweis|gute frage|das stimmt|da hast du recht|du hast recht|
            sie haben recht|das glaube ich|das weiss ich|ich weiss);
        (das|es|wie|ach wie|echt|sehr|wirklich|ganz|total|super|richtig|ziemlich|so|oh|na|
            wow)? (ist|war|klingt|sind|ware)? (ja)? (sehr|wirklich|echt|ganz|total|super|richtig|
            ziemlich|so|aber|eine|ein|alles)? (gut|super|toll|prima|klasse|schon|perfekt|wunderbar|
            spitze|cool|genial|ausgezeichnet|hervorragend|fantastisch|grossartig|interessant|
            spannend|lustig|witzig|nett|fein|sauber|stark|geil|hammer|top|schade|traurig|schlecht|
            komisch|seltsam|langweilig|richtig|korrekt|wahr|lieb|gute antwort|gute idee|gute arbeit|
            gute nachricht|gute nachrichten|tolle idee|tolle arbeit|tolle antwort|super antwort|
            guter witz|schone idee) (danke|gemacht|erklart|so|dann|ja|gut|zu horen|zu wissen|oder)?;
    """,
    small_talk="""
        (na|und|hallo|hey)? (wie) (gehts|geht es|geht s|gehts denn|geht es denn|lauft es|laufts|
            lauft es so|stehts|war dein tag|war ihr tag|war dein wochenende|ist dein tag|
            ist ihr befinden|fuhlst du dich|fuhlen sie sich|ist die lage|ist das wetter bei dir|
            hast du geschlafen) (dir|ihnen|euch|so|heute|denn|dir heute|ihnen heute|dir so|dir denn|
            denn so|bei dir|bei ihnen)?;
        (und)? (dir|ihnen|euch|selbst|wie gehts dir|wie geht es dir|wie geht es ihnen);
        (mir gehts|mir geht es|es geht mir|mir gehts auch|mir geht es auch|es geht|ich bin|
            ich fuhle mich|bin|alles) (sehr|ganz|so|auch|heute|nicht|nicht so|super|echt|etwas|
            ein bisschen|wieder)? (gut|super|prima|schlecht|mude|traurig|glucklich|hungrig|
            gelangweilt|krank|besser|ok|okay|bestens|fit|allein|einsam|wutend|gestresst|frohlich|
            verliebt|so la la|bereit|ein mensch) (danke|heute|und dir|und ihnen|danke und dir|
            danke der nachfrage)?;
        (was) (geht|geht ab|gibts neues bei dir|machst du|machst du so|machst du gerade|
            machst du heute|machst du da|machst du gerne|machen sie|tust du|denkst du|
            denkst du gerade|ist los|lauft|lauft so) (so|heute|gerade|denn)?;
        (wer|was) (bist du|sind sie|bist du eigentlich|bist du denn|bist du genau|
            sind sie eigentlich);
        (wie) (heisst du|heissen sie|ist dein name|ist ihr name|lautet dein name|
            lautet ihr name|alt bist du|alt sind sie|soll ich dich nennen|darf ich dich nennen|
            gross bist du|nennt man dich|funktionierst du) (denn|eigentlich)?;
        (was) (ist|sind) (dein|deine|ihre|ihr) (name|aufgabe|zweck|lieblingsfarbe|
            lieblingsessen|lieblingsfilm|lieblingsbuch|hobbys|hobbies|geschlecht|geburtstag|
            lieblingstier|sternzeichen|lieblingslied);
        (wer) (hat dich|hat sie) (gemacht|erschaffen|programmiert|entwickelt|gebaut|erfunden|
            trainiert);
        (wo|woher) (kommst du|kommen sie|wohnst du|lebst du|bist du|kommst du her) (her|gerade|
            eigentlich|denn)?;
        (bist du|sind sie) (wirklich|eigentlich|denn|nur)? (ein|eine|kein)? (mensch|roboter|bot|
            maschine|computer|ki|chatbot|programm|mann|frau|echter mensch|echt|mude|glucklich|
            traurig|hungrig|verheiratet|single|chatgpt|kunstliche intelligenz|mensch oder maschine|
            mensch oder ein roboter|mensch oder roboter|mensch oder bot|dumm|schlau|klug|
            intelligent|sauer|bose|wach|verliebt|lebendig|bereit);
        (spreche|rede|schreibe|chatte) ich (mit|gerade mit|hier mit) (einem|einer|
            dir)? (menschen|roboter|bot|maschine|computer|ki|chatbot|echten menschen);
        (was) (kannst du|konnen sie|kannst du alles|kannst du so|kannst du denn|
            kannst du fur mich tun|konnen sie fur mich tun|kannst du machen) (alles|so)?;
        (kannst du|konnen sie|konntest du|konnten sie|kann ich) (mir|mich|dich|sie)? (bitte|mal|
            etwas|was|kurz)? (helfen|weiterhelfen|was fragen|etwas fragen|eine frage stellen|
            dich was fragen|denken|fuhlen|traumen|lachen|singen|tanzen|sehen|horen|verstehen|reden|
            schlafen);
        (ich brauche|ich hatte gerne|ich habe|ich hatte|ich hab) (mal|bitte|deine|ihre|etwas|
            eine|eine kleine|eine kurze|noch eine|da eine|da mal eine)? (hilfe|unterstutzung|frage|
            fragen);
        (erzahl|erzahle|sag|erzahlen sie) (mir|uns|mal)? (mal|doch|bitte)? (einen|noch einen|
            eine|was|etwas)? (witz|lustiges|geschichte|uber dich|von dir|schones|guten witz);
        (kennst du|weisst du) (einen|noch einen|ein paar|gute)? (witz|witze|guten witz|ratsel);
        (liebst|magst|kennst|hasst|vermisst|verstehst|horst) du (mich|menschen|musik|pizza|
            hunde|katzen|fussball);
        (hast du) (gefuhle|freunde|eine familie|hunger|hobbys|eine freundin|einen freund|kinder|
            geschwister|gut geschlafen|spass|angst|langeweile|mich lieb|einen namen|zeit|kurz zeit);
        (willst du|mochtest du|wollen wir) (mich heiraten|mein freund sein|plaudern|reden|
            chatten|quatschen|befreundet sein);
        (ich) (liebe|mag|hasse|vermisse|vertraue) (dich|dir|sie) (sehr|auch|so sehr)?;
        (du bist|sie sind|bist du|du) (so|sehr|echt|wirklich|ziemlich|ganz schon|ein|eine|der|
            die|mein|total|nicht)? (nett|toll|super|klug|schlau|lustig|witzig|lieb|suss|hilfreich|
            dumm|doof|blod|langweilig|nervig|cool|genial|klasse|gut|schlecht|spitze|beste|bester|
            freund|idiot|schatz|held|komisch|unhoflich|freundlich|hubsch|schon|die beste|der beste|
            intelligent|langsam|schnell);
        (mir ist langweilig|ich habe langeweile|lass uns reden|lass uns plaudern|rede mit mir|
            frohe weihnachten|frohes neues|frohes neues jahr|guten rutsch|alles gute|
            alles gute zum geburtstag|frohe ostern|guten appetit|mahlzeit|viel gluck|viel erfolg|
            viel spass|gute besserung|ich habe heute geburtstag|schones wetter heute|
            was fur ein tag|halt den mund|halt die klappe|lass mich in ruhe|hau ab|rate mal|
            stell dich vor|stell dich bitte vor|stell dich mal vor);
    """,
    conversation="""
        (was|welche frage) (habe ich|hab ich|hatte ich|haben wir|hast du|haben sie) (dich|dir|
            mich|mir|gerade|eben|zuletzt|vorhin|als erstes|zuerst|davor|vorher|grade|bisher)? (eben|
            gerade|zuletzt|vorhin|als erstes|zuerst|vorher|bisher)? (gefragt|gesagt|geschrieben|
            besprochen|gestellt|erzahlt|gemeint|geantwortet);
        (was|wie) (war|lautete|waren) (meine|deine|die|ihre) (erste|letzte|vorherige|vorige|
            ersten|letzten) (frage|nachricht|antwort|fragen);
        (woruber|wovon) (haben wir|hatten wir|sprachen wir|redeten wir) (gerade|eben|vorhin|
            zuletzt|bisher)? (gesprochen|geredet)?;
        (kannst du|konntest du|konnen sie|konnten sie|wurdest du|
            wurden sie)? (bitte)? (mir)? (das|es|dies|deine antwort|deine letzte antwort|
            ihre antwort|die antwort|unser gesprach|unsere unterhaltung|das gesprach|den chat|
            alles bisherige|das gesagte) (bitte|mir|fur mich)? (noch einmal|nochmal|nochmals|
            noch mal|kurz|in einem satz|in stichpunkten|einfacher|anders|kurzer|genauer|bitte|
            in eigenen worten|in wenigen worten|auf englisch|auf deutsch|auf franzosisch|
            auf spanisch|ins englische|ins deutsche|in einfachen worten)? (wiederholen|sagen|
            zusammenfassen|ubersetzen|formulieren|umformulieren|erklaren|ausdrucken|kurzen|
            vereinfachen|schreiben);
        (bitte)? (wiederhol|wiederhole|wiederholen sie|fasse|fass|ubersetze|formuliere|kurze|
            vereinfache|schreib|schreibe|sag|sage|erklar|erklare|mach|mache) (mir|bitte)? (das|es|
            deine antwort|deine letzte antwort|unser gesprach|unsere unterhaltung|das gesprach|
            den chat|das gesagte) (bitte)? (noch einmal|nochmal|noch mal|kurz|in einem satz|
            in stichpunkten|einfacher|anders|kurzer|langer|auf englisch|auf deutsch|auf franzosisch|
            auf spanisch|ins englische|ins deutsche|etwas kurzer|hoflicher|formeller)? (zusammen|um|
            bitte)?;
        (nochmal|noch einmal|noch mal|kurzer|einfacher|bitte kurzer|auf deutsch|auf englisch|
            in einem satz|in stichpunkten|antworte auf deutsch|antworte auf englisch|
            antworte kurzer|zu lang|zu kurz|wie bitte|wie meinst du das|wie meinen sie das|
            was meinst du|was meinst du damit|was meinen sie damit|das habe ich nicht gemeint|
            das meinte ich nicht|das habe ich schon gesagt|das sagte ich schon|das hatten wir schon|
            erinnerst du dich|erinnerst du dich an mich|weisst du noch was ich gesagt habe|
            weisst du noch was ich gefragt habe|neues thema|themenwechsel|
            lass uns von vorne anfangen|von vorne|fangen wir von vorne an) (bitte)?;
    """,
    filler="""
        (bitte|so|also|dann|nun|jetzt|und|aber|auch|ja|nein|ok|okay|oh|ah|ach|na|mal|doch|denn|
            sehr|wirklich|erstmal|ubrigens|lieber|liebe|mein freund|freund|bot|roboter|assistent|
            computer|alexa|siri|chatgpt|haha|lol|heute|wieder|danke);
    """,
)
