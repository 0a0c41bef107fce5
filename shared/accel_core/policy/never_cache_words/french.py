"""What `never_cache` listens for in French."""

from __future__ import annotations

from typing import Final

from accel_core.policy.never_cache_words.rule import Language, Rule, any_of

_IMPERATIVES = """annule annulez transfere transferez vire virez envoie envoyez paie paye payez
achete achetez commande commandez reserve reservez supprime supprimez efface effacez bloque
bloquez debloque debloquez appelle appelez mets mettez programme programmez allume allumez eteins
eteignez active activez desactive desactivez change changez modifie modifiez ajoute ajoutez
resilie resiliez renouvelle confirme confirmez rembourse remboursez deplace reporte vends"""
_INFINITIVES = """annuler transferer virer envoyer payer acheter commander reserver supprimer
effacer bloquer debloquer appeler mettre programmer allumer eteindre activer desactiver changer
modifier ajouter resilier renouveler confirmer rembourser deplacer reporter vendre rappeler
reveiller"""
_SELF = """rappelle-moi rappelez-moi reveille-moi reveillez-moi reserve-moi reservez-moi
envoie-moi envoyez-moi commande-moi appelle-moi annule-la annule-le annulez-la annulez-le
supprime-le supprime-la achete-moi mets-moi inscris-moi desabonne-moi"""

_TERMS = {
    "my": any_of("mon ma mes notre nos"),
    "record": any_of(
        r"""soldes? comptes? commandes? colis livraison factures? rendez-vous reservations? vol
        carte virements? remboursement paiements? salaire abonnement messages? e-?mails? mails?
        agenda calendrier points position adresse billets? demande pret contrat rappels? taches
        reunions? argent nom ordonnance train mot_de_passe"""
    ),
    "own": "<my> <word>{0,2}?<record>",
    "now": any_of(_IMPERATIVES),
    "todo": any_of(_INFINITIVES),
    "self": any_of(_SELF),
    "object": any_of(
        "mon ma mes le la les l ce cet cette ces ca une? <number> tout toutes? moi de du des"
    ),
    "hello": any_of("bonjour salut ok oui non et alors maintenant donc merci alexa svp stp"),
    "ask": any_of(
        """peux-tu pouvez-vous pourrais-tu pourriez-vous tu_peux vous_pouvez je_veux je_voudrais
        je_souhaite j_'aimerais je_dois"""
    ),
    "craft": any_of(
        "ecris ecrit ecrive redige traduis explique decris resume genere corrige reformule"
    ),
    "view": any_of("montre montrez affiche dis dites verifie lis"),
    "polite": "(?:s 'il (?:te|vous) plait|svp|stp) ",
    "general": r"""comment (?!est|va|vont|sont)<a>
        (?:que signifie|que veut dire|que faire|qu 'est-ce qu|c 'est quoi)
        (?:qu|quelle) (?:'est-ce qu '?une?|est la (?:difference|definition))
        (?:dois-je|devrais-je|peut-on|puis-je|faut-il|doit-on)
        est-il (?:possible|legal|preferable|sur)
        (?:difference entre|definition|exemples?|conseils?|signification)""",
    "moment": any_of("aujourd_'hui demain maintenant ce_soir en_ce_moment actuellement"),
}

FRENCH: Final = Language(
    _TERMS,
    r"""<start><polite>?<craft>(?:z|-moi)?
    <code>
    (?:poeme|chanson|paroles|phrase|paragraphe|dissertation|texte suivant|fonction|code)""",
    (
        Rule(
            "acting",
            f"{_IMPERATIVES} {_INFINITIVES} {_SELF} plait svp stp",
            r"""(?:<start>(?:<hello> )*|<polite>)<now> <object> '?<a>
            (?:<start>(?:<hello> )*|<polite>)<self>
            <start>(?:<hello> )*(?:appelle|appelez) <a>
            <ask> <word>{0,2}?<todo> <object> '?<a>""",
            r"<general>|ou .*\?",
        ),
        Rule(
            "personal",
            "mon ma mes notre nos",
            r"""ou (?:est|en est|sont|se trouve|se trouvent) <my>
            (?:quand|quel|quelle|quels|quelles|combien) <word>{0,4}?<own>
            est-ce que <own>
            <view>(?:z|-moi)? <word>{0,4}?<own>
            pourquoi <word>{0,2}?<own>
            <own> (?:est-il|est-elle|a-t-il|a-t-elle|arrive-t-il|arrive-t-elle)
            <own> (?:n '\w+|ne <a>) (?:pas|toujours|jamais)""",
        ),
        Rule(
            "personal",
            "ai-je dois-je reste-t-il suis-je j pres",
            r"""ai-je <word>{0,3}?(?:<record>|quelque chose)
            combien <word>{0,3}?(?:ai-je|dois-je|me reste-t-il)(?! \w+er )
            quand ai-je
            j 'ai <word>{0,3}?<record> (?:aujourd|demain|ce|cette)
            ou suis-je<end>
            pres (?:de moi|de chez moi|d 'ici)""",
            "comment|conseils?",
        ),
        Rule(
            "volatile",
            """temps heure jour date meteo nouvelles infos actualites change cours prix gagne mene
            pleut pleuvoir jours prochain prochaine trafic""",
            r"""quel temps (?:fait-il|fera-t-il|fait|va-t-il)
            meteo <word>{0,3}?(?:aujourd|demain|maintenant|ce|cette|a <a><end>|de <a><end>)
            quelle (?:est la )?(?:meteo|temperature) (?:a|dehors|aujourd|demain)
            quelle heure (?:est-il|il est)
            quel jour (?:sommes-nous|est-on|on est)
            quelle est la date
            (?:pleut-il|va-t-il pleuvoir|il pleut)
            (?:dernieres?|quelles sont les) (?:nouvelles|infos|actualites)
            quel est <word>{0,2}?(?:taux de change|cours (?:de|du)|prix (?:de l|du))
            qui (?:a gagne|mene|gagne)(?: (?:le|la) (?:match|course))?(?: <moment>)?<end>
            combien de jours <word>{0,3}?(?:avant|jusqu)
            (?:quand|a quelle heure) <word>{1,3}?prochaine? <a>""",
            r"<general>|\d{4}",
        ),
        Rule(
            "volatile",
            """aujourd maintenant moment soir matin semaine annee mois week-end actuel actuelle
            actuels actuelles actuellement derniere dernier hier demain""",
            r"""aujourd 'hui(?<!d aujourd 'hui)
            (?:en ce moment|actuellement|hier soir|ce soir|ce matin|demain<end>)
            maintenant<end>(?<!des maintenant)(?<!'a maintenant)
            (?:cette (?:semaine|annee|saison|nuit)|ce (?:mois|week-end))
            <a> actuel(?:le)?s?
            (?:derniere version|dernieres? \w+ de)""",
            "<general>|pourquoi|j 'ai|je suis|j 'etais|monde|societe",
        ),
    ),
)
