"""Judges as parts of a release: in the manifest where there are any, with all that decides their word."""

from __future__ import annotations

from typing import Any

import pytest

from release_projects import TOML
from rondo.errors import CorruptData, SettingsError
from rondo.evals.judges.declared import declared, of_manifest
from rondo.evals.judges.rubric import DEFAULT
from rondo.evals.judges.version import version_of
from rondo.releases.conduct import Conduct
from rondo.releases.diff import diff
from rondo.releases.manifest import build, text_and_hash
from rondo.releases.model import Release
from rondo.settings.project import parse

JUDGES = """
[models.examiner]
provider = "openai"
model = "gpt-4o"

[judges.quality]
model = "examiner"
mark = 0.6

[judges.polite]
kind = "yes_no"
model = "main"
question = "Is it polite?"
votes = 3

[judges.house]
kind = "geval"
model = "examiner"
rubric = "house"

[rubrics.house]
criteria = [{ name = "warmth", question = "Is it warm?", highest = 3, anchors = { 1 = "Cold.", 3 = "Warm." } }]
"""
NOTHING = Conduct(rules=[], classifiers={}, guards=[], reports={})


def manifest(more: str = JUDGES) -> dict[str, Any]:
    return build(parse(TOML + more), NOTHING, prompt="answer", prompt_version="v", knowledge_version="k")


def release(number: int, more: str) -> Release:
    made = manifest(more)
    return Release(
        project="p", app="bot", number=number, hash="h", manifest=made, message="", created_by="t", created_at=0
    )


def test_a_project_without_judges_keeps_its_hash() -> None:
    assert "judges" not in manifest("")
    rubric = '[rubrics.x]\ncriteria = [{ name = "a", question = "?" }]'
    assert text_and_hash(manifest(rubric)) == text_and_hash(manifest(""))


def test_a_judge_is_in_the_manifest_with_its_rubric_and_its_model() -> None:
    made = manifest()
    assert [model["name"] for model in made["models"]] == ["examiner"], "main is on the route already"
    assert set(made["judges"]) == {"quality", "polite", "house"}
    assert [each["name"] for each in made["judges"]["quality"]["criteria"]] == [each.name for each in DEFAULT]
    assert "rubric" not in made["judges"]["house"]
    assert "criteria" not in made["judges"]["polite"]


def test_it_comes_back_as_it_was() -> None:
    judges = of_manifest(manifest())
    quality, polite, house = judges["quality"], judges["polite"], judges["house"]
    assert (quality.kind, quality.mark, quality.least_labels, tuple(quality.criteria)) == ("rubric", 0.6, 30, DEFAULT)
    assert (quality.model.name, quality.model.model) == ("examiner", "gpt-4o")
    assert (polite.question, polite.votes, polite.model.model) == ("Is it polite?", 3, "gpt-4o-mini")
    assert (house.criteria[0].name, house.criteria[0].anchors) == ("warmth", {"1": "Cold.", "3": "Warm."})
    assert of_manifest(manifest("")) == {}


def test_another_model_is_another_version_of_the_judge() -> None:
    other = of_manifest(manifest(JUDGES.replace("gpt-4o", "gpt-5")))["quality"]
    assert version_of(other) != version_of(of_manifest(manifest())["quality"])
    marked = of_manifest(manifest(JUDGES.replace("0.6", "0.7")))["quality"]
    assert version_of(marked) == version_of(of_manifest(manifest())["quality"])


def test_a_diff_names_what_changed_in_a_judge() -> None:
    changed = JUDGES.replace('question = "Is it warm?"', 'question = "Is it kind?"').replace("0.6", "0.7")
    changes = {
        change.field: (change.before, change.after) for change in diff(release(1, JUDGES), release(2, changed), {})
    }
    assert changes == {
        "judges.house.criteria.warmth.question": ("Is it warm?", "Is it kind?"),
        "judges.quality.mark": (0.6, 0.7),
    }
    fields = [change.field for change in diff(release(1, ""), release(2, JUDGES), {})]
    assert "judges.polite.question" in fields
    assert diff(release(1, JUDGES), release(2, JUDGES), {}) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[judges.x]\nmodel = "nobody"', "judges.x.model"),
        ('[judges.x]\nmodel = "main"\nrubric = "none"', "judges.x.rubric"),
        ('[judges.x]\nmodel = "main"\nkind = "yes_no"', "question"),
        ('[judges.x]\nmodel = "main"\nquestion = "Is it?"', "question"),
        ('[judges.x]\nmodel = "main"\nkind = "yes_no"\nquestion = "?"\nrubric = "r"', "rubric"),
        ('[judges.x]\nmodel = "main"\nparams = { at = 2026-01-01 }', "judges.x.params.at"),
        ('[rubrics.x]\ncriteria = [{ name = "a", question = "?", anchors = { 9 = "" } }]', "anchors"),
        ('[rubrics.x]\ncriteria = [{ name = "a", question = "?" }, { name = "a", question = "?" }]', "twice"),
        ('[rubrics.x]\ncriteria = [{ name = "a", question = "?", lowest = 5 }]', "lowest"),
        ("[rubrics.x]\ncriteria = []", "criteria"),
    ],
)
def test_a_wrong_judge_is_refused_by_its_key(more: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        manifest(more)


def test_a_manifest_that_cannot_be_read_says_so() -> None:
    made = manifest()
    for broken in ({"kind": "rubric"}, {"model": "nobody"}, {"model": "main", "kind": "oracle"}, 5):
        with pytest.raises(CorruptData):
            of_manifest({**made, "judges": {"x": broken}})


def test_what_is_declared_is_json_of_plain_values() -> None:
    assert declared(parse(TOML)) == {}
