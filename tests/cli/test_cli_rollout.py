"""`rondo rollout`, against a server that is a table of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from cli_doors import Door, Run
from rondo.cli import release
from rondo.cli import rollout as commands
from rondo.evals.goals import Goal
from rondo.rollout import report, state
from rondo.rollout.model import GoalVerdict, Reading, Side, Terms
from rondo.rollout.progress import Decision, Event, Progress, Rollout
from rondo.settings.steps import parse_step

HERE = "/api/apps/bot/rollout"
HOSTILE = "worse\x1b[31m than before"


def rollout(decision: Decision | None = None) -> Rollout:
    terms = Terms(steps=[parse_step("5% 30m"), parse_step("100%")], goals=[Goal(metric="deflection", at_least=0.4)])
    progress = decision.progress if decision is not None else state.begin(terms, Progress(status="scheduled")).progress
    goal = GoalVerdict(
        metric="deflection", verdict="worse", guarded=True, candidate=0.4, baseline=0.5, difference=-0.1, low=-0.15,
        high=-0.05, candidate_units=900, baseline_units=910,
    )  # fmt: skip
    reading = Reading(at=1, candidate=Side(calls=1_000, units=900), baseline=Side(calls=1_001, units=910), goals=[goal])
    return Rollout(
        id="rollout_1", project="p", app="bot", release=8, baseline=7, sequence=1, terms=terms, progress=progress,
        reading=reading, created_at=0, created_by="anna", began_at=0,
    )  # fmt: skip


def view(decision: Decision | None = None) -> Any:
    found = rollout(decision)
    event = Event(
        rollout=found.id, sequence=1, at=0, actor="anna", kind="began", sentence="Step 1 of 2.", traces=["t1"],
        after=found.progress,
    )  # fmt: skip
    return msgspec.to_builtins(report.view(found, [event]))


def ended() -> Any:
    running = rollout().progress
    why = {"status": "rolled_back", "share_bp": 0, "why": HOSTILE}
    return view(Decision(progress=msgspec.structs.replace(running, **why)))


def test_start_sends_what_is_asked(ask: Run, door: Door) -> None:
    door.answers[f"POST {HERE}"] = view()
    told = ask("rollout", "start", "bot", "8", "--step", "5% 30m", "--step", "100%", "--reason", "try", "--kind", "ab")
    assert told.exit_code == 0, told.stderr
    assert door.body == {"release": 8, "reason": "try", "steps": ["5% 30m", "100%"], "kind": "ab"}
    assert "bot#8 beside #7  running  5% beside 5%  rollout_1" in told.stdout
    assert "→ 5 % for 30 min" in told.stdout
    assert "waits for 30 min more" in told.stdout


def test_status_shows_verdicts_and_events(ask: Run, door: Door) -> None:
    door.answers[f"GET {HERE}"] = {"rollout": ended()}
    told = ask("rollout", "status", "bot")
    assert told.exit_code == 0
    for text in ("rolled back", "1,000 calls of 900 callers", "[-0.15, -0.05]", "calls that show it: t1", "\\x1b"):
        assert text in told.stdout
    assert "\x1b[31m" not in told.stdout
    door.answers[f"GET {HERE}"] = {"rollout": None}
    assert "has had no rollout" in ask("rollout", "status", "bot").stderr


def test_following_tells_what_happens_and_ends_with_the_outcome(
    ask: Run, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_LOOK_S", 0.0)
    door.answers[f"GET {HERE}"] = {"rollout": view()}
    door.answers["GET /api/apps/bot/rollouts/rollout_1"] = iter([view(), ended()])
    told = ask("rollout", "status", "bot", "--follow")
    assert told.exit_code == 1
    assert "Step 1 of 2." in told.stderr
    assert "waits for traffic" not in told.stderr
    assert "rolled back" in told.stdout


@pytest.mark.parametrize("verb", ["pause", "resume", "approve", "promote", "abort"])
def test_verbs_send_their_reason(ask: Run, door: Door, verb: str) -> None:
    door.answers[f"POST {HERE}/{verb}"] = view()
    assert ask("rollout", verb, "bot", "--reason", "because").exit_code == 0
    assert door.body == {"reason": "because"}


def test_history_and_report(ask: Run, door: Door, tmp_path: Path) -> None:
    door.answers["GET /api/apps/bot/rollouts"] = {"rollouts": [ended()]}
    told = ask("rollout", "history", "bot").stdout
    assert "#8 beside #7" in told
    assert "rolled back" in told
    door.answers[f"GET {HERE}"] = {"rollout": ended()}
    text = report.markdown(msgspec.convert(ended(), report.RolloutView))
    door.answers["GET /api/apps/bot/rollouts/rollout_1/report"] = httpx2.Response(200, text=text)
    assert ask("rollout", "report", "bot").stdout.startswith("# bot#8 against #7: rolled back")
    file = tmp_path / "report.md"
    assert ask("rollout", "report", "bot", "--markdown", str(file)).exit_code == 0
    assert file.read_text() == text
    assert "| deflection | worse | 0.4 | 0.5 | -0.1 | [-0.15, -0.05] | 900 / 910 |" in text


def test_markdown_of_hostile_words_is_only_words() -> None:
    running = rollout().progress
    why = "<script>|`x`\n# big [a](http://x)"
    text = report.markdown(
        msgspec.convert(
            view(Decision(progress=msgspec.structs.replace(running, status="paused", why=why))), report.RolloutView
        )
    )
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\n# big" not in text


def test_a_release_with_steps_that_wait_is_told_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    made = {"created": True, "classifiers": {}, "release": {"app": "bot", "number": 8, "hash": "f" * 64}}
    decided = {"verdict": "pass", "declared": False, "sentence": "It may.", "checks": [], "changes": []}
    gate = {"decision": decided, "kept": []}
    serves: dict[str, Any] = {"stable": 7, "shares": {"7": 100}, "shadows": [], "settings": {}}
    for settings, told in (
        ({"rollout": {"on_release": "wait"}}, "rondo rollout start bot#8"),
        ({}, "rondo split bot 8=10%"),
    ):
        release._print(made, {**serves, "settings": settings}, gate)
        assert f"next     {told}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (
            "suite",
            {"rollout": {"on_release": "start"}},
            "rondo gate bot#8 --run-suites, then rondo rollout start bot#8",
        ),
        ("suite", {}, "rondo gate bot#8 --run-suites, then rondo promote bot#8"),
        ("goal", {"rollout": {"on_release": "start"}}, "rondo gate bot#8, which shows all that it lacks"),
    ],
)
def test_before_a_shut_gate_the_next_step_is_the_gate(
    capsys: pytest.CaptureFixture[str], kind: str, settings: dict[str, Any], told: str
) -> None:
    check = {
        "kind": kind,
        "verdict": "fail",
        "name": "answers",
        "suite": "answers",
        "sentence": "Not so.",
        "remedy": "",
    }
    decided = {
        "verdict": "fail",
        "declared": True,
        "sentence": "Shut.",
        "checks": [check],
        "changes": [],
        "stable": None,
    }
    serves: dict[str, Any] = {"stable": 7, "shares": {"7": 100}, "shadows": [], "settings": settings}
    made = {"created": True, "classifiers": {}, "release": {"app": "bot", "number": 8, "hash": "f" * 64}}
    started = {"rollout": {"started": None, "refused": "bot#8 may not take traffic (fail)."}} if settings else {}
    release._print({**made, **started}, serves, {"decision": decided, "kept": []})
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("next")] == [f"next     {told}"]
