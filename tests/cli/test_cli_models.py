"""`rondo models test` and `rondo models deployments`."""

from __future__ import annotations

import json
from typing import Any

from cli_doors import Door, Run

GOOD: dict[str, Any] = {
    "name": "main",
    "provider": "openai",
    "model": "gpt-4o",
    "price": {"input": 2.5, "output": 10.0},
    "price_version": "2026-11",
    "ok": True,
    "error": None,
    "trace_id": "0" * 32,
    "first_token_ms": 312.4,
    "duration_ms": 1_204.0,
    "attempts": 1,
    "input_tokens": 20,
    "output_tokens": 41,
    "tokens_per_s": 45.98,
    "cost_usd": 0.00046,
}
BAD = {
    **GOOD,
    "name": "cheap",
    "price": None,
    "ok": False,
    "error": "The model 'cheap' has no key.\nSet CHEAP_KEY.",
    "first_token_ms": None,
    "duration_ms": None,
    "output_tokens": None,
    "tokens_per_s": None,
    "cost_usd": None,
}


def test_each_model_is_called_and_shown(ask: Run, door: Door) -> None:
    door.answers["GET /api/models"] = {"models": [{"name": "main"}]}
    door.answers["POST /api/models/main/test"] = GOOD
    result = ask("models", "test")
    assert result.exit_code == 0, result.output
    title, row = result.stdout.splitlines()
    assert (
        title.split() == "MODEL PROVIDER FIRST TOKEN TOTAL TOKENS TOKENS/S COST $ INPUT $/M OUTPUT $/M RESULT".split()
    )
    assert row.split() == "main openai 312 ms 1,204 ms 41 46 0.000460 2.5 10 ok".split()


def test_one_that_fails_is_said_and_fails_the_command(ask: Run, door: Door) -> None:
    door.answers["POST /api/models/cheap/test"] = BAD
    door.answers["POST /api/models/main/test"] = GOOD
    result = ask("models", "test", "cheap", "main")
    assert result.exit_code == 1
    assert "The model 'cheap' has no key. Set CHEAP_KEY." in result.stdout
    assert "unknown" in result.stdout.splitlines()[1], "its price is not known"
    assert [request.url.path for request in door.requests] == ["/api/models/cheap/test", "/api/models/main/test"]


def test_json_has_all_of_it(ask: Run, door: Door) -> None:
    door.answers["POST /api/models/main/test"] = GOOD
    assert json.loads(ask("models", "test", "main", "--json").stdout) == {"models": [GOOD]}


def test_without_models_there_is_nothing_to_test(ask: Run, door: Door) -> None:
    door.answers["GET /api/models"] = {"models": []}
    result = ask("models", "test")
    assert (result.exit_code, result.stdout) == (0, "No models yet: `rondo release` brings rondo.toml's.\n")


def test_deployments_are_shown(ask: Run, door: Door) -> None:
    standing = {
        "model": "main",
        "provider": "azure",
        "address": "eu.example",
        "state": "half_open",
        "failures": 5,
        "last_failure": "429",
        "in_flight": 1,
        "model_waiting": 7,
    }
    door.answers["GET /api/deployments"] = {"deployments": [standing]}
    assert ask("models", "deployments").stdout.splitlines()[1].split() == "main eu.example half-open 5 429 1 7".split()
