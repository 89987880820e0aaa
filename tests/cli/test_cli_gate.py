"""`rondo gate` and the commands that tell of gates, against a server that is a table of answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli_doors import Door, Run
from releases.gate_makers import candidate, estimate, evidence, metric, run, target, terms
from rondo.releases.gate import decide
from rondo.releases.gate_model import Decision

DECISIONS: dict[str, Decision] = {
    "pass": decide(candidate(), terms(), evidence(run())),
    "fail": decide(candidate(), terms(), evidence(run(target=target(metric(estimate=estimate(0.7)))))),
    "inconclusive": decide(candidate(), terms(), evidence()),
}
EXCEPTION = {
    "id": "gate_1",
    "kind": "exception",
    "verdict": "fail",
    "reason": "on fire",
    "created_by": "anna",
    "created_at": 0,
}


def view(verdict: str = "pass", *, kept: list[Any] | None = None) -> dict[str, Any]:
    return {"decision": msgspec.to_builtins(DECISIONS[verdict]), "kept": kept or []}


@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 3)])
def test_the_exit_code_is_the_verdict(ask: Run, door: Door, verdict: str, code: int) -> None:
    door.answers["GET /api/apps/bot/releases/7/gate"] = view(verdict)
    result = ask("gate", "bot#7")
    assert result.exit_code == code
    assert result.stdout.startswith("bot#7 against #3\n")
    assert DECISIONS[verdict].sentence in result.stdout
    told = ask("gate", "7", "--app", "bot", "--json")
    assert (told.exit_code, json.loads(told.stdout)["decision"]["verdict"]) == (code, verdict)


def test_what_is_missing_is_told_with_what_to_do(ask: Run, door: Door) -> None:
    door.answers["GET /api/apps/bot/releases/7/gate"] = view("inconclusive", kept=[EXCEPTION])
    told = ask("gate", "bot#7").stdout
    assert "has not been run on bot#7. Run `rondo eval answers --target 7 --against production`." in told
    assert "exception of anna, 1970-01-01T00:00:00Z: on fire" in told


def test_a_hash_names_a_release_or_a_draft(ask: Run, door: Door) -> None:
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}]}
    door.answers["GET /api/apps/bot/gate/12345678"] = view()
    assert ask("gate", "12345678").exit_code == 0


def test_wrong_words_are_misuse(ask: Run, door: Door) -> None:
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}, {"name": "shop"}]}
    assert ask("gate", "7").exit_code == 2
    assert ask("gate", "bot#7", "--app", "shop").exit_code == 2
    assert ask("gate", "--app", "bot", "9" * 8).exit_code == 1  # no such hash


def test_reports_are_written(ask: Run, door: Door, tmp_path: Path) -> None:
    door.answers["GET /api/apps/bot/releases/7/gate"] = view("fail")
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    assert ask("gate", "bot#7", "--junit", str(junit), "--markdown", str(markdown)).exit_code == 1
    assert "<failure" in junit.read_text()
    assert markdown.read_text().startswith("### ❌ Gate: fail for bot\\#7")
    nowhere = ask("gate", "bot#7", "--junit", str(tmp_path / "none" / "gate.xml"))
    assert nowhere.exit_code == 2
    assert "cannot be written" in nowhere.stderr


def test_exceptions_are_sent_only_where_they_are_given(ask: Run, door: Door) -> None:
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}]}
    moved = {"traffic": {"stable": 7, "arms": [{"release": 8, "share_bp": 500}]}}
    door.answers["POST /api/apps/bot/promote"] = door.answers["POST /api/apps/bot/split"] = moved
    ask("promote", "8", "--exception", "on fire")
    assert door.body == {"release": 8, "reason": "", "exception": "on fire"}
    ask("split", "8=5%", "--exception", "a look")
    assert door.body == {"shares": {"8": 5}, "reason": "", "exception": "a look"}
    ask("split", "8=5%")
    assert door.body == {"shares": {"8": 5}, "reason": ""}


def test_a_release_is_shown_with_its_gate(ask: Run, door: Door) -> None:
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}]}
    release = {"number": 7, "hash": "c" * 64, "created_at": 0, "created_by": "dev", "message": "", "manifest": {}}
    door.answers["GET /api/apps/bot/releases/7"] = release
    door.answers["GET /api/apps/bot/releases/7/gate"] = view("fail", kept=[EXCEPTION])
    told = ask("releases", "show", "7").stdout
    assert "70.0 % [65.0 %, 75.0 %], wanted at least 80.0 %: missed." in told
    assert "exception of anna" in told
