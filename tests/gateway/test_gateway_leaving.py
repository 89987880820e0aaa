"""The client leaves: the work for it ends, the provider is let go, and the record says 499."""

from __future__ import annotations

import json

from gateway_house import HELLO, House, Visitor, until
from scripted_upstream import events, stall

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'


def ask(house: House, *, stream: bool) -> Visitor:
    body = json.dumps({"model": "echo", "messages": HELLO, "stream": stream}).encode()
    return Visitor(house, "/v1/chat/completions", body)


async def test_leaving_before_an_answer_cancels_the_call(house: House) -> None:
    house.upstream.plays["echo"] = stall
    visitor = ask(house, stream=False)
    await until(lambda: house.upstream.open == 1)
    visitor.leave()
    await visitor.task
    await until(lambda: house.upstream.given_up == 1)
    assert (house.call.status, house.call.error_code) == (499, "client_closed")
    assert visitor.sent == []


async def test_leaving_before_a_streams_first_event_cancels_the_call(house: House) -> None:
    house.upstream.plays["echo"] = stall
    visitor = ask(house, stream=True)
    await until(lambda: house.upstream.open == 1)
    visitor.leave()
    await visitor.task
    await until(lambda: house.upstream.given_up == 1)
    assert house.call.status == 499


async def test_leaving_mid_stream_cancels_the_call_and_keeps_what_was_said(house: House) -> None:
    house.upstream.plays["echo"] = events([SAID], then="stall")
    visitor = ask(house, stream=True)
    await visitor.until(b"Hel")
    visitor.leave()
    await visitor.task
    await until(lambda: house.upstream.given_up == 1)
    assert (house.call.status, house.call.answer, house.call.stream) == (499, "Hel", True)
    assert b"[DONE]" not in visitor.body


async def test_leaving_after_the_end_changes_nothing(house: House) -> None:
    visitor = ask(house, stream=False)
    await until(lambda: visitor.task.done())
    visitor.leave()
    assert house.call.status == 200
    assert visitor.sent[0]["status"] == 200


async def test_leaving_while_still_sending_records_no_call(house: House) -> None:
    visitor = Visitor(house, "/v1/chat/completions", b'{"model":"echo","mess')
    visitor.leave()
    await visitor.task
    assert house.calls == []


async def test_a_cancelled_server_task_is_recorded_and_goes_on_its_way(house: House) -> None:
    """What a server does that ends its last requests by force."""
    house.upstream.plays["echo"] = stall
    visitor = ask(house, stream=False)
    await until(lambda: house.upstream.open == 1)
    visitor.task.cancel()
    await until(lambda: visitor.task.done())
    assert visitor.task.cancelled()
    assert house.call.status == 499
