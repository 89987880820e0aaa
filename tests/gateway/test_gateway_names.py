"""What a client may name as `model`, and what an app makes of its request."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway_house import HELLO, House
from rondo.gateway.plan import Plan
from scripted_upstream import COMPLETION, events


def error_of(response: object) -> dict[str, object]:
    """The error in OpenAI's format, whole."""
    error: dict[str, object] = response.json()["error"]  # type: ignore[attr-defined]
    assert set(error) == {"message", "type", "param", "code"}
    return error


async def test_an_app_answers_by_its_name_with_its_prompt(house: House) -> None:
    response = await house.chat("bot", user="u1")
    assert response.content == COMPLETION
    assert response.headers["x-rondo-release"] == "bot#1"
    assert house.upstream.last.json["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Q: hello"},
    ]
    call = house.call
    assert (call.app, call.release, call.release_hash, call.prompt) == ("bot", 1, "c0ffee", "answer")
    assert json.loads(call.rendered) == house.upstream.last.json["messages"]
    assert (call.question, call.requested_model, call.model) == ("hello", "bot", "echo")
    assert [span.kind for span in call.spans] == ["render", "model"]


async def test_an_app_keeps_the_conversation_and_its_images(house: House) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,x"}}
    history = [*HELLO, {"role": "assistant", "content": "hi", "name": "bot"}]
    asked = {"role": "user", "content": [{"type": "text", "text": "and this?"}, image]}
    await house.chat("bot", messages=[*history, asked])
    assert house.upstream.last.json["messages"] == [
        {"role": "system", "content": "Be kind."},
        *history,
        {"role": "user", "content": [{"type": "text", "text": "Q: and this?"}, image]},
    ]


async def test_a_tools_result_goes_on_behind_the_system_part(house: House) -> None:
    talk = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]},
        {"role": "tool", "tool_call_id": "c", "content": "7"},
    ]
    await house.chat("bot", messages=talk)
    assert house.upstream.last.json["messages"] == [{"role": "system", "content": "Be kind."}, *talk]


async def test_a_releases_params_win_over_the_clients_and_tags_stay_here(house: House) -> None:
    house.app("strict", house.model("m", params={"seed": 7}), params={"temperature": b"0.1"})
    await house.chat("strict", temperature=2, top_p=0.5, metadata={"ticket": "42"})
    sent = house.upstream.last.json
    assert (sent["temperature"], sent["seed"], sent["top_p"]) == (0.1, 7, 0.5)
    assert "metadata" not in sent
    assert house.call.tags == {"ticket": "42"}


async def test_an_app_streams(house: House) -> None:
    parts = [b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]
    house.upstream.plays["echo"] = events(parts)
    response = await house.chat("bot", stream=True)
    assert response.content == b"".join(parts)
    assert response.headers["x-rondo-release"] == "bot#1"
    assert (house.call.app, house.call.stream) == ("bot", True)


async def test_a_missing_input_is_named(house: House) -> None:
    house.app(
        "form",
        house.model("m"),
        prompt="---\nvariables:\n  plan: {type: string}\n---\n# user\n{{ plan }} {{ question }}\n",
    )
    response = await house.chat("form")
    assert response.status_code == 400
    assert error_of(response)["param"] == "inputs.plan"
    assert not house.upstream.heard
    assert (house.call.status, house.call.error_code) == (400, "invalid_request")
    assert (await house.chat("form", inputs={"plan": "Gold"})).status_code == 200
    assert house.upstream.last.json["messages"][-1]["content"] == "Gold hello"


async def test_a_request_is_never_a_template(house: House) -> None:
    hostile = "{{ 7 * 7 }}{% for x in y %}{{ context.__class__ }}"
    await house.chat("bot", messages=[{"role": "user", "content": hostile}])
    assert house.upstream.last.json["messages"][-1]["content"] == f"Q: {hostile}"


async def test_provider_slash_model_names_any_model(house: House) -> None:
    served = house.model("hidden", project="elsewhere")

    def direct(provider: str, model: str) -> object:
        return served if (provider, model) == ("openai", "gpt/x") else None

    house.gateway.plan = msgspec.structs.replace(house.gateway.plan, direct=direct)
    assert (await house.chat("openai/gpt/x")).status_code == 200
    assert house.upstream.last.json["model"] == "hidden"
    for unknown in ("nowhere/x", "openai/", "/x", "openai", ""):
        response = await house.chat(unknown)
        assert response.status_code == 404, unknown
        assert error_of(response)["param"] == "model"


async def test_an_unknown_name_is_a_404_that_is_recorded(house: House) -> None:
    response = await house.chat("nobody")
    assert response.status_code == 404
    error = error_of(response)
    assert error["code"] == "not_found"
    assert "nobody" in str(error["message"])
    assert (house.call.status, house.call.requested_model, house.call.attempts) == (404, "nobody", 0)


async def test_a_missing_provider_key_names_the_variable(house: House) -> None:
    house.model("keyless", api_key_env="NOT_THERE_KEY")
    response = await house.chat("keyless")
    assert response.status_code == 502
    assert "NOT_THERE_KEY" in str(error_of(response)["message"])
    assert (house.call.status, house.call.error_code) == (502, "upstream_unreachable")
    assert not house.upstream.heard


async def test_another_projects_names_do_not_exist_here(house: House) -> None:
    house.model("theirs", project="q")
    house.app("their-bot", house.model("theirs", project="q"), project="q")
    assert (await house.chat("theirs")).status_code == 404
    assert (await house.chat("their-bot")).status_code == 404
    listed = (await house.client.get("/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["bot", "echo"]


async def test_an_app_that_cannot_be_served_says_why(house: House) -> None:
    plan: Plan = house.gateway.plan
    house.gateway.plan = msgspec.structs.replace(plan, faults={("p", "broken"): "its index is gone."})
    response = await house.chat("broken")
    assert response.status_code == 503
    assert "its index is gone" in str(error_of(response)["message"])


async def test_models_are_listed_in_openais_format(house: House) -> None:
    listed = (await house.client.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert listed["data"][0] == {"id": "bot", "object": "model", "created": 0, "owned_by": "rondo"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_wrong_method_or_path_is_an_error_in_the_same_format(house: House, method: str) -> None:
    for path in ("/v1/chat/completions", "/v1/nothing", "/v1/", "/v1/apps/bot/answer", "/v1/apps/bot/answer/more"):
        response = await house.client.request(method, path)
        assert response.status_code in (400, 404, 405), path
        error_of(response)


async def test_a_fault_of_our_own_is_a_500_that_is_recorded_and_tells_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def search(self, query: str, k: int) -> list[object]:
            raise ZeroDivisionError("secret path")

    house.app("bad", house.model("m"), index=Broken(), knowledge="k", top_k=3)
    for stream in (False, True):
        response = await house.chat("bad", stream=stream)
        assert response.status_code == 500
        assert error_of(response)["code"] == "internal_error"
        assert "secret" not in response.text
    assert [(call.status, call.error_code) for call in house.calls] == [(500, "internal_error")] * 2
    assert "ZeroDivisionError" in caplog.text
