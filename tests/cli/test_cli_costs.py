"""`rondo costs`: what it asks, and what it prints."""

from __future__ import annotations

from typing import Any

import httpx2

from cli_doors import Door, Run

ROW: dict[str, Any] = {
    "name": "anna", "calls": 1200, "errors": 3, "tokens": None, "cost_usd": 0.5, "cost_unknown": 2, "saved_usd": None,
}  # fmt: skip
COSTS = {"by": "user", "since": 0, "until": 1, "rows": [ROW, {**ROW, "name": None, "cost_usd": None}], "total": ROW}
FORECAST = {
    "spent": 1.0, "expected": 3.0, "low": 2.0, "high": 4.0, "days_left": 9, "days_of_history": 30,
    "method": "by weekday",
}  # fmt: skip
ODD = {
    "day": "2026-11-20", "subject": None, "cost_usd": 9.0, "expected_usd": 2.0, "low_usd": 1.0, "high_usd": 3.0,
    "score": 8.0,
}  # fmt: skip
INSTEAD = {
    "provider": "openai", "model": "main", "calls": 7, "cost_usd": 2.0, "instead_usd": 0.5, "uncached_usd": 0.75,
    "saved_usd": None,
}  # fmt: skip


def test_costs_without_a_command(door: Door, ask: Run) -> None:
    door.answers["GET /api/costs"] = COSTS
    told = ask("costs", "--by", "user", "--since", "7d", "--app", "bot").output
    assert door.query["by"] == "user"
    assert door.query["app"] == "bot"
    assert "T" in door.query["since"]
    assert "$0.500000 + 2 unknown" in told
    assert "all 1,200 calls" in told


def test_csv_goes_through_as_it_is(door: Door, ask: Run) -> None:
    door.answers["GET /api/costs"] = httpx2.Response(200, content=b"user,calls\nanna,1\n")
    assert ask("costs", "show", "--csv").output == "user,calls\nanna,1\n"
    assert door.query["format"] == "csv"


def test_the_month(door: Door, ask: Run) -> None:
    door.answers["GET /api/costs/outlook"] = {
        "month": "2026-11",
        "forecast": FORECAST,
        "odd_days": [ODD],
        "cost_unknown": 3,
    }
    told = ask("costs", "forecast").output
    assert "$3.000000 ($2.000000 to $4.000000)" in told
    assert "+ 3 calls of unknown cost" in told
    assert "2026-11-20" in told
    assert "all calls" in told


def test_another_model(door: Door, ask: Run) -> None:
    whole = {**INSTEAD, "rows": [INSTEAD], "notes": ["another tokenizer"], "price": {}}
    door.answers["GET /api/costs/what-if"] = whole
    told = ask("costs", "what-if", "--model", "openai/gpt-4o-mini").output
    assert door.query["instead"] == "openai/gpt-4o-mini"
    assert "$0.750000" in told
    assert "another tokenizer" in told


def test_a_model_must_be_named(ask: Run) -> None:
    assert ask("costs", "what-if").exit_code == 2
