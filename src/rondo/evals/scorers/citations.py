"""The scorer `citations`: whether the passages that an answer cites as [1] exist, and hold what it says. Pure.

By default support is lexical: cheap, the same every time, and blind to meaning. It sees that a number or a word is
nowhere in the passage; it does not see a "not". A model can be asked instead.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from pydantic import Field

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.asking import Asked, Asker, Judged
from rondo.evals.scorers.model import Kind, NotApplicable, Options, Say, Tools, several
from rondo.evals.scorers.number import numbers_in
from rondo.providers.sentences import sentences, words
from rondo.traces.why import citations as numbers_cited

_MARK = re.compile(r"\s*\[\d{1,4}(?:\s*,\s*\d{1,4})*\]")
_MARK_BEHIND = re.compile(r"([.!?])((?:\s*\[\d{1,4}(?:\s*,\s*\d{1,4})*\])+)")
_ALPHANUMERIC = re.compile(r"[^\W_]+")

Supports = Callable[[str, str], Awaitable[bool]]
"""Whether a passage (second) holds a claim (first)."""


class CitationsOptions(Options):
    support: float = Field(
        0.6, gt=0, le=1, description="Least share of a claim's meaningful words that its passages must hold."
    )
    model: str | None = Field(
        None, description="A model that is asked whether a passage holds a claim, instead of words."
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="Request fields sent to it; `temperature` is 0 where they do not say."
    )


class Claim:
    """A sentence of the answer, without its marks, and the numbers it cites."""

    def __init__(self, sentence: str) -> None:
        self.cited = sorted(numbers_cited(sentence))
        self.text = _MARK.sub("", sentence).strip()


def citations(options: CitationsOptions, tools: Tools) -> Say:
    asker = Asker(tools, options.kind, options.model, options.params) if options.model is not None else None

    async def say(case: Case) -> Scored:
        passages = {chunk.number: chunk.text for chunk in case.answer.chunks}
        if not passages:
            raise NotApplicable("The answer had no passages to cite.")
        if case.answer.handed_over:
            raise NotApplicable("The answer was handed over.")
        claims = list(claims_in(case.answer.text))
        if not claims:
            raise NotApplicable("The answer says nothing that could be cited.")
        asked = asker.about() if asker is not None else None
        supports = _by_model(asked) if asked is not None else _by_words(options.support)
        return await _score(claims, passages, supports, asked)

    return say


async def _score(claims: Sequence[Claim], passages: dict[int, str], supports: Supports, asked: Asked | None) -> Scored:
    right, invented, wrong, held = 0, 0, 0, 0
    for claim in claims:
        there = [passages[number] for number in claim.cited if number in passages]
        invented += len(claim.cited) - len(there)
        good = [await supports(claim.text, passage) for passage in there]
        together = any(good) or (len(there) > 1 and await supports(claim.text, "\n".join(there)))
        # Passages that only hold the claim together are each a right citation, as in ALCE.
        right += len(there) if together and not any(good) else sum(good)
        wrong += 0 if together and not any(good) else len(good) - sum(good)
        held += together
    cited = right + wrong + invented
    details = {
        "claims": len(claims),
        "cited": cited,
        "invented": invented,
        "unsupported": wrong,
        "recall": held / len(claims),
        "precision": right / cited if cited else None,
    }
    told = [f"{invented} cite passages that are not there"] if invented else []
    told += [f"{wrong} are not supported by the passage"] if wrong else []
    reason = f"Of {cited} citations, {' and '.join(told)}." if told else "" if cited else "Nothing is cited."
    return Scored(
        value=held / len(claims),
        passed=bool(cited) and right == cited,
        reason=reason,
        details=details,
        cost_usd=asked.cost_usd if asked is not None else 0.0,
    )


def claims_in(answer: str) -> Iterator[Claim]:
    """The sentences of an answer that say something. A mark behind a full stop belongs to the sentence before it."""
    moved = _MARK_BEHIND.sub(r"\2\1", answer)
    for sentence in sentences(moved):
        claim = Claim(sentence)
        if claim.cited or len(words(claim.text)) > 2:
            yield claim


def _by_words(least: float) -> Supports:
    async def supports(claim: str, passage: str) -> bool:
        return supported_by_words(claim, passage) >= least

    return supports


def supported_by_words(claim: str, passage: str) -> float:
    """The share of the claim's words, stemmed and without little ones, that the passage has.

    0 where the claim has a number that the passage has not. Where nothing but little words is left, they count.
    """
    if not set(numbers_in(claim)) <= set(numbers_in(passage)):
        return 0.0
    wanted = set(words(claim)) or set(_ALPHANUMERIC.findall(claim.casefold()))
    if not wanted:
        return 1.0
    held = set(words(passage)) | set(_ALPHANUMERIC.findall(passage.casefold()))
    return len(wanted & held) / len(wanted)


_SYSTEM = (
    "You check whether a passage supports a claim: whether everything that the claim says follows from the passage."
)


def _by_model(asked: Asked) -> Supports:
    async def supports(claim: str, passage: str) -> bool:
        told = await asked.ask(_SYSTEM, {"passage": passage, "claim": claim}, Judged)
        return told.verdict

    return supports


KINDS = (
    Kind(
        name="citations",
        summary="Whether the passages an answer cites exist and hold what it says.",
        definition="Claims are the answer's sentences. `.precision`: share of the citations whose passage exists and"
        " holds"
        " the claim; `.recall`: share of the claims that the passages they cite hold, together; an uncited claim counts"
        " as not held. Held: at least `support` of the claim's meaningful words are in the passage, and all its"
        " numbers;"
        " or a model says so. An answer passes whose citations all hold; one that cites nothing has no precision,"
        " and does not pass.",
        source="Gao et al. 2023 (ALCE), with lexical support in place of an NLI model.",
        options=CitationsOptions,
        make=citations,
        metrics=several((("precision", "mean:precision"), ("recall", "mean:recall"))),
        decides=lambda options: _SYSTEM if options.model else None,
    ),
)
