"""Each gate on pairs of questions: what it refuses, and what it lets pass."""

from __future__ import annotations

import pytest

from accel_core.lexicon.english import English
from accel_core.policy.difference import compare
from accel_core.policy.gates import GATES, STRICT
from accel_core.policy.reading import read

LEXICON = English()

FIRES = {
    "number": r"""
        What dose of codeine is given for 7 days? ~ What dose of codeine is given for 10 days?
        Is a potassium level of 5.1 dangerous? ~ Is a potassium level of 6.4 dangerous?
        How do I wire 2 million dollars abroad? ~ How do I wire 3 million dollars abroad?
        What does section 230 protect? ~ What does section 203 protect?
        And for the second one? ~ And for the third one?
        What is a good credit score? ~ What is a good credit score at 30?
        Who led the charge in World War I? ~ Who led the charge in World War II?
        ¿Cuánto cuesta un plan de 2 años? ~ ¿Cuánto cuesta un plan de 3 años?
        每天吃2片可以吗 ~ 每天吃3片可以吗
    """,
    "unit": r"""
        Is 50 mg of zoloft a high dose? ~ Is 50 mcg of zoloft a high dose?
        What is the interest per month? ~ What is the interest per year?
        Convert 3 stone to kilograms ~ Convert 3 stone to pounds
        Is $100 enough for a day in Rome? ~ Is €100 enough for a day in Rome?
        Set the timeout to 30 seconds ~ Set the timeout to 30 milliseconds
        Is a fever of 39 C dangerous? ~ Is a fever of 39 F dangerous?
        Will 100 Mbps be enough for streaming? ~ Will 100 MBps be enough for streaming?
        ¿Puedo tomar 500 mg al día? ~ ¿Puedo tomar 500 g al día?
        Do you pay weekly interest? ~ Do you pay monthly interest?
        Is the fee 2% per month over 3 years? ~ Is the fee 2% per year over 3 years?
        What's the top speed in mph? ~ What's the top speed in km/h?
        How many rows fit in 1 GB? ~ How many rows fit in 1 TB?
        How much is 20 Turkish lira? ~ How much is 20 Polish zloty?
        How much horsepower does it make? ~ How many kilowatts does it make?
        How many km are 10 miles? ~ Convert 10 km to miles
        How many pints is a liter? ~ How many liters is a pint?
        What is the price per kilo? ~ What does it cost per bunch?
        Is 5 mmol high? ~ Is 5 mg high?
        How much is 90 forint? ~ How much is 90 zloty?
    """,
    "date": r"""
        Is the branch open on Monday? ~ Is the branch open on Tuesday?
        What was inflation in March? ~ What was inflation in April?
        Should I take metformin in the morning? ~ Should I take metformin in the evening?
        When are Q3 taxes due in October? ~ When are Q3 taxes due in December?
        Is the court closed on weekends? ~ Is the court closed on weekdays?
        Will the statement arrive next week? ~ Did the statement arrive last week?
        Can I call support at 9 am? ~ Can I call support at 9 pm?
        What are visiting hours? ~ What are visiting hours on Sunday?
        What do Danes eat at Christmas? ~ What is eaten at New Year in Denmark?
    """,
    "identifier": r"""
        What does error ERR-1042 mean? ~ What does error ERR-1043 mean?
        Is vitamin A good for eyes? ~ Is vitamin K good for eyes?
        How do I use list.sort in python? ~ How do I use list.reverse in python?
        What does grep -i do? ~ What does grep -v do?
        What does \w match in a regex? ~ What does \W match in a regex?
        Is a == b true here? ~ Is a != b true here?
        Write hello world in C ~ Write hello world in C++
        What is hepatitis B? ~ What is hepatitis C?
        Is TLS 1.2.1 secure? ~ Is TLS 1.2.4 secure?
        Was bedeutet Fehler E404-A? ~ Was bedeutet Fehler E404-B?
        Fix "module not found" in app.py ~ Fix "module not found" in main.py
        How do I read a CSV in pandas? ~ How do I read an XML in pandas?
    """,
    "entity": r"""
        How do I close a Revolut account? ~ How do I close a Monzo account?
        Is Tylenol safe with alcohol? ~ Is Advil safe with alcohol?
        Who founded Stripe? ~ Who founded Square?
        What is the GDP of Peru? ~ What is the GDP of Chile?
        Can Apple sue Google? ~ Can Apple sue Amazon?
        What did Justice Kagan write? ~ What did Justice Alito write?
        How do I deploy to Heroku? ~ How do I deploy to Vercel?
        Is rent control legal in Oregon? ~ Is rent control legal in Ohio?
        How do I sell stock? ~ How do I sell Nvidia stock?
    """,
    "negation": r"""
        Which drugs can I take with warfarin? ~ Which drugs can't I take with warfarin?
        What happens if I pay my loan? ~ What happens if I don't pay my loan?
        Which expenses are deductible? ~ Which expenses are not deductible?
        How do I travel with a passport? ~ How do I travel without a passport?
        Select rows where email is null ~ Select rows where email is not null
        Who may vote in a primary? ~ Who may not vote in a primary?
        Why does my code compile? ~ Why doesn't my code compile?
        When should I take aspirin? ~ When should I never take aspirin?
    """,
    "polarity": r"""
        How do I enable two-factor login? ~ How do I disable two-factor login?
        Should I buy bonds now? ~ Should I sell bonds now?
        What are signs of hyperthyroidism? ~ What are signs of hypothyroidism?
        How do I lock my debit card? ~ How do I unlock my debit card?
        Is the tumor benign? ~ Is the tumor malignant?
        What does a lessor owe? ~ What does a lessee owe?
        How do I turn notifications on? ~ How do I turn notifications off?
        What are the risks of statins? ~ What are the benefits of statins?
        What is overfitting? ~ What is underfitting?
        How old is he? ~ How old is she?
        How do call options work? ~ How do put options work?
        What about the former? ~ What about the latter?
        Is overtime compulsory? ~ Is overtime optional?
        Is the train ahead of schedule? ~ Is the train behind schedule?
        Does the bolt turn clockwise? ~ Does the bolt turn counterclockwise?
    """,
    "comparator": r"""
        What if I earn more than the limit? ~ What if I earn less than the limit?
        Find users older than 18 ~ Find users younger than 18
        Is a BMI over 30 unhealthy? ~ Is a BMI under 30 unhealthy?
        Match at least 8 characters ~ Match at most 8 characters
        What do I eat before surgery? ~ What do I eat after surgery?
        Rates for loans above 50,000 ~ Rates for loans below 50,000
        Is no more than 5 drinks safe? ~ Is more than 5 drinks safe?
        Does a firm with fewer than 20 staff qualify? ~ Does a firm with more than 20 staff qualify?
    """,
    "superlative": r"""
        Who was the first judge on the court? ~ Who was the last judge on the court?
        What is the largest artery? ~ What is the smallest artery?
        Which card has the lowest fee? ~ Which card has the highest fee?
        Which vein is the deepest? ~ Which vein is the longest?
        What is the most common cancer? ~ What is the least common cancer?
        Which bank is the oldest? ~ Which bank is the safest?
        What is the cheapest loan? ~ What is the fastest loan?
        At what earliest hour may bars open? ~ What is the latest time for closing bars down?
        What is the population of a state? ~ What is the population of the largest state?
    """,
    "question_type": r"""
        When should I take insulin? ~ Why should I take insulin?
        Where do I file a claim? ~ When do I file a claim?
        Who approves a mortgage? ~ Why is a mortgage approved?
        How much is a wire transfer? ~ How long is a wire transfer?
        How do I appeal a ruling? ~ Why do I appeal a ruling?
        Should I refinance my loan? ~ How should I refinance my loan?
        What is a stroke? ~ Why is it called a stroke?
        Does the index rebuild? ~ Why does the index rebuild?
        How much is the toll in Oslo? ~ Why is there a toll in Oslo?
        Who signs the deed, the seller? ~ When does the seller sign the deed?
    """,
    "quantity": r"""
        Name one enzyme in saliva. ~ Name all enzymes in saliva.
        Delete one row from a table ~ Delete every row from a table
        Give me a symptom of lupus ~ Give me all symptoms of lupus
        Close the current tab ~ Close all tabs
        What is an example of a tort? ~ What are all the torts?
        Cancel a single order ~ Cancel all orders
        What is a noble gas? ~ List the noble gases
        Does any juror have to agree? ~ Does every juror have to agree?
        Do all employees get overtime pay? ~ Do some employees get overtime pay?
        Do both parents have to sign? ~ Does either parent have to sign?
        Give me a list of vegan restaurants ~ Give me a vegan restaurant
        How much does each ticket cost? ~ How much do the tickets cost altogether?
        What is the average salary of a pilot? ~ What is the total salary of the pilots?
        Summarize the entire article ~ Summarize part of the article
        Protect one of the sheets ~ Protect every one of the sheets
        Can I take it once a day? ~ May I take it twice daily?
        What does a double room cost? ~ How much is a single room?
        Is the full deposit due? ~ Is half of the deposit due?
    """,
    "direction": r"""
        Convert euros to dollars ~ Convert dollars to euros
        Move money from checking to savings ~ Move money from savings to checking
        Can a tenant sue a landlord? ~ Can a landlord sue a tenant?
        How do I fly from Boston to New York? ~ How do I fly from New York to Boston?
        Flights from Lisbon in May ~ Flights to Lisbon in May
        Migrate from postgres to mysql ~ Move to postgres from mysql
        What percentage of 80 is 20? ~ What percentage of 20 is 80?
        Does stress cause insomnia? ~ Does insomnia cause stress?
        Merge main into dev ~ Merge dev into main
        Who taught Plato? ~ Who did Plato teach?
        Which companies did Google acquire? ~ Which company acquired Google?
        Was Bach influenced by Vivaldi? ~ Was Vivaldi influenced by Bach?
        Can my employer sue me? ~ Can I sue my employer?
        Should the milk go in before the tea? ~ Should I put the tea in before the milk?
        Is vodka stronger than gin? ~ Is gin a stronger drink than vodka?
        What do I get if I divide 90 by 6? ~ What is 6 divided by 90?
        Which drugs can aspirin replace? ~ Which drugs can replace aspirin?
        What depends on libfoo? ~ What does libfoo depend on?
        And if he hits me first? ~ And if I hit him first?
        Do Norwegians need a visa for Chile? ~ Do Chileans need a visa for Norway?
        Do I have to pay my lodger? ~ Does my lodger have to pay me?
        Which states buy coal from Poland? ~ Which states does Poland buy coal from?
        May the umpire send off a captain? ~ Is a captain able to send off the umpire?
        Is Turin far north of Genoa? ~ Is Genoa far north of Turin?
        Do I season the pan after oiling it? ~ Should I oil the pan after seasoning it?
        When does a parent owe a child support? ~ When does a child owe a parent support?
        Can I deduct what I lend my ex? ~ Can my ex deduct what I lend her?
        How do I get from here to there? ~ How do I get from there to here?
        What if she sues me? ~ What if I sue her?
    """,
    "exchange": r"""
        How do I open a checking account? ~ How do I open a brokerage account?
        What causes anemia in women? ~ What causes acne in women?
        How does tcp open a connection? ~ How does udp open a connection?
        What foods lower cholesterol? ~ What foods lower testosterone?
        How do I write a loop in rust? ~ How do I write a macro in rust?
        Who pays property tax? ~ Who pays sales tax?
        And what about my car? ~ And what about my boat?
        Is a verbal lease binding? ~ Is a verbal promise binding?
    """,
    "condition": r"""
        How do I open an account? ~ How do I open an account without a passport?
        How much aspirin is safe? ~ How much aspirin is safe during pregnancy?
        Can my boss fire me? ~ Can my boss fire me while on leave?
        How do I sort a list? ~ How do I sort a list in descending order?
        What is the penalty for speeding? ~ What is the penalty for speeding in a school zone?
        Can I get a loan? ~ Can I get a loan with bad credit?
        Is coffee safe? ~ Is coffee safe for toddlers?
        How is a will signed? ~ How is a will signed if the testator is blind?
        Are electric cars taxed? ~ Are leased electric cars taxed?
        Who won the marathon? ~ Who won the women's marathon?
        easy chocolate cake recipe ~ easy gluten free chocolate cake recipe
        How do I get a mortgage? ~ How do self-employed people get a mortgage?
    """,
    "restriction": r"""
        What is the usual dose of codeine? ~ What is the usual dose of codeine in children under 6?
        python sort a list ~ python sort a list of dicts by key
        Can I return shoes? ~ Can I return shoes after wearing them?
        How is a will contested? ~ How is a will contested by a stepchild in Texas?
        What does the card cost? ~ What does the gold card cost abroad?
        Explain recursion ~ Explain recursion to a young child
        Which fees does a broker charge? ~ Which fees does a broker charge on dormant accounts?
        And how long will that take? ~ And how long will that take by sea freight?
        Is rice healthy? ~ Is brown rice healthy?
        How do I list users? ~ How do I list users alphabetically?
        Where do I get a permit? ~ How can I obtain a permit for a tent?
        Are there hostels nearby? ~ Are there hostels nearby that take dogs?
        How tall is the mast? ~ How tall is the mast in feet?
        How much is the parking? ~ How much is the parking per hour?
        Which tram has a ramp? ~ Which old tram has a ramp?
        What is the fee for a parcel? ~ How much do you charge for a parcel to Malta?
    """,
    "substitution": r"""
        Where do I open a checking account? ~ How can I open a brokerage account?
        Signs of measles in a child ~ What are a child's signs of mumps?
        How does tcp work? ~ What is the way udp works?
        What's a good dress for a gala? ~ Which dress is best for a funeral?
        What are the stages of mitosis? ~ Can you describe the stages of meiosis?
        Can I eat rhubarb leaves? ~ Are celery leaves good to eat?
        How do I bake with spelt? ~ What do I bake with rye?
        And for my boat? ~ And what about my car?
        Can I appeal a ruling? ~ How do I appeal a ruling?
        Where is the pancreas? ~ What does the pancreas do?
        What is a fjord? ~ What is an atoll?
        What is a notary? ~ Do I need a notary?
    """,
}
"""By gate, pairs that it refuses."""

SILENT = {
    "number": r"""
        Can I deposit $5k in cash? ~ Can I deposit $5,000 in cash?
        How do two hundred employees share one printer? ~ How do 200 employees share one printer?
        Give me 1 example of a torts case. ~ Give me one example of a torts case.
        Is 1,500 mg of sodium a day enough? ~ Is 1500 mg of sodium per day enough?
        What is the fourth amendment? ~ What is the 4th amendment?
        Is 1.50 a fair rate? ~ Is 1.5 a fair rate?
        What happened in World War II? ~ What happened in World War 2?
        What does three million pounds buy? ~ What does 3,000,000 pounds buy?
    """,
    "unit": r"""
        How many km is a mile? ~ How many kilometers is a mile?
        Can I take 200 mg of ibuprofen? ~ Can I take 200 milligrams of ibuprofen?
        Is $40 too much for a haircut? ~ Is 40 dollars too much for a haircut?
        How many lbs are in a ton? ~ How many pounds are in a ton?
        Do you charge a monthly fee? ~ Do you charge a fee every month?
        Is 37 °C a fever? ~ Is 37 degrees Celsius a fever?
        How long is 5 ft in inches? ~ How many inches are 5 feet?
        What costs 10 EUR? ~ What costs 10 euros?
        What's the top speed in mph? ~ What's the top speed in miles per hour?
        Is 100 Mbps enough? ~ Is 100 megabits per second enough?
        Give me the angle in radians ~ Give me the angle in rad
        How many ounces are in a pound? ~ How many ounces make a pound?
        What is 5 feet in inches? ~ How many inches are five feet?
        What is the salary per annum? ~ What is the salary per year?
        What is the fee per head? ~ What is the fee a head?
    """,
    "date": r"""
        What is due on Sept 5? ~ What is due on September 5?
        How may I close my account? ~ How can I close my account?
        Why do prices fall? ~ Why are prices falling?
        How do I march in a parade? ~ How can I march in a parade?
        What is the rate today? ~ What is the rate?
        What should I do this week? ~ What should I do?
        What happens at Xmas in Norway? ~ What happens at Christmas in Norway?
        Why do leaves drop in autumn? ~ Why do leaves drop in fall?
    """,
    "identifier": r"""
        How do I call use effect in react? ~ How do I call useEffect in react?
        What is the icd-10 code for asthma? ~ What is the ICD 10 code for asthma?
        How do I loop in JS? ~ How do I loop in JavaScript?
        How do I sort a list in Python? ~ how do i sort a list in python
        Is 16GB of RAM enough? ~ Is 16 GB of RAM enough?
        How do I print in C#? ~ how do i print in c#
        Is tight/loose clothing better? ~ Is loose/tight clothing better?
        HOW DO I RESET MY PIN ~ how do i reset my pin
    """,
    "entity": r"""
        What is the GDP of Peru? ~ What is the gross domestic product of Peru?
        Do I need a visa for the USA? ~ Do I need a visa for the United States?
        How Do I Cancel My Netflix Subscription ~ How do I cancel my Netflix subscription
        Who is the president of France? ~ Who is France's president?
        Is wifi free at Starbucks? ~ Is Wi-Fi free at Starbucks?
        When did WWII end? ~ When did World War II end?
        Who runs the DMV in Utah? ~ Who runs the Department of Motor Vehicles in Utah?
        Can I freeze soup? ~ Is it OK to freeze soup?
        Is Paris the capital of France? ~ Is the capital of France Paris?
    """,
    "negation": r"""
        Isn't a whale a mammal? ~ Is a whale a mammal?
        I don't know how to boil eggs ~ how to boil eggs
        Is it legal or not to record calls? ~ Is it legal to record calls?
        Why won't my printer print? ~ Why does my printer fail to print?
        What if I do not file taxes? ~ What if I don't file taxes?
        How do I brew without a machine? ~ How do I brew if I have no machine?
        What is my account no.? ~ What is my account number?
        Do I need a degree to teach? ~ Can I teach without a degree?
        Who never forgets a face? ~ Who does not ever forget a face?
    """,
    "polarity": r"""
        Is Mars bigger or smaller than Earth? ~ Is Mars smaller or bigger than Earth?
        How do I get ink off my shirt? ~ How do I get ink out of my shirt?
        How do I start a blog? ~ How do I begin a blog?
        How can I quickly lose weight? ~ How can I lose weight quickly?
        How do I purchase a bond? ~ How do I buy a bond?
        Why is my internet slow? ~ Why is my internet so slow?
        How do I shut down a server? ~ How do I shut a server down?
        What is an open market? ~ What's an open market?
        Is Dallas east of Houston? ~ Is Houston west of Dallas?
        Who did Federer lose to? ~ Which player beat Federer?
    """,
    "comparator": r"""
        Find users older than 18 ~ Find users over 18
        Is a BMI above 30 unhealthy? ~ Is a BMI over 30 unhealthy?
        Which planets are larger than Earth? ~ Which planets are bigger than Earth?
        Are rates lower than 5% common? ~ Are rates under 5% common?
        Is more than 2 cups of coffee bad? ~ Is over 2 cups of coffee bad?
        Is rust better than go? ~ Is rust better than go to learn?
        What should I eat prior to surgery? ~ What should I eat before surgery?
        Can I rent at under 25? ~ Can I rent below 25?
        Is gold heavier than lead? ~ Is lead lighter than gold?
        Is the fee no more than 50 dollars? ~ Is the fee at most 50 dollars?
    """,
    "superlative": r"""
        What is the best way to save? ~ What is the easiest way to save?
        What is the largest bank? ~ What is the biggest bank?
        Who is the greatest player? ~ Who is the best player?
        What should I do first? ~ What should I do?
        What is a good IDE? ~ What is the best IDE?
        Why is interest high? ~ Why is the interest so high?
        How do I request a refund? ~ How can I request a refund?
        Which forest is in Bavaria? ~ What forest is in Bavaria?
    """,
    "question_type": r"""
        When does the bank open? ~ What time does the bank open?
        Could you tell me why the sky is blue? ~ Why is the sky blue?
        What is the reason for fever? ~ Why is there fever?
        How much does it cost? ~ What is the cost?
        How old must I be to vote? ~ At what age can I vote?
        How come cats purr? ~ Why do cats purr?
        How safe is it to fly? ~ Is it safe to fly?
        Is it safe to run? Why? ~ Why is it safe to run?
        How much does a brick weigh? ~ What does a brick weigh?
        How much is that in pesos? ~ What is that in pesos?
        How long is the flight? ~ How many hours is the flight?
        How heavy is a brick? ~ How much does a brick weigh?
        How do I enter a voucher? ~ Where do I enter a voucher?
        How long do newts live? ~ What is the lifespan of a newt?
        When is a contract void? ~ Under which circumstances is a contract void?
    """,
    "quantity": r"""
        What are the symptoms of flu? ~ What are all the symptoms of flu?
        Do all squares have angles? ~ Does each square have angles?
        What is an APR? ~ What is APR?
        Who is the best of all time? ~ Who is the best ever?
        Can you list side effects of statins? ~ List side effects of statins
        Why do all cats purr? ~ Why do cats purr?
        Is every dog loyal? ~ Are all dogs loyal?
        How do I remove an item? ~ How do I remove items?
        Do all employees get overtime pay? ~ Does every employee get overtime pay?
        Can the bank close all of my accounts? ~ Can the bank close every one of my accounts?
        suggest several names for a puppy ~ suggest a few names for a puppy
        Why was I charged twice? ~ Why was I double charged?
        Is everyone in the house insured? ~ Is everybody in the house insured?
    """,
    "direction": r"""
        How do a will and a trust differ? ~ How do a trust and a will differ?
        How far is it from Rome to Paris? ~ How far is it from Paris to Rome?
        Is Java or Python better? ~ Is Python or Java better?
        In Python, how do I sort a list? ~ How do I sort a list in Python?
        Can I take aspirin and ibuprofen? ~ Can I take ibuprofen and aspirin?
        Compare stocks to bonds ~ Compare bonds to stocks
        Who wrote the penal code? ~ The penal code was written by whom?
        git undo last commit ~ undo last commit git
        Who taught Plato? ~ Who was Plato taught by?
        Was Bach influenced by Vivaldi? ~ Did Vivaldi influence Bach?
        What companies were acquired by Google? ~ Which companies did Google acquire?
        What percentage of 60 is 45? ~ 45 is what percentage of 60?
        Does stress cause insomnia? ~ Can stress cause insomnia?
        Should the milk go in before the tea? ~ Should I put the milk in before the tea?
        What is 90 divided by 6? ~ What do I get if I divide 90 by 6?
        Is tap water safe in Fiji? ~ Is water from the tap safe in Fiji?
        Do I have to pay my lodger? ~ Must I pay my lodger?
        On a Mac, how do I record the screen? ~ How do I record the screen on a Mac?
        Can dogs eat grapes? ~ Are grapes something dogs can eat?
        Which states buy coal from Poland? ~ From Poland, which states buy coal?
        How do I keep Hulu from buffering? ~ Why does Hulu keep buffering, how do I fix it?
        How do you capture night sky photos? ~ How do I photograph the sky at night?
        How far is Turin from Genoa? ~ How far is Genoa from Turin?
        Can a cousin marry a cousin's aunt? ~ May a cousin's aunt marry a cousin?
    """,
    "exchange": r"""
        How do I purchase a car? ~ How do I buy a car?
        What is the definition of tort law? ~ What is the meaning of tort law?
        Why is a child afraid of dogs? ~ Why is a child scared of dogs?
        How do I recieve a wire transfer? ~ How do I receive a wire transfer?
        How do I find my favorite songs? ~ How do I find my favourite songs?
        Is the film any good for kids? ~ Is the movie any good for kids?
        Does it really hurt to get a tattoo? ~ Does it hurt to get a tattoo?
        How do I avoid procrastinating? ~ How do I avoid procrastination?
        Is there a fee for closing it? ~ Is there a charge for closing it?
        Which tests are required for a visa? ~ Which tests are needed for a visa?
    """,
    "condition": r"""
        How do I open an account? ~ How do I open an account please?
        What is a bond? ~ So what exactly is a bond?
        How do I reset a password? ~ How do I reset my password?
        Why is the sky blue? ~ Why is the sky so blue?
        How do I cook rice? ~ What is the best way to cook rice?
        Is there a fee? ~ Is there any fee for that?
        Hello, how do I sort a list? ~ How do I sort a list?
        How do I sort a list? Thanks in advance! ~ How do I sort a list?
        Which roads are not safe? ~ Which roads are unsafe?
        Which answers are not good? ~ Which answers are bad?
        How do I laugh? ~ How does one laugh?
        How do I thaw lobster? ~ How do I quickly thaw lobster?
    """,
    "restriction": r"""
        How do I sort a list? ~ Hello, how do I sort a list?
        Is rice healthy? ~ Is rice good for your health?
        What is a bond? ~ What exactly is a bond?
        How do oaks and elms differ? ~ What's the difference between oaks and elms?
        How do I renew a permit? ~ What is the procedure for renewing a permit?
        Is Guam part of the United States? ~ Is Guam a part of the US?
        Why do owls hoot? ~ What is the reason that owls hoot?
        What is the capital of Togo? ~ Which city is Togo's capital?
        What do I need in order to vote? ~ What do I need to vote?
        Can a tenant sublet? ~ Is it possible for a tenant to sublet?
        Why do cats purr? ~ So why do cats purr? Thanks in advance!
        What is a tort? ~ What is a crime?
        Who signs a deed? ~ By whom is a deed signed?
        Is tea good for me? ~ Please tell me, is tea good for me?
        What is the rate? ~ What is the rate
    """,
    "substitution": r"""
        How do I buy a car? ~ How do I purchase a car?
        Which film should I see? ~ Which movie should I see?
        How do I recieve a parcel? ~ How do I receive a parcel?
        How many lbs is that? ~ How many pounds is that?
        Is it my favourite? ~ Is it my favorite?
        What is a tort? ~ What is a civil tort claim?
        How do I get a visa? ~ How do I find a visa?
        What is a good plan? ~ What's a good plan?
        How long is a rugby game? ~ What is the length of a rugby game?
        Which food helps after a marathon? ~ What should I eat after a marathon?
        Why did my tree die? ~ What was the cause of my tree's death?
        What does a barrister do? ~ What is the job of a barrister?
        How do I loop in JS? ~ How can I loop in JavaScript?
        Where is the best place to surf? ~ What is the best place to surf?
        Can you sort a list? ~ How do you sort a list?
        How do I treat a wasp sting? ~ What should I put on a wasp sting?
    """,
}
"""By gate, pairs that come near it and mean the same."""


def _pairs(tables: dict[str, str]) -> list[tuple[str, str, str]]:
    return [
        (gate, *line.strip().split(" ~ "))
        for gate, lines in tables.items()
        for line in lines.strip().splitlines()
    ]


def _fired(one: str, other: str) -> set[str]:
    difference = compare(read(one), read(other), LEXICON)
    return {name for name, gate in GATES.items() if gate(difference, LEXICON)}


@pytest.mark.parametrize(("gate", "one", "other"), _pairs(FIRES))
def test_fires(gate: str, one: str, other: str) -> None:
    """The gate refuses, whichever of the two is the question."""
    assert gate in _fired(one, other)
    assert gate in _fired(other, one)


@pytest.mark.parametrize(("gate", "one", "other"), _pairs(SILENT))
def test_stays_silent(gate: str, one: str, other: str) -> None:
    """The gate does not refuse; nor, outside strict mode, does any other."""
    fired = _fired(one, other)
    assert gate not in fired
    assert gate in STRICT or not fired - STRICT


def test_every_gate_is_shown() -> None:
    """At least eight pairs each that it refuses, and that it lets pass."""
    for tables in (FIRES, SILENT):
        assert tables.keys() == GATES.keys() - {"filler"}  # which looks at whole texts
        assert all(len(lines.strip().splitlines()) >= 8 for lines in tables.values())
