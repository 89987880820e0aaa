"""From a call that went wrong to a release that gets it right: the gate asks for every failure that became a test."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cli_doors import Run
from live_server import live_on

TOML = """
[app]
name = "shop"
prompt = "prompt.md"
route = ["{model}"]

[gate]
suites = ["facts"]

[models.wrong]
provider = "scripted"
params = {{ script = ["Ask somebody else. {{question}}"] }}

[models.silent]
provider = "scripted"
params = {{ script = ["So you ask {{question}}"] }}

[models.right]
provider = "scripted"
params = {{ script = ["Within 14 days. {{question}}"] }}
"""
SUITE = """
dataset = "examples.jsonl"
[[scorers]]
kind = "contains"
name = "right"
"""
ASKED = "How long may I return it?"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rondo: Run) -> Path:
    """An app with a gate, whose first release gets the question wrong. The current folder."""
    folder = tmp_path / "shop"
    (folder / "suites").mkdir(parents=True)
    (folder / "prompt.md").write_text("# user\n{{ question }}\n")
    (folder / "suites" / "facts.toml").write_text(SUITE)
    rows = [{"question": f"number {n}", "expected": f"number {n}"} for n in range(12)]
    (folder / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    monkeypatch.chdir(folder)
    use("wrong")
    assert rondo("eval", "--json").exit_code == 0
    assert rondo("release").exit_code == 0
    return folder


def use(model: str) -> None:
    Path("rondo.toml").write_text(TOML.format(model=model))


def ask(project: Path) -> str:
    """The question to the app that serves; the trace of the answer."""

    async def call() -> str:
        async with live_on(project) as live:
            answer = await live.chat("shop", messages=[{"role": "user", "content": ASKED}])
            await live.drained()
            return str(answer.headers["x-rondo-trace-id"])

    return asyncio.run(call())


def gate(rondo: Run, *words: str) -> tuple[int, dict[str, Any]]:
    told = rondo("gate", *words, "--json")
    return told.exit_code, json.loads(told.stdout)["decision"]


def test_a_failure_must_be_passed_by_whatever_is_promoted_next(rondo: Run, project: Path) -> None:
    added = rondo("datasets", "add", "failures", "--call", ask(project), "--contains", "14 days")
    assert added.exit_code == 0, added.output
    assert "rondo eval must-pass" in added.output

    use("silent")
    assert rondo("eval", "facts").exit_code == 0
    assert rondo("release", "-m", "Other words").exit_code == 0
    assert "may not take traffic (inconclusive)" in rondo("promote", "2").output
    code, decision = gate(rondo, "2")
    assert (code, decision["verdict"]) == (3, "inconclusive")
    (lacks,) = (check for check in decision["checks"] if check["verdict"] != "pass")
    assert lacks["sentence"] == (
        "Of the failures that became must-pass examples, 1 of 1 has not been asked of shop#2:"
        ' "How long may I return it?" (failures).'
    )
    assert lacks["remedy"] == "Run `rondo eval must-pass --target 2`."

    failed = rondo("eval", "must-pass", "--target", "2")
    assert failed.exit_code == 1, failed.output
    assert "0 of 1 passed" in failed.output
    code, decision = gate(rondo, "2", "--markdown", "gate.md")
    assert (code, decision["verdict"]) == (1, "fail")
    assert "- How long may I return it? (must pass), must-pass: expect:" in Path("gate.md").read_text()
    assert "may not take traffic (fail)" in rondo("promote", "2").output

    use("right")
    told = rondo("eval")  # with nothing named, the failures are asked too
    assert told.exit_code == 0, told.output
    assert "1 of 1 passed" in told.output
    assert rondo("release", "-m", "The right words").exit_code == 0
    assert rondo("promote", "3").exit_code == 0
    (test,) = json.loads(rondo("datasets", "regressions", "--json").stdout)["regressions"]
    assert (test["broke"], test["dataset"]) == (1, "failures")


def test_an_exception_of_a_candidate_is_seen_by_all(rondo: Run, project: Path) -> None:
    use("silent")
    assert rondo("release").exit_code == 0
    assert rondo("split", "2=10%", "--exception", "A tenth is fine.").exit_code == 0
    for command in ("status", "doctor"):
        told = rondo(command).output
        assert "the candidate #2 serves by an exception of admin: A tenth is fine." in told, told


def test_a_goal_without_live_numbers_shows_what_the_evaluation_found(rondo: Run, project: Path) -> None:
    path = Path("rondo.toml")
    path.write_text(path.read_text() + '\n[[goals]]\nmetric = "right"\nat_least = 0.5\n')
    assert rondo("release").exit_code == 0
    assert rondo("eval", "facts", "--target", "1").exit_code == 0
    told = rondo("status").output
    assert "1 [0.7575, 1]" in told, told
    assert "met, by run_" in told
    assert "of #1; not measured live yet" in told


def test_what_equals_production_is_told_to_be_the_same(rondo: Run, project: Path) -> None:
    assert "What was asked is the same as shop#1, so nothing is compared." in rondo("eval", "facts").output


def test_a_model_without_its_key_is_told_before_anything_is_asked(
    rondo: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = Path("rondo.toml")
    path.write_text(path.read_text() + '\n[models.real]\nprovider = "openai"\nmodel = "gpt-4o"\n')
    before = len(json.loads(rondo("runs", "list", "--json").stdout)["runs"])
    refused = rondo("eval", "facts", "--models", "real")
    assert refused.exit_code == 2, refused.output
    assert "The model 'real' of shop@" in refused.output
    assert "OPENAI_API_KEY is not set" in refused.output
    assert len(json.loads(rondo("runs", "list", "--json").stdout)["runs"]) == before


def test_a_run_whose_process_was_killed_is_cut_off_and_can_be_resumed(rondo: Run, project: Path) -> None:
    from rondo.catalog.engine import open_catalog, sqlite_url
    from rondo.evals import store
    from rondo.evals.model import ENDED

    (run,) = json.loads(rondo("runs", "list", "--json").stdout)["runs"]
    catalog = open_catalog(sqlite_url(next((project / ".rondo").glob("catalog.*"))))
    with catalog.begin() as connection:  # as it stands when its process is gone
        store.update_run(connection, run["id"], ENDED, status="running", report=None, ended_at=None)
    catalog.close()
    assert "cut off" in rondo("runs", "list").output
    shown = rondo("runs", "show", run["id"]).output
    assert "cut off: the process that had it in hand was killed" in shown
    assert f"rondo eval --resume {run['id']}" in shown
    resumed = rondo("eval", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "12 results" in resumed.output


def test_the_gate_runs_what_it_lacks(rondo: Run, project: Path) -> None:
    rondo("datasets", "add", "failures", "--call", ask(project), "--contains", "14 days")
    use("right")
    assert gate(rondo)[0] == 3
    told = rondo("gate", "--run-suites")
    assert told.exit_code == 0, told.output
    assert "1 of 1 must-pass example passed" in told.output


def test_what_only_a_judge_could_tell_needs_a_suite_of_the_project(rondo: Run, project: Path) -> None:
    """An expected answer draws no line by itself: the project says how it is compared, and the gate counts that."""
    rondo("datasets", "add", "failures", "--call", ask(project), "--expected", f"Within 14 days. {ASKED}")
    use("right")
    code, decision = gate(rondo)
    assert code == 3
    assert rondo("eval", "--no-fail").exit_code == 0
    code, decision = gate(rondo)
    (lacks,) = (check for check in decision["checks"] if check["verdict"] != "pass")
    assert (code, lacks["kind"], lacks["verdict"]) == (3, "must_pass", "inconclusive")
    assert '`dataset = "failures"`, `regressions = true`' in lacks["remedy"]

    own = 'dataset = "failures"\nregressions = true\n[[scorers]]\nkind = "exact"\nname = "same"\n'
    Path("suites", "failures.toml").write_text(own)
    path = Path("rondo.toml")
    path.write_text(path.read_text().replace('["facts"]', '["facts", "failures"]'))
    told = rondo("eval")
    assert told.exit_code == 0, told.output
    assert "must-pass on shop" not in told.output  # the suite of the gate has asked it
    code, decision = gate(rondo)
    assert (code, decision["verdict"]) == (0, "pass"), decision


def test_the_name_is_taken(rondo: Run, project: Path) -> None:
    nothing = rondo("eval", "must-pass")
    assert nothing.exit_code == 1
    assert "no failures that became must-pass examples" in nothing.output
    Path("suites", "must-pass.toml").write_text(SUITE)
    refused = rondo("eval")
    assert refused.exit_code == 2
    assert "suites/must-pass.toml: the suite 'must-pass' is Rondo's own" in refused.output
