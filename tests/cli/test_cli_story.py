"""`rondo why`, `rondo calls show` and `rondo calls tail`: what they make of the records' own structs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from cli_doors import Door, Run
from rondo.records import Call, Chunk, Score, Span
from rondo.traces.why import Passage, ReleaseFacts, Step, Story

NOW = 1_795_256_551_123_456
TRACE = "0" * 31 + "1"
HASH = "ab" * 32


def span(kind: str, name: str, **more: Any) -> Span:
    return Span(span_id=kind, parent_span_id="root", name=name, kind=kind, started_at=NOW, duration_ms=3.0, **more)


def call(**more: Any) -> Call:
    values: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": "root",
        "project": "default",
        "key_id": "key_1",
        "wire": "chat",
        "started_at": NOW,
        "duration_ms": 412.0,
        "first_token_ms": 120.0,
        "status": 200,
        "requested_model": "bot",
        "app": "bot",
        "release": 7,
        "release_hash": HASH,
        "prompt": "answer",
        "prompt_version": HASH,
        "knowledge": "handbook",
        "knowledge_version": HASH,
        "model": "cheap",
        "provider": "openai",
        "served_model": "gpt-4o-mini-2024",
        "attempts": 2,
        "user": "u1",
        "tags": {"plan": "pro"},
        "question": "Where is my order?",
        "answer": "On its way. [1]",
        "input": '[{"role":"user","content":"Where is my order?"}]',
        "rendered": json.dumps([{"role": "system", "content": "line\n" * 40}, {"role": "user", "content": "Where?"}]),
        "input_tokens": 1200,
        "output_tokens": 30,
        "chunks": [Chunk(number=1, id="c", source="a.md", title="Orders", heading="Late", text="Body.", score=8.46)],
        "spans": [span("model", "main", status="error", error="timed out"), span("model", "cheap")],
    }
    return Call(**{**values, **more})


def story(told: Call, **more: Any) -> dict[str, Any]:
    facts = ReleaseFacts(
        app="bot",
        number=7,
        hash=HASH,
        created_by="ana",
        created_at=NOW,
        message="shorter",
        promoted_by="ben",
        promoted_at=NOW,
    )
    score = Score(
        id="s",
        project="default",
        trace_id=TRACE,
        name="thumbs",
        data_type="boolean",
        value=0.0,
        comment="too\nlong \x1b[2J",
        author="u1",
        key_id="key_1",
        created_at=NOW,
    )
    values: dict[str, Any] = {
        "trace_id": TRACE,
        "call": told,
        "others": [],
        "release": facts,
        "release_intact": True,
        "passages": [Passage(chunk, True) for chunk in told.chunks],
        "steps": [Step(each, 0, 1.5) for each in told.spans],
        "attempts": [each for each in told.spans if each.kind == "model"],
        "scores": [score],
        "tokens": 1230,
        "failed": False,
    }
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(Story(**{**values, **more})))
    return found


def test_why_tells_the_whole_story(ask: Run, door: Door) -> None:
    door.answers[f"GET /api/why/{TRACE}"] = story(call())
    result = ask("why", TRACE)
    assert result.exit_code == 0, result.output
    for part in (
        "answered  2026-11-21T10:22:31Z  412 ms",
        "Where is my order?",
        "On its way. [1]",
        "bot#7",
        f"{HASH} (as released)",
        "ana, 2026-11-21T10:22:31Z “shorter”",
        "ben, 2026-11-21T10:22:31Z",
        "answer, version abababababab",
        "cheap (openai), which served gpt-4o-mini-2024, 2 tries",
        "user u1, key key_1, plan=pro",
        "1,230 (1,200 input, 30 output)",
        "cost          unknown",
        "412 ms, first token after 120 ms",
        "[1] Orders > Late  a.md  score 8.46  cited",
        "… 34 more lines: --full",
        "timed out",
        "thumbs false  user u1, 2026-11-21T10:22:31Z “too long \\x1b[2J”",
    ):
        assert part in result.stdout, part
    assert len(result.stdout.splitlines()) < 60


def test_why_tells_what_a_rule_looked_at(ask: Run, door: Door) -> None:
    saw = {"use": ["cheap", "main"], "why": {"input.words": 3, "input.language": "de"}}
    step = span("rule", "input.words <= 3", attributes=json.dumps(saw))
    door.answers[f"GET /api/why/{TRACE}"] = story(call(spans=[step]))
    assert "use cheap main, why input.words=3 input.language=de" in ask("why", TRACE).stdout


def test_why_in_full_leaves_nothing_out(ask: Run, door: Door) -> None:
    door.answers[f"GET /api/why/{TRACE}"] = story(call())
    told = ask("why", TRACE, "--full").stdout
    assert told.count("    line") == 40
    assert "Body." in told
    assert "--full" not in told


def test_why_of_a_failure_and_of_what_is_not_known(ask: Run, door: Door) -> None:
    failed = call(
        **{"status": 502, "error_code": "upstream_error", "error_message": "Both failed.", "answer": "", "model": None},
        **{"release": None, "release_hash": None, "app": None, "input_tokens": None, "output_tokens": None},
        **{"rendered": "", "chunks": [], "spans": [], "prompt": None, "knowledge": None, "tags": {}, "user": None},
    )
    unknown: dict[str, Any] = {"release": None, "release_intact": None, "tokens": None, "failed": True, "scores": []}
    door.answers[f"GET /api/why/{TRACE}"] = story(failed, **unknown)
    told = ask("why", TRACE).stdout
    assert "502 upstream_error: Both failed." in told
    assert "none: the client asked for the model bot" in told
    assert "tokens     unknown" in told
    assert "none answered" in told


def test_why_warns_of_an_altered_release(ask: Run, door: Door) -> None:
    door.answers[f"GET /api/why/{TRACE}"] = story(call(), release_intact=False)
    assert "ALTERED" in ask("why", TRACE).stdout


@pytest.mark.parametrize("rendered", ["not json", "[1]", '{"a": 1}', '[{"role": "user", "content": [{"type": "x"}]}]'])
def test_why_shows_any_prompt(ask: Run, door: Door, rendered: str) -> None:
    door.answers[f"GET /api/why/{TRACE}"] = story(call(rendered=rendered))
    assert ask("why", TRACE).exit_code == 0


def test_show_prints_every_field(ask: Run, door: Door) -> None:
    record = json.loads(msgspec.json.encode(call()))
    door.answers[f"GET /api/calls/{TRACE}"] = {"calls": [record]}
    told = ask("calls", "show", TRACE).stdout
    assert all(name in told for name in record)
    assert "timed out" in told


def test_tail_goes_on_from_where_it_was_until_it_is_told_to_stop(ask: Run, door: Door) -> None:
    records = [json.loads(msgspec.json.encode(call(question=f"number {number}"))) for number in range(4)]
    door.answers["GET /api/calls/tail"] = iter(
        [
            {"items": records[:2], "after": 5},
            {"items": [], "after": 5},
            {"items": records[2:], "after": 9},
            asyncio.CancelledError(),
        ]
    )
    result = ask("calls", "tail", "--app", "bot", "-n", "1")
    assert result.exit_code == 0
    assert [line.split("number ")[1][0] for line in result.stdout.splitlines()] == ["1", "2", "3"]
    assert [dict(request.url.params).get("after") for request in door.requests] == [None, "5", "5", "9"]
    assert all(dict(request.url.params)["app"] == "bot" for request in door.requests)


def test_why_shows_the_tree_of_a_trace_with_spans_from_outside(ask: Run, door: Door) -> None:
    row = {"source": "span", "kind": "tool", "name": "look\x1b[31m", "depth": 0, "offset_ms": 0.0, "duration_ms": 3.0}
    rows = [{**row, "depth": n and 1, "tokens": None, "failed": n == 1, "error": None} for n in range(45)]
    about = {"trace_id": TRACE, "duration_ms": 9.0, "spans": 45, "calls": 1, "tokens": 7, "cost_usd": None}
    door.answers[f"GET /api/traces/{TRACE}"] = {**about, "from_outside": True, "rows": rows}
    alone = ask("why", TRACE)
    assert alone.exit_code == 0, alone.output
    assert "45 spans, 1 call of models, 7 tokens" in alone.output
    assert "> tool look" in alone.output
    assert "\x1b[31m" not in alone.output
    assert "… 5 more spans" in alone.output
    assert "more span" not in ask("why", TRACE, "--full").output


def test_why_of_a_trace_that_is_not_there(ask: Run, door: Door) -> None:
    assert "There is no trace" in ask("why", TRACE).output
