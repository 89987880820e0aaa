"""The server gives out its own description, to whoever may look at it."""

from __future__ import annotations

from live_server import Live


async def test_the_description(live: Live) -> None:
    description = await live.get("/api/openapi.json")
    assert description["openapi"] == "3.1.0"
    assert description["paths"]["/api/apps/{app}/promote"]["post"]["x-role"] == "approver"
    assert "/v1/messages" in description["paths"]


async def test_it_needs_a_viewer(live: Live) -> None:
    _, secret = await live.key()
    assert (await live.ask("GET", "/api/openapi.json", key=secret)).status_code == 403
    _, viewer = await live.key("viewer", role="viewer")
    assert (await live.ask("GET", "/api/openapi.json", key=viewer)).status_code == 200
