"""`rondo eval` and `rondo runs`, from a fresh clone to a report, with the real server behind them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cli_doors import Run

TOML = """
[app]
name = "shop"
prompt = "prompt.md"
route = ["good"]

[[goals]]
metric = "right"
at_least = 0.5

[models.good]
provider = "scripted"
params = { script = ["It is {question}"] }

[models.poor]
provider = "scripted"
params = { script = ["No idea."] }

[models.slow]
provider = "scripted"
params = { script = [{ text = "It is {question}", delay_s = 0.3 }] }
"""
SUITE = """
dataset = "examples.jsonl"
slices = ["topic"]
max_concurrency = 2
[[scorers]]
kind = "contains"
name = "right"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone: a project with one suite, and no data folder. The current folder."""
    folder = tmp_path / "shop"
    (folder / "suites").mkdir(parents=True)
    (folder / "rondo.toml").write_text(TOML)
    (folder / "prompt.md").write_text("# system\nBe kind.\n\n# user\n{{ question }}\n")
    (folder / "suites" / "facts.toml").write_text(SUITE)
    rows = [{"question": f"number {n}", "expected": f"number {n}", "tags": {"topic": "odd"}} for n in range(12)]
    write(folder, rows)
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


def test_a_fresh_clone_is_evaluated(rondo: Run, project: Path) -> None:
    result = rondo("eval")
    assert result.exit_code == 0, result.output
    assert (project / ".rondo").is_dir()
    for words in ("right", "100.0 % [", "met", "12 results", "There is no baseline"):
        assert words in result.output, result.output
    listed = json.loads(rondo("runs", "list", "--json").stdout)["runs"]
    assert [(run["name"], run["status"], run["done"]) for run in listed] == [("facts", "finished", 12)]
    shown = rondo("runs", "show", listed[0]["id"])
    assert "right" in shown.output
    assert rondo("runs", "show", listed[0]["id"], "--markdown").output.startswith("## facts: shop")
    lines = rondo("runs", "export", listed[0]["id"]).stdout.splitlines()
    assert len(lines) == 12
    assert json.loads(lines[0])["result"]["scores"]["right"]["value"] == 1.0


def test_what_is_worse_than_production_fails(rondo: Run, project: Path) -> None:
    assert rondo("eval", "--json").exit_code == 0
    assert rondo("release").exit_code == 0
    result = rondo("eval", "--models", "poor")
    assert result.exit_code == 1, result.output
    for words in ("shop#1  (the baseline)", "missed", "worse", "✗ right is 0.0 %"):
        assert words in result.output, result.output
    assert rondo("eval", "--models", "poor", "--no-fail").exit_code == 0
    both = json.loads(rondo("eval", "--models", "good,poor", "--against", "none", "--no-fail", "--json").stdout)
    (run,) = both["runs"]
    assert (len(run["targets"]), run["baseline"]) == (2, None)


def test_what_failed_is_shown_with_question_answer_and_reason(rondo: Run, project: Path) -> None:
    result = rondo("eval", "--models", "good,poor", "--no-fail")
    assert "shop@" in result.output, result.output
    assert "prompt with poor" in result.output
    run_id = json.loads(rondo("runs", "list", "--json").stdout)["runs"][0]["id"]
    assert f"rondo runs show {run_id} --failed" in result.output
    shown = rondo("runs", "show", run_id, "--failed", "--limit", "3").output
    assert shown.count("✗ number") == 3
    for words in ("prompt with poor", "answer: No idea.", "right: Not found: 'number", "and more"):
        assert words in shown, shown
    assert "prompt with good" not in shown
    assert rondo("eval", "--models", "good").exit_code == 0
    clean = json.loads(rondo("runs", "list", "--json").stdout)["runs"][0]["id"]
    assert rondo("runs", "show", clean, "--failed").output.strip() == "Nothing has failed."


def test_a_must_pass_example_that_fails_is_told_with_its_question(rondo: Run, project: Path) -> None:
    write(project, [{"question": "the number of the beast", "expected": "666", "must_pass": True}] + [
        {"question": f"number {n}", "expected": f"number {n}"} for n in range(9)
    ])  # fmt: skip
    result = rondo("eval")
    assert result.exit_code == 1
    for words in ("0 of 1 passed", "the number of the beast", "Not found: '666'"):
        assert words in result.output, result.output


def test_scorers_of_the_projects_own_run_here(rondo: Run, project: Path) -> None:
    (project / "mine.py").write_text("def score(answer, expected):\n    return expected in answer\n")
    more = '[[scorers]]\nkind = "python"\nname = "mine"\nfile = "mine.py"\n'
    (project / "suites" / "facts.toml").write_text(SUITE + more)
    result = rondo("eval", "--json")
    assert result.exit_code == 0, result.output
    (run,) = json.loads(result.stdout)["runs"]
    mine = next(each for each in run["report"]["targets"][0]["metrics"] if each["metric"] == "mine")
    assert mine["estimate"]["value"] == 1.0
    source = (project / "mine.py").read_bytes()
    assert run["suite"]["scorers"][1]["file_hash"] == sha256(source).hexdigest()


def test_a_scorer_that_is_not_there_stops_a_run_before_it_asks(rondo: Run, project: Path) -> None:
    (project / "mine.py").write_text("def scored(answer):\n    return True\n")
    more = '[[scorers]]\nkind = "python"\nname = "mine"\nfile = "mine.py"\n'
    (project / "suites" / "facts.toml").write_text(SUITE + more)
    result = rondo("eval")
    assert result.exit_code != 0
    assert "Did you mean 'scored'?" in result.output
    assert json.loads(rondo("runs", "list", "--json").stdout)["runs"] == []


def test_a_scorer_without_any_score_is_no_success(rondo: Run, project: Path) -> None:
    (project / "mine.py").write_text("def score(answer):\n    return 1 / 0\n")
    more = '[[scorers]]\nkind = "python"\nname = "mine"\nfile = "mine.py"\n'
    (project / "suites" / "facts.toml").write_text(SUITE + more)
    result = rondo("eval")
    assert result.exit_code == 1
    assert "✗ mine has no score at all." in result.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "suites" / "facts.toml").unlink(), "has no suites"),
        (lambda folder: (folder / "suites" / "facts.toml").write_text("dataset = 3"), "suites/facts.toml"),
        (lambda folder: (folder / "suites" / "facts.toml").write_text(SUITE.replace("contains", "vibes")), "vibes"),
        (lambda folder: (folder / "examples.jsonl").write_text(""), "example"),
        (lambda folder: (folder / "examples.jsonl").write_text('{"expected": "x"}\n'), "question"),
        (lambda folder: (folder / "examples.jsonl").unlink(), "examples.jsonl"),
        (lambda folder: (folder / "rondo.toml").write_text("[app"), "rondo.toml"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(rondo: Run, project: Path, change: Any, words: str) -> None:
    change(project)
    result = rondo("eval")
    assert result.exit_code in (1, 2), result.output
    assert words in result.output
    assert "Traceback" not in result.output


def test_an_unknown_suite_names_the_nearest(rondo: Run, project: Path) -> None:
    result = rondo("eval", "fact")
    assert result.exit_code == 1
    assert "Did you mean 'facts'?" in result.output


def test_ctrl_c_pauses_and_says_how_to_go_on(rondo: Run, project: Path) -> None:
    command = [sys.executable, "-m", "rondo.cli.main", "eval", "--models", "slow"]
    process = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()  # progress: the run is under way
    assert "facts" in line
    time.sleep(0.8)
    os.kill(process.pid, signal.SIGINT)
    out, told = process.communicate(timeout=30)
    assert process.returncode == 130, out + told
    assert "go on with: rondo eval --resume run_" in told
    assert "Traceback" not in told
    (run,) = json.loads(rondo("runs", "list", "--json").stdout)["runs"]
    assert run["status"] == "paused"
    result = rondo("eval", "--resume", "--json")
    assert result.exit_code == 0, result.output
    (run,) = json.loads(result.stdout)["runs"]
    assert (run["status"], run["done"], run["failed"]) == ("finished", 12, 0)
