"""A run's means, corrected by labels: against numbers worked out by hand; and probabilities from the wire."""

from __future__ import annotations

import json
from statistics import fmean
from typing import Any

import pytest
from msgspec.structs import replace

from judge_makers import ACCURACY, CLARITY, judge
from record_makers import make_call
from rondo.catalog.engine import Catalog
from rondo.errors import InvalidRequest, NotFound
from rondo.evals import store
from rondo.evals.answers import answer_of
from rondo.evals.judges.correct import corrected
from rondo.evals.judges.report import Agreement, Bounded, Measured
from rondo.evals.judges.version import version_of
from rondo.evals.model import Answer, Result, Run, Scored, Target
from rondo.evals.store import Kept
from rondo.governance import projects

ONE = judge(criteria=[ACCURACY, CLARITY])
PEOPLE = [0.0, 0.25, 0.5, 0.25, 0.0, 0.5]
JUDGED = [0.25, 0.5, 0.75, 0.5, 0.25, 0.75]
"""A quarter too kind, always."""


def measured(pairs: int = 6) -> Measured:
    nothing = Bounded()
    found = Agreement(
        aspect="accuracy", metric="quality.accuracy", weights="quadratic", compared=pairs, undecided=0, failed=0,
        exact=0.0, kappa=nothing, alpha=nothing, annotated=0, people_alpha=nothing, lean=nothing, length=nothing,
        words=[], confusion=[], pairs=list(zip(JUDGED, PEOPLE, strict=True))[:pairs],
    )  # fmt: skip
    aspects = [found, replace(found, aspect="clarity", pairs=[])]
    return Measured(source="labels", answers=6, aspects=aspects, position=None, errors={}, cost_usd=0.0)


def run(version: str) -> Run:
    metrics = [
        {"metric": name, "judge": "quality", "judge_version": version} for name in ("q.accuracy", "q.clarity", "q")
    ]
    return Run(
        id="run_1", project="p", app="bot", name="suite", suite={}, suite_hash="s", dataset="d", dataset_hash="h",
        targets=[Target(label="bot#7", app="bot")], baseline=None, status="finished", created_by="t", created_at=1,
        key_id="k", max_concurrency=1, report={"targets": [{"metrics": [*metrics, {"metric": "bleu"}]}]},
    )  # fmt: skip


@pytest.fixture
def evaluated(catalog: Catalog) -> Catalog:
    """A run whose examples the judge scored with the mean that it has on the labels; each was asked twice."""
    with catalog.begin() as connection:
        projects.add(connection, "p", actor="tests")
        store.insert_run(connection, run(version_of(ONE)))
        kept = []
        for at in range(60):
            for repeat, shift in enumerate((-0.1, 0.1)):
                value = None if at == 59 else JUDGED[at % 6] + shift
                scores = {"q.accuracy": Scored(value=value), "q.clarity": Scored(value=0.5), "q": Scored(value=0.5)}
                result = Result(target=0, example=f"e{at}", repeat=repeat, answer=Answer(text="a"), scores=scores)
                kept.append(Kept(result, "key"))
        store.insert_results(connection, "p", "run_1", kept)
    return catalog


def test_a_judge_that_is_too_kind_is_brought_down(evaluated: Catalog) -> None:
    with evaluated.read() as connection:
        (found,) = corrected(connection, "p", "run_1", ONE, measured())
    assert (found.target, found.metric, found.n, found.labels) == ("bot#7", "q.accuracy", 59, 6)
    assert found.judged == pytest.approx(fmean([*JUDGED * 9, *JUDGED[:5]]))
    value, low, high = found.corrected.value, found.corrected.low, found.corrected.high
    assert value == pytest.approx(fmean(PEOPLE), abs=0.01)
    assert low is not None
    assert high is not None
    assert low < fmean(PEOPLE) < high < found.judged + 0.2


def test_what_cannot_be_corrected_is_left_out_or_named(evaluated: Catalog) -> None:
    with evaluated.read() as connection:
        assert corrected(connection, "p", "run_1", ONE, measured(4)) == [], "four labels say too little"
        with pytest.raises(InvalidRequest, match="this version of quality"):
            corrected(connection, "p", "run_1", replace(ONE, instructions="Be strict."), measured())
        with pytest.raises(NotFound):
            corrected(connection, "q", "run_1", ONE, measured())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"token": "4", "logprob": -0.1, "top_logprobs": [{"token": "4", "logprob": -0.1}]}], [{"4": -0.1}]),
        ([{"token": "4", "logprob": -0.1, "top_logprobs": []}], None),
        ([{"token": "4", "logprob": -0.1}], None),
        (None, None),
    ],
)
def test_probabilities_come_from_the_wire(content: Any, expected: Any) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "4"}, "logprobs": {"content": content}}
    answer = answer_of(json.dumps({"choices": [choice]}).encode(), make_call())
    assert answer.top_logprobs == expected
    assert answer.logprobs == (None if content is None else [-0.1])
