"""`rondo drift` and `rondo patterns`: what they send, and what they print."""

from __future__ import annotations

from typing import Any

from cli_doors import Door, Run

CHECK: dict[str, Any] = {
    "name": "refusals",
    "part": "outputs",
    "title": "Refusals",
    "verdict": "drifted",
    "units": [300, 300],
    "corrected": 0.001,
    "effect": 0.2,
    "sentence": "Refusals: 30 % of users' calls.",
    "next_step": "Look at what is refused.",
    "examples": [{"trace_id": "ab", "question": "why\x1b[31m not"}],
}
TOPIC = {"name": "solar", "change": "new", "before": 0.0, "now": 0.1, "low": 0.05, "high": 0.15}
REPORT: dict[str, Any] = {
    "id": "drift_1",
    "app": "bot",
    "verdict": "drifted",
    "since": 1_763_700_000_000_000,
    "until": 1_763_786_400_000_000,
    "reference_since": 1_763_095_200_000_000,
    "created_by": "schedule",
    "units": [300, 300],
    "vectors": "words",
    "checks": [CHECK],
    "topics": [TOPIC, {**TOPIC, "name": "refund", "change": "steady"}],
    "notes": ["Languages are not told apart."],
}
PATTERN: dict[str, Any] = {
    "number": 1,
    "name": "arrive, refund",
    "calls": 12,
    "before": 3,
    "share": 0.4,
    "users": 9,
    "trend": "grown",
    "low": 0.01,
    "high": 0.05,
    "whys": {"disliked": 12},
    "releases": {"bot#2": 12},
    "models": {},
    "terms": ["refund"],
    "first_seen": 1_763_700_000_000_000,
    "last_seen": 1_763_700_000_000_000,
    "examples": [{"trace_id": "ab", "question": "when"}],
    "traces": [f"{number:032x}" for number in range(40)],
}
FOUND: dict[str, Any] = {
    "id": "patterns_1",
    "app": None,
    "wrong": 30,
    "calls": 300,
    "alone": 18,
    "since": 1_763_700_000_000_000,
    "until": 1_763_786_400_000_000,
    "created_at": 1_763_786_400_000_000,
    "created_by": "anna",
    "patterns": [PATTERN],
    "notes": ["Counts are estimates."],
}


def test_drift_is_looked_at_shown_and_listed(door: Door, ask: Run) -> None:
    door.answers["POST /api/apps/bot/drift"] = REPORT
    done = ask("drift", "run", "bot", "--window", "24h")
    assert done.exit_code == 0, done.output
    assert door.body == {"window": "24h"}
    for text in ("drifted", "300 before, 300 now", "Look at what is refused.", "solar", "10.0%", "note: Languages"):
        assert text in done.stdout
    assert "\x1b[31m" not in done.stdout
    assert "refund" not in done.stdout
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}]}
    door.answers["GET /api/apps/bot/drift"] = {"report": REPORT, "lasting": ["refusals"]}
    assert "Two windows in a row." in ask("drift", "show").stdout
    door.answers["GET /api/apps/bot/drift"] = {"report": None, "lasting": []}
    assert "There is no report yet" in ask("drift", "show").stdout
    door.answers["GET /api/apps/bot/drift/reports/drift_1"] = REPORT
    assert "drift_1" in ask("drift", "show", "--id", "drift_1").stdout
    door.answers["GET /api/apps/bot/drift/reports"] = {"reports": [REPORT]}
    assert "refusals" in ask("drift", "list", "--limit", "5").stdout
    assert door.query == {"limit": "5"}


def test_patterns_are_found_shown_and_made_tests(door: Door, ask: Run) -> None:
    door.answers["POST /api/patterns"] = FOUND
    done = ask("patterns", "--app", "bot", "--why", "low", "--score", "faithful", "--below", "0.5")
    assert done.exit_code == 0, done.output
    assert door.body == {"app": "bot", "why": ["low"], "score": "faithful", "below": 0.5}
    for text in ("30 of 300 calls", "arrive, refund", "40.0%", "grown (+1.00% to +5.00%", "18 are in no pattern"):
        assert text in done.stdout
    door.answers["GET /api/patterns/patterns_1"] = FOUND
    one = ask("patterns", "show", "patterns_1", "1").stdout
    assert "disliked 12" in one
    assert "and 10 more" in one
    assert ask("patterns", "show", "patterns_1", "7").exit_code == 2
    door.answers["GET /api/patterns"] = {"runs": [FOUND]}
    assert "patterns_1" in ask("patterns", "list").stdout
    door.answers["POST /api/patterns/patterns_1/1/tests"] = {
        "dataset": "failures",
        "version": "ff",
        "tests": {"ab": "example_1"},
        "left_out": {"cd": "The call is no longer recorded."},
    }
    made = ask("patterns", "test", "patterns_1", "1", "failures", "--contains", "30 days", "--hand-over")
    assert made.exit_code == 0, made.output
    assert door.body["expectation"]["contains"] == ["30 days"]
    assert door.body["expectation"]["hand_over"] is True
    assert "failures  example_1  from ab" in made.stdout
    assert "left out: cd" in made.stderr
