"""`POST /v1/apps/{app}/answer` and `POST /v1/embeddings`: the two doors that are not chat completions."""

from __future__ import annotations

import json

import pytest

from gateway_house import House
from rondo.providers.base import ModelSpec
from scripted_upstream import EMBEDDINGS, whole

ANSWER = "/v1/apps/bot/answer"


def says(text: str) -> object:
    return {
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 40},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


async def test_an_answer_tells_where_it_comes_from(house: House) -> None:
    house.upstream.plays["echo"] = whole(says("30 days [2], see also [1] and [9]."))
    response = await house.post(ANSWER, {"question": "How long?", "context": ["Postage is 3.", "30 days."]})
    assert response.status_code == 200, response.text
    told = response.json()
    assert told["answer"] == "30 days [2], see also [1] and [9]."
    assert [(chunk["number"], chunk["text"]) for chunk in told["citations"]] == [(2, "30 days."), (1, "Postage is 3.")]
    assert (told["app"], told["release"], told["release_hash"], told["model"]) == ("bot", 1, "c0ffee", "echo")
    assert told["tokens"] == {"input": 60, "cache_read": 40, "cache_write": 0, "output": 15, "reasoning": 5}
    assert told["trace_id"] == response.headers["x-rondo-trace-id"] == house.call.trace_id
    assert told["cost_usd"] == house.call.cost_usd
    assert told["handed_over"] is False
    assert house.upstream.last.json["messages"] == [
        {"role": "system", "content": "Be kind. [1] Postage is 3. [2] 30 days."},
        {"role": "user", "content": "Q: How long?"},
    ]
    assert (house.call.wire, house.call.question) == ("answer", "How long?")
    assert [chunk.text for chunk in house.call.chunks] == ["Postage is 3.", "30 days."]


async def test_context_may_be_one_text(house: House) -> None:
    await house.post(ANSWER, {"question": "?", "context": "All there is."})
    assert "[1] All there is." in house.upstream.last.json["messages"][0]["content"]


async def test_the_conversation_so_far_goes_before_the_question(house: House) -> None:
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    await house.post(ANSWER, {"question": "and now?", "conversation_history": history})
    assert house.upstream.last.json["messages"][1:] == [*history, {"role": "user", "content": "Q: and now?"}]
    assert json.loads(house.call.input) == [*history, {"role": "user", "content": "and now?"}]


async def test_user_session_tags_and_inputs_are_recorded(house: House) -> None:
    asked = {"question": "?", "user": "u", "session": "s", "metadata": {"a": "b"}, "inputs": {"plan": "Gold"}}
    await house.post(ANSWER, asked)
    call = house.call
    assert (call.user, call.session, call.tags, json.loads(call.inputs)) == ("u", "s", {"a": "b"}, {"plan": "Gold"})


async def test_inputs_alone_are_enough(house: House) -> None:
    house.app("form", house.model("m"), prompt="---\nvariables:\n  city: {type: string}\n---\n# user\nIn {{ city }}\n")
    response = await house.post("/v1/apps/form/answer", {"inputs": {"city": "Oslo"}})
    assert response.status_code == 200
    assert house.upstream.last.json["messages"] == [{"role": "user", "content": "In Oslo"}]


async def test_handing_over_is_told(house: House) -> None:
    house.upstream.plays["echo"] = whole(says("A colleague takes over."))
    assert (await house.post(ANSWER, {"question": "?"})).json()["handed_over"] is True
    assert house.call.handed_over is True


async def test_what_is_not_known_is_null(house: House) -> None:
    house.app("rare", house.model("rare", price=None))
    assert (await house.post("/v1/apps/rare/answer", {"question": "?"})).json()["cost_usd"] is None


async def test_without_a_model_the_passages_are_quoted(house: House) -> None:
    spec = ModelSpec(name="quoter", provider="extractive")
    from rondo.gateway.plan import ServedModel

    house.app("quoting", ServedModel(spec, house.providers.make(spec), None, ""))
    context = ["Delivery costs 29 pounds.", "You can return a bike within 30 days of delivery."]
    asked = {"question": "Within how many days can I return a bike?", "context": context}
    told = (await house.post("/v1/apps/quoting/answer", asked)).json()
    assert "30 days" in told["answer"]
    assert [chunk["number"] for chunk in told["citations"]] == [2]
    lost = (await house.post("/v1/apps/quoting/answer", {**asked, "question": "Who was Napoleon?"})).json()
    assert (lost["answer"], lost["handed_over"], lost["citations"]) == ("A colleague takes over.", True, [])


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": 7}, "question"),
        ({"question": "x", "context": 7}, "context"),
        ({"question": "x", "context": [7]}, "context"),
        ({"question": "x", "conversation_history": "hi"}, "conversation_history"),
        ({"question": "x", "conversation_history": [{"content": "x"}]}, "conversation_history"),
        ({"question": "x", "metadata": {"a": 1}}, "metadata"),
        ({"question": "x", "stream": True}, "stream"),
        ([], "object"),
    ],
)
async def test_a_wrong_question_names_the_field(house: House, body: object, names: str) -> None:
    response = await house.post(ANSWER, body)
    assert response.status_code == 400
    assert names in response.json()["error"]["message"]
    assert not house.upstream.heard


async def test_an_app_that_is_not_there(house: House) -> None:
    for app in ("nobody", "echo"):  # models have no answers
        assert (await house.post(f"/v1/apps/{app}/answer", {"question": "x"})).status_code == 404


async def test_a_providers_failure_is_the_answers(house: House) -> None:
    house.upstream.plays["echo"] = whole(b"", 500)
    response = await house.post(ANSWER, {"question": "?"})
    assert response.status_code == 502
    assert (house.call.wire, house.call.status) == ("answer", 502)


# --- embeddings


async def test_embeddings_are_the_providers_bytes(house: House) -> None:
    asked = {"model": "echo", "input": ["a", "ä"], "encoding_format": "base64", "dimensions": 2, "user": "u"}
    response = await house.post("/v1/embeddings", asked)
    assert response.content == EMBEDDINGS
    assert house.upstream.last.path == "/v1/embeddings"
    assert house.upstream.last.json == asked
    call = house.call
    assert (call.wire, call.status, call.input_tokens, call.user) == ("embeddings", 200, 5, "u")
    assert json.loads(call.input) == ["a", "ä"]
    assert call.cost_usd == pytest.approx(5e-6)
    assert call.trace_id == response.headers["x-rondo-trace-id"]


@pytest.mark.parametrize(
    ("body", "param"),
    [({"model": "echo"}, "input"), ({"input": "x"}, "model"), ({"model": "bot", "input": "x"}, "model")],
)
async def test_wrong_embeddings_name_the_field(house: House, body: object, param: str) -> None:
    response = await house.post("/v1/embeddings", body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"\xff"])
async def test_embeddings_that_cannot_be_read_are_an_error(house: House, body: bytes) -> None:
    house.upstream.plays["echo"] = whole(body)
    response = await house.post("/v1/embeddings", {"model": "echo", "input": "x"})
    assert response.status_code == 502
    assert house.call.error_code == "upstream_cut"
