"""`rondo judges`: what it sends, what it prints, and labelling at the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli_doors import Door, Run
from journeys.running import make_project
from rondo.cli.main import main

JUDGE: dict[str, Any] = {
    "name": "quality",
    "kind": "rubric",
    "model": {"name": "examiner", "provider": "openai", "model": "gpt-9"},
    "criteria": [
        {
            "name": "accuracy",
            "question": "Is it true?",
            "lowest": 1,
            "highest": 3,
            "anchors": {"1": "Wrong.", "3": "Right."},
        },
        {"name": "clarity", "question": "Is it clear?", "lowest": 1, "highest": 3, "anchors": {}},
    ],
    "question": None,
    "instructions": "",
    "votes": 3,
    "params": {},
    "mark": 0.6,
    "least_labels": 30,
}
LINE: dict[str, Any] = {
    "app": "bot",
    "target": "bot#7",
    "judge": JUDGE,
    "metrics": ["quality.accuracy", "quality.clarity", "quality"],
    "version": "a" * 64,
    "counts": False,
    "sentence": "The judge quality does not count.",
    "kappa": 0.41,
    "answers": 40,
    "calibrated_at": 1_763_700_000_000_000,
}
NOTHING = {"value": None, "low": None, "high": None}
KAPPA = {"value": 0.41, "low": 0.2, "high": 0.6}
CALIBRATION: dict[str, Any] = {
    "id": "calibration_1",
    "version": "a" * 64,
    "kappa": 0.41,
    "mark": 0.6,
    "passed": False,
    "created_by": "ann",
    "created_at": 1_763_700_000_000_000,
    "measured": {
        "source": "labels",
        "answers": 40,
        "errors": {"unreadable_verdict": 2},
        "cost_usd": 0.5,
        "run": "run_1",
        "position": {"asked": 10, "consistent": {"value": 0.5, "low": 0.3, "high": 0.7}, "preference": NOTHING},
        "corrected": [
            {"target": "bot#7", "metric": "quality.accuracy", "n": 900, "labels": 38, "judged": 0.8, "corrected": KAPPA}
        ],
        "aspects": [
            {
                "aspect": "accuracy",
                "metric": "quality.accuracy",
                "weights": "quadratic",
                "compared": 38,
                "undecided": 0,
                "failed": 2,
                "exact": 0.7,
                "kappa": KAPPA,
                "alpha": KAPPA,
                "annotated": 0,
                "people_alpha": NOTHING,
                "lean": {"value": 0.1, "low": None, "high": None},
                "length": NOTHING,
                "words": ["1", "2", "3"],
                "confusion": [[10, 2, 0], [3, 8, 5], [0, 0, 10]],
                "pairs": [],
            }
        ],
    },
}
APPS = {"apps": [{"name": "bot"}]}


@pytest.fixture
def answered(door: Door) -> Door:
    door.answers = {
        "GET /api/apps": APPS,
        "GET /api/judges": {"judges": [LINE]},
        "GET /api/judges/quality": {"line": LINE, "calibrations": [CALIBRATION]},
        "POST /api/judges/quality/calibrations": CALIBRATION,
    }
    return door


def test_list_and_show(answered: Door, ask: Run) -> None:
    result = ask("judges", "list")
    assert result.exit_code == 0, result.stderr
    for text in ("quality", "examiner", "0.41", "0.60", "no"):
        assert text in result.stdout
    result = ask("judges", "show", "quality")
    assert result.exit_code == 0, result.stderr
    for text in (
        "does not count",
        "Is it true?",
        "Wrong.",
        "0.41 [0.20, 0.60]",
        "+0.10",
        "judge in columns",
        "50% [30%",
    ):
        assert text in result.stdout
    assert answered.query == {"app": "bot"}
    answered.answers["GET /api/judges"] = {"judges": []}
    assert "No app has a judge." in ask("judges", "list", "bot").stdout


def test_calibrate_sends_labels_and_fails_below_the_mark(answered: Door, ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('\ufeff{"question": "?", "answer": "!", "scores": {"accuracy": 3}}\n\n', encoding="utf-8")
    result = ask("judges", "calibrate", "quality", "--labels", str(file), "--run", "run_1", "--budget", "2")
    assert result.exit_code == 1
    assert answered.body == {
        "app": "bot",
        "budget_usd": 2.0,
        "run": "run_1",
        "labels": [{"question": "?", "answer": "!", "scores": {"accuracy": 3}}],
    }
    for text in ("falls short: kappa 0.41 of at least 0.6", "2 unreadable_verdict", "corrected 0.41", "$0.500000"):
        assert text in result.stdout
    answered.answers["POST /api/judges/quality/calibrations"] = {**CALIBRATION, "passed": True, "mark": None}
    result = ask("judges", "calibrate", "quality", "--app", "bot", "--since", "30d", "--on", "7")
    assert result.exit_code == 0, result.stderr
    assert {"app", "since", "on"} == set(answered.body)
    assert json.loads(ask("judges", "calibrate", "quality", "--json").stdout)["id"] == "calibration_1"


def test_the_project_folder_is_drafted_first(answered: Door, ask: Run, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    answered.answers["POST /api/drafts"] = {"app": "bot", "hash": "f" * 64}
    answered.answers["POST /api/judges/quality/calibrations"] = {**CALIBRATION, "passed": True}
    result = ask("judges", "calibrate", "quality", "--project", str(project))
    assert result.exit_code == 0, result.stderr
    assert answered.body == {"app": "bot", "on": "f" * 64}
    assert ask("judges", "calibrate", "quality", "--project", str(project), "--on", "7").exit_code == 2


def test_a_file_of_labels_that_cannot_be_read_is_named(answered: Door, ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"answer": "!"}\n{"answer": ')
    result = ask("judges", "calibrate", "quality", "--labels", str(file))
    assert result.exit_code == 2
    assert "line 2" in result.stderr
    file.write_text('{"answer": "!", "scores": {"accuracy": NaN}}')
    result = ask("judges", "calibrate", "quality", "--labels", str(file))
    assert (result.exit_code, "line 1 is no JSON: NaN is no number" in result.stderr) == (2, True)
    file.write_bytes(b"\xff\xfe\x00")
    assert ask("judges", "calibrate", "quality", "--labels", str(file)).exit_code == 2
    assert ask("judges", "calibrate", "quality", "--labels", str(tmp_path / "none")).exit_code == 2


def labelled(words: str, *arguments: str) -> Result:
    line = ["judges", "label", "quality", *arguments, "--url", "http://rondo.test", "--key", "rondo_sk_test"]
    return CliRunner().invoke(main, line, input=words)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_labelling_is_kept_line_by_line_and_goes_on(answered: Door, rondo: Run, tmp_path: Path) -> None:
    source, file = tmp_path / "answers.jsonl", tmp_path / "labels.jsonl"
    asked = [{"question": f"q{at}", "answer": f"a{at}", "id": at, "expected": "x"} for at in range(3)]
    source.write_text("".join(json.dumps(each) + "\n" for each in asked))
    result = labelled("?\n9\n3\n2\nq\n", str(file), "--from", str(source))
    assert result.exit_code == 0, result.stderr
    assert "Wrong." in result.stdout
    assert "'9' is none of these" in result.stdout
    first = {"question": "q0", "answer": "a0", "expected": "x", "scores": {"accuracy": 3, "clarity": 2}}
    assert lines(file) == [first]
    result = labelled("s\n1\ns\ns\n", str(file), "--from", str(source))
    assert "1 labels written" in result.stdout
    assert lines(file) == [first, {"question": "q1", "answer": "a1", "expected": "x", "scores": {"clarity": 1}}]
    result = labelled("1\n1\nq\n", str(file), "--from", str(source), "--as", "ben")
    assert lines(file)[2]["annotator"] == "ben", "another person labels the same"


def test_what_a_run_exports_is_labelled(answered: Door, rondo: Run, tmp_path: Path) -> None:
    source, file = tmp_path / "answers.jsonl", tmp_path / "labels.jsonl"
    messages = [{"role": "user", "content": "q"}]
    answer = {"text": "a", "chunks": [{"text": "passage"}]}
    rows = [
        {"result": {"answer": None, "error": "timeout"}, "example": {"messages": messages}},
        {"result": {"answer": answer}, "example": {"messages": messages, "expected": "x"}},
    ]
    source.write_text("".join(json.dumps(each) + "\n" for each in rows))
    assert labelled("3\n2\n", str(file), "--from", str(source)).exit_code == 0
    said = {"scores": {"accuracy": 3, "clarity": 2}}
    assert lines(file) == [{"messages": messages, "answer": "a", "expected": "x", "context": ["passage"], **said}]


def test_calls_are_labelled_with_what_they_were_asked(answered: Door, rondo: Run, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    answered.answers["GET /api/calls"] = {"items": [{"trace_id": "t1"}], "before": None}
    call = {"input": '[{"role": "user", "content": "q"}]', "question": "q", "answer": "a", "chunks": [{"text": "p"}]}
    answered.answers["GET /api/calls/t1"] = {"calls": [call]}
    for judge, words, said in (
        ({**JUDGE, "kind": "yes_no", "question": "Is it?", "criteria": []}, "y\n", {"verdict": "yes"}),
        (JUDGE, "1\n2\n", {"scores": {"accuracy": 1, "clarity": 2}}),
    ):
        file.unlink(missing_ok=True)
        answered.answers["GET /api/judges/quality"] = {"line": {**LINE, "judge": judge}, "calibrations": []}
        result = labelled(words, str(file))
        assert result.exit_code == 0, result.stderr
        asked = {"messages": [{"role": "user", "content": "q"}], "answer": "a", "context": ["p"], "source": "t1"}
        assert lines(file) == [{**asked, **said}]


def test_pairs_are_labelled_and_end_of_input_ends(answered: Door, rondo: Run, tmp_path: Path) -> None:
    source, file = tmp_path / "answers.jsonl", tmp_path / "labels.jsonl"
    source.write_text(
        '{"question": "q", "answer": "a", "other": "b"}\n{"question": "r", "answer": "a", "other": "b"}\n'
    )
    judge = {**JUDGE, "kind": "pairwise", "criteria": []}
    answered.answers["GET /api/judges/quality"] = {"line": {**LINE, "judge": judge}, "calibrations": []}
    result = labelled("t\n", str(file), "--from", str(source))
    assert result.exit_code == 0
    assert lines(file) == [{"question": "q", "answer": "a", "other": "b", "better": "tie"}]
    assert "1 answers left" in result.stdout
    source.write_text('{"question": "q"}\n')
    result = labelled("", str(file), "--from", str(source))
    assert (result.exit_code, "line 1 has no `answer`" in result.stderr) == (2, True)
