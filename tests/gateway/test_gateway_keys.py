"""Who may come in: keys that are missing, wrong, revoked, for some apps only, or for feedback only."""

from __future__ import annotations

import httpx2
import pytest
from msgspec import structs

from gateway_house import HELLO, KEY, House
from rondo.gateway.keys import RecentKeys

TRACE = "0" * 31 + "1"
DOORS = [
    ("POST", "/v1/chat/completions", {"model": "echo", "messages": HELLO}),
    ("POST", "/v1/responses", {"model": "echo", "input": "hello"}),
    ("POST", "/v1/messages", {"model": "echo", "messages": HELLO, "max_tokens": 9}),
    ("POST", "/v1/completions", {"model": "echo", "prompt": "hello"}),
    ("POST", "/v1/embeddings", {"model": "echo", "input": "x"}),
    ("POST", "/v1/feedback", {"trace_id": TRACE, "name": "helpful", "value": True}),
    ("GET", "/v1/models", {}),
    ("GET", "/v1/models/echo", {}),
    ("POST", "/v1/apps/bot/answer", {"question": "hello"}),
]
REFUSING = [
    ("POST", "/v1/messages/count_tokens", 400),
    ("GET", "/v1/responses/{id}", 404),
    ("GET", "/v1/responses/{id}/input_items", 404),
]
"""Doors that have nothing to give here, but a refusal to whoever has a key."""


def test_the_table_above_has_every_door(house: House) -> None:
    tabled = {(method, path) for method, path, _ in [*DOORS, *REFUSING]}
    assert {
        (method, path.format(app="bot", model="echo", id="{id}")) for method, path in house.gateway.routes
    } == tabled


@pytest.mark.parametrize(("method", "path", "status"), REFUSING)
async def test_doors_that_refuse_tell_so_to_holders_of_a_key_alone(
    house: House, method: str, path: str, status: int
) -> None:
    body = {"model": "echo", "messages": HELLO}
    assert (await come_in(house, method, path, body, {})).status_code == 401
    assert (await come_in(house, method, path, body, {"x-api-key": KEY})).status_code == status


async def come_in(house: House, method: str, path: str, body: object, headers: dict[str, str]) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(house.gateway), base_url="http://r") as client:
        return await client.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"authorization": f"Bearer {KEY}x"},
        {"x-api-key": "wrong"},
        {"x-api-key": ""},
        {"x-api-key": f"Bearer {KEY}"},
        {"authorization": f"Bearer {KEY}", "x-api-key": "another"},
        {"x-rondo-key": KEY},
        {"cookie": f"rondo_session={KEY}"},
    ],
)
async def test_every_door_needs_a_key(
    house: House, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    response = await come_in(house, method, path, body, headers)
    assert response.status_code == 401
    error = response.json()["error"]
    code = error["details"]["error_code"] if path == "/v1/messages" else error["code"]
    assert (error["type"], code) == ("authentication_error", "unauthorized")
    assert house.calls == []
    assert not house.upstream.heard


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_the_key_opens_every_door(house: House, method: str, path: str, body: object) -> None:
    response = await come_in(house, method, path, body, {"authorization": f"bearer {KEY}"})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_a_feedback_key_opens_one_door(house: House, method: str, path: str, body: object) -> None:
    house.allow("rondo_pk_x", kind="feedback")
    response = await come_in(house, method, path, body, {"authorization": "Bearer rondo_pk_x"})
    assert response.status_code == (200 if path == "/v1/feedback" else 403)
    if path != "/v1/feedback":
        assert response.json()["error"]["type"] == "permission_error"
        assert not house.upstream.heard


async def test_unknown_paths_tell_nothing_without_a_key(house: House) -> None:
    response = await come_in(house, "GET", "/v1/nothing", None, {})
    assert response.status_code == 401


async def test_a_revoked_key_is_out_with_the_next_plan(house: House) -> None:
    house.allow("second")
    assert (await house.chat("echo", key="second")).status_code == 200
    house.revoke("second")
    assert (await house.chat("echo", key="second")).status_code == 401


async def test_a_key_for_one_app_calls_that_app_only(house: House) -> None:
    house.app("other", house.model("m"))
    house.allow("narrow", apps=("bot",))
    assert (await house.chat("bot", key="narrow")).status_code == 200
    assert (await house.post("/v1/apps/bot/answer", {"question": "x"}, key="narrow")).status_code == 200
    for model in ("other", "echo", "openai/gpt", "nobody"):
        response = await house.chat(model, key="narrow")
        assert response.status_code == 403, model
        assert response.json()["error"]["type"] == "permission_error"
    for path, body in (
        ("/v1/apps/other/answer", {"question": "x"}),
        ("/v1/embeddings", {"model": "echo", "input": "x"}),
    ):
        assert (await house.post(path, body, key="narrow")).status_code == 403
    listed = await come_in(house, "GET", "/v1/models", None, {"authorization": "Bearer narrow"})
    assert [model["id"] for model in listed.json()["data"]] == ["bot"]


async def test_a_key_of_another_project_sees_and_records_its_own(house: House) -> None:
    house.allow("theirs", project="q")
    house.app("bot", house.model("m", project="q"), project="q", prompt="# user\ntheirs {{ question }}\n")
    response = await house.chat("bot", key="theirs")
    assert response.status_code == 200
    assert house.upstream.last.json["messages"][-1]["content"] == "theirs hello"
    assert house.call.project == "q"
    assert (await house.chat("echo", key="theirs")).status_code == 404
    listed = await come_in(house, "GET", "/v1/models", None, {"authorization": "Bearer theirs"})
    assert [model["id"] for model in listed.json()["data"]] == ["bot", "m"]


async def test_refusals_for_a_key_never_echo_it(house: House) -> None:
    response = await house.chat("echo", key="rondo_sk_secret_of_someone")
    assert "secret_of_someone" not in response.text


@pytest.mark.parametrize(
    "headers",
    [{"x-api-key": KEY}, {"api-key": KEY}, {"authorization": f"Bearer {KEY}", "x-api-key": KEY}],
    ids=["Anthropic", "Azure", "the same twice"],
)
async def test_a_key_comes_in_the_header_of_any_sdk(house: House, headers: dict[str, str]) -> None:
    response = await come_in(house, "GET", "/v1/models", None, headers)
    assert response.status_code == 200


async def test_a_key_that_was_used_before_is_refused_once_it_is_revoked(house: House) -> None:
    body = {"model": "echo", "messages": HELLO}
    for _ in range(2):
        assert (await come_in(house, *DOORS[0][:2], body, {"authorization": f"Bearer {KEY}"})).status_code == 200
    house.gateway.plan = structs.replace(house.gateway.plan, grants={})
    assert (await come_in(house, *DOORS[0][:2], body, {"authorization": f"Bearer {KEY}"})).status_code == 401


async def test_only_keys_as_they_are_written_are_remembered(house: House) -> None:
    """A header may be any length, and spaces in it do not count: it must not fill the memory."""
    keys = RecentKeys()
    plan = house.gateway.plan
    for spaces in (1, 10_000, 20_000):
        keys.authenticate(plan, [(b"authorization", b"Bearer" + b" " * spaces + KEY.encode())])
    assert len(keys._recent) == 1
