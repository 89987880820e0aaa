"""Rules at the gateway and at the doors: the facts of real requests, the models of a decision, and the explanation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from cli_doors import Door, Run
from gateway_house import House
from rondo.api.app import api_app
from rondo.control import ControlPlane
from rondo.gateway.plan import ServedRelease
from rondo.gateway.request import ChatRequest
from rondo.gateway.routed import facts_of, routed
from rondo.gateway.wire import parse_chat
from rondo.governance.admit import digest
from rondo.governance.model import Grant, Role
from rondo.rules.chain import compiled

RULES = [
    {"when": "input.pii", "use": ["private"]},
    {"when": "budget.left_share < 0.2", "use": ["cheap", "main"]},
    {"when": 'inputs.tier == "gold" and tags.channel != "batch"', "use": ["main"]},
]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG9AZXhhbXBsZS5jb20"}}


def ruled(house: House, rules: list[dict[str, Any]] = RULES) -> ServedRelease:
    """The app `bot` with the models `main`, `cheap`, `private` and these rules."""
    models = {name: house.model(name) for name in ("main", "cheap", "private")}
    house.app("bot", models["cheap"], rules=compiled(rules, {}), models=models)
    return house.gateway.plan.apps["p", "bot"].stable


def request(*messages: Any, **fields: Any) -> ChatRequest:
    given = [{"role": "user", "content": each} if isinstance(each, str | list) else each for each in messages]
    return parse_chat(json.dumps({"model": "bot", "messages": given, **fields}).encode())


def route(release: ServedRelease, asked: ChatRequest, left: float | None = None) -> list[str]:
    return [model.spec.name for model in routed(release, asked, lambda: left).route]


async def test_the_first_rule_that_holds_names_the_models(house: House) -> None:
    release = ruled(house)
    assert route(release, request("hello")) == ["cheap"]
    assert route(release, request("I am jo@example.com"), 0.1) == ["private"]
    assert route(release, request("hello"), 0.1) == ["cheap", "main"]
    gold = request("hello", inputs={"tier": "gold"}, metadata={"channel": "web"})
    assert route(release, gold, 0.5) == ["main"]
    found = routed(release, gold, lambda: 0.5)
    assert found.decision is not None
    assert (found.decision.rule, found.decision.when) == (2, RULES[2]["when"])
    assert found.decision.why == {
        "input.pii": False,
        "budget.left_share": 0.5,
        "inputs.tier": "set",
        "tags.channel": "web",
    }
    assert routed(release, request("hello"), lambda: None).decision is None


CALL = {"id": "1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "jo@example.com"}'}}


@pytest.mark.parametrize(
    "messages",
    [
        ["I am jo@example.com", {"role": "assistant", "content": "hi"}, "and now?"],
        [{"role": "system", "content": "The customer is jo@example.com"}, "hello"],
        ["hello", {"role": "assistant", "content": None, "tool_calls": [CALL]}],
        ["hello", {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "jo@example.com"}]}],
        [[{"type": "text", "text": "jo@example.com"}, IMAGE]],
        [{"role": "user", "name": "jo@example.com", "content": "hello"}],
        ["data:,jo@example.com"],
    ],
)
async def test_personal_data_is_seen_wherever_it_stands(house: House, messages: list[Any]) -> None:
    assert route(ruled(house), request(*messages)) == ["private"]


async def test_pictures_and_ids_are_no_text(house: House) -> None:
    release = ruled(house)
    sound = {"type": "input_audio", "input_audio": {"data": "jo@example.com", "format": "wav"}}
    assert route(release, request([{"type": "text", "text": "hello"}, IMAGE, sound])) == ["cheap"]


async def test_facts_of_a_request(house: House) -> None:
    release = ruled(house)
    asked = request(
        "one",
        {"role": "assistant", "content": "two"},
        [{"type": "text", "text": "Which of them?"}, IMAGE, IMAGE],
        tools=[{"type": "function"}, {"type": "function"}],
        session="s",
    )
    facts = facts_of(release, asked, lambda: None)
    wanted: dict[str, Any] = {
        "input.text": "Which of them?",
        "input.length": 14,
        "input.images": 2,
        "input.tools": 2,
        "conversation.messages": 3,
        "session": "s",
        "user": None,
        "budget.left_share": None,
    }
    assert {name: facts.ask(tuple(name.split("."))) for name in wanted} == wanted
    assert facts.ask(("conversation", "length")) == 20


async def test_facts_of_a_request_with_nothing_in_it(house: House) -> None:
    facts = facts_of(ruled(house), request({"role": "tool", "content": None}, tools=None), lambda: None)
    assert facts.ask(("input", "text")) == ""
    assert facts.ask(("input", "tools")) == 0
    assert facts.ask(("conversation", "length")) == 0


@pytest.fixture
def api(house: House) -> httpx2.AsyncClient:
    """The API in front of the house's gateway, asked by a viewer."""
    grant = Grant(project="p", key_id="viewer", name="viewer", kind="secret", role=Role.VIEWER)
    house._change(grants={**house.gateway.plan.grants, digest("rondo_sk_viewer"): grant})
    nothing = cast(Any, None)
    control = ControlPlane(
        catalog=nothing,
        records=nothing,
        drain=nothing,
        gateway=house.gateway,
        knowledge_root=Path(),
        publish=nothing,
        check_model=nothing,
        check_release=nothing,
        batches=nothing,
        runs=nothing,
        reviews=nothing,
        calibrations=nothing,
        watching=nothing,
        otlp=nothing,
    )
    transport = httpx2.ASGITransport(api_app(control))
    headers = {"authorization": "Bearer rondo_sk_viewer"}
    return httpx2.AsyncClient(transport=transport, base_url="http://r", headers=headers)


async def test_the_door_explains(house: House, api: httpx2.AsyncClient) -> None:
    ruled(house)
    body = {"text": "hello", "inputs": {"tier": "gold"}, "tags": {"channel": "web"}, "budget_left_share": 0.5}
    answer = (await api.post("/api/apps/bot/route/explain", json=body)).json()
    assert answer["fired"] == 2
    assert answer["route"] == [{"name": "main", "provider": "openai", "model": "main"}]
    assert [rule["holds"] for rule in answer["rules"]] == [False, False, True]
    assert answer["rules"][2]["facts"] == {"inputs.tier": "gold", "tags.channel": "web"}
    assert answer["release"] == 1
    assert house.calls == []


async def test_the_door_explains_what_no_rule_decides(house: House, api: httpx2.AsyncClient) -> None:
    ruled(house, [{"when": 'time.date == "2026-12-24"', "use": ["main"]}])
    usual = (await api.post("/api/apps/bot/route/explain", json={"text": "hello"})).json()
    assert (usual["fired"], usual["route"][0]["name"]) == (None, "cheap")
    then = (await api.post("/api/apps/bot/route/explain", json={"text": "hello", "at": "2026-12-24T09:00"})).json()
    assert (then["fired"], then["route"][0]["name"]) == (0, "main")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/apps/none/route/explain", {"text": "x"}, 404, "no app called"),
        ("/api/apps/bot/route/explain", {}, 400, "text"),
        ("/api/apps/bot/route/explain", {"text": "x", "release": 9}, 404, "bot#9 has no traffic"),
        ("/api/apps/bot/route/explain", {"text": "x", "at": "soon"}, 400, "`at` is no time"),
        ("/api/apps/bot/route/explain", {"text": "x" * 100_001}, 400, "longer than"),
        ("/api/apps/bot/route/explain", {"text": "x", "more": 1}, 400, "more"),
    ],
)
async def test_the_door_refuses(
    house: House, api: httpx2.AsyncClient, path: str, body: object, status: int, words: str
) -> None:
    ruled(house)
    response = await api.post(path, json=body)
    assert response.status_code == status
    assert words in response.text


ANSWER = {
    "app": "bot",
    "release": 3,
    "release_hash": "c0ffee",
    "rules": [
        {"when": "input.pii", "use": ["private"], "holds": False, "facts": {"input.pii": False}},
        {"when": "input.words < 9", "use": ["cheap", "main"], "holds": True, "facts": {"input.words": 2}},
        {"when": "true", "use": ["main"], "holds": None, "facts": {}},
    ],
    "fired": 1,
    "route": [
        {"name": "cheap", "provider": "openai", "model": "gpt-4o-mini"},
        {"name": "baseline", "provider": "extractive", "model": ""},
    ],
}


def test_the_command_tells_which_rule_fired_and_why(ask: Run, door: Door) -> None:
    door.answers = {"GET /api/apps": {"apps": [{"name": "bot"}]}, "POST /api/apps/bot/route/explain": ANSWER}
    result = ask(
        *("route", "explain", "two words", "--input", "tier=gold", "--input", "n=3", "--tag", "a=b=c"),
        *("--user", "u", "--budget-left", "0.5", "--at", "2026-12-24T09:00"),
    )
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [
        ["bot#3"],
        ["no", "rules[0]", "input.pii", "->", "private"],
        ["input.pii", "false"],
        ["fired", "rules[1]", "input.words", "<", "9", "->", "cheap,", "main"],
        ["input.words", "2"],
        ["not", "asked", "rules[2]", "true", "->", "main"],
        ["models", "cheap", "(openai/gpt-4o-mini),", "then", "baseline", "(extractive)"],
    ]
    assert door.body == {
        "text": "two words",
        "inputs": {"tier": "gold", "n": 3},
        "tags": {"a": "b=c"},
        "user": "u",
        "session": None,
        "release": None,
        "budget_left_share": 0.5,
        "at": "2026-12-24T09:00",
    }


def test_the_command_says_where_no_rule_fires(ask: Run, door: Door) -> None:
    door.answers = {"POST /api/apps/bot/route/explain": {**ANSWER, "fired": None}}
    assert "No rule fires: the app's route is tried." in ask("route", "explain", "x", "--app", "bot").stdout
    door.answers = {"POST /api/apps/bot/route/explain": {**ANSWER, "rules": [], "fired": None}}
    assert "This release has no rules" in ask("route", "explain", "x", "--app", "bot").stdout
    assert json.loads(ask("route", "explain", "x", "--app", "bot", "--json").stdout)["rules"] == []


@pytest.mark.parametrize(
    ("words", "apps", "told"),
    [
        (["x"], [], "There is no app yet"),
        (["x"], [{"name": "a"}, {"name": "b"}], "several apps: name one of a, b"),
        (["x", "--app", "a", "--input", "tier"], [], "'tier' is no NAME=VALUE"),
        (["x", "--app", "a", "--tag", "=x"], [], "'=x' is no NAME=VALUE"),
    ],
)
def test_the_command_refuses(ask: Run, door: Door, words: list[str], apps: list[Any], told: str) -> None:
    door.answers = {"GET /api/apps": {"apps": apps}}
    result = ask("route", "explain", *words)
    assert result.exit_code != 0
    assert told in result.stderr
