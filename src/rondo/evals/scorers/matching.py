"""Scorers that look for text in the answer: the same, a part of it, a pattern, how far from it. Pure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.model import Kind, NoReference, Options, Referring, Say, Tools, measured, one, passes
from rondo.evals.scorers.reference import Normalisation, json_in, normaliser, wanted, wanted_texts

MOST_LEVENSHTEIN = 100_000


class ExactOptions(Referring):
    normalise: list[Normalisation] = Field(
        default=["space"],
        description="What is overlooked: `space` (more or less of it), `case`, `punctuation`, `articles` (English),"
        " `accents`, `unicode` (NFKC).",
    )


def exact(options: ExactOptions, tools: Tools) -> Say:
    normalise = normaliser(options.normalise)

    def say(case: Case) -> Scored:
        value = wanted(case, options)
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            texts = wanted_texts(case, options)
            given = normalise(case.answer.text)
            if any(given == normalise(text) for text in texts):
                return passes(True)
        try:
            given_json = json_in(case.answer.text)
        except ValueError:
            return passes(False, "The answer is another text.")
        return passes(not isinstance(value, str) and same(value, given_json), "The answer is another value.")

    return say


def same(one_value: Any, other: Any) -> bool:
    """Whether two JSON values are the same; 1 is 1.0, and true is not 1."""
    if isinstance(one_value, bool) or isinstance(other, bool):
        return one_value is other
    if isinstance(one_value, dict) and isinstance(other, dict):
        return one_value.keys() == other.keys() and all(same(value, other[key]) for key, value in one_value.items())
    if isinstance(one_value, list) and isinstance(other, list):
        return len(one_value) == len(other) and all(map(same, one_value, other))
    return bool(one_value == other)


class ContainsOptions(Referring):
    how: Literal["all", "any", "none"] = Field(
        "all", description="Which of the texts must occur, where there are several: `all`, `any`, or `none` of them."
    )
    case: bool = Field(False, description="Whether capitals matter.")


def contains(options: ContainsOptions, tools: Tools) -> Say:
    normalise = normaliser(["space", "unicode"] if options.case else ["space", "unicode", "case"])

    def say(case: Case) -> Scored:
        text = normalise(case.answer.text)
        texts = wanted_texts(case, options)
        found = [each for each in texts if normalise(each) in text]
        missing = [each for each in texts if each not in found]
        if options.how == "none":
            return passes(not found, f"Found {_listed(found)}.", found=len(found))
        right = bool(found) if options.how == "any" else not missing
        return passes(right, f"Not found: {_listed(missing)}.", found=len(found))

    return say


def _listed(texts: list[str]) -> str:
    shown = ", ".join(f"{each!r:.60}" for each in texts[:3])
    return shown + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


class RegexOptions(Options):
    value: str | list[str] = Field(description="The expression (RE2), or several of them that must all be found.")
    full: bool = Field(False, description="Whether it must match the whole answer.")
    case: bool = Field(True, description="Whether capitals matter.")

    @field_validator("value")
    @classmethod
    def is_re2(cls, value: str | list[str]) -> str | list[str]:
        from rondo.guards.words import compile_pattern

        for each in [value] if isinstance(value, str) else value:
            compile_pattern(each)
        return value


def regex(options: RegexOptions, tools: Tools) -> Say:
    from rondo.guards.words import compile_pattern

    patterns = [options.value] if isinstance(options.value, str) else options.value
    flags = "" if options.case else "(?i)"
    around = (r"\A\s*(?:", r")\s*\z") if options.full else ("(?:", ")")
    searches = [compile_pattern(f"{flags}{around[0]}{each}{around[1]}") for each in patterns]

    def say(case: Case) -> Scored:
        if not patterns:
            raise NoReference("`value` is an empty list.")
        data = case.answer.text.encode("utf-8", "replace")
        missing = [each for each, search in zip(patterns, searches, strict=True) if search.search(data) is None]
        return passes(not missing, f"No match for {_listed(missing)}.")

    return say


class LevenshteinOptions(Referring):
    normalise: list[Normalisation] = Field(default=["space"], description="What is overlooked; as for `exact`.")


def levenshtein(options: LevenshteinOptions, tools: Tools) -> Say:
    from rapidfuzz.distance import Levenshtein

    normalise = normaliser(options.normalise)

    def say(case: Case) -> Scored:
        text = normalise(case.answer.text)[:MOST_LEVENSHTEIN]
        references = [normalise(each)[:MOST_LEVENSHTEIN] for each in wanted_texts(case, options)]
        distances = [(Levenshtein.normalized_distance(each, text), each) for each in references]
        nearest = min(distances)
        return measured(1 - nearest[0], distance=Levenshtein.distance(nearest[1], text))

    return say


KINDS = (
    Kind(
        name="exact",
        summary="Whether the answer is the expected one.",
        definition="1 where the answer, normalised, equals one of the expected texts; JSON is compared as JSON. Else"
        " 0.",
        source="Exact match, Rajpurkar et al. 2016 (SQuAD), with the normalisation that you choose.",
        options=ExactOptions,
        make=exact,
        metrics=one(),
    ),
    Kind(
        name="contains",
        summary="Whether the answer contains texts.",
        definition="1 where all (any, none) of the texts occur in the answer, however it is spaced. Else 0.",
        source="By definition.",
        options=ContainsOptions,
        make=contains,
        metrics=one(),
    ),
    Kind(
        name="regex",
        summary="Whether the answer matches a regular expression.",
        definition="1 where every expression is found in the answer (`full`: matches all of it). Else 0.",
        source="RE2 syntax, which takes time in proportion to the text.",
        options=RegexOptions,
        make=regex,
        metrics=one(),
    ),
    Kind(
        name="levenshtein",
        summary="How few characters must be changed to make the answer the expected one.",
        definition="1 − d / max(length of either), d the least number of insertions, deletions and substitutions of"
        f" characters; of texts over {MOST_LEVENSHTEIN:,} characters, their beginnings.",
        source="Levenshtein 1966; computed by RapidFuzz.",
        options=LevenshteinOptions,
        make=levenshtein,
        metrics=one(),
    ),
)
