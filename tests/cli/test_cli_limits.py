"""`rondo limits`: what it sends, and what it prints."""

from __future__ import annotations

import httpx2

from cli_doors import Door, Run

LIMIT = {
    "scope": "user:*",
    "requests_per_minute": 1200,
    "usd_per_day": 0.000000001,
    "alert_at": [0.5, 1.0],
    "updated_at": 1_795_262_400_000_000,
    "updated_by": "anna",
}
USE = {
    "scope": "user:*",
    "of": "user:\x1b[31mzoe",
    "name": "user \x1b[31mzoe",
    "requests": 5,
    "requests_per_minute": 1200,
    "tokens": 0,
    "tokens_per_minute": None,
    "concurrent": 0,
    "most_concurrent": None,
    "budgets": [
        {
            "period": "day",
            "usd": 10.0,
            "spent_usd": 8.25,
            "reserved_usd": 0.5,
            "share": 0.825,
            "alert": 0.8,
            "alerting_since": 1_795_262_400_000_000,
        }
    ],
}
LEDGER = {"backend": "redis", "fail": "closed", "away_since": None, "reason": None, "refused": 0, "passed": 0}


def test_list(ask: Run, door: Door) -> None:
    door.answers["GET /api/limits"] = {"limits": [LIMIT]}
    printed = ask("limits", "list").stdout
    for text in ("user:*", "1,200", "$0.000000001", "50%, 100%", "2026-11-21T12:00:00Z", "anna"):
        assert text in printed
    door.answers["GET /api/limits"] = {"limits": []}
    assert "There are no limits." in ask("limits", "list").stdout


def test_set_sends_what_was_said_and_nothing_else(ask: Run, door: Door) -> None:
    door.answers["POST /api/limits"] = LIMIT
    result = ask(
        "limits",
        "set",
        "key:shop",
        "--requests-per-minute",
        "60",
        "--usd-per-month",
        "12.345678901",
        "--alert-at",
        "0.8",
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "limited user:*\n"
    assert door.body == {
        "scope": "key:shop",
        "requests_per_minute": 60,
        "tokens_per_minute": None,
        "concurrent": None,
        "usd_per_day": None,
        "usd_per_month": "12.345678901",
        "alert_at": [0.8],
    }
    ask("limits", "set", "project", "--concurrent", "3")
    assert "alert_at" not in door.body


def test_set_warns_of_an_app_that_there_is_not(ask: Run, door: Door) -> None:
    door.answers["POST /api/limits"] = LIMIT
    door.answers["GET /api/apps"] = {"apps": [{"name": "support-bot"}]}
    wrong = ask("limits", "set", "app:suport-bot", "--concurrent", "3")
    assert wrong.exit_code == 0
    assert "no app is called 'suport-bot' yet. Did you mean 'support-bot'?" in wrong.stderr
    assert ask("limits", "set", "app:support-bot", "--concurrent", "3").stderr == ""


def test_remove_names_any_scope(ask: Run, door: Door) -> None:
    door.answers["DELETE /api/limits/user:a/b"] = LIMIT
    assert ask("limits", "remove", "user:a/b").exit_code == 0
    assert door.last.url.raw_path == b"/api/limits/user%3Aa%2Fb"


def test_status(ask: Run, door: Door) -> None:
    door.answers["GET /api/limits/status"] = {"ledger": LEDGER, "uses": [USE]}
    printed = ask("limits", "status").stdout
    for text in ("counted in Redis", "5 of 1,200", "$8.25 (+$0.50 held) of $10.00", "80% of the day since 2026-11-21"):
        assert text in printed
    assert "\x1b" not in printed


def test_status_says_that_redis_is_away(ask: Run, door: Door) -> None:
    away = {**LEDGER, "fail": "open", "away_since": 1_795_262_400_000_000, "reason": "refused\n!", "passed": 7}
    door.answers["GET /api/limits/status"] = {"ledger": away, "uses": []}
    printed = ask("limits", "status").stdout
    assert "Redis is away since 2026-11-21T12:00:00Z (refused !): requests with a limit are let through" in printed
    assert "0 refused, 7 let through" in printed


def test_errors_and_wrong_use(ask: Run, door: Door) -> None:
    error = {"error": {"message": "4 processes run. Set RONDO_REDIS_URL.", "code": "conflict", "param": None}}
    door.answers["POST /api/limits"] = httpx2.Response(409, json=error)
    refused = ask("limits", "set", "project", "--concurrent", "1")
    assert refused.exit_code == 1
    assert "RONDO_REDIS_URL" in refused.stderr
    assert ask("limits", "set", "project", "--concurrent", "many").exit_code == 2
    assert ask("limits", "set").exit_code == 2
