"""OpenRouter's `models`: a request that names the models to try, in order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway_house import HELLO, House
from scripted_upstream import COMPLETION, whole

BROKEN = whole({"error": {"message": "boom"}}, 500)


async def test_they_are_tried_in_order_after_the_model(house: House) -> None:
    house.upstream.plays |= {"a": BROKEN, "b": BROKEN}
    for name in ("a", "b", "c", "d"):
        house.model(name)
    response = await house.chat("a", models=["b", "a", "b", "c", "d"], route="fallback")
    assert response.content == COMPLETION
    assert [heard.json["model"] for heard in house.upstream.heard] == ["a", "b", "c"]
    call = house.call
    assert (call.requested_model, call.model, call.attempts) == ("a", "c", 3)


async def test_no_provider_sees_the_list(house: House) -> None:
    house.model("a")
    await house.chat("a", models=["echo"], route="fallback", temperature=0.5)
    assert sorted(house.upstream.last.json) == ["messages", "model", "temperature"]


async def test_without_a_model_the_first_of_the_list_is_it(house: House) -> None:
    house.upstream.plays["a"] = BROKEN
    house.model("a")
    response = await house.post("/v1/chat/completions", {"models": ["a", "echo"], "messages": HELLO})
    assert response.status_code == 200
    assert (house.call.requested_model, house.call.model) == ("a", "echo")


async def test_an_empty_list_is_none(house: House) -> None:
    assert (await house.chat("echo", models=[])).status_code == 200
    assert (await house.chat("bot", models=None)).status_code == 200
    assert (await house.post("/v1/chat/completions", {"models": [], "messages": HELLO})).json()["error"][
        "param"
    ] == "model"


@pytest.mark.parametrize(
    ("model", "more", "status", "param", "words"),
    [
        ("echo", {"models": ["nope"]}, 404, "models", "'nope'"),
        ("echo", {"models": ["nope/really"]}, 404, "models", "'nope/really'"),
        ("echo", {"models": ["bot"]}, 400, "models", "is an app"),
        ("bot", {"models": ["echo"]}, 400, "models", "release says which models"),
        ("echo", {"models": "echo"}, 400, "models", "array"),
        ("echo", {"models": [1]}, 400, "models", "str"),
        ("echo", {"models": ["m"] * 11}, 400, "models", "at most 10"),
        ("echo", {"models": ["echo"], "route": "cheapest"}, 400, "route", "fallback"),
        ("echo", {"models": ["echo"], "route": 7}, 400, "route", "str"),
    ],
)
async def test_a_list_that_cannot_be_used_is_refused(
    house: House, model: str, more: dict[str, Any], status: int, param: str, words: str
) -> None:
    response = await house.chat(model, **more)
    assert response.status_code == status
    error = msgspec.json.decode(response.content)["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert house.upstream.heard == []


async def test_a_key_for_apps_alone_may_not_name_models(house: House) -> None:
    house.allow("app-key", apps=("bot",))
    assert (await house.chat("echo", models=["echo"], key="app-key")).status_code == 403
