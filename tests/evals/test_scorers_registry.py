"""Options are checked as strictly as rondo.toml; scorers have versions, lines, metrics; examples their own checks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.datasets.model import Example
from rondo.errors import SettingsError
from rondo.evals.model import Answer, Case, Scored, Scorer
from rondo.evals.scorers.model import Kind, Options, one
from rondo.evals.scorers.registry import KINDS, build, checked, metrics_of, own_settings
from rondo.settings.evaluating import ScorerSettings
from scorer_cases import case, scored, scorer

SMALLEST: dict[str, dict[str, Any]] = {
    "regex": {"value": "a"},
    "json_schema": {"json_schema": {"type": "string"}},
    "faithfulness": {"model": "m"},
    "answer_relevancy": {"model": "m", "embeddings": "e"},
    "context_precision": {"model": "m"},
    "context_recall": {"model": "m"},
    "embedding_similarity": {"model": "m"},
    "quotes": {"value": "the secret"},
    "marks": {"value": ["amberlantern"]},
    "forbidden_tools": {"value": ["refund"]},
    "words": {"words": ["a"]},
    "moderation": {"model": "m"},
    "classifier": {"model": "m", "question": "?", "labels": ["a", "b"], "good": ["a"]},
    "counterfactual": {"of": {"kind": "latency"}},
    "python": {"file": "scorers/a.py"},
    "ragas": {"version": "0.4.3", "metric": "Faithfulness", "model": "m"},
    "deepeval": {"version": "4.3.1", "metric": "BiasMetric", "model": "m"},
}


def settings(kind: str) -> ScorerSettings:
    return ScorerSettings.model_validate({"kind": kind, **SMALLEST.get(kind, {})})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "judge"])
def test_every_kind_can_be_made_of_its_smallest_settings(kind: str) -> None:
    given_settings = settings(kind)
    names = [metric.name for metric in metrics_of(given_settings)]
    assert names
    assert all(name == kind or name.startswith(f"{kind}.") for name in names)
    made = build([given_settings])
    if KINDS[kind].own:
        assert not made
        assert [each.kind for each in own_settings([given_settings])] == [kind]
    else:
        assert [metric.name for metric in metrics_of(made[0])] == names
        assert len(made[0].version) == 64
        assert not own_settings([given_settings])


@pytest.mark.parametrize("kind", [kind for kind, made in KINDS.items() if not made.own and kind != "judge"])
@hypothesis.settings(deadline=None)
@given(
    text=st.text(max_size=20),
    expected=st.one_of(st.none(), st.text(max_size=5), st.integers(), st.lists(st.text(max_size=3))),
)
def test_no_scorer_throws_or_gives_what_is_no_number(kind: str, text: str, expected: Any) -> None:
    made = build([settings(kind)])[0]
    messages = [{"role": "user", "content": "?"}]
    example = Example(messages=messages, expected=expected, tags={"pair": "a"}, sources=["x"], hand_over=True)

    async def score() -> Scored:
        return await made.score(Case(example=example, answer=Answer(text=text)))

    found = asyncio.run(score())
    assert found.error != "scorer_failed", found
    assert found.value is None or math.isfinite(found.value)
    assert found.value is None or found.error is None
    assert found.value is not None or found.reason


@pytest.mark.parametrize(
    ("wrong", "key", "said"),
    [
        ({"kind": "exat"}, "scorers[1].kind", "Did you mean 'exact'?"),
        ({}, "scorers[1].kind", "needs a `kind`"),
        ({"kind": "number", "tolerence": 1}, "scorers[1].tolerence", "no such option"),
        ({"kind": "levenshtein", "at_lest": 0.5}, "scorers[1].at_lest", "Did you mean 'at_least'?"),
        ({"kind": "number", "abs": -1}, "scorers[1].abs", "greater than or equal to 0"),
        ({"kind": "number", "abs": "much"}, "scorers[1].abs", "valid number"),
        ({"kind": "number", "rel": math.nan}, "scorers[1].rel", "finite"),
        ({"kind": "regex"}, "scorers[1].value", "needs this option"),
        ({"kind": "regex", "value": "(?=a)"}, "scorers[1].value", "perl"),
        ({"kind": "json_schema", "json_schema": {"type": 7}}, "scorers[1].json_schema", "not a JSON Schema"),
        ({"kind": "json_schema", "json_schema": {"$ref": "http://x/y"}}, "scorers[1].json_schema", "refers to"),
        ({"kind": "classification", "find": "first"}, "scorers[1]", "`labels` is required"),
        ({"kind": "retrieval", "k": [0]}, "scorers[1].k", "at least 1"),
        ({"kind": "quotes", "value": "!?"}, "scorers[1].value", "has no word"),
        ({"kind": "words"}, "scorers[1]", "`words` or `patterns`"),
        ({"kind": "python", "file": "../x.py"}, "scorers[1].file", "inside the project"),
        ({"kind": "python", "file": "/x.py"}, "scorers[1].file", "inside the project"),
        ({"kind": "counterfactual", "of": {"kind": "exat"}}, "scorers[1].of.kind", "Did you mean 'exact'?"),
        ({"kind": "counterfactual", "of": {"kind": "python", "file": "a.py"}}, "scorers[1].of", "command line"),
        ({"kind": "ragas", "metric": "Faithfulness", "model": "m"}, "scorers[1].version", "`pip show` tells it"),
        ({"kind": "rouge", "negate": True}, "scorers[1].negate", "cannot be negated"),
        ({"kind": "judge", "judge": "tone"}, "scorers[1].judge", "no judge is called 'tone'"),
    ],
)
def test_wrong_settings_name_file_key_and_remedy(wrong: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        build([{"kind": "exact"}, wrong], file="suites/faq.toml")
    assert str(error.value).startswith(f"suites/faq.toml: {key}: ")
    assert error.value.param == key
    assert said in str(error.value)


def test_two_scorers_cannot_make_the_same_metric() -> None:
    with pytest.raises(SettingsError, match=r"two scorers make the metric 'rouge.rouge1'"):
        build([{"kind": "rouge"}, {"kind": "exact", "name": "rouge.rouge1"}])
    with pytest.raises(SettingsError, match="two scorers make the metric 'tone'"):
        build([{"kind": "exact", "name": "tone"}, {"kind": "python", "name": "tone", "file": "a.py"}])


def test_versions_cover_what_decides_a_score() -> None:
    def version(**values: Any) -> str:
        return build([values])[0].version

    assert version(kind="number") == version(kind="number", name="answer.correct") == version(kind="number", abs=0.0)
    assert version(kind="number") != version(kind="number", abs=0.1)
    assert version(kind="number") != version(kind="exact")
    assert version(kind="faithfulness", model="a") != version(kind="faithfulness", model="b")


def test_metrics_are_called_as_goals_call_them() -> None:
    names = {metric.name for kind in ("latency", "first_token", "cost") for metric in metrics_of(scorer(kind))}
    assert {"latency.p50_ms", "latency.p95_ms", "first_token.p95_ms", "cost.per_request_usd"} <= names
    named = metrics_of(scorer("retrieval", name="search", k=[1, 5]))
    assert [metric.name for metric in named] == [
        *("search.recall@1", "search.precision@1", "search.ndcg@1"),
        *("search.recall@5", "search.precision@5", "search.ndcg@5"),
        "search.mrr",
    ]


def _kind(say: Callable[[Case], Any]) -> Scorer:
    made = Kind(
        name="test",
        summary="",
        definition="",
        source="",
        options=Options,
        make=lambda options, tools: say,
        metrics=one(),
    )
    KINDS["test"] = made
    try:
        return build([{"kind": "test"}])[0]
    finally:
        del KINDS["test"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", True])
async def test_what_is_no_number_is_an_error(value: Any) -> None:
    found = await _kind(lambda _: Scored(value=value)).score(case())
    assert (found.value, found.error) == (None, "not_a_number")


async def test_a_scorer_that_throws_is_an_error() -> None:
    def broken(_: Case) -> Scored:
        raise ZeroDivisionError("division by zero")

    found = await _kind(broken).score(case())
    assert (found.value, found.error, found.reason) == (None, "scorer_failed", "ZeroDivisionError: division by zero")

    async def interrupted(_: Case) -> Scored:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await _kind(interrupted).score(case())


async def test_bounds_draw_the_line() -> None:
    for low, high, passed in ((0.5, None, True), (0.9, None, False), (None, 0.5, False), (0.7, 0.8, True)):
        bounds = {name: bound for name, bound in (("at_least", low), ("at_most", high)) if bound is not None}
        found = await scored("levenshtein", case("abcd", "abcx"), **bounds)
        assert (found.value, found.passed) == (0.75, passed)
        assert bool(found.reason) == (not passed)
    assert (await scored("levenshtein", case("abcd", "abcx"))).passed is None


async def test_only_shares_can_be_negated() -> None:
    assert (await scored("latency", case(answer={"latency_ms": 5.0}))).value == 5.0
    found = await scored("embedding_similarity", case("", "x"), model="m", negate=True)
    assert found.value == 1.0


CHECKS = [{"kind": "contains", "value": "14 days"}, {"kind": "regex", "value": "free"}]


async def test_an_examples_own_checks() -> None:
    found = await scored("expect", case("14 days, free", expect=CHECKS))
    assert (found.value, found.passed, found.details["checks"]) == (1.0, True, 2)
    found = await scored("expect", case("14 days", expect=CHECKS))
    assert (found.value, found.passed) == (0.0, False)
    assert found.reason == "expect[1] (regex): No match for 'free'."
    assert (await scored("expect", case("14 days", expect=CHECKS), partial=True)).value == 0.5
    undeclared = await scored("expect", case("14 days"))
    assert (undeclared.value, undeclared.error) == (None, None)
    own_line = case("abcd", expect=[{"kind": "levenshtein", "value": "abcx", "at_least": 0.7}])
    assert (await scored("expect", own_line)).passed is True
    negated = case("14 days", expect=[{"kind": "contains", "value": "30 days", "negate": True}])
    assert (await scored("expect", negated)).passed is True


@pytest.mark.parametrize(
    ("check", "code", "said"),
    [
        ({"kind": "contians", "value": "x"}, "invalid_check", "Did you mean 'contains'?"),
        ({"value": "x"}, "invalid_check", "needs a `kind`"),
        ("x", "invalid_check", "a table"),
        ({"kind": "expect"}, "invalid_check", "cannot be `expect`"),
        ({"kind": "python", "file": "a.py"}, "invalid_check", "command line"),
        ({"kind": "levenshtein", "value": "x"}, "invalid_check", "draws no line"),
        ({"kind": "latency", "at_most": 5}, "invalid_check", "not known"),
        ({"kind": "exact"}, "no_reference", "expected"),
        ({"kind": "contains", "value": {1, 2}}, "invalid_check", "JSON"),
    ],
)
async def test_a_check_that_cannot_be_had_is_an_error_and_no_zero(check: Any, code: str, said: str) -> None:
    # Not `identified`: some of these are no JSON.
    example = Example(messages=[], expect=[{"kind": "contains", "value": "a"}, check])
    found = await scorer("expect").score(Case(example=example, answer=Answer(text="a")))
    assert (found.value, found.passed, found.error) == (None, None, code)
    assert said in found.reason
    assert "expect[1]" in found.reason


async def test_judges_are_made_by_their_room() -> None:
    async def judge(_: Case) -> Scored:
        return Scored(value=0.6)

    def make(name: str) -> list[Scorer]:
        return [
            Scorer(
                name=f"{name}.{aspect}" if aspect else name,
                kind="judge",
                version="v",
                score=judge,
                is_judge=True,
                judge="tone",
            )
            for aspect in ("warm", "")
        ]

    made = build([{"kind": "judge", "judge": "tone", "name": "quality", "at_least": 0.7}], judges={"tone": make})
    assert [each.name for each in made] == ["quality.warm", "quality"]
    assert (await made[1].score(case())).passed is False
    inner = build([{"kind": "expect"}], judges={"tone": make})[0]
    asked = case("x", expect=[{"kind": "judge", "judge": "tone", "at_least": 0.5}])
    assert (await inner.score(asked)).passed is True


def test_every_kind_says_what_it_is() -> None:
    for kind in KINDS.values():
        assert kind.summary.endswith(".")
        assert kind.definition
        assert kind.source
        for name, field in kind.options.model_fields.items():
            assert field.description or name in ("kind", "name"), (kind.name, name)


def test_settings_and_tables_are_the_same() -> None:
    settings_of_file = ScorerSettings.model_validate({"kind": "number", "abs": 1})
    table = {"kind": "number", "abs": 1}
    assert checked(settings_of_file, file="s", key="k") == checked(table, file="s", key="k")
