"""BLEU and chrF by sacrebleu (extra `rondo[metrics]`): a value for each example, and counts that make the corpus's.

The functions of summed counts are `corpus.py`'s, because sacrebleu computes one corpus at a time and intervals need
thousands.
"""

from __future__ import annotations

from functools import partial
from importlib import metadata
from typing import Any, Literal

from pydantic import Field

from rondo.errors import InvalidRequest
from rondo.evals.model import Case, Metric, Scored
from rondo.evals.scorers.model import Kind, Referring, Say, Tools, measured, one
from rondo.evals.scorers.reference import wanted_texts


class BleuOptions(Referring):
    tokenize: Literal["13a", "intl", "zh", "char", "none"] = Field(
        "13a",
        description="How texts are cut: `13a` (mteval, European), `intl`, `zh` (Chinese), `char`, `none` (at spaces).",
    )
    lowercase: bool = Field(False, description="Whether capitals are overlooked.")


def bleu(options: BleuOptions, tools: Tools) -> Say:
    sentences = _metrics().BLEU(tokenize=options.tokenize, lowercase=options.lowercase, effective_order=True)

    def say(case: Case) -> Scored:
        found = sentences.sentence_score(case.answer.text, wanted_texts(case, options))
        counts = [found.sys_len, found.ref_len, *found.counts, *found.totals]
        return measured(_share(found.score), counts=[int(each) for each in counts])

    return say


class ChrfOptions(Referring):
    word_order: Literal[0, 2] = Field(
        0, description="0 for chrF, 2 for chrF++, which counts words and pairs of them too."
    )
    lowercase: bool = Field(False, description="Whether capitals are overlooked.")


def chrf(options: ChrfOptions, tools: Tools) -> Say:
    sentences = _metrics().CHRF(word_order=options.word_order, lowercase=options.lowercase)

    def say(case: Case) -> Scored:
        # sacrebleu's corpus score is made of exactly these counts, and it has no public name for them.
        counts = sentences._extract_corpus_statistics(
            [case.answer.text], [[each] for each in wanted_texts(case, options)]
        )
        found = sentences._compute_f_score(counts[0])
        return measured(_share(found), counts=[int(each) for each in counts[0]])

    return say


def _share(percent: float) -> float:
    """sacrebleu's percent as a share; sums of its logarithms can be off 100 by the last digit."""
    return min(max(percent / 100, 0.0), 1.0)


def _metrics() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError:
        raise InvalidRequest(
            "BLEU and chrF need the package sacrebleu.", remedy="Install it with `pip install 'rondo[metrics]'`."
        ) from None
    return metrics


def _version(options: object) -> str | None:
    try:
        return metadata.version("sacrebleu")
    except metadata.PackageNotFoundError:
        return None


def _chrf_metrics(name: str, options: ChrfOptions) -> tuple[Metric, ...]:
    return one(adds_up=f"chrf:{options.word_order}")(name, options)


_kind = partial(Kind, decides=_version)
KINDS = (
    _kind(
        name="bleu",
        summary="How many word sequences of up to four words answer and reference share.",
        definition="BP · exp(¼ Σ ln pₙ), pₙ the precision of n-grams (n = 1…4, `exp` smoothing), BP the penalty for"
        " answers shorter than their references. The metric is the corpus's, from summed counts; an example's own value"
        " has its effective order.",
        source="Papineni et al. 2002; Post 2018 (sacrebleu). As a share: 0.31 is 31 BLEU.",
        options=BleuOptions,
        make=bleu,
        metrics=one(adds_up="bleu"),
    ),
    _kind(
        name="chrf",
        summary="How many character sequences of up to six characters answer and reference share.",
        definition="F₂ of the mean precision and recall of character n-grams (n = 1…6), spaces left out; of several"
        " references, the best. The metric is the corpus's, from summed counts.",
        source="Popović 2015 (chrF), 2017 (chrF++); Post 2018 (sacrebleu). As a share.",
        options=ChrfOptions,
        make=chrf,
        metrics=_chrf_metrics,
    ),
)
