"""Scorers that count the words which answer and reference share: token F1 and ROUGE. Pure."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import Field

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.model import Kind, Referring, Say, Tools, measured, one, several
from rondo.evals.scorers.porter import stem
from rondo.evals.scorers.reference import wanted_texts

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
_WORDS = re.compile(r"[^\W_]+")


class TokenF1Options(Referring):
    pass


def token_f1(options: TokenF1Options, tools: Tools) -> Say:
    def say(case: Case) -> Scored:
        given = squad_tokens(case.answer.text)
        best = max((f1(given, squad_tokens(each)) for each in wanted_texts(case, options)), key=lambda each: each[0])
        return measured(best[0], precision=best[1], recall=best[2])

    return say


def squad_tokens(text: str) -> list[str]:
    """Lower case, without ASCII punctuation and English articles, split at spaces: SQuAD's own normalisation."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def f1(given: Sequence[str], right: Sequence[str]) -> tuple[float, float, float]:
    """F1, precision and recall of a bag of tokens; where either is empty, whether both are."""
    if not given or not right:
        agreed = float(not given and not right)
        return agreed, agreed, agreed
    return _of_counts((Counter(given) & Counter(right)).total(), len(given), len(right))


def _of_counts(shared: int, given: int, right: int) -> tuple[float, float, float]:
    """F1, precision and recall."""
    precision, recall = shared / max(given, 1), shared / max(right, 1)
    together = precision + recall
    return (2 * precision * recall / together if together > 0 else 0.0), precision, recall


class RougeOptions(Referring):
    stem: bool = Field(False, description="Whether words are stemmed (Porter, English).")
    words: Literal["ascii", "unicode"] = Field(
        "ascii",
        description="What a word is: runs of a-z and 0-9, as `rouge-score` has it, or of any script's letters and"
        " digits; `ascii` sees nothing of Cyrillic, Arabic or Chinese.",
    )


def rouge(options: RougeOptions, tools: Tools) -> Say:
    def say(case: Case) -> Scored:
        given = rouge_tokens(case.answer.text, options)
        scores = [rouge_scores(given, rouge_tokens(each, options)) for each in wanted_texts(case, options)]
        best = {name: max(each[name] for each in scores) for name in scores[0]}
        return Scored(value=best["rougel"], details=best)

    return say


def rouge_tokens(text: str, options: RougeOptions) -> list[str]:
    lower = text.lower()
    words = _NOT_ALPHANUMERIC.sub(" ", lower).split() if options.words == "ascii" else _WORDS.findall(lower)
    return [stem(word) if len(word) > 3 else word for word in words] if options.stem else words


def rouge_scores(given: Sequence[str], right: Sequence[str]) -> dict[str, float]:
    """The F1 of single words, of pairs of words, and of the longest common subsequence."""
    from rapidfuzz.distance import LCSseq

    pairs_given, pairs_right = list(pairwise(given)), list(pairwise(right))
    return {
        "rouge1": _of_counts((Counter(given) & Counter(right)).total(), len(given), len(right))[0],
        "rouge2": _of_counts((Counter(pairs_given) & Counter(pairs_right)).total(), len(pairs_given), len(pairs_right))[
            0
        ],
        "rougel": _of_counts(int(LCSseq.similarity(given, right)), len(given), len(right))[0],
    }


KINDS = (
    Kind(
        name="token_f1",
        summary="How many words answer and reference share.",
        definition="2PR / (P + R): P the share of the answer's words that are the reference's, R the share of the"
        " reference's that are the answer's, as bags, in lower case, without punctuation and English articles."
        " Of several references, the best.",
        source="Rajpurkar et al. 2016 (SQuAD), its official script.",
        options=TokenF1Options,
        make=token_f1,
        metrics=one(),
    ),
    Kind(
        name="rouge",
        summary="How many words, pairs of words, and words in order answer and reference share.",
        definition="The F1 of unigrams (`.rouge1`), of bigrams (`.rouge2`) and of the longest common subsequence of"
        " words"
        " (`.rougel`). Of several references, the best for each.",
        source="Lin 2004 (ROUGE); the same values as the package rouge-score.",
        options=RougeOptions,
        make=rouge,
        metrics=several((("rouge1", "mean:rouge1"), ("rouge2", "mean:rouge2"), ("rougel", "mean:rougel"))),
    ),
)
