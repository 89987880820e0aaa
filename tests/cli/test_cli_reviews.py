"""`rondo reviews`: what it sends, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

from cli_doors import Door, Run

ITEM: dict[str, Any] = {
    "id": "review_1",
    "app": "bot",
    "trace_id": "0" * 32,
    "source": "thumbs_down",
    "note": "No\x1b[31m!",
    "rubric": [{"name": "accuracy", "question": "Is it true?", "lowest": 1, "highest": 5, "anchors": {}}],
    "reviewers": 2,
    "status": "open",
    "created_by": "rondo",
    "created_at": 1_795_262_400_000_000,
    "ended_at": None,
}
TOTALS = {"open": 1, "disputed": 0, "done": 1234, "dismissed": 0, "waiting": 1}


def test_list(ask: Run, door: Door) -> None:
    row = {"item": ITEM, "answers": 1, "is_mine": False, "question": "May\x07 I?", "answer": "Yes.", "release": 3}
    door.answers["GET /api/reviews"] = {"items": [row], "after": "5.review_1", "totals": TOTALS}
    result = ask("reviews", "list", "--waiting", "--source", "thumbs_down", "--limit", "5")
    for text in ("review_1", "thumbs_down", "1/2", "bot#3", "2026-11-21T12:00:00Z", "1,234 done", "--after 5.review_1"):
        assert text in result.stdout, text
    assert "\x07" not in result.stdout
    assert door.query == {"source": "thumbs_down", "limit": "5", "waiting": "true"}
    door.answers["GET /api/reviews"] = {"items": [], "after": None, "totals": TOTALS}
    assert "No reviews that match." in ask("reviews", "list").stdout


def test_show(ask: Run, door: Door) -> None:
    said = {"reviewer": "anna", "adjudicates": False, "scores": {"accuracy": None}, "comment": "hm", "expected": None}
    door.answers["GET /api/reviews/review_1"] = {
        "item": ITEM,
        "answers": [said],
        "answered": 1,
        "final": {"accuracy": 4.5},
    }
    door.answers["GET /api/calls"] = {"items": [{"question": "May I?", "answer": "Yes."}], "before": None}
    printed = ask("reviews", "show", "review_1").stdout
    for text in ("review_1", "May I?", "Yes.", "accuracy (1 to 5): Is it true?", "can't say", "hm", "4.5"):
        assert text in printed, text
    assert "\x1b" not in printed


def test_add_answer_and_settle(ask: Run, door: Door) -> None:
    door.answers["POST /api/reviews"] = {"item": ITEM, "created": True}
    assert ask("reviews", "add", "0" * 32, "--note", "odd").stdout == "added review_1\n"
    assert door.body == {"trace_id": "0" * 32, "note": "odd"}
    door.answers["POST /api/reviews"] = {"item": ITEM, "created": False}
    assert "already open" in ask("reviews", "add", "0" * 32).stdout
    for verb in ("answer", "adjudicate"):
        door.answers[f"POST /api/reviews/review_1/{verb}"] = {"item": {**ITEM, "status": "done"}}
        result = ask("reviews", verb, "review_1", "-s", "accuracy=4", "-s", "tone=-", "--expected", "Yes.")
        assert result.stdout == "review_1 is done\n"
        assert door.body == {"scores": {"accuracy": 4, "tone": None}, "comment": "", "expected": "Yes."}
    for wrong in ("accuracy", "accuracy=", "=4", "accuracy=four", "accuracy=4.5"):
        assert ask("reviews", "answer", "review_1", "-s", wrong).exit_code == 2, wrong
    door.answers["POST /api/reviews/review_1/dismiss"] = {"item": {**ITEM, "status": "dismissed"}}
    assert ask("reviews", "dismiss", "review_1", "--reason", "spam").stdout == "review_1 is dismissed\n"
    door.answers["POST /api/reviews/review_1/reopen"] = {"item": ITEM}
    assert ask("reviews", "reopen", "review_1", "--reason", "a slip").stdout == f"review_1 is {ITEM['status']}\n"
    assert door.body == {"reason": "a slip"}


def test_collect(ask: Run, door: Door) -> None:
    door.answers["POST /api/reviews/collect"] = {"added": {"sampled": 1200, "disputed": 1}, "left_over": True}
    printed = ask("reviews", "collect").stdout
    assert "added 1,200 sampled, 1 disputed" in printed
    assert "There are more" in printed
    door.answers["POST /api/reviews/collect"] = {"added": {}, "left_over": False}
    assert "no new calls" in ask("reviews", "collect", "--since", "24h").stdout
    assert door.body["since"].endswith("Z")


def test_agreement(ask: Run, door: Door) -> None:
    figure = {"value": 0.6789, "low": 0.5, "high": 0.8}
    unknown = {"value": None, "low": None, "high": None}
    door.answers["GET /api/reviews/agreement"] = {
        "criteria": [{"criterion": "accuracy", "alpha": figure, "items": 40, "same": 0.7}],
        "pairs": [{"criterion": "accuracy", "one": "anna", "other": "ben", "kappa": unknown, "items": 40}],
        "items": 40,
        "disputed": 3,
        "left_out": 0,
    }
    printed = ask("reviews", "agreement", "--app", "bot").stdout
    for text in ("0.68 (0.50 to 0.80)", "70%", "anna, ben", "40 reviewed by two or more, 3 of them disputed"):
        assert text in printed, text
    door.answers["GET /api/reviews/agreement"] = {"criteria": [], "pairs": [], "items": 0, "disputed": 0, "left_out": 0}
    assert "No answer has been reviewed by two people yet." in ask("reviews", "agreement").stdout


def test_export_and_import(ask: Run, door: Door, tmp_path: Path) -> None:
    door.answers["GET /api/reviews/export"] = httpx2.Response(200, content=b"[]\n")
    target = tmp_path / "tasks.json"
    result = ask("reviews", "export", "--format", "label-studio", "--predictions", "-o", str(target))
    assert result.exit_code == 0, result.stderr
    assert target.read_bytes() == b"[]\n"
    assert door.query == {"format": "label-studio", "predictions": "true"}
    assert ask("reviews", "export", "--status", "done").stdout == "[]\n"
    assert door.query == {"format": "jsonl", "status": "done"}

    door.answers["POST /api/reviews/import"] = {
        "answers": 2,
        "unchanged": 1,
        "skipped": 0,
        "done": 1,
        "disputed": 0,
        "failed": 1,
        "problems": [{"where": "task 3", "message": "It has no `data.review`."}],
        "ignored": {"mood": 4},
    }
    printed = ask("reviews", "import", str(target), "--reviewer", "anna@x.org=anna", "--reviewer", "2=ben").stdout
    assert door.last.content == b"[]\n"
    assert door.query == {"reviewers": '{"anna@x.org": "anna", "2": "ben"}'}
    for text in ("2 answers taken", "1 failed", "task 3: It has no", "ignored 4 results", "mood"):
        assert text in printed, text
    assert ask("reviews", "import", str(target), "--reviewer", "anna").exit_code == 2
    assert ask("reviews", "import", str(tmp_path / "none.json")).exit_code == 2
