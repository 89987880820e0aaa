"""What rules see in stored calls: bounds, what is usual, burn rates, and the calls behind them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from record_makers import START, after, entry, make_call, make_score
from rondo.monitoring.alerts.conditions import sees
from rondo.monitoring.alerts.declared import rules_of_app
from rondo.monitoring.alerts.evidence import calls_behind
from rondo.monitoring.alerts.model import Rule, Seen
from rondo.monitoring.alerts.numbers import Numbers
from rondo.records import Call, Score
from rondo.store.duckdb import DuckDBStore

HOUR_US = 3_600_000_000
NOW = (START // (24 * HOUR_US) + 20) * 24 * HOUR_US + 12 * HOUR_US
_writers = itertools.count(1)


def put(store: DuckDBStore, *records: Call | Score) -> None:
    """In one batch of a journal of its own."""
    store.insert(f"w{next(_writers)}", [entry(each) for each in records], after(len(records)))


def call(ago_s: float, **fields: Any) -> Call:
    return make_call(app="bot", release=1, started_at=NOW - int(ago_s * 1_000_000), **fields)


def failed(ago_s: float) -> Call:
    return call(ago_s, status=500, error_code="upstream_error", error_message="x")


def look(store: DuckDBStore, rule: Rule) -> Seen:
    numbers = Numbers(store, "p")
    numbers.begin(NOW)
    return sees(rule, numbers)


def rule(on: str, **more: Any) -> Rule:
    return Rule(name="r", app="bot", on=on, **more)  # type: ignore[arg-type]


def test_a_missed_goal_shows_the_calls_that_miss_it(database: DuckDBStore) -> None:
    bad = [failed(60 + at) for at in range(12)]
    put(database, *bad, *(call(100 + at) for at in range(28)), failed(7_200))
    seen = look(database, rule("goal", metric="errors.rate", above=0.1))
    assert seen.level == "bad"
    assert seen.value == pytest.approx(0.3)
    assert seen.n == 40
    assert seen.excess == pytest.approx(2.0)
    assert calls_behind(database, "p", seen) == [each.trace_id for each in bad[:10]]
    assert calls_behind(database, "q", seen) == []


def test_the_slowest_calls_come_first(database: DuckDBStore) -> None:
    slow = [call(60 + at, duration_ms=3_000.0 + at * 100) for at in range(30)]
    put(database, *slow)
    seen = look(database, rule("goal", metric="latency.p95_ms", above=2_000))
    assert seen.level == "bad"
    assert seen.calls is not None
    assert seen.calls["min_ms"] == "2000"
    assert calls_behind(database, "p", seen) == [each.trace_id for each in reversed(slow[-10:])]


def test_too_few_calls_say_nothing(database: DuckDBStore) -> None:
    put(database, failed(10), call(20))
    seen = look(database, rule("goal", metric="errors.rate", above=0.1))
    assert seen.level == "no_data"
    assert "only 2 of 20 calls" in seen.sentence
    assert look(database, rule("goal", metric="answer.correct", below=0.5)).level == "no_data"


def test_feedback_counts_judgements_and_not_calls(database: DuckDBStore) -> None:
    calls = [call(60 + at) for at in range(30)]
    put(database, *calls, *(make_score(each, value=0.0) for each in calls[:5]))
    goal = rule("goal", metric="feedback.positive_rate", below=0.5)
    assert look(database, goal).level == "no_data"
    put(database, *(make_score(each, value=0.0) for each in calls[5:]))
    seen = look(database, goal)
    assert seen.level == "bad"
    assert seen.n == 30
    assert seen.calls is not None
    assert seen.calls["negative"] == "true"


def history(store: DuckDBStore, calls: int = 10, failing: int = 0, days: int = 9) -> None:
    """The same hour of the days before."""
    for day in range(1, days):
        ago = day * 86_400 + 1_800
        put(store, *(failed(ago + at) for at in range(failing)), *(call(ago + at) for at in range(failing, calls)))


def test_errors_spike_against_what_is_usual(database: DuckDBStore) -> None:
    history(database, calls=40, failing=2)
    put(database, *(failed(60 + at) for at in range(2)), *(call(100 + at) for at in range(38)))
    watched = rule("errors", least_calls=10)
    assert look(database, watched).level in ("good", "clear")
    put(database, *(failed(200 + at) for at in range(20)))
    seen = look(database, watched)
    assert seen.level == "bad"
    assert "would be usual at this time" in seen.sentence
    assert look(database, rule("errors", above=0.9)).level == "clear"


def test_a_young_app_has_nothing_that_is_usual(database: DuckDBStore) -> None:
    put(database, *(failed(60 + at) for at in range(30)))
    seen = look(database, rule("errors"))
    assert seen.level == "no_data"
    assert "too little history" in seen.sentence


def test_traffic_that_stops_or_jumps_is_seen(database: DuckDBStore) -> None:
    history(database, calls=60)
    gone = look(database, rule("traffic"))
    assert gone.level == "bad"
    assert gone.value == 0
    put(database, *(call(60 + at) for at in range(60)))
    assert look(database, rule("traffic")).level != "bad"
    put(database, *(call(1_000 + at) for at in range(200)))
    assert look(database, rule("traffic")).level == "bad"
    assert look(database, rule("traffic", below=1_000)).level == "bad"


def test_cost_that_jumps_is_seen(database: DuckDBStore) -> None:
    for day in range(1, 10):
        put(database, *(call(day * 86_400 + 1_800 + at, cost_usd=0.10) for at in range(30)))
    put(database, *(call(60 + at, cost_usd=0.10) for at in range(30)))
    assert look(database, rule("cost")).level != "bad"
    dear = [call(200 + at, cost_usd=1.0 + at) for at in range(30)]
    put(database, *dear)
    seen = look(database, rule("cost"))
    assert seen.level == "bad"
    assert calls_behind(database, "p", seen) == [each.trace_id for each in reversed(dear[-10:])]
    assert look(database, rule("latency")).level != "bad"


def test_a_burn_rate_looks_at_both_windows(database: DuckDBStore) -> None:
    put(database, *(failed(at) for at in range(1, 60)), *(call(1_000 + at) for at in range(200)))
    burning = rule("burn_rate", metric="errors.rate", above=0.01)
    seen = look(database, burning)
    assert seen.level == "bad"
    assert seen.calls is not None
    assert seen.calls["status"] == "error"
    assert "1 h and 5 min" in seen.sentence
    nonsense = look(database, rule("burn_rate", metric="errors.rate", above=0.0))
    assert nonsense.level == "no_data"


def test_rules_are_the_goals_and_what_is_declared() -> None:
    about = {
        "goals": [
            {"metric": "errors.rate", "at_most": 0.01},
            {"metric": "latency.p95_ms", "at_most": 2_000},
            {"metric": "deflection", "at_least": 0.4},
        ],
        "alerts": {
            "rules": [
                {"name": "fast", "on": "burn_rate", "severity": "critical"},
                {"name": "slow", "on": "goal", "metric": "latency.p95_ms", "above": 9_000.0},
                {"name": "lag", "on": "drain_lag"},
            ]
        },
    }
    rules = {each.name: each for each in rules_of_app("bot", about)}
    assert list(rules) == ["fast:errors.rate", "fast:deflection", "slow", "lag", "goal:errors.rate", "goal:deflection"]
    assert rules["slow"].above == 9_000
    assert rules["fast:deflection"].below == 0.4
    assert rules_of_app("bot", {"goals": [], "alerts": {"nonsense": 1}}) == []
