"""`rondo alerts`: lists, one alert's story, and what people do."""

from __future__ import annotations

from typing import Any

import pytest

from cli_doors import Door, Run

SEEN = {"rule": "r", "level": "bad", "sentence": "errors.rate is 0.2 \x1b[31m", "labels": {}, "traces": ["t1", "t2"]}
ALERT: dict[str, Any] = {
    "alert": {
        "id": "alert_1",
        "app": "bot",
        "rule": "goal:errors.rate",
        "severity": "critical",
        "began_at": 1_763_700_000_000_000,
        "fired_at": 1_763_700_600_000_000,
        "seen": SEEN,
        "worst": {**SEEN, "sentence": "errors.rate is 0.9"},
    },
    "state": "firing",
    "release": "bot#7: split by ann",
    "calls": "/calls?app=bot",
    "events": [{"at": 1_763_700_000_000_000, "kind": "pending", "sentence": "errors.rate is 0.2"}],
    "notices": [],
}
RULE = {"rule": {"app": "bot", "name": "lag"}, "state": "ok", "sentence": "No record waits."}
SILENCE = {
    "id": "silence_1",
    "app": None,
    "rule": None,
    "severity": None,
    "until": 1_763_700_000_000_000,
    "created_by": "ann",
    "reason": "moving",
}
ALL = {"open": [ALERT], "ended": [], "rules": [RULE], "silences": [SILENCE], "undelivered": [], "faults": ["lag: x"]}


def test_open_alerts_and_all_that_is_watched(ask: Run, door: Door) -> None:
    door.answers["GET /api/alerts"] = ALL
    told = ask("alerts", "list")
    assert told.exit_code == 0
    assert "alert_1" in told.stdout
    assert "\x1b" not in told.stdout
    assert "No record waits." not in told.stdout
    assert "lag: x" in told.stderr
    assert "No record waits." in ask("alerts", "list", "--all", "--app", "bot").stdout
    assert door.query == {"app": "bot"}


def test_one_alert_with_its_story(ask: Run, door: Door) -> None:
    door.answers["GET /api/alerts/alert_1"] = ALERT
    told = ask("alerts", "show", "alert_1").stdout
    for words in ("critical", "errors.rate is 0.9", "bot#7", "t1, t2", "/calls?app=bot", "pending"):
        assert words in told


@pytest.mark.parametrize(("word", "path"), [("ack", "acknowledge"), ("resolve", "resolve")])
def test_what_people_do_goes_with_a_note(ask: Run, door: Door, word: str, path: str) -> None:
    door.answers[f"POST /api/alerts/alert_1/{path}"] = ALERT
    assert ask("alerts", word, "alert_1", "--note", "on it").exit_code == 0
    assert door.body == {"note": "on it"}


def test_silences(ask: Run, door: Door) -> None:
    door.answers["POST /api/alerts/silences"] = SILENCE
    told = ask("alerts", "silence", "--app", "bot", "--for", "2h", "--reason", "moving")
    assert told.exit_code == 0
    assert door.body["lasting"] == "2h"
    assert door.body["app"] == "bot"
    assert ask("alerts", "silence", "--for", "2h").exit_code == 2
    door.answers["GET /api/alerts"] = ALL
    assert "moving" in ask("alerts", "silences").stdout
    door.answers["DELETE /api/alerts/silences/silence_1"] = {"ended": "silence_1"}
    assert "silence_1 has ended" in ask("alerts", "unsilence", "silence_1").stdout


def test_a_channel_that_does_not_work_is_a_failure(ask: Run, door: Door) -> None:
    path = "POST /api/apps/bot/alerts/channels/ops/test"
    door.answers[path] = {"app": "bot", "channel": "ops", "sent": False, "error": "It answered 500"}
    told = ask("alerts", "test", "ops", "--app", "bot")
    assert told.exit_code == 1
    assert "It answered 500" in told.stdout
    door.answers[path] = {"app": "bot", "channel": "ops", "sent": True, "error": None}
    assert "it arrived" in ask("alerts", "test", "ops", "--app", "bot").stdout
