"""`rondo scorers` and the documentation say the same as the code."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from rondo.cli.main import main
from rondo.cli.scorers import described
from rondo.evals.scorers.registry import KINDS, build, own_settings
from rondo.settings.evaluating import ScorerSettings

PAGE = (Path(__file__).parents[2] / "docs" / "scorers.md").read_text(encoding="utf-8")


def test_every_kind_is_listed() -> None:
    listed = CliRunner().invoke(main, ["scorers"])
    assert listed.exit_code == 0
    for kind in KINDS.values():
        assert re.search(rf"^{kind.name} +{re.escape(kind.summary)}$", listed.output, re.MULTILINE)
    as_json = json.loads(CliRunner().invoke(main, ["scorers", "--json"]).output)["scorers"]
    assert [each["kind"] for each in as_json] == list(KINDS)


def test_one_kind_is_told_whole() -> None:
    told = CliRunner().invoke(main, ["scorers", "number"]).output
    assert "max(abs, rel · |right|)" in told
    assert "Which number of the answer counts" in told
    one = json.loads(CliRunner().invoke(main, ["scorers", "python", "--json"]).output)
    assert one == described(KINDS["python"])
    assert one["runs"] == "in the command line"
    assert [each["name"] for each in one["options"]][:2] != ["at_least", "at_most"]
    wrong = CliRunner().invoke(main, ["scorers", "nmber"])
    assert wrong.exit_code == 1
    assert "Did you mean 'number'?" in wrong.output


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_page_defines_every_kind_with_its_source_and_options(kind: str) -> None:
    row = re.search(rf"^\| `{kind}` \|(.*)\|$", PAGE, re.MULTILINE)
    assert row is not None
    definition, options, source = (cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row[1]))
    assert definition == KINDS[kind].definition
    assert source == KINDS[kind].source
    shared = ("at_least", "at_most", "negate")
    own = [each["name"] for each in described(KINDS[kind])["options"] if each["name"] not in shared]
    assert re.findall(r"`([a-z_]+)`", options) == own


def test_the_examples_of_the_page_are_suites() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        settings = [ScorerSettings.model_validate(each) for each in tomllib.loads(example)["scorers"]]
        assert len(build(settings)) + len(own_settings(settings)) == len(settings)
