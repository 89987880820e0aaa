"""`POST /v1/feedback`: idempotent, open to browsers with a key of their kind, and never an internal error."""

from __future__ import annotations

import httpx2
import pytest

from gateway_house import KEY, House

TRACE = "0" * 31 + "1"
THUMB = {"trace_id": TRACE, "name": "helpful", "value": True}
PATH = "/v1/feedback"


async def test_feedback_is_kept(house: House) -> None:
    trace = (await house.chat("bot")).headers["x-rondo-trace-id"]
    response = await house.post(PATH, {**THUMB, "trace_id": trace, "comment": "Great 👍", "user": "anna"})
    assert response.status_code == 200
    (score,) = house.scores
    assert response.json() == {"id": score.id, "trace_id": trace}
    assert (score.project, score.trace_id, score.name, score.value) == ("p", trace, "helpful", 1.0)
    assert (score.author, score.comment, score.kind) == ("anna", "Great 👍", "user")


async def test_the_same_feedback_twice_is_one_score(house: House) -> None:
    first = await house.post(PATH, {**THUMB, "user": "anna"})
    again = await house.post(PATH, {**THUMB, "user": "anna"})
    changed = await house.post(PATH, {**THUMB, "user": "anna", "value": False})
    other = await house.post(PATH, {**THUMB, "user": "bert"})
    assert first.json() == again.json() == changed.json()
    assert other.json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("value", "data_type"), [(True, "boolean"), (0, "number"), (4.5, "number"), ("wrong price", "category")]
)
async def test_values_are_booleans_numbers_or_categories(house: House, value: object, data_type: str) -> None:
    assert (await house.post(PATH, {**THUMB, "value": value})).status_code == 200
    assert house.scores[0].data_type == data_type


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"trace_id": None}, "trace_id"),
        ({"trace_id": "x"}, "trace_id"),
        ({"trace_id": 7}, "trace_id"),
        ({"name": None}, "name"),
        ({"name": "two words"}, "name"),
        ({"value": None}, "value"),
        ({"value": [1]}, "value"),
        ({"value": ""}, "value"),
        ({"value": "x" * 201}, "value"),
        ({"value": 10**400}, "value"),
        ({"comment": "x" * 10_001}, "comment"),
        ({"user": 7}, "user"),
        ({"typo": 1}, "typo"),
    ],
)
async def test_wrong_feedback_names_the_field(house: House, change: dict[str, object], param: str) -> None:
    import json

    response = await house.post(PATH, json.dumps({**THUMB, **change}).encode())
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param
    assert house.scores == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"trace_id":"\xff"}', b'{"comment":"\\ud800"}'])
async def test_feedback_that_is_no_json_object_is_refused(house: House, body: bytes) -> None:
    assert (await house.post(PATH, body)).status_code == 400


async def test_a_browser_may_ask_first_and_read_every_answer(house: House) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(house.gateway), base_url="http://r") as client:
        preflight = await client.options(
            PATH,
            headers={
                "origin": "https://shop.example",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type",
            },
        )
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= set(preflight.headers["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in preflight.headers
    for response in (
        await house.post(PATH, THUMB),
        await house.post(PATH, b"{"),
        await house.post(PATH, THUMB, key="wrong"),
    ):
        assert response.headers["access-control-allow-origin"] == "*"


async def test_no_other_door_is_open_to_other_origins(house: House) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(house.gateway), base_url="http://r") as client:
        preflight = await client.options(
            "/v1/chat/completions", headers={"origin": "https://x.example", "access-control-request-method": "POST"}
        )
        answered = await client.get(
            "/v1/models", headers={"origin": "https://x.example", "authorization": f"Bearer {KEY}"}
        )
    assert preflight.status_code == 401
    for response in (preflight, answered):
        assert not [name for name in response.headers if name.startswith("access-control")]
