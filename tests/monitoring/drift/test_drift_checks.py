"""All checks together: one report cries wolf no more often than one test; each sees what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from drift_makers import questions, side
from rondo.monitoring.drift import checks, clusters, topics
from rondo.monitoring.drift.clusters import cluster
from rondo.monitoring.drift.model import Check, Said, Side
from rondo.monitoring.drift.vectors import of_texts, unit
from rondo.monitoring.drift.wording import distinct, scrubbed, shown, top_terms

TERMS = checks.Terms(least=20, alpha=0.05)


def compared(before: Side, now: Side, *, with_topics: bool = True) -> checks.Found:
    vectors = of_texts([sample.question for each in (before, now) for sample in each.samples])
    return checks.run(before, now, vectors, TERMS, with_topics=with_topics)


def by_name(found: checks.Found) -> dict[str, Check]:
    return {check.name: check for check in found.checks}


def test_a_report_without_drift_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine checks, 40 reports: 5 % give or take chance (three deviations: 15 %)."""
    monkeypatch.setattr(checks, "_LEAST_DRAWS", 1)  # what `alpha` asks for is enough
    wrong = 0
    for seed in range(40):
        before, now = (side(questions(60, seed=2 * seed + at), seed=2 * seed + at) for at in (0, 1))
        wrong += any(check.verdict == "drifted" for check in compared(before, now).checks)
    assert wrong / 40 <= 0.16


def test_a_new_topic_is_named_and_shown() -> None:
    found = compared(side(questions(500, seed=11)), side(questions(500, seed=12, new=0.12), seed=2))
    known = by_name(found)
    assert known["topics"].verdict == "drifted"
    assert known["questions"].verdict == "drifted"
    assert known["language"].verdict == "steady"
    assert known["language"].examples == []
    told = checks.told_topics(found, {}, 0.05)
    new = [topic for topic in told if topic.change == "new"]
    assert new
    assert new == told[: len(new)]
    assert all("solar" in " ".join(topic.terms) or "panel" in " ".join(topic.terms) for topic in new)
    assert all(topic.low > 0 and topic.examples for topic in new)
    assert "dataset" in known["questions"].next_step
    gone = compared(side(questions(500, seed=2, new=0.12), seed=2), side(questions(500, seed=1)))
    assert {"gone"} <= {topic.change for topic in checks.told_topics(gone, {}, 0.05)}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("language", {"language": "fr"}),
        ("length", {"question_chars": 900}),
        ("personal_data", {"personal": True}),
        ("hits", {"top_score": 0.5}),
        ("unanswered", {"handed_over": True}),
        ("answers", {"answer_chars": 3}),
        ("refusals", {"refused": True}),
    ],
)
def test_each_check_sees_its_own(name: str, fields: dict[str, object]) -> None:
    before, now = side(questions(150, seed=1)), side(questions(150, seed=2), seed=2)
    changed = [structs.replace(sample, **fields) if at % 3 == 0 else sample for at, sample in enumerate(now.samples)]
    known = by_name(compared(before, structs.replace(now, samples=changed), with_topics=False))
    assert [each for each, check in known.items() if check.verdict == "drifted"] == [name]
    assert known[name].next_step
    assert (known[name].effect or 0.0) > 0.2


def test_scores_are_compared_as_numbers_or_as_categories() -> None:
    before, now = side(questions(100, seed=1)), side(questions(100, seed=2), seed=2)
    random = np.random.default_rng(0)

    def scored(one: Side, mean: float, label: str) -> Side:
        numbers = [Said(trace_id=each.trace_id, value=float(random.normal(mean, 0.1))) for each in one.samples]
        labels = [Said(trace_id=each.trace_id, label=label if at % 2 else "b") for at, each in enumerate(one.samples)]
        return structs.replace(one, scores={"faithfulness": numbers, "kind": labels, "rare": numbers[:3]})

    known = by_name(compared(scored(before, 0.9, "a"), scored(now, 0.7, "c"), with_topics=False))
    assert known["score:faithfulness"].verdict == "drifted"
    assert known["score:faithfulness"].examples
    assert known["score:kind"].verdict == "drifted"
    assert known["score:rare"].verdict == "not_enough"
    assert "too few" in known["score:rare"].sentence


def test_what_is_not_known_is_not_enough() -> None:
    before, now = side(questions(50, seed=1), top_score=None), side(questions(50, seed=2), seed=2, top_score=None)
    hits = by_name(compared(before, now, with_topics=False))["hits"]
    assert (hits.verdict, hits.p, hits.units) == ("not_enough", None, (0, 0))
    found = checks.run(side([]), side([]), None, TERMS, with_topics=True)
    assert {check.verdict for check in found.checks} == {"not_enough"}
    assert checks.told_topics(found, {}, 0.05) == []


def test_equal_questions_are_one_topic_and_none_are_none() -> None:
    texts = ["where is my parcel"] * 30 + ["reset my password"] * 20
    labels = cluster(of_texts(texts))
    assert labels == [0] * 30 + [1] * 20
    assert cluster(of_texts(["a b c"])) == [-1]
    assert cluster(of_texts([])) == []
    grouped = topics.find(side(["hello"]).samples, side(["there"]).samples, of_texts(["hello", "there"]), seed=0)
    assert (grouped.topics, grouped.p) == ([], None)


def test_texts_with_nothing_in_common_are_no_topic() -> None:
    """Their vectors are zero, and so all the same."""
    strange = [chr(0x1F600 + at) * 9 for at in range(12)]
    labels = cluster(of_texts(questions(100, seed=1) + strange))
    assert set(labels[100:]) == {-1}
    assert set(labels[:100]) > {0, 1}
    assert cluster(of_texts(strange)) == [-1] * 12
    assert cluster(np.ones((0, 0), dtype=np.float32)) == []


def test_groups_are_the_same_by_either_matrix() -> None:
    """With fewer texts than numbers in a vector, the smaller matrix gives the same directions."""
    vectors = of_texts(questions(600, seed=4))
    few = clusters._reduced(vectors[:500])
    centred = (vectors[:500] - vectors[:500].mean(axis=0)).astype(np.float64)
    values, directions = np.linalg.eigh(centred.T @ centred)
    plain = unit(centred @ directions[:, np.argsort(-values)[: few.shape[1]]])
    assert np.abs(np.abs(few) - np.abs(plain)).max() < 1e-3
    assert clusters._reduced(vectors).shape == (600, few.shape[1])


def test_a_promise_of_few_false_alarms_can_still_be_kept_by_an_alarm() -> None:
    """With too few draws no p would be small enough for the correction over all checks."""
    before, now = side(questions(60, seed=1)), side(questions(60, seed=2, new=1.0), seed=2)
    vectors = of_texts([sample.question for each in (before, now) for sample in each.samples])
    strict = checks.Terms(least=20, alpha=0.001)
    assert "questions" in [
        check.name
        for check in checks.run(before, now, vectors, strict, with_topics=False).checks
        if check.verdict == "drifted"
    ]


def test_examples_of_a_topic_differ() -> None:
    """One phrase that many send is one example."""
    samples = side(
        [*(f"{word} battery does not charge" for word in "the my our a".split()), "which charger fits"]
    ).samples
    vectors = unit(np.array([[1, 0.1], [1, 0.11], [1, 0.12], [1, 0.13], [0.5, 0.8]]))
    shown_ones = topics._middle(samples, vectors, [0] * 5, 0)
    assert [each.question for each in shown_ones] == ["a battery does not charge", "which charger fits"]


def test_what_differs_in_a_greeting_or_a_number_is_one_example() -> None:
    texts = ["Hi, refund of order 12 please", "refund of order 99, thx", "the refund", "where is my parcel", "", ""]
    assert distinct(texts, 5) == [0, 2, 3, 4]
    assert distinct(texts, 2) == [0, 2]


def test_names_and_examples_hold_no_personal_data() -> None:
    text = "Write to anna.schmidt@example.org or call +49 151 23456789 about the refund"
    assert "example.org" not in shown(text)
    assert "[EMAIL]" in shown(text)
    assert len(shown("x" * 500)) == 160
    terms = top_terms(scrubbed([text, text, "the tax invoice", "my tax invoice"]), [0, 0, 1, 1])
    assert "schmidt" not in " ".join(terms[0])
    assert "email" not in " ".join(terms[0])
    assert "tax" in " ".join(terms[1])
