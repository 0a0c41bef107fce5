"""Words that an everyday thesaurus gives for one another, where WordNet's first senses do not.

WordNet sets "fee" and "charge", "create" and "add", "symptom" and "sign" far apart: it tells senses
and not uses. In a question either is said for the other. General knowledge of the language,
not of anybody's questions; a word may stand in several groups, and being alike is not transitive.

Invariant: no group holds two words of which one turns an answer into another (`english.OPPOSITES`).
"""

from __future__ import annotations

from functools import lru_cache

from accel_core.policy.reading import singular, stem

_GROUPS = """
create make build produce generate construct | create add | start begin launch open | start boot |
stop quit end cease finish terminate halt | stop prevent avoid keep | end cancel terminate |
exit quit leave close | remove delete erase clear wipe eliminate rid | remove uninstall |
clear empty | fix repair mend solve resolve correct |
improve boost enhance better strengthen increase | increase raise boost |
reduce decrease lower cut lessen minimize | merge join combine | connect link join attach pair |
save store keep | save export | load import open | verify prove confirm check validate |
check test examine inspect | dispute contest challenge fight | choose pick select |
buy purchase order get | obtain get receive acquire gain | send mail ship post transfer |
ship deliver | show display view | see look watch view |
find locate discover detect spot identify | find recover | use apply employ utilize |
help assist aid support | change modify alter edit update adjust |
change replace exchange swap switch | replace substitute swap |
explain describe define clarify outline summarize | learn study | teach train coach |
practise practice train exercise | work function operate run | speak talk | tell say |
contact reach call | ask request | allow permit let enable authorize |
forbid ban prohibit disallow | need require | preserve keep store stay retain maintain |
absorb take | effective work help | support service | enter type input insert | visit go travel |
cook prepare make | clean wash | hire rent | hire employ recruit | fire dismiss sack terminate |
quit resign leave | happen occur take | try attempt | want wish like | like enjoy |
treat cure heal relieve | treat handle manage deal | calm soothe relax | hurt ache pain |
hurt injure harm damage | throw toss | cut chop slice | grow raise cultivate | lose shed drop |
upgrade update | protect guard secure safeguard defend | gather collect | divide split |
decide determine | calculate compute determine estimate | beat defeat | sue prosecute |
submit file hand | register enroll sign | recommend suggest advise | decline refuse reject |
turn convert transform | shut close | set configure setup | reply respond answer |
mix blend combine stir | own have possess | suffer have | carry bring take | pack bring |
mean signify stand denote | fee charge cost price | pay cost spend | store shop |
phone mobile smartphone cellphone telephone | package parcel | car vehicle automobile auto |
cab taxi | bike bicycle cycle | plane airplane aircraft aeroplane flight | apartment flat |
house home | job work position occupation employment |
job role task duty function responsibility | boss manager supervisor employer |
worker employee staff | company firm business | lawyer attorney solicitor | doctor physician gp |
child kid | children kids | baby infant newborn | teenager teen adolescent | movie film |
picture photo image photograph | document file paper | paperwork documents papers |
folder directory | program application app software | package library module |
computer machine pc laptop | website site page webpage | internet web online |
email mail message | error mistake problem issue bug fault | trouble problem difficulty |
answer solution reply response | sign symptom indication | sign mark | reason cause |
effect consequence result outcome | side adverse | benefit advantage pro plus |
drawback disadvantage con downside | danger risk hazard |
disease illness sickness condition disorder | medicine drug medication |
shot vaccine vaccination injection jab | tired exhausted fatigue tiredness | holiday vacation |
trip journey travel | luggage baggage bag suitcase | reservation booking | train railway rail |
town city | country nation | sea ocean | rubbish garbage trash | tap faucet | lift elevator |
soccer football | match game | rule law regulation | penalty punishment fine sentence |
contract agreement | verbal oral spoken | resume cv | salary wage pay income earnings |
money cash funds | mortgage loan | bill invoice | setting option preference default |
feature function | screen display monitor | meal dish food | food foods diet | supper dinner |
fridge refrigerator | stove oven cooker | pan skillet | sweet candy | biscuit cookie |
cinema theater theatre | garden backyard yard | rock stone | road street | coworker colleague |
friend buddy | goal aim objective | size dimension | speed pace | large big huge |
small little tiny | fast quick rapid speedy | fast faster quick quicker quickly rapidly |
fastest quickest quickly | cheap inexpensive affordable | expensive costly pricey |
good great nice fine excellent | best ideal perfect optimal top right | bad poor terrible |
easy simple straightforward | hard difficult tough |
important significant essential crucial vital | importance significance | famous popular known |
correct right proper | wrong incorrect mistaken |
necessary required needed mandatory compulsory obligatory | legal allowed lawful permitted |
illegal forbidden prohibited unlawful | safe secure | dangerous risky hazardous |
sick ill unwell | broken damaged faulty | main primary chief key major |
usual normal typical common ordinary regular standard | usually normally typically commonly |
near nearest closest close nearby | clever smart intelligent | beautiful pretty | angry mad |
happy glad | strange odd weird unusual | old ancient | elderly old | impolite rude |
new latest recent | abroad overseas foreign | often frequently | enough sufficient |
available offered | included contained | possible feasible | fake false counterfeit |
real genuine authentic | free complimentary | spicy hot | strong powerful | unhealthy bad |
consist composed contain made | follow track trace | bill cost charge | refer recommend |
delivery shipping shipment | return send | belong part | fall drop | unblock unclog clear |
add upload insert | compare differ differentiate | occur form | start found
"""

_PAST = (
    "saw seen:see went gone:go took taken:take made:make got gotten:get gave given:give kept:keep"
    " found:find sent:send built:build began begun:begin taught:teach grew grown:grow beaten:beat"
    " spent:spend fell fallen:fall chose chosen:choose threw thrown:throw broke broken:break"
    " said:say told:tell spoke spoken:speak bought:buy left:leave lost:lose paid:pay held:hold"
    " brought:bring learnt:learn meant:mean thought:think understood:understand wore worn:wear"
)
_REMEMBERED = 4_096


def _placed() -> dict[str, frozenset[int]]:
    """Return by stem the groups it stands in."""
    found: dict[str, set[int]] = {}
    for number, group in enumerate(_GROUPS.split("|")):
        for word in group.split():
            for form in (word, stem(word)):
                found.setdefault(form, set()).add(number)
    return {form: frozenset(numbers) for form, numbers in found.items()}


def _presents() -> dict[str, str]:
    """Return by irregular form the verb in the present."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    for piece in _PAST.split():
        form, _, present = piece.partition(":")
        waiting.append(form)
        if present:
            found.update(dict.fromkeys(waiting, present))
            waiting.clear()
    return found


_PLACED = _placed()
_PRESENTS = _presents()
_NOWHERE: frozenset[int] = frozenset()


@lru_cache(_REMEMBERED)
def _groups(word: str) -> frozenset[int]:
    return frozenset().union(
        *(
            _PLACED.get(form, _NOWHERE)
            for form in {word, singular(word), stem(word), _PRESENTS.get(word, word)}
        )
    )


def alike(one: str, other: str) -> bool:
    """Whether either word, lower case and in any form, is said for the other.

    >>> alike("fees", "charge"), alike("created", "adding"), alike("open", "close")
    (True, True, False)
    """
    return not _groups(one).isdisjoint(_groups(other))
