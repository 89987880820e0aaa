"""What is shown of texts: examples, scrubbed and cut, and the words that tell a group from the others. Pure.

Words are weighed by class-based TF-IDF (Grootendorst 2022): how often a group says them, over how often all do. A word
counts once for each text, and must be in several, so that no single user's words name a group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log

from rondo.datasets.scrub import blotted
from rondo.guards import personal, secrets

SHOWN = 160
_LOOKED_AT = 4_000
_LEAST_TEXTS = 2
_WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]")
_BLOTTED = re.compile(r"\[[A-Z_]+\]|<[A-Z_]+:[^<>]*>")
STOP = frozenset(
    (
        "a about after all also am an and any are as at be because been but by can could did do does doing don for"
        " from get had has have having hello help her here hi him his how i i'm if in into is it it's its just like me"
        " more my need no not now of off on once only or other our out over please she should so some such than thank"
        " thanks that the their them then there these they this those to too up us very want was we were what when"
        " where which while who why will with would yes you your aber als auch auf aus bei bin bis bitte da danke das"
        " dass dem den der des die dies diese dieser doch du ein eine einem einen einer eines er es für hallo hat habe"
        " haben ich ihr ihre im ist ja kann kein keine können man mein meine meinem meinen meiner mich mir mit nach"
        " nein nicht noch nur ob oder ohne sehr sich sie sind um und uns von vor war wenn werden wie wieder wir wird"
        " wo zu zum zur über au aux avec ce ces comment dans de elle en est et il je la le les leur ma mais mes mon ne"
        " nous ou par pas pour que qui sa se ses son sur tu un une vous con como cuando del el ella esta este las lo"
        " los mi o para pero por si su una y yo"
        " hey dear greetings regards cheers thx best good morning afternoon evening quick question already still yet"
        " since ago today yesterday tomorrow last week weeks day days monday tuesday wednesday thursday friday saturday"
        " sunday one two three four five six seven eight nine ten guten tag morgen abend grüße gestern heute schon mal"
        " seit woche wochen tage tagen"
    ).split()
)
"""Words that name nothing, greetings and times among them: English, German, French, Spanish."""


def scrubbed(texts: Sequence[str]) -> list[str]:
    """Without the personal data and secrets that patterns know; one scan for all of them."""
    found = [text[:_LOOKED_AT] for text in texts]
    for patterns in (secrets.compiled(), personal.compiled()):
        for place, findings in enumerate(patterns.find_all(found)):
            if findings:
                found[place] = blotted(found[place], findings)
    return found


def shown(text: str) -> str:
    """A text as an example: one line, cut."""
    line = " ".join(scrubbed([text])[0].split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def distinct(texts: Sequence[str], most: int) -> list[int]:
    """The places of the first texts of which no two have more than half of their words in common."""
    chosen: dict[int, set[str]] = {}
    for place, text in enumerate(texts):
        words = set(_words(text)) or {text}
        if all(2 * len(words & other) <= len(words | other) for other in chosen.values()):
            chosen[place] = words
        if len(chosen) == most:
            break
    return list(chosen)


def top_terms(texts: Sequence[str], labels: Sequence[int], *, most: int = 5) -> dict[int, list[str]]:
    """For each label, the words and pairs of words that stand out; `texts` are scrubbed."""
    said: dict[int, Counter[str]] = {}
    sizes: Counter[int] = Counter(labels)
    for text, label in zip(texts, labels, strict=True):
        said.setdefault(label, Counter()).update(set(_terms(text)))
    everyone: Counter[str] = Counter()
    for counted in said.values():
        everyone.update(counted)
    average = sum(everyone.values()) / max(1, len(said))
    return {label: _chosen(counted, everyone, average, sizes[label], most) for label, counted in said.items()}


def _chosen(said: Counter[str], everyone: Counter[str], average: float, size: int, most: int) -> list[str]:
    weights = {
        term: (count / size) * log(1 + average / everyone[term])
        for term, count in said.items()
        if count >= min(_LEAST_TEXTS, size)
    }
    chosen: list[str] = []
    for term in sorted(weights, key=lambda term: (-weights[term], term)):
        if not any(_is_in(term, other) or _is_in(other, term) for other in chosen):
            chosen.append(term)
        if len(chosen) == most:
            break
    return chosen


def _is_in(one: str, other: str) -> bool:
    return bool(set(one.split()) & set(other.split()))


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(_BLOTTED.sub(" ", text).casefold()) if word not in STOP]


def _terms(text: str) -> list[str]:
    words = _words(text)
    return [*words, *(f"{one} {other}" for one, other in pairwise(words))]


def name_of(terms: Sequence[str]) -> str:
    """A group's name where no model gives one."""
    return ", ".join(terms[:3]) or "without words in common"
