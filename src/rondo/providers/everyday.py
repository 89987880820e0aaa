"""Everyday English for one thing said in several ways: irregular forms, synonyms, verbs with a particle. Pure.

A customer writes "send back", the handbook says "return". Without a language model the two meet only by a table like
this one. It holds what people ask any shop or service about, nothing of a trade.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Forms that no stemming brings together. One family per line or comma.
_IRREGULAR = """
    send sent, buy bought, pay paid, give gave given, go went gone, ride rode ridden, steal stole stolen, lose lost,
    break broke broken, hold held, keep kept, leave left, make made, take took taken, bring brought, come came,
    run ran, forget forgot forgotten, write wrote written, choose chose chosen, sell sold, spend spent,
    begin began begun, grow grew grown, find found, think thought, feel felt, fall fell fallen, wear wore worn,
    see saw seen, know knew known, meet met, build built, catch caught, drive drove driven, child children,
    person people, foot feet, tooth teeth, half halves, day daily, week weekly, month monthly, year yearly annual,
    age old aged, high height, long length, wide width, heavy weight weigh, deliver delivery, complain complaint,
    expire expiry, inspect inspection, insure insurance, assemble assembly, subscribe subscription,
    withdraw withdrawal, renew renewal, reserve reservation, electric electrical
"""

# Words that a question and its answer use for the same thing.
_SYNONYMS = """
    cost price charge fee expensive, ship deliver delivery shipping shipment post postage dispatch,
    swap exchange, refund reimburse reimbursement, repair fix mend, shut close closed closing,
    phone telephone ring call, home house flat apartment, christmas xmas, minimum least, maximum most highest limit,
    discount reduction cheaper cheap, damaged damage broken break crushed faulty defect,
    stolen steal theft thief nicked, lost lose missing, start begin, cancel terminate quit, pause suspend,
    child kid toddler, abroad overseas international foreign, warranty guarantee, invoice receipt bill,
    insured insurance cover, collect pickup fetch, instalment installment, password passcode, email mail,
    buy purchase, shop store branch, vacancy job career, company firm employer, used refurbished secondhand,
    rent rental hire lease, gift present, carton box package parcel, answer reply response, photo picture image,
    pound quid, adult grownup
"""

# Verbs with a particle and the like, each made one word before anything else.
_PHRASES = {
    "return": r"(?:send|sent|sending|give|gave|giving|take|took|bring|brought|go|goes)(?: (?:it|them|this|one))? back",
    "refund": r"money back",
    "pause": r"(?:put (?:\w+ ){1,3})?on hold",
    "expire": r"runs? out|ran out",
    "collect": r"pick(?:ed|ing)?[ -]up",
    "secondhand": r"second[ -]hand|pre[ -]owned",
    "discount": r"(?:money|percent) off",
    "instalment": r"spread(?:ing)? the cost",
    "deposit": r"put down|down payment",
    "signin": r"(?:log|sign)(?:ged|ging)?[ -]?in(?:to)?",
    "email": r"e-mail",
}
_PHRASE = re.compile("|".join(rf"(?P<{name}>\b(?:{pattern})\b)" for name, pattern in _PHRASES.items()))


def join_phrases(text: str) -> str:
    """Lower-case `text` with its phrases as single words: `send it back` becomes `return`."""
    return _PHRASE.sub(lambda match: match.lastgroup or "", text)


def families() -> Iterable[list[str]]:
    """Words that stand for one another. A word may be in several families."""
    for table in (_IRREGULAR, _SYNONYMS):
        for family in table.split(","):
            yield family.split()
