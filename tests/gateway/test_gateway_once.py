"""Every call is recorded once, however awkwardly its client leaves, and lets go of its provider."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_house import HELLO, KEY, House, Visitor, until
from rondo.gateway.endpoint import Gateway
from rondo.journal.append import Journal
from rondo.records import Kind
from scripted_upstream import ScriptedUpstream, Talk, events, whole

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


async def test_leaving_while_the_record_is_synced_writes_no_second_one(
    tmp_path: Path, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path / "unused", upstream)
    house.journal.close()
    house.folder = tmp_path / "journal"
    house.journal = Journal(house.folder, durability="power", min_free_bytes=1)
    house.gateway = Gateway(house.gateway.plan, house.journal, max_body_bytes=1 << 20)
    house.model("echo")
    syncing: list[asyncio.Future[None]] = []

    def never(descriptor: int) -> asyncio.Future[None]:
        syncing.append(asyncio.get_running_loop().create_future())
        return syncing[-1]

    assert house.journal._flush is not None
    monkeypatch.setattr(house.journal._flush, "flushed", never)
    visitor = Visitor(house, "/v1/chat/completions", msgspec.json.encode({"model": "echo", "messages": HELLO}))
    await until(lambda: syncing)
    visitor.leave()
    await until(lambda: visitor.task.done() or len(syncing) > 1)
    for sync in syncing:
        sync.cancel()
    await asyncio.wait([visitor.task])
    assert [call.status for call in house.calls] == [200]
    await house.close()


async def test_leaving_before_a_stream_has_begun_is_recorded_and_ends_the_call_upstream(house: House) -> None:
    house.upstream.plays["echo"] = events([SAID], then="stall")
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    body = msgspec.json.encode({"model": "echo", "messages": HELLO, "stream": True})
    incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
    sending = asyncio.Event()

    async def stuck(message: Any) -> None:
        sending.set()
        await asyncio.Event().wait()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [(b"authorization", f"Bearer {KEY}".encode())],
    }
    asked = asyncio.create_task(house.gateway(scope, incoming.get, stuck))
    await sending.wait()
    incoming.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(asked, 5)
    assert house.call.error_code == "client_closed"
    await until(lambda: house.upstream.open == 0)


async def test_streams_share_a_connection(house: House) -> None:
    callers = set()

    async def play(talk: Talk) -> None:
        callers.add(talk.writer.get_extra_info("peername"))
        await talk.head(200, "text/event-stream", length=None)
        await talk.chunk(SAID + STOP + b"data: [DONE]\n\n")
        await asyncio.sleep(0.002)  # the end of the body comes by itself, as it does over a network
        talk.writer.write(b"0\r\n\r\n")
        await talk.writer.drain()

    house.upstream.plays["echo"] = play
    for _ in range(3):
        assert (await house.chat("echo", stream=True)).content.endswith(b"[DONE]\n\n")
    assert len(callers) == 1


async def test_a_provider_that_hangs_after_its_answer_holds_up_nobody(house: House) -> None:
    house.upstream.plays["echo"] = events([SAID, STOP, b"data: [DONE]\n\n"], then="stall")
    async with asyncio.timeout(2):
        assert (await house.chat("echo", stream=True)).content.endswith(b"[DONE]\n\n")
    assert house.call.status == 200
    await until(lambda: house.upstream.open == 0)


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": None, "completion_tokens": None}])
async def test_usage_that_counts_nothing_is_unknown_and_not_free(house: House, usage: dict[str, Any]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    house.upstream.plays["echo"] = whole({"model": "m", "choices": [choice], "usage": usage})
    response = await house.chat("echo")
    assert (house.call.cost_usd, house.call.input_tokens, house.call.output_tokens) == (None, None, None)
    assert "x-rondo-cost-usd" not in response.headers


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_a_key_that_the_provider_repeats_reaches_nobody(house: House, status: int) -> None:
    house.upstream.plays["keyed"] = whole(b'{"error":"no such key: sk-other"}', status)
    house.model("keyed", api_key_env="OTHER_KEY")
    response = await house.chat("keyed")
    assert response.status_code == 502
    assert "sk-other" not in response.text
    assert b"sk-other" not in b"".join(house.entries(Kind.CALL))


async def test_a_user_message_without_content_is_no_fault_of_ours(house: House) -> None:
    response = await house.post("/v1/chat/completions", {"model": "bot", "messages": [{"role": "user"}]})
    assert response.status_code == 200
