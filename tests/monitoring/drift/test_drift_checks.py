"""All checks together: one report cries wolf no more often than one test; each sees what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from drift_makers import questions, side
from rondo.monitoring.drift import checks, topics
from rondo.monitoring.drift.clusters import cluster
from rondo.monitoring.drift.model import Check, Said, Side
from rondo.monitoring.drift.vectors import of_texts
from rondo.monitoring.drift.wording import scrubbed, shown, top_terms

TERMS = checks.Terms(least=20, alpha=0.05)


def compared(before: Side, now: Side, *, with_topics: bool = True) -> checks.Found:
    vectors = of_texts([sample.question for each in (before, now) for sample in each.samples])
    return checks.run(before, now, vectors, TERMS, with_topics=with_topics)


def by_name(found: checks.Found) -> dict[str, Check]:
    return {check.name: check for check in found.checks}


def test_a_report_without_drift_finds_none() -> None:
    """Nine checks, 40 reports: 5 % give or take chance (three deviations: 15 %)."""
    wrong = 0
    for seed in range(40):
        before, now = (side(questions(60, seed=2 * seed + at), seed=2 * seed + at) for at in (0, 1))
        wrong += any(check.verdict == "drifted" for check in compared(before, now).checks)
    assert wrong / 40 <= 0.16


def test_a_new_topic_is_named_and_shown() -> None:
    found = compared(side(questions(500, seed=1)), side(questions(500, seed=2, new=0.12), seed=2))
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


def test_names_and_examples_hold_no_personal_data() -> None:
    text = "Write to anna.schmidt@example.org or call +49 151 23456789 about the refund"
    assert "example.org" not in shown(text)
    assert "[EMAIL]" in shown(text)
    assert len(shown("x" * 500)) == 160
    terms = top_terms(scrubbed([text, text, "the tax invoice", "my tax invoice"]), [0, 0, 1, 1])
    assert "schmidt" not in " ".join(terms[0])
    assert "email" not in " ".join(terms[0])
    assert "tax" in " ".join(terms[1])
