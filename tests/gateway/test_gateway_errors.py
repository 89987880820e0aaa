"""What an error reply tells besides its message: which record it has, and how long to wait."""

from __future__ import annotations

import gc

import pytest

from gateway_house import House
from rondo.gateway.turn import Turn
from scripted_upstream import whole


async def test_a_failed_call_names_its_record(house: House) -> None:
    house.upstream.plays["broken"] = whole({"error": {"message": "boom"}}, 500)
    house.model("broken")
    response = await house.chat("broken")
    assert response.status_code == 502
    assert response.headers["x-rondo-trace-id"] == house.call.trace_id


async def test_a_refusal_before_the_call_has_no_record(house: House) -> None:
    assert "x-rondo-trace-id" not in (await house.chat("m", key="wrong")).headers


@pytest.mark.parametrize(("said", "passed_on"), [("7", "7"), ("soon", None), ("-1", None), ("9" * 30, None)])
async def test_a_providers_wait_is_passed_on(house: House, said: str, passed_on: str | None) -> None:
    house.upstream.plays["busy"] = whole(b"slow down", 429, **{"retry-after": said})
    house.model("busy")
    response = await house.chat("busy")
    assert (response.status_code, response.headers.get("retry-after")) == (429, passed_on)


async def test_a_providers_400_is_of_the_clients_type(house: House) -> None:
    house.upstream.plays["strict"] = whole({"error": {"message": "no"}}, 400)
    house.model("strict")
    response = await house.chat("strict")
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_a_refused_request_is_forgotten_at_once(house: House) -> None:
    """Not only when the collector comes: it may hold many megabytes."""
    house.upstream.plays["strict"] = whole({"error": {"message": "no"}}, 400)
    house.model("strict")
    gc.collect()
    gc.disable()
    try:
        await house.chat("strict")
        assert not [found for found in gc.get_objects() if isinstance(found, Turn)]
    finally:
        gc.enable()
