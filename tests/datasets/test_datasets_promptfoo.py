"""promptfoo's tests: configs, lists and CSV; assertions with and without a twin."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dataset_files import example, file, read
from rondo.datasets.fields import Columns
from rondo.datasets.formats import promptfoo
from rondo.datasets.formats.promptfoo_assertions import assertion_of, check_of, from_text
from rondo.datasets.formats.read import Reading
from rondo.datasets.formats.rows import Problem
from rondo.datasets.model import Example
from rondo.errors import InvalidRequest
from rondo.evals.scorers import registry

CONFIG = """
description: a support bot
prompts: ['Answer {{question}} for {{name}}']
providers: [openai:gpt-4o-mini]
assertionTemplates:
  short: {type: latency, threshold: 800}
defaultTest:
  vars: {name: Ann}
  assert: [{type: not-icontains, value: sorry}]
tests:
  - description: returns
    vars: {question: "How do I return a bike?", days: [14, 30]}
    metadata: {topic: returns, rank: 3}
    assert:
      - {type: contains, value: '{{days}} days'}
      - {type: equals, value: Within 14 days.}
      - $ref: '#/assertionTemplates/short'
      - {type: llm-rubric, value: is polite}
      - {type: javascript, value: output.length < 9}
      - type: assert-set
        assert: [{type: is-json}, {type: cost, threshold: 0.01}]
  - vars: {question: "Hello?"}
    threshold: 0.5
"""


def test_a_config(tmp_path: Path) -> None:
    reading = Reading(file(tmp_path, "promptfooconfig.yaml", CONFIG), tmp_path)
    first, second, third = (each for each in reading if isinstance(each, Example))
    assert reading.format == "promptfoo"
    assert first.question == second.question == "How do I return a bike?"
    assert (first.inputs, second.inputs) == ({"name": "Ann", "days": 14}, {"name": "Ann", "days": 30})
    assert first.expect == [
        {"kind": "contains", "value": "14 days", "case": True},
        {"kind": "exact", "value": "Within 14 days.", "normalise": []},
        {"kind": "latency", "at_most": 800.0},
        {"kind": "json_schema", "json_schema": {}, "fenced": False},
        {"kind": "cost", "at_most": 0.01},
        {"kind": "contains", "value": "sorry", "case": False, "negate": True},
    ]
    assert first.expected == "Within 14 days."
    assert first.tags == {"topic": "returns"}
    assert first.metadata["rank"] == 3
    assert first.metadata["description"] == "returns"
    assert [each["type"] for each in first.metadata["promptfoo"]["assert"]] == ["llm-rubric", "javascript"]
    assert third.metadata["promptfoo"]["threshold"] == 0.5
    assert reading.left_out == {"llm-rubric": 2, "javascript": 2, "threshold": 1}


def test_csv_with_assertions(tmp_path: Path) -> None:
    text = (
        "question,__expected1,__expected2,__description,__metadata:topic,__metadata:marks[]\n"
        'a?,"icontains-any: x, y",similar(0.8): z,d,t,"1,2"\n'
        "b?,plain,,,,\n"
    )
    reading = Reading(file(tmp_path, "tests.csv", text), tmp_path)
    first, second = (each for each in reading if isinstance(each, Example))
    assert first.expect == [{"kind": "contains", "value": ["x", "y"], "case": False, "how": "any"}]
    assert (first.tags, first.metadata["marks"], first.metadata["description"]) == ({"topic": "t"}, ["1", "2"], "d")
    assert second.expected == "plain"
    assert reading.left_out == {"similar": 1}


@pytest.mark.parametrize(
    ("text", "assertion"),
    [
        ("Paris", {"type": "equals", "value": "Paris"}),
        ("note: not one of theirs", {"type": "equals", "value": "note: not one of theirs"}),
        ("contains: a, b", {"type": "contains", "value": "a, b"}),
        ("not-contains-all: a, b", {"type": "not-contains-all", "value": ["a", "b"]}),
        ("latency(1000)", {"type": "latency", "threshold": 1000.0}),
        ("fn:output.length", {"type": "javascript", "value": "output.length"}),
        ("grade: is polite", {"type": "llm-rubric", "value": "is polite"}),
        ("is-json", {"type": "is-json"}),
    ],
)
def test_assertions_as_text(text: str, assertion: dict[str, Any]) -> None:
    assert from_text(text) == assertion


@pytest.mark.parametrize(
    "assertion",
    [
        {"type": "equals", "value": "x"},
        {"type": "not-equals", "value": "x"},
        {"type": "contains", "value": "x"},
        {"type": "icontains", "value": "x"},
        {"type": "contains-all", "value": ["x", "y"]},
        {"type": "not-icontains-any", "value": ["x", "y"]},
        {"type": "regex", "value": "a+"},
        {"type": "is-json", "value": {"type": "object"}},
        {"type": "latency", "threshold": 5.0},
        {"type": "cost", "threshold": 0.5},
        {"type": "perplexity", "threshold": 2.0},
        {"type": "not-is-refusal"},
    ],
)
def test_an_assertion_with_a_twin_comes_back(assertion: dict[str, Any]) -> None:
    check = check_of(assertion, {})
    assert check is not None
    assert assertion_of(check, None) == assertion


@pytest.mark.parametrize(
    "assertion",
    [
        {"type": "regex", "value": "(?=look)ahead"},
        {"type": "regex", "value": None},
        {"type": "regex", "value": "("},
        {"type": "not-latency", "threshold": 5},
        {"type": "latency", "threshold": -1},
        {"type": "latency"},
        {"type": "contains", "value": "file://x.txt"},
        {"type": "contains", "value": "{{ x | upper }}"},
        {"type": "contains", "value": {"a": 1}},
        {"type": "contains", "value": "x", "transform": "output.trim()"},
        {"type": "levenshtein", "value": "x", "threshold": 3},
        {"type": "is-json", "value": "[: not yaml"},
        {"type": "unheard-of"},
        {},
    ],
)
def test_an_assertion_without_a_twin_has_none(assertion: dict[str, Any]) -> None:
    assert check_of(assertion, {}) is None


def test_every_check_is_one_that_our_scorers_know() -> None:
    texts = ["x", "contains:x", "icontains-any:x,y", "contains-all:x,y", "starts-with:x.y (z)", "regex:a+", "is-json"]
    texts += ["latency(5)", "cost(0.5)", "perplexity(3)", "is-refusal", "not-contains:x", "not-is-refusal"]
    for text in texts:
        check = check_of(from_text(text), {})
        assert check is not None, text
        registry.KINDS[check["kind"]].options(**check)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tests: file://tests.csv", "Import that file itself"),
        ("tests: [file://a.yaml]", "Import that file itself"),
        ("prompts: [x]\nproviders: [y]", "no list of `tests`"),
        ("tests: [", "line 1, column"),
        ("a: &a [x]\ntests: [*a]", "aliases"),
        ("tests: !!python/object:os.system x", "not YAML"),
        ("x: .nan\ntests: []", "not YAML|no examples"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        list(Reading(file(tmp_path, "x.yaml", text), tmp_path))


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ({"vars": {"a": "x", "b": "y"}}, "Name it with --input: a, b"),
        ({"vars": 3}, "`vars` is no object"),
        ({"vars": {"question": {"a": 1}}}, "is no text"),
        ({"vars": {"question": "file://q.txt"}}, "in another file"),
        ({"vars": {"question": "q", "n": list(range(40)), "m": list(range(40))}}, "1,600 combinations"),
        ({"vars": {"question": "q"}, "assert": 3}, "`assert` is no list"),
        ({"vars": {"question": "q"}, "assert": [3]}, "no object"),
        ({"vars": {"question": "q"}, "metadata": [3]}, "`metadata` is no object"),
        (3, "no JSON object"),
    ],
)
def test_a_test_that_cannot_be_used_says_why(tmp_path: Path, test: Any, words: str) -> None:
    reading = Reading(file(tmp_path, "x.json", json.dumps({"tests": [test]})), tmp_path, format="promptfoo")
    (problem,) = reading
    assert isinstance(problem, Problem)
    assert words in problem.message


def test_the_question_may_be_named(tmp_path: Path) -> None:
    text = json.dumps({"tests": [{"vars": {"a": "x", "b": "y"}}]})
    (found,) = read(tmp_path, "x.json", text, format="promptfoo", columns=Columns(input="b"))
    assert (found.question, found.inputs) == ("y", {"a": "x"})


def test_written_and_read_again(tmp_path: Path) -> None:
    checks = [{"kind": "contains", "value": "x", "case": True}, {"kind": "judge", "judge": "tone"}]
    own = example("q?", expected="x", expect=checks, tags={"t": "v"}, inputs={"name": "Ann"})
    test = promptfoo.to_test(own)
    assert test["metadata"]["rondo_expect"] == [checks[1]]
    (back,) = promptfoo.examples_of(test, Columns(), own.provenance, Counter())
    assert (back.question, back.expect, back.inputs) == ("q?", checks[:1], {"name": "Ann"})
    assert back.tags["t"] == "v"
    assert promptfoo.to_test(example("q?", expected="x"))["assert"] == [{"type": "equals", "value": "x"}]
