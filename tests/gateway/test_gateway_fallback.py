"""A provider refuses, stalls, talks nonsense or breaks off: before the first byte the next model answers, or the client
gets a clear error; after it, the stream ends with an error event. Either way there is one record that says so."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from gateway_house import House
from scripted_upstream import COMPLETION, Play, events, raw, stall, whole

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
REDIRECT = whole(b"", 302, location="http://127.0.0.1:9/v1/chat/completions")
FAULTY: dict[str, Play] = {
    "stalls": stall,
    "slams the door": raw(b""),
    "speaks no HTTP": raw(b"\x00\xffgarbage\r\n\r\n"),
    "breaks off in the headers": raw(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "breaks off in the body": raw(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"),
    "sends no JSON": whole(b"<html>it works</html>"),
    "sends other JSON": whole(b"[1,2]"),
    "sends no UTF-8": whole(b'{"choices":[{"message":{"role":"assistant","content":"\xff\xfe"}}]}'),
    "sends deep JSON": whole(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "is empty": whole(b""),
    "redirects": REDIRECT,
    "answers 500": whole({"error": {"message": "boom"}}, 500),
    "answers 503": whole(b"overloaded", 503),
    "answers 429": whole({"error": {"message": "slow down"}}, 429),
    "answers 401": whole({"error": {"message": "bad key sk-secret"}}, 401),
    "answers 403": whole({"error": {"message": "no"}}, 403),
    "answers 404": whole({"error": {"message": "no such model"}}, 404),
}
STATUS = {"stalls": 504, "answers 429": 429, "answers 404": 404}
FAULTY_STREAMS: dict[str, Play] = {
    **{name: play for name, play in FAULTY.items() if name != "sends no UTF-8"},
    "sends nothing": events([]),
    "breaks off at once": events([], then="cut"),
    "breaks off in the first event": events([SAID[:20]], then="cut"),
    "ends in the first event": events([SAID[:20]]),
    "begins with an error": events([b'data: {"error":{"message":"overloaded"}}\n\n']),
    "streams nonsense": events([b"data: nonsense\n\n"]),
    "streams no UTF-8": events([b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n']),
    "streams deep JSON": events([b'data: {"choices":' + b"[" * 100_000 + b"\n\n"]),
}


def faulty(house: House, play: Play) -> None:
    house.upstream.plays["bad"] = play
    house.app("pair", house.model("bad", timeout_s=0.15), house.model("good"))


def errors(response: httpx2.Response) -> dict[str, object]:
    error: dict[str, object] = response.json()["error"]
    return error


@pytest.mark.parametrize("name", FAULTY)
async def test_the_next_model_answers(house: House, name: str) -> None:
    faulty(house, FAULTY[name])
    response = await house.chat("pair")
    assert response.status_code == 200, response.text
    assert response.content == COMPLETION
    call = house.call
    assert (call.status, call.attempts, call.model) == (200, 2, "good")
    assert [(span.name, span.status) for span in call.spans if span.kind == "model"] == [
        ("bad", "error"),
        ("good", "ok"),
    ]


@pytest.mark.parametrize("name", FAULTY_STREAMS)
async def test_the_next_model_streams(house: House, name: str) -> None:
    faulty(house, FAULTY_STREAMS[name])
    house.upstream.plays["good"] = events([SAID, STOP, DONE])
    response = await house.chat("pair", stream=True)
    assert response.content == SAID + STOP + DONE
    assert (house.call.status, house.call.attempts, house.call.model) == (200, 2, "good")


@pytest.mark.parametrize("name", FAULTY)
async def test_without_a_next_model_the_client_gets_a_clear_error(house: House, name: str) -> None:
    faulty(house, FAULTY[name])
    response = await house.chat("bad")
    assert response.status_code == STATUS.get(name, 502)
    error = errors(response)
    assert str(error["code"]).startswith("upstream_")
    call = house.call
    assert (call.status, call.error_code) == (response.status_code, error["code"])
    assert (call.attempts, call.answer, call.cost_usd) == (1, "", None)


@pytest.mark.parametrize("name", FAULTY_STREAMS)
async def test_without_a_next_model_a_stream_does_not_begin(house: House, name: str) -> None:
    faulty(house, FAULTY_STREAMS[name])
    response = await house.chat("bad", stream=True)
    assert response.status_code == STATUS.get(name, 502)
    assert "json" in response.headers["content-type"]
    assert house.call.status == response.status_code
    assert house.call.stream


async def test_a_provider_that_is_not_there(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    house.app("pair", house.model("away", base_url=f"http://127.0.0.1:{port}/v1"), house.model("good"))
    assert (await house.chat("pair")).status_code == 200
    response = await house.chat("away")
    assert response.status_code == 502
    assert errors(response)["code"] == "upstream_unreachable"


async def test_redirects_are_not_followed(house: House) -> None:
    house.upstream.plays["bad"] = whole(b"", 307, location=f"{house.upstream.url}/elsewhere")
    house.model("bad")
    assert (await house.chat("bad")).status_code == 502
    assert [heard.path for heard in house.upstream.heard] == ["/v1/chat/completions"]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_at_fault_goes_back_at_once(house: House, status: int) -> None:
    faulty(house, whole({"error": {"message": "temperature is too hot"}}, status))
    response = await house.chat("pair")
    assert response.status_code == status
    assert "too hot" in str(errors(response)["message"])
    assert (house.call.attempts, house.call.model) == (1, "bad")


async def test_when_all_fail_the_last_ones_error_is_told(house: House) -> None:
    faulty(house, whole(b"first", 500))
    house.upstream.plays["good"] = whole(b"second", 503)
    response = await house.chat("pair")
    assert response.status_code == 502
    assert "second" in str(errors(response)["message"])
    assert house.call.attempts == 2
    assert [span.status for span in house.call.spans if span.kind == "model"] == ["error", "error"]


BROKEN: dict[str, Play] = {
    "cut": events([SAID], then="cut"),
    "end without an end": events([SAID]),
    "end in an event": events([SAID, STOP[:30]]),
    "stall": events([SAID], then="stall"),
    "nonsense": events([SAID, b"data: {nonsense\n\n"]),
    "no UTF-8": events([SAID, b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n']),
    "error event": events([SAID, b'data: {"error":{"message":"boom"}}\n\n']),
    "one of two choices unfinished": events(
        [SAID, b'data: {"choices":[{"index":1,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n']
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_stream_that_dies_ends_with_an_error_event_and_a_record(house: House, name: str) -> None:
    faulty(house, BROKEN[name])
    response = await house.chat("pair", stream=True)
    assert response.status_code == 200
    assert response.content.startswith(SAID)
    assert b"[DONE]" not in response.content
    last = response.content.split(b"\n\n")[-2]
    assert last.startswith(b'data: {"error":{')
    assert b"upstream_" in last
    call = house.call
    assert (call.status, call.error_code) == (502, "upstream_cut")
    assert (call.answer, call.attempts) == ("Hel", 1)  # nothing is tried again once the client has seen a byte


async def test_a_finished_answer_without_done_is_whole(house: House) -> None:
    faulty(house, events([SAID, STOP]))
    response = await house.chat("bad", stream=True)
    assert response.content == SAID + STOP + DONE
    assert house.call.status == 200


async def test_broken_streams_leave_no_connection_open(house: House) -> None:
    faulty(house, events([SAID, b"data: {nonsense\n\n"], then="stall"))
    await house.chat("bad", stream=True)
    from gateway_house import until

    await until(lambda: house.upstream.open == 0)


async def test_a_whole_answer_has_a_time_to_begin(house: House) -> None:
    house.upstream.plays["late"] = stall
    house.app("pair", house.model("late", first_token_timeout_s=0.1), house.model("good"))
    assert (await house.chat("pair")).content == COMPLETION
    assert "did not answer within 0.1 s" in (house.call.spans[-2].error or "")


async def test_a_date_to_wait_until_reaches_the_client_as_seconds(house: House) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    house.upstream.plays["bad"] = whole(b"slow down", 429, retry_after=then)
    house.model("bad")
    response = await house.chat("bad")
    assert response.status_code == 429
    assert 90 <= int(response.headers["retry-after"]) <= 100


async def test_a_failing_model_is_tried_again_and_then_left_alone(house: House) -> None:
    house.upstream.plays["bad"] = whole(b"boom", 500)
    house.model("bad", retries=1)
    for _ in range(2):
        assert (await house.chat("bad")).status_code == 502
    response = await house.chat("bad")  # its first try is the fifth failure in a row
    assert response.status_code == 502
    assert len(house.upstream.heard) == 5
    response = await house.chat("bad")
    assert response.status_code == 503
    assert errors(response)["code"] == "unavailable"
    assert 1 <= int(response.headers["retry-after"]) <= 15
    assert len(house.upstream.heard) == 5
    assert [call.attempts for call in house.calls] == [2, 2, 1, 0]


async def test_a_keyless_model_is_passed_by_at_once(house: House) -> None:
    house.app("pair", house.model("poor", api_key_env="NOT_THERE_KEY", retries=5), house.model("good"))
    assert (await house.chat("pair")).content == COMPLETION
    assert [span.name for span in house.call.spans if span.kind == "model"] == ["poor", "good"]
