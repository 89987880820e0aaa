"""A decision as JUnit XML and as Markdown: what CI shows is what was decided, whatever it is called."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from releases.gate_makers import (
    GOAL,
    candidate,
    comparison,
    estimate,
    evidence,
    metric,
    part,
    run,
    target,
    terms,
)
from rondo.evals.goals import Goal
from rondo.releases.gate import decide
from rondo.releases.gate_junit import junit
from rondo.releases.gate_markdown import markdown
from rondo.releases.gate_model import Decision

# junit-10.xsd of Jenkins' xUnit plug-in: what each element may bear and hold, in this order.
SHAPE: dict[str, tuple[set[str], set[str], list[str]]] = {
    "testsuites": ({"name"}, {"time", "tests", "failures", "disabled", "errors"}, ["testsuite"]),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"},
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": (
        {"name"},
        {"assertions", "time", "classname", "status"},
        ["skipped", "error", "failure", "system-out", "system-err"],
    ),
    "failure": (set(), {"type", "message"}, []),
    "error": (set(), {"type", "message"}, []),
    "system-out": (set(), set(), []),
}


def require_shape(element: Xml.Element) -> None:
    needed, allowed, children = SHAPE[element.tag]
    assert needed <= set(element.attrib) <= needed | allowed, element.tag
    places = [children.index(child.tag) for child in element]
    assert places == sorted(places)
    for child in element:
        require_shape(child)


def counted(suite: Xml.Element) -> tuple[int, int, int]:
    return (
        len(suite.findall(".//testcase")),
        len(suite.findall(".//failure")),
        len(suite.findall(".//error")),
    )


def told(suite: Xml.Element) -> tuple[int, int, int]:
    return int(suite.attrib["tests"]), int(suite.attrib["failures"]), int(suite.attrib["errors"])


PASSED = decide(candidate(), terms(), evidence(run()))
FAILED = decide(
    candidate(before=terms(structs.replace(GOAL, at_least=0.9))),
    terms(GOAL, Goal(metric="tone", at_least=0.5), slices=("language",)),
    evidence(
        run(
            target=target(
                metric(estimate=estimate(0.7), comparison=comparison("worse"), slices=[part("fr", outcome="worse")]),
                must_pass_failed=["e1", "e2"],
            )
        )
    ),
)
EMPTY = decide(candidate(stable=None), terms(), evidence())


@pytest.mark.parametrize("decision", [PASSED, FAILED, EMPTY], ids=["passed", "failed", "empty"])
def test_junit_has_the_shape_that_ci_reads_and_counts_right(decision: Decision) -> None:
    root = Xml.fromstring(junit(decision))
    require_shape(root)
    assert told(root) == counted(root)
    assert all(told(suite) == counted(suite) for suite in root)
    assert (told(root)[1:] == (0, 0)) == (decision.verdict == "pass")


def test_junit_names_each_check_and_each_failed_must_pass_example() -> None:
    root = Xml.fromstring(junit(FAILED))
    assert [suite.attrib["name"] for suite in root] == ["answers", "gate"]
    bad = {
        (case.attrib["classname"], case.attrib["name"]): found.tag
        for case in root.iter("testcase")
        for found in case
        if found.tag != "system-out"
    }
    assert bad == {
        ("bot.answers.must_pass", "must-pass example e1"): "failure",
        ("bot.answers.must_pass", "must-pass example e2"): "failure",
        ("bot.answers.goal", "answer.correct"): "failure",
        ("bot.answers.regression", "answer.correct"): "failure",
        ("bot.answers.slice", "answer.correct [language=fr]"): "failure",
        ("bot.gate.goal", "tone"): "error",
        ("bot.gate.terms", "terms"): "error",
    }
    properties = {each.attrib["name"]: each.attrib["value"] for each in root[0].iter("property")}
    assert properties["run"] == "run_1"
    assert properties["hash"] == "c" * 64


def test_markdown_has_a_line_for_each_goal_and_says_what_is_missing() -> None:
    text = markdown(FAILED)
    assert text.startswith("### ❌ Gate: fail for bot\\#7\n")
    assert "| Goal | Suite | Value | 95 % interval | Wanted | Against bot\\#3 | |" in text
    assert (
        r"| answer.correct | answers | 70.0 % | \[65.0 %, 75.0 %\], n = 100 | at least 80.0 % |"
        r" −10.0 pts \[−14.0 pts, −6.0 pts\] | ❌ fail |" in text
    )
    assert "- ❌ **must-pass examples** (answers): 2 of 4 must-pass examples passed." in text
    assert "- ❔ **tone**: Wanted at least 0.5: no suite of the gate measures it." in text
    assert "**Held to other terms than bot\\#3**" in text
    assert "- goal answer.correct: at least 0.9 → at least 0.8: weaker" in text
    assert "What keeps it shut" not in markdown(PASSED)
    assert "`rondo eval answers --target 7`" in markdown(EMPTY)


@given(name=st.text(max_size=40), sentence=st.text(max_size=80))
def test_no_name_breaks_out_of_either(name: str, sentence: str) -> None:
    checks: list[Any] = [structs.replace(check, name=name, sentence=sentence) for check in FAILED.checks]
    decision = structs.replace(FAILED, checks=checks)
    root = Xml.fromstring(junit(decision))
    require_shape(root)
    assert told(root) == counted(root) == told(Xml.fromstring(junit(FAILED)))
    table = [line for line in markdown(decision).splitlines() if line.startswith("|")]
    assert len(table) == 4  # two lines of head, and the two goals
    assert len(markdown(decision).splitlines()) == len(markdown(FAILED).splitlines())
