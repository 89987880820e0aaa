"""`rondo compare`, from a fresh clone to a ranking, with the real server behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_doors import Run
from rondo.evals.targets import MOST_TARGETS

TOML = """
[app]
name = "shop"
prompt = "prompts/plain.md"
route = ["good"]

[use_case]
tickets_per_month = 1000

[[goals]]
metric = "right"
at_least = 0.5
weight = 3

[[goals]]
metric = "errors.rate"
at_most = 0.1

[[goals]]
metric = "kindness"
at_least = 0.5

[selection]
licences = ["mit"]

[judges.strict]
kind = "yes_no"
model = "judging"
question = "Is it right?"

[models.good]
provider = "scripted"
licence = "mit"
price = { input = 1.0, output = 2.0 }
params = { script = ["It is {question}"] }

[models.poor]
provider = "scripted"
params = { script = ["No idea."] }

[models.keyless]
provider = "openai"
model = "gpt-4o-mini"

[models.judging]
provider = "scripted"
"""
SUITE = """
dataset = "examples.jsonl"
[[scorers]]
kind = "contains"
name = "right"
"""
PLAIN = "# system\nBe kind.\n\n# user\n{{ question }}\n"
WANTING = "---\nvariables:\n  tone:\n    type: string\n---\n# system\nBe {{ tone }}.\n\n# user\n{{ question }}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone with two prompts, one of which needs an input that no example has. The current folder."""
    folder = tmp_path / "shop"
    for name in ("suites", "prompts", "other"):
        (folder / name).mkdir(parents=True)
    (folder / "rondo.toml").write_text(TOML)
    (folder / "prompts" / "plain.md").write_text(PLAIN)
    (folder / "prompts" / "wanting.md").write_text(WANTING)
    (folder / "other" / "plain.md").write_text(PLAIN.replace("kind", "terse"))
    (folder / "suites" / "facts.toml").write_text(SUITE)
    rows = [{"question": f"number {n}", "expected": f"number {n}"} for n in range(12)]
    (folder / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return folder


def runs(rondo: Run) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(rondo("runs", "list", "--json").stdout)["runs"]
    return listed


def test_a_fresh_clone_is_compared(rondo: Run, project: Path) -> None:
    """Every model that answers, and the rule-based baseline that the project does not name."""
    result = rondo("compare", "--examples", "3")
    assert result.exit_code == 0, result.output
    grid, _, rest = result.stdout.partition("Decision matrix")
    ranking, _, examples = rest.partition("Examples on which they differ")
    assert "right, cost and latency" in grid
    head = next(line for line in grid.splitlines() if line.startswith("PROMPT"))
    assert head.split() == ["PROMPT", "GOOD", "POOR", "KEYLESS", "BASELINE"]
    row = next(line for line in grid.splitlines() if line.startswith("plain"))
    for words in ("100.0 % [", "0.0 % [", "12 failed"):
        assert words in row
    order = [line.split()[1] for line in ranking.splitlines() if line[:1] in "1234-" and line.strip()]
    assert order[0] == "good"
    assert order[-1] == "keyless"
    for words in (
        "misses the goal right; has no known licence",
        "gave no answer to any of 12",
        "$/MONTH AT 1,000",
        "Not measured by this suite, so not weighed: kindness.",
        "keyless: 12 × upstream_unreachable: The model 'keyless' has no key. Set OPENAI_API_KEY",
    ):
        assert words in ranking, words
    assert "(the first 3)" in examples
    assert "✓" in examples
    assert "!" in examples
    assert "~" not in examples.splitlines()[2]


def test_prompts_with_models_with_the_baseline_once(rondo: Run, project: Path) -> None:
    options = ["--models", "good,poor+good", "--prompts", "prompts/plain.md,prompts/wanting.md", "--json"]
    told = json.loads(rondo("compare", *options).stdout)
    targets = [(each["prompt"], each["model"]) for each in told["run"]["targets"]]
    assert targets == [
        ("plain", "good"),
        ("plain", "poor, good"),
        ("wanting", "good"),
        ("wanting", "poor, good"),
        ("plain", "baseline"),
    ]
    reports = told["run"]["report"]["targets"]
    assert [each["errors"] for each in reports[2:4]] == [{"invalid_request": 12}] * 2
    assert [each["answered"] for each in reports] == [12, 12, 0, 0, 12]
    named = rondo("compare", "--models", "good", "--no-baseline", "--json")
    assert [each["model"] for each in json.loads(named.stdout)["run"]["targets"]] == ["good"]


def test_prompts_of_the_same_name_do_not_hide_each_other(rondo: Run, project: Path) -> None:
    result = rondo("compare", "--models", "good", "--prompts", "prompts/plain.md,other/plain.md")
    assert result.exit_code == 0, result.output
    grid = result.stdout.partition("Decision matrix")[0].splitlines()
    assert sum(line.startswith("plain") for line in grid) == 2


def test_an_earlier_comparison_is_weighed_anew(rondo: Run, project: Path) -> None:
    assert rondo("compare", "--models", "good,poor").exit_code == 0
    (run,) = runs(rondo)
    anew = rondo("compare", "--run", run["id"], "--weight", "right=0", "--weight", "errors.rate=2", "--json")
    assert json.loads(anew.stdout)["matrix"]["weights"] == {"errors.rate": 1.0}
    shown = rondo("compare", "--run", run["id"], "--metric", "errors.rate")
    assert "errors.rate, cost and latency" in shown.output
    (project / "rondo.toml").unlink()
    assert rondo("compare", "--run", run["id"]).exit_code == 0, "what was said when it began is kept with the run"
    assert len(runs(rondo)) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--models", "goood"], "Did you mean 'good'?"),
        (["--prompts", "prompts/plan.md"], "prompts/plan.md"),
        (["--weight", "right"], "METRIC=NUMBER"),
        (["--weight", "right=-1"], "METRIC=NUMBER"),
        (["--weight", "right=nan"], "METRIC=NUMBER"),
        (["--weight", "rihgt=1"], "Did you mean 'right'?"),
        (["fact"], "Did you mean 'facts'?"),
        (["--run", "run_none"], "There is no run"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    rondo: Run, project: Path, options: list[str], words: str
) -> None:
    result = rondo("compare", *options)
    assert result.exit_code in (1, 2), result.output
    assert words in result.output
    assert runs(rondo) == []


def test_too_many_candidates_are_refused_before_anything_is_asked(rondo: Run, project: Path) -> None:
    prompts = []
    for number in range(MOST_TARGETS // 2):
        prompts.append(f"prompts/p{number}.md")
        (project / prompts[-1]).write_text(PLAIN)
    result = rondo("compare", "--models", "good,poor", "--prompts", ",".join(prompts))
    assert result.exit_code == 2
    assert f"are {MOST_TARGETS + 1} candidates; at most {MOST_TARGETS} are compared" in result.output
    assert runs(rondo) == []


def test_an_unknown_metric_costs_nothing_to_correct(rondo: Run, project: Path) -> None:
    result = rondo("compare", "--models", "good", "--metric", "rihgt")
    assert result.exit_code == 2
    (run,) = runs(rondo)
    for words in ("Did you mean 'right'?", f"rondo compare --run {run['id']}"):
        assert words in result.output
