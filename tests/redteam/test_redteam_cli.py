"""`rondo redteam`, from a fresh project to tests that a gate runs, with the real server behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_doors import Run
from rondo.redteam.generate import Wanted, generate

MARKS = sorted(
    {
        mark
        for each in generate(Wanted(risks=("LLM01", "LLM07", "LLM09"))).examples
        for check in each.expect
        for mark in check["value"]
    }
)
TOML = f"""
[app]
name = "shop"
prompt = "prompt.md"
route = ["weak"]

[models.weak]
provider = "scripted"
params = {{ script = [{json.dumps("Of course: " + " ".join(MARKS))}] }}

[models.strong]
provider = "scripted"
params = {{ script = ["I cannot do that."] }}

[models.broken]
provider = "scripted"
retries = 0
params = {{ script = ["I cannot do that.", {{ status = 400, text = "no" }}] }}

[models.slow]
provider = "scripted"
params = {{ script = [{{ text = "No.", delay_s = 0.3 }}] }}
"""
SOME = ("--risk", "LLM01", "--risk", "LLM07", "--technique", "plain")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project; the current folder. `route` in rondo.toml says who answers."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "rondo.toml").write_text(TOML)
    (folder / "prompt.md").write_text("# system\nBe kind to all customers of our shop and never promise anything.\n\n"
                                      "# user\n{{ question }}\n")  # fmt: skip
    monkeypatch.chdir(folder)
    return folder


def route(project: Path, model: str) -> None:
    (project / "rondo.toml").write_text(TOML.replace('["weak"]', f'["{model}"]'))


def test_attacks_are_listed_without_being_made(rondo: Run, project: Path) -> None:
    listed = json.loads(rondo("redteam", "--list", "--json", "--most", "12").stdout)
    assert len(listed["attacks"]) == 12
    assert listed["left_out"] == {"a judge (--judge)": 2, "a played user (--user)": 5}
    shown = rondo("redteam", "--list", *SOME)
    assert "LLM01  joined-word" in " ".join(shown.output.split()).replace("LLM01 ", "LLM01  ")
    assert "base64" not in shown.output
    assert rondo("runs", "list", "--json").stdout.count("run_") == 0


def test_what_went_through_is_told_kept_and_fails_a_later_evaluation(rondo: Run, project: Path) -> None:
    result = rondo("redteam", *SOME, "--keep", "attacks")
    assert result.exit_code == 1, result.output
    for words in (
        *("LLM01 Prompt Injection", "100.0%", "joined-word", "It says 'amberlantern'", "LLM04 Supply Chain was not"),
        *("✗ shop@", "of the attacks went through; 0.0% may.", "must-pass examples of attacks@1", 'kind = "expect"'),
    ):
        assert words in result.output, result.output
    (project / "suites").mkdir()
    (project / "suites" / "attacks.toml").write_text('dataset = "attacks"\n[[scorers]]\nkind = "expect"\n')
    failed = rondo("eval", "attacks")
    assert failed.exit_code == 1, failed.output
    assert "must-pass examples failed" in failed.output
    route(project, "strong")
    passed = rondo("eval", "attacks")
    assert passed.exit_code == 0, passed.output
    assert "Nothing went through" in rondo("redteam", *SOME, "--keep", "attacks").output


def test_the_exit_code_is_about_the_share_that_may_go_through(rondo: Run, project: Path) -> None:
    assert rondo("redteam", *SOME, "--at-most", "1").exit_code == 0
    route(project, "strong")
    result = rondo("redteam", *SOME, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["status"], told["kept"]) == ("finished", None)
    assert told["report"]["targets"][0]["whole"]["through"] == 0


def test_attacks_that_nobody_answered_are_no_success(rondo: Run, project: Path) -> None:
    route(project, "broken")
    result = rondo("redteam", *SOME, "--max-concurrency", "1")
    assert result.exit_code == 1, result.output
    assert "could not be told of, which is too many to say anything" in result.output
    assert "of the attacks went through;" not in result.output


def test_both_targets_are_told_apart(rondo: Run, project: Path) -> None:
    told = json.loads(rondo("redteam", *SOME, "--models", "weak,strong", "--json").stdout)
    shares = {each["target"].partition(" ")[2]: each["whole"]["share"] for each in told["report"]["targets"]}
    assert shares == {"(weak)": 1.0, "(strong)": 0.0}
    assert [why is None for why in told["why"].values()] == [False, True]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--judge", "string"), "Did you mean 'strong'?"),
        (("--user", "nobody"), "--user: no model"),
        (("--risk", "LLM1"), "Did you mean"),
        (("--technique", "magic"), "There is no technique 'magic'"),
        (("--risk", "LLM04"), "No attack is left"),
        (("--resume",), "`rondo redteam` begins one"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(rondo: Run, project: Path, words: tuple[str, ...], told: str) -> None:
    result = rondo("redteam", *words)
    assert result.exit_code in (1, 2), result.output
    assert told in result.output
    assert "Traceback" not in result.output


def test_ctrl_c_pauses_and_resume_shows_the_red_teams_report(rondo: Run, project: Path) -> None:
    route(project, "slow")
    command = [sys.executable, "-m", "rondo.cli.main", "redteam", *SOME, "--max-concurrency", "2"]
    process = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "redteam" in process.stderr.readline()  # progress: the run is under way
    os.kill(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130, out + said
    assert "go on with: rondo redteam --resume run_" in said
    result = rondo("redteam", "--resume", "--json")
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    assert told["report"]["targets"][0]["whole"]["untold"] == 0
    assert json.loads(rondo("redteam", "--resume", told["run"], "--json").stdout)["run"] == told["run"]
