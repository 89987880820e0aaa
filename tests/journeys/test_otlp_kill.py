"""`kill -9` right after spans were acknowledged: each of them is in the records, once."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2
import pytest

from journeys.running import Running
from otlp_makers import PROTOBUF, TRACE, as_protobuf, span

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "input.value": "x" * 900}


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one process", "workers"])
def test_acknowledged_spans_survive_kill_9(serve: Callable[..., Running], arguments: tuple[str, ...]) -> None:
    server = serve(*arguments)
    at = time.time_ns() - 10**10
    spans = [span(f"s{n}", start=at, end=at + n, attributes=CHAT if n % 3 else {}) for n in range(600)]
    bodies = [as_protobuf(*spans[first : first + 50]) for first in range(0, 600, 50)]
    with httpx2.Client(base_url=server.url, headers={**server.headers, **PROTOBUF}) as client:
        for body in bodies:
            assert client.post("/v1/traces", content=body).status_code == 200
    server.kill()
    server = serve()
    with httpx2.Client(base_url=server.url, headers=server.headers) as client:
        for body in bodies[-2:]:  # an exporter that missed the answer
            assert client.post("/v1/traces", content=body, headers=PROTOBUF).status_code == 200
        deadline = time.monotonic() + 30
        while client.get("/api/status").json()["drain"]["queued"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        tree = client.get(f"/api/traces/{TRACE.hex()}", params={"limit": 1000}).json()
    assert len({row["span_id"] for row in tree["rows"]}) == len(tree["rows"]) == tree["spans"] == 600
    assert tree["calls"] == 400
