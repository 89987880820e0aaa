"""Metrics of a corpus are those of sacrebleu and scikit-learn, whether summed once or drawn a thousand times."""

from __future__ import annotations

import asyncio
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sklearn import metrics as sk

from rondo.evals.model import Metric, Scored
from rondo.evals.scorers import corpus
from rondo.evals.scorers.registry import metrics_of
from scorer_cases import case, scored, scorer

LABELS = ["billing", "refund", "shipping"]
SENTENCES = st.lists(st.sampled_from("a b c the cat sat on mat".split()), max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=12)


def all_scored(kind: str, pairs: Sequence[tuple[str, Any]], **options: Any) -> list[Scored]:
    async def score() -> list[Scored]:
        made = scorer(kind, **options)
        return [await made.score(case(text, expected)) for text, expected in pairs]

    return asyncio.run(score())


def metrics(kind: str, **options: Any) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics_of(scorer(kind, **options))}


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_corpus_bleu_and_chrf_are_sacrebleus(pairs: list[tuple[str, str]]) -> None:
    texts, references = [text for text, _ in pairs], [[reference for _, reference in pairs]]
    bleu = corpus.value(metrics("bleu")["bleu"], all_scored("bleu", pairs))
    chrf = corpus.value(metrics("chrf", word_order=2)["chrf"], all_scored("chrf", pairs, word_order=2))
    assert bleu == pytest.approx(BLEU().corpus_score(texts, references).score / 100)
    assert chrf == pytest.approx(CHRF(word_order=2).corpus_score(texts, references).score / 100)


def test_each_draw_of_a_bootstrap_is_sacrebleus_corpus() -> None:
    pairs = [("the cat sat on the mat", "a cat sat on a mat"), ("dogs run", "the dogs ran"), ("x", "y"), ("", "words")]
    how = corpus.adding(metrics("bleu")["bleu"])
    rows = how.rows(all_scored("bleu", pairs))
    draws = np.random.default_rng(7).integers(0, len(pairs), size=(64, len(pairs)))
    folded = how.fold(np.stack([rows[draw].sum(axis=0) for draw in draws]))
    for draw, found in zip(draws, folded, strict=True):
        texts, references = [pairs[at][0] for at in draw], [[pairs[at][1] for at in draw]]
        assert found == pytest.approx(BLEU().corpus_score(texts, references).score / 100)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([*LABELS, "something else"]), st.sampled_from(LABELS)), min_size=1, max_size=30)
)
def test_classification_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    scores = all_scored("classification", pairs, labels=LABELS)
    told, right = [text for text, _ in pairs], [label for _, label in pairs]
    labels = sorted(set(right))
    found = {name: corpus.value(metric, scores) for name, metric in metrics("classification").items()}
    arguments: dict[str, Any] = {"labels": labels, "zero_division": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, support = sk.precision_recall_fscore_support(right, told, **arguments)
        assert found == pytest.approx(
            {
                "classification.accuracy": np.mean([a == b for a, b in pairs]),
                "classification.precision": np.mean(precision),
                "classification.recall": np.mean(recall),
                "classification.macro_f1": np.mean(f1),
                "classification.weighted_f1": np.average(f1, weights=support),
            }
        )
        matrix = sk.confusion_matrix(right, told, labels=labels)
    confusion = corpus.confusion(scores)
    assert confusion["labels"] == labels
    assert confusion["matrix"] == matrix.tolist()
    assert sum(map(sum, confusion["matrix"])) + sum(confusion["other"]) == len(pairs)


def test_targets_that_are_compared_have_the_same_columns() -> None:
    one, other = all_scored("classification", [("a", "a")]), all_scored("classification", [("b", "b")])
    how = corpus.adding(metrics("classification")["classification.macro_f1"], one, other)
    assert how.rows(one).shape == how.rows(other).shape == (1, 6)
    assert how.fold(how.rows(one)).tolist() == how.fold(how.rows(other)).tolist() == [1.0]


def test_perplexity_is_of_all_tokens_together() -> None:
    async def score() -> list[Scored]:
        made = scorer("perplexity")
        cases = [case("x", answer={"logprobs": each}) for each in ([-1.0, -2.0], [-3.0], None)]
        return [await made.score(each) for each in cases]

    scores = asyncio.run(score())
    assert [each.value for each in scores] == [pytest.approx(math.exp(1.5)), pytest.approx(math.exp(3)), None]
    assert scores[2].error is None
    assert corpus.value(metrics("perplexity")["perplexity"], scores) == pytest.approx(math.exp(2))


async def test_gaps_are_of_pairs() -> None:
    made = scorer("counterfactual", of={"kind": "levenshtein", "value": "abcd"})
    pairs = [("abcd", "p"), ("abcc", "p"), ("zzzz", "q"), ("abzz", "q"), ("abcd", "alone"), ("abcd", None)]
    scores = [
        await made.score(case(text, tags={"pair": pair} if pair else {}, metadata={"n": at}))
        for at, (text, pair) in enumerate(pairs)
    ]
    (metric,) = metrics_of(made)
    assert metric.higher_is_better is False
    assert corpus.value(metric, scores) == pytest.approx((0.25 + 0.5) / 2)
    rows = corpus.adding(metric).rows(scores)
    assert np.isnan(rows[5]).all()
    assert rows[:, 1].tolist()[:5] == [1, 0, 1, 0, 0]
    assert corpus.value(metric, scores[4:]) is None
    # Repeats of an example are one member of its pair.
    assert corpus.value(metric, [*scores[:2], *scores[:2]]) == pytest.approx(0.25)


def test_percentiles_are_numpys_and_no_sums() -> None:
    names = metrics("latency")
    scores = [Scored(value=float(each)) for each in (5, 1, 9, 7)] + [None, Scored(error="timeout")]
    metric = names["latency.p95_ms"]
    assert (metric.unit, metric.higher_is_better, corpus.quantile_of(metric)) == ("ms", False, 0.95)
    assert corpus.value(metric, scores) == pytest.approx(np.quantile([5, 1, 9, 7], 0.95))
    assert corpus.value(names["latency.mean_ms"], scores) == pytest.approx(5.5)
    with pytest.raises(ValueError, match="no function of sums"):
        corpus.adding(metric)
    own = corpus.values(metric, scores)
    assert own is not None
    assert np.isnan(own).tolist() == [False, False, False, False, True, True]


def test_what_is_missing_is_never_a_zero() -> None:
    scores: list[Scored | None] = [
        Scored(value=1.0),
        Scored(error="upstream_timeout"),
        Scored(),
        None,
        Scored(value=0.5),
    ]
    assert corpus.value(Metric(name="m"), scores) == 0.75
    assert corpus.value(Metric(name="m"), scores[1:4]) is None
    assert corpus.value(Metric(name="m"), []) is None
    assert corpus.value(Metric(name="m", adds_up="mean:rank"), scores) is None
    assert corpus.value(Metric(name="m", adds_up="macro_f1"), scores) is None


def test_details_that_are_no_numbers_are_missing() -> None:
    odd = [Scored(value=1.0, details={"x": each}) for each in ("1", None, math.nan, math.inf, [1])]
    assert corpus.value(Metric(name="m", adds_up="mean:x"), [*odd, Scored(value=0.0, details={"x": 0.25})]) == 0.25


async def test_scores_that_came_over_a_wire_add_up_the_same() -> None:
    import msgspec

    scores = [await scored("chrf", case("a cat", "the cat")), await scored("chrf", case("a dog", "the cat"))]
    again = msgspec.json.decode(msgspec.json.encode(scores), type=list[Scored])
    metric = metrics("chrf")["chrf"]
    assert corpus.value(metric, again) == corpus.value(metric, scores)
