"""What `small_talk` knows in French."""

from __future__ import annotations

from typing import Final

from accel_core.policy.small_talk_words.phrases import Phrases

FRENCH: Final = Phrases(
    greeting="""
        (bonjour|salut|coucou|bonsoir|hello|hey|allo|re|rebonjour|salutations|bjr|slt|yo|
            hi) (a tous|a toutes|a toi|a vous|tout le monde|toi|vous|encore|mon ami|lequipe|madame|
            monsieur|messieurs)?;
        (bonne journee|bon matin|bon apres midi) (a toi|a vous)?;
        (enchante|enchantee|ravi|ravie|heureux|heureuse) (de|de te|de vous)? (rencontrer|
            connaitre|faire ta connaissance|faire votre connaissance)?;
        (il y a|ya t il|y a t il|tu es|vous etes|es tu|etes vous|y a) (quelquun|la|
            toujours la) (ici|la)?;
        (bienvenue|ca fait longtemps|je suis la|je suis de retour|tu mentends|vous mentendez);
    """,
    farewell="""
        (au revoir|aurevoir|a bientot|a plus|a plus tard|a tout a lheure|a demain|
            a la prochaine|a lundi|a tout de suite|ciao|tchao|bye|adieu|salut|bonne nuit|dors bien|
            dormez bien|fais de beaux reves|prends soin de toi|prenez soin de vous|porte toi bien|
            je dois y aller|je dois partir|je men vais|jy vais|je file|on se voit plus tard|
            on se parle plus tard) (et merci|mon ami|a tous)?;
        (passe|passez|je te souhaite|je vous souhaite)? (une|un)? (bonne|bon|tres bonne|
            excellente|excellent|belle) (journee|soiree|nuit|week end|weekend|semaine|apres midi|
            fin de journee|continuation|fin de semaine) (a toi|a vous|aussi|a toi aussi|
            a vous aussi)?;
        (cest|ce sera|ca sera) (tout|tout pour aujourdhui|tout pour le moment|
            tout pour linstant|tout ce que je voulais savoir) (merci|pour moi)?;
        (plus de questions|je nai plus de questions|je nai pas dautres questions|
            pas dautres questions|rien dautre|rien dautre merci|non rien dautre);
    """,
    thanks="""
        (ok|dac|daccord|super|parfait|genial|tres bien|bien|oui|non|et|ah|oh|cool|top)? (merci|
            merci beaucoup|merci bien|merci infiniment|mille mercis|mille merci|un grand merci|
            grand merci|je te remercie|je vous remercie|merci a toi|merci a vous|mci|thanks|
            merci mille fois) (beaucoup|bien|encore|davance|quand meme|infiniment|a toi|a vous|
            a tous|mon ami|pour tout|pour ton aide|pour votre aide|pour laide|pour linfo|
            pour les infos|pour linformation|pour les informations|pour la reponse|pour ta reponse|
            pour votre reponse|pour ton temps|pour votre temps|pour lexplication|
            pour les explications|pour la precision|pour vos explications|pour votre reponse rapide|
            de ton aide|de votre aide|monsieur|madame|toi aussi|vous aussi)?;
        (cest|tu es|vous etes|cetait|tu as ete|vous avez ete) (tres|vraiment|trop|super|
            dune grande)? (gentil|gentille|aimable|utile|sympa|gentil de ta part|
            gentil de votre part|aide|serviable);
        (ca|cela) (maide|ma aide|ma beaucoup aide|aide|maide beaucoup|marche|fonctionne|
            a marche|a fonctionne|repond a ma question|marche maintenant);
        (de rien|je ten prie|je vous en prie|il ny a pas de quoi|pas de quoi|avec plaisir|
            pas de probleme|pas de souci|pas de soucis|sans probleme|tout le plaisir est pour moi|
            cest rien|ce nest rien);
    """,
    acknowledgement="""
        (oui|ouais|ouaip|yep|mouais|si|bien sur|bien sur que oui|evidemment|certainement|
            absolument|tout a fait|exact|exactement|effectivement|en effet|cest ca|cest exact|
            cest vrai|vrai|voila|ok|okay|oki|dac|daccord|dacc|entendu|ca marche|ca roule|ca me va|
            ca me convient|cest bon|cest bien|tres bien|bien|bon|parfait|non|nan|non merci|
            pas du tout|bien sur que non|peut etre|peut etre plus tard|probablement|sans doute|
            je ne sais pas|je sais pas|jsp|aucune idee|je nai aucune idee|pas sur|
            je ne suis pas sur|je ne suis pas sure|pas encore|pas maintenant|plus tard|je vois|
            je comprends|jai compris|je comprends mieux|compris|bien compris|bien recu|recu|note|
            cest note|cest clair|tres clair|ca a du sens|cest logique|logique|ca semble bien|
            bonne idee|bonne question|bon point|bon a savoir|cest bon a savoir|tant mieux|
            content de lentendre|je suis content|tu as raison|vous avez raison|je sais|je le sais|
            je pense|je pense que oui|je crois|je crois que oui|je crois que non|je suppose|jespere|
            pardon|desole|desolee|je suis desole|je suis desolee|excuse moi|excusez moi|mes excuses|
            un instant|un instant svp|un moment|une seconde|attends|attendez|attends une seconde|
            laisse moi reflechir|voyons|voyons voir|allons y|on y va|cest parti|je vais essayer|
            jessaie|je vais voir|je verrai|peu importe|laisse tomber|laissez tomber|oublie|
            oublie ca|rien|personne|test|ceci est un test|cest un test|je plaisante|je rigole|haha|
            hahaha|hihi|hehe|mdr|lol|ptdr|ah|oh|eh|euh|heu|hum|hmm|hm|mmh|wow|waouh|ouah|oups|ouf|
            zut|mince|merde|putain|mon dieu|la vache|helas|dommage|quel dommage|tant pis|bravo|
            felicitations|chapeau|hourra|youpi|sante|enfin|dieu merci|moi aussi|moi non plus|pareil|
            de meme|toi aussi|vous aussi|vraiment|serieux|serieusement|sans blague|ah bon|tu es sur|
            tu es sure|vous etes sur|es tu sur|etes vous sur|tu es serieux) (merci|oui|non|bien sur|
            daccord|ok|bien|parfait|super|svp|sil te plait|sil vous plait|je vois|je comprends|
            alors)?;
        (cest|cetait|ca a lair|que cest|comme cest|vraiment|tres|trop|super|tout|tu es|quelle|
            quel|voila)? (vraiment|tres|trop|super|tellement|assez|plutot|tout|une|un)? (bien|bon|
            bonne|super|genial|parfait|excellent|excellente|formidable|fantastique|incroyable|
            magnifique|merveilleux|interessant|drole|marrant|rigolo|cool|chouette|sympa|top|nickel|
            impeccable|extra|correct|triste|mauvais|bizarre|etrange|ennuyeux|clair|beau|joli|
            bonne reponse|bon travail|beau travail|bien joue|bien dit|bonne nouvelle|
            bonne blague) (merci|alors|ca|travail|reponse|idee|nouvelle)?;
    """,
    small_talk="""
        (et|salut|bonjour|alors)? (comment) (ca va|vas tu|allez vous|va tu|tu vas|vous allez|
            tu te sens|te sens tu|vous sentez vous|cava|se passe ta journee|sest passee ta journee|
            va la vie|vont les choses) (aujourdhui|bien|toi|ce matin|ce soir)?;
        (et)? (ca va|cava|tu vas bien|vous allez bien|ca roule|ca gaze|quoi de neuf|la forme|
            bien dormi|bien ou quoi|tout va bien) (toi|bien|aujourdhui|et toi|et vous|merci|mon ami|
            pour toi)?;
        (et)? (toi|vous|et toi|et vous|toi meme);
        (je vais|je me sens|je suis|moi ca va|ca va|tout va|je) (tres|pas|pas tres|un peu|
            vraiment|super|trop)? (bien|mal|fatigue|fatiguee|content|contente|triste|heureux|
            heureuse|malade|mieux|en colere|seul|seule|stresse|stressee|bof|en forme|pret|prete|
            mennuie|un humain) (merci|aujourdhui|et toi|et vous|merci et toi|merci et vous)?;
        (que|quest ce que|tu) (fais tu|tu fais|fais quoi|faites vous|vous faites|tu racontes|
            tu aimes|tu penses|fais tu dans la vie|tu fais de beau|tu fais dans la vie) (aujourdhui|
            maintenant|de beau|en ce moment)?;
        (qui|tu) (es tu|etes vous|tu es|es qui|est tu|vous etes);
        (comment|quel est|cest quoi|quelle est) (tu tappelles|tappelles tu|vous vous appelez|
            vous appelez vous|ton nom|votre nom|ton prenom|ton age|ta couleur preferee|
            ton plat prefere|ton film prefere|ton but|ta fonction|ton role|dois je tappeler|
            puis je tappeler|tu fonctionnes);
        (quel age as tu|quel age tu as|tu as quel age|quel age avez vous|dou viens tu|
            dou venez vous|tu viens dou|ou habites tu|ou vis tu|ou es tu|tu habites ou|qui ta cree|
            qui ta fait|qui ta programme|qui ta developpe|qui est ton createur|qui est ton patron|
            es tu reel|es tu heureux|es tu vivant|es tu intelligent|es tu la|as tu faim|
            as tu des sentiments|as tu des amis|as tu une famille|que peux tu faire|
            que peux tu faire pour moi|que sais tu faire|quest ce que tu sais faire|
            quest ce que tu peux faire|quest ce que tu peux faire pour moi|que pouvez vous faire|
            que pouvez vous faire pour moi|comment peux tu maider|comment pouvez vous maider|
            peux tu maider|pouvez vous maider|tu peux maider|vous pouvez maider|
            pourriez vous maider|pourrais tu maider|jai besoin daide|jai besoin de ton aide|
            jai besoin de votre aide|aide moi|aidez moi|jai une question|jai une autre question|
            puis je te poser une question|puis je vous poser une question|
            je peux te poser une question|une question|parle moi|parle moi de toi|
            parlez moi de vous|raconte moi quelque chose|dis moi quelque chose|dis quelque chose|
            presente toi|presentez vous|on discute|discutons|parlons|je veux parler|je mennuie|
            fais moi rire|surprends moi|devine quoi|joyeux noel|bonne annee|joyeuses fetes|
            bon anniversaire|joyeux anniversaire|joyeuses paques|bon appetit|bonne chance|
            bon courage|bon retablissement|cest mon anniversaire|quel temps|il fait beau|
            il fait beau aujourdhui|il fait froid|tais toi|ferme la|laisse moi tranquille|va ten|
            je te deteste|je taime|je taime bien|je tadore|tu me manques|veux tu mepouser|
            veux tu etre mon ami|sommes nous amis|maimes tu|tu maimes|tu me comprends|
            tu aimes la musique|tu aimes la pizza|aimes tu la musique|tu te souviens de moi|
            tu sais qui je suis) (sil te plait|sil vous plait|svp|stp|merci)?;
        (tu es|es tu|vous etes|etes vous|tes|est ce que tu es) (un|une|vraiment|tres|trop|mon|
            le|la|si)? (robot|bot|humain|humaine|personne|machine|vraie personne|ia|
            intelligence artificielle|homme|femme|fille|garcon|chatbot|programme|humain ou un robot|
            humain ou robot|robot ou un humain|vrai humain|gentil|gentille|intelligent|intelligente|
            drole|sympa|mignon|genial|geniale|super|meilleur|meilleure|incroyable|utile|inutile|
            ennuyeux|bete|stupide|nul|nulle|beau|belle|ami|amie|idiot|marie|celibataire|fatigue|
            fache);
        (est ce que)? (je) (parle|discute|parle bien) (a|avec) (un|une)? (robot|bot|humain|
            personne|machine|vraie personne|ia);
        (raconte|dis|connais tu|raconte moi|dis moi|racontez moi|tu connais|tu peux me raconter|
            peux tu me raconter) (moi|nous|une|un|des|encore une|quelque chose)? (une|de)? (blague|
            blagues|histoire|autre blague|drole|devinette|histoire drole|bonne blague);
    """,
    conversation="""
        (quelle|quel|quest ce que|que|quoi) (etait|est|ai je|jai|je|tai je|as tu|tu as|
            tu viens de|je viens de|avons nous|on a|nous avons) (ma|ta|la|de|
            juste)? (derniere question|premiere question|question precedente|derniere reponse|
            reponse precedente|dernier message|demande|dit|dire|demander|discute|te demander|
            me dire|question) (avant|tout a lheure|juste avant|en premier|au debut|deja|
            precedemment)?;
        (de quoi) (on parlait|parlions nous|avons nous parle|on a parle|parlait on) (avant|
            tout a lheure|jusquici|deja)?;
        (peux tu|pouvez vous|pourrais tu|pourriez vous|tu peux|vous pouvez) (me)? (repeter|
            le repeter|repeter ca|repeter cela|repeter ta reponse|repeter la reponse|resumer|
            resumer ca|resumer cela|le resumer|resumer la conversation|resumer notre conversation|
            resumer ta reponse|resumer la reponse|traduire ca|traduire cela|le traduire|
            traduire ta reponse|reformuler|reformuler ca|reformuler cela|le reformuler|
            le dire autrement|dire ca autrement|lexpliquer autrement|simplifier|
            raccourcir ta reponse) (sil te plait|sil vous plait|svp|stp|encore|encore une fois|
            en anglais|en francais|en une phrase|en quelques mots|autrement|plus simplement)?;
        (repete|repetez|repete ca|repete ta reponse|resume|resume ca|resume la conversation|
            resume notre conversation|resume ta reponse|traduis ca|traduis ta reponse|reformule|
            reformule ca|reformule ta reponse|dis le autrement|dis ca autrement|fais plus court|
            plus court|plus simple|plus simplement|en dautres termes|encore|encore une fois|
            en francais|en anglais|reponds en francais|reponds en anglais|trop long) (sil te plait|
            sil vous plait|svp|stp|encore une fois|en anglais|en francais|en une phrase|
            en quelques mots)?;
        (que veux tu dire|que voulez vous dire|quest ce que tu veux dire|
            que veux tu dire par la|comment ca|ce nest pas ce que jai demande|
            ce nest pas ce que je voulais dire|je lai deja dit|je te lai deja dit|
            tu te souviens de ce que jai dit|tu te souviens de ma question|
            te souviens tu de ma question|te souviens tu de ce que jai dit|recommencons|
            on recommence|changeons de sujet|parlons dautre chose|revenons en arriere|
            tu peux repeter|pardon);
    """,
    filler="""
        (sil te plait|sil vous plait|svp|stp|alors|donc|eh bien|et|mais|aussi|maintenant|
            aujourdhui|oui|non|ok|oh|ah|bon|bien|tres|vraiment|mon ami|ami|monsieur|madame|bot|
            robot|assistant|alexa|siri|chatgpt|mdr|lol|haha|encore|deja|quand meme|au fait|
            dailleurs|merci);
    """,
)
