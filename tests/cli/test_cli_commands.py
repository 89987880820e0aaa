"""What single commands send and print, against a server that is a table of answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_doors import Door, Run
from rondo import clock
from rondo.cli.apps import numbers, shares, who_serves
from rondo.cli.feedback import parse_value, shown_value
from rondo.cli.split import parse

CALL = {
    "trace_id": "0" * 31 + "1",
    "started_at": 1_795_256_551_123_456,
    "app": "bot",
    "release": 7,
    "model": "main",
    "requested_model": "bot",
    "status": 200,
    "failed": False,
    "error_code": None,
    "duration_ms": 412.0,
    "cost_usd": None,
    "question": "Where is\nmy \x1b[31morder?",
    "answer": "On its way.",
    "handed_over": False,
}


def test_calls_list_sends_every_filter_that_is_set(ask: Run, door: Door) -> None:
    door.answers["GET /api/calls"] = {"items": [CALL], "before": "c1"}
    with clock.at(1_795_256_551_000_000):
        result = ask(
            *("calls", "list", "--app", "bot", "--status", "ok", "--tag", "a=b", "--min-cost", "0.5", "--since", "24h"),
            *("--handed-over", "--negative", "--limit", "1", "--by-key", "key_1", "--arm", "live", "--cache", "exact"),
        )
    assert result.exit_code == 0, result.output
    assert door.query == {
        "app": "bot",
        "status": "ok",
        "tag": "a=b",
        "key": "key_1",
        "arm": "live",
        "cache": "exact",
        "min_cost": "0.5",
        "since": "2026-11-20T10:22:31.000000Z",
        "handed_over": "true",
        "negative": "true",
        "limit": "1",
    }
    lines = result.stdout.splitlines()
    assert lines[1].split("  ")[:1] == ["2026-11-21T10:22:31Z"]
    assert "bot#7" in lines[1]
    assert "unknown" in lines[1], "a cost that is not known is said to be"
    assert "Where is my \\x1b[31morder?" in lines[1]
    assert lines[-1] == "There are more: --before c1"
    assert ask("calls", "list", "--arm", "dead").exit_code == 2


def test_calls_list_marks_copies_and_cached_answers(ask: Run, door: Door) -> None:
    copy, cached = {**CALL, "arm": "shadow"}, {**CALL, "arm": "live", "cache": "exact"}
    door.answers["GET /api/calls"] = {"items": [copy, cached, {**CALL, "arm": "live", "cache": None}], "before": None}
    said = ask("calls", "list").stdout.splitlines()[1:]
    assert [("copy" in line, "cached" in line) for line in said] == [(True, False), (False, True), (False, False)]


TRACE = {
    "trace_id": "0" * 31 + "2",
    "started_at": 1_795_256_551_123_456,
    "duration_ms": 1_500.0,
    "name": "answer \x1b[31ma ticket",
    "kind": "agent",
    "app": "shop",
    "user": "u1",
    "session": None,
    "tags": {"team": "a"},
    "spans": 4,
    "calls": 1,
    "failed": 1,
    "tokens": None,
    "cost_usd": None,
    "from_outside": True,
    "input": None,
    "output": None,
}


def test_traces_are_listed_with_what_is_known_of_them(ask: Run, door: Door) -> None:
    plain = {**TRACE, "name": "find", "spans": 2, "calls": 0, "failed": 0, "tags": {}, "app": None, "user": None}
    door.answers["GET /api/traces"] = {"items": [TRACE, plain], "before": "c1"}
    result = ask(
        *("traces", "--user", "u1", "--status", "error", "--text", "ticket", "--from-outside", "--tag", "a=b"),
        *("--app", "shop", "--session", "s", "--limit", "2", "--before", "c0"),
    )
    assert result.exit_code == 0, result.output
    assert door.query == {
        "user": "u1",
        "status": "error",
        "text": "ticket",
        "from_outside": "true",
        "tag": "a=b",
        "app": "shop",
        "session": "s",
        "limit": "2",
        "before": "c0",
    }
    _, first, second, last = result.stdout.splitlines()
    for word in (
        "2026-11-21T10:22:31Z",
        TRACE["trace_id"],
        "agent answer \\x1b[31ma ticket",
        "u1",
        "1 failed",
        "team=a",
    ):
        assert str(word) in first
    assert "unknown" in first
    assert "unknown" not in second, "where no model was called, nothing is unknown"
    assert last == "There are more: --before c1"
    assert ask("traces", "list", "--status", "429").exit_code == 2
    assert json.loads(ask("traces", "list", "--json").stdout)["items"][0] == TRACE
    door.answers["GET /api/traces"] = {"items": [], "before": None}
    assert "/v1/traces" in ask("traces").stdout


def test_a_trace_is_shown_as_a_tree(ask: Run, door: Door) -> None:
    row = {"source": "span", "kind": "agent", "name": "answer", "depth": 0, "offset_ms": 0.0, "duration_ms": 5.0}
    row |= {"tokens": None, "error": None, "failed": False}
    about = {
        "trace_id": TRACE["trace_id"],
        "duration_ms": 5.0,
        "spans": 1,
        "calls": 0,
        "tokens": None,
        "cost_usd": None,
    }
    door.answers[f"GET /api/traces/{TRACE['trace_id']}"] = {**about, "rows": [row]}
    said = ask("traces", "show", str(TRACE["trace_id"])).stdout
    assert "agent answer" in said
    assert "1 span" in said


def test_json_is_the_answer_as_it_came(ask: Run, door: Door) -> None:
    door.answers["GET /api/calls"] = {"items": [CALL], "before": None}
    result = ask("calls", "list", "--json")
    assert json.loads(result.stdout) == door.answers["GET /api/calls"]


@pytest.mark.parametrize("time", ["yesterday", "24", "7w", "2026-13-01", "99999-01-01"])
def test_a_time_that_is_none_is_wrong_use(ask: Run, door: Door, time: str) -> None:
    assert ask("calls", "list", "--since", time).exit_code == 2
    assert not door.requests


def test_export_writes_whole_or_not_at_all(ask: Run, door: Door, tmp_path: Path) -> None:
    target = tmp_path / "calls.jsonl"
    result = ask("calls", "export", "-o", str(target))
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []
    door.answers["GET /api/calls/export"] = [1]
    assert ask("calls", "export", "-o", str(target)).exit_code == 0
    assert json.loads(target.read_text()) == [1]
    again = ask("calls", "export", "-o", str(target))
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert ask("calls", "export", "-o", str(target), "--force", "--format", "parquet").exit_code == 0
    assert door.query == {"format": "parquet"}
    assert [path.name for path in tmp_path.iterdir()] == ["calls.jsonl"]


def test_export_to_standard_output(ask: Run, door: Door) -> None:
    door.answers["GET /api/calls/export"] = [1]
    assert json.loads(ask("calls", "export").stdout) == [1]


def test_feedback_goes_through_the_gateway(ask: Run, door: Door) -> None:
    door.answers["POST /v1/feedback"] = {"id": "s1", "trace_id": "t"}
    result = ask("feedback", "send", "t", "--name", "thumbs", "--value", "false")
    assert result.stdout == "recorded s1\n"
    assert door.body == {"trace_id": "t", "name": "thumbs", "value": False}
    assert door.last.headers["authorization"] == "Bearer rondo_sk_test"


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("4", 4.0), ("-0.5", -0.5), ("late", "late"), ("nan", "nan"), ("inf", "inf")],
)
def test_feedback_values(text: str, value: object) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_a_boolean_score_is_not_a_number() -> None:
    assert shown_value({"data_type": "boolean", "value": 0.0, "label": None}) == "false"
    assert shown_value({"data_type": "number", "value": 0.0, "label": None}) == "0"
    assert shown_value({"data_type": "category", "value": None, "label": "late"}) == "late"


def test_a_key_is_created_with_its_name_given_either_way(ask: Run, door: Door) -> None:
    key = {"id": "key_1", "name": "ci", "kind": "secret", "role": None, "apps": ["bot"]}
    door.answers["POST /api/keys"] = {"key": key, "secret": "rondo_sk_once"}
    first = ask("keys", "create", "ci", "--app", "bot")
    assert first.stdout.count("rondo_sk_once") == 1
    assert door.body == {"name": "ci", "kind": "secret", "role": None, "apps": ["bot"]}
    second = ask("keys", "create", "--name", "ci", "--json")
    assert json.loads(second.stdout)["secret"] == "rondo_sk_once"
    assert ask("keys", "create").exit_code == 2
    assert ask("keys", "create", "a", "--name", "b").exit_code == 2
    assert ask("keys", "create", "a", "--role", "owner").exit_code == 2


def test_paths_cannot_be_left(ask: Run, door: Door) -> None:
    door.answers["GET /api/prompts/../keys"] = {"versions": []}
    ask("prompts", "history", "../keys")
    assert door.last.url.raw_path == b"/api/prompts/..%2Fkeys"


def test_doctor_fails_when_a_check_does(ask: Run, door: Door) -> None:
    good = {"name": "records", "ok": True, "detail": "all stored", "remedy": None}
    door.answers["GET /api/doctor"] = {"ok": True, "checks": [good]}
    assert ask("doctor").exit_code == 0
    bad = {"name": "model main", "ok": False, "detail": "no key", "remedy": "Set it."}
    door.answers["GET /api/doctor"] = {"ok": False, "checks": [good, bad]}
    result = ask("doctor")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == ["FAIL  model main: no key", "      Set it."]


def test_the_only_app_need_not_be_named(ask: Run, door: Door) -> None:
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}]}
    door.answers["POST /api/apps/bot/promote"] = {"traffic": {"stable": 8, "arms": []}}
    assert ask("promote", "8", "--reason", "better").stdout == "bot: stable #8 100%\n"
    assert door.body == {"release": 8, "reason": "better"}
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}, {"name": "shop"}]}
    several = ask("promote", "8")
    assert several.exit_code == 2
    assert "bot, shop" in several.stderr
    door.answers["GET /api/apps"] = {"apps": []}
    assert ask("promote", "8").exit_code == 1


def test_ending_a_split_promotes_what_is_stable(ask: Run, door: Door) -> None:
    door.answers["GET /api/apps/bot"] = {"stable": 7}
    door.answers["POST /api/apps/bot/promote"] = {"traffic": {"stable": 7, "arms": []}}
    assert ask("split", "bot", "--end").exit_code == 0
    assert door.body == {"release": 7, "reason": ""}
    assert ask("split", "bot").exit_code == 2
    assert ask("split", "bot", "8=1", "--end").exit_code == 2


@pytest.mark.parametrize(
    ("words", "app", "given"),
    [
        (("8=10%",), None, {"8": 10}),
        (("bot", "8=0.25%", "9=5"), "bot", {"8": 0.25, "9": 5}),
        (("bot",), "bot", {}),
    ],
)
def test_shares_are_read(words: tuple[str, ...], app: str | None, given: dict[str, float]) -> None:
    assert parse(words) == (app, given)


@pytest.mark.parametrize("word", ["8", "8=", "=5", "8=-1%", "8=x", "0=5%", "8=1000%", "8=1.234%", "8=5%%"])
def test_a_share_that_is_none_is_wrong_use(ask: Run, word: str) -> None:
    assert ask("split", "bot", word).exit_code == 2


@given(st.integers(1, 10**9 - 1))
def test_a_release_can_be_named_in_three_ways(number: int) -> None:
    assert numbers((str(number),), 1, "") == (None, [number])
    assert numbers(("bot", str(number)), 1, "") == ("bot", [number])
    assert numbers((f"bot#{number}",), 1, "") == ("bot", [number])


@pytest.mark.parametrize("words", [("x",), ("0",), ("-1",), ("1", "2", "3"), ("bot", "shop#1"), ("",)])
def test_a_release_that_is_none_is_wrong_use(ask: Run, words: tuple[str, ...]) -> None:
    assert ask("promote", "--", *words).exit_code == 2


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"stable": None, "shares": {}}, "nothing yet"),
        ({"stable": 7, "shares": {"7": 87.5, "8": 12.5}}, "stable #7 87.5%, #8 12.5%"),
        ({"traffic": {"stable": 7, "arms": [{"release": 8, "share_bp": 10_000}]}}, "stable #7 0%, #8 100%"),
    ],
)
def test_who_serves(told: dict[str, Any], said: str) -> None:
    assert who_serves(told) == said


def test_shares_always_come_to_a_whole() -> None:
    told = {"stable": 1, "arms": [{"release": 3, "share_bp": 5}, {"release": 2, "share_bp": 33}]}
    assert list(shares(told)) == [1, 2, 3]
    assert sum(shares(told).values()) == pytest.approx(100)


def test_settings_never_show_values(rondo: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    for words in ((), ("--json",)):
        result = rondo("settings", *words)
        assert result.exit_code == 0
        assert "sk-very-secret" not in result.output
    told = {row["name"]: row["set"] for row in json.loads(result.stdout)["environment"]}
    assert told["OPENAI_API_KEY"]
    assert not told["GROQ_API_KEY"]
    keys = {(row["table"], row["key"]): row for row in json.loads(result.stdout)["file"]}
    assert keys["[app]", "route"]["kind"] == "list of text"
    assert keys["[models.NAME.price]", "input"]["default"] is None
    assert all(row["sentence"].endswith(".") for row in keys.values())
