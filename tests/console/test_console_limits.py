"""The page of limits: looking, setting, removing."""

from __future__ import annotations

from console.visiting import Visitors
from live_server import Live
from rondo import clock


async def test_set_look_and_remove(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("approver")
    assert "Nothing is limited." in await visitor.get("/limits")
    sent = {"kind": "user", "name": " ", "usd_per_day": "4", "requests_per_minute": "60", "concurrent": ""}
    response = await visitor.post("/limits", **sent)
    assert response.headers["location"] == "/limits?did=limited", response.text
    assert "Nobody has used any of it yet." in await visitor.get("/limits")
    live.server.control.ledger.spend("default", "k", "<b>zoe</b>", None, at=clock.now_us(), nano=3_600_000_000)
    page = await visitor.get("/limits?did=limited")
    for text in ("The limit holds now.", "user &lt;b&gt;zoe", "by user:*", "$3.60", "80 % reached"):
        assert text in page
    assert "<b>zoe" not in page
    response = await visitor.post("/limits/remove", scope="user:*")
    assert response.headers["location"] == "/limits?did=unlimited"
    assert "Nothing is limited." in await visitor.get("/limits")


async def test_a_wrong_form_says_why_and_keeps_what_was_sent(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("approver")
    for fields, words in (
        ({"kind": "project"}, "This limits nothing."),
        ({"kind": "project", "concurrent": "many"}, "whole number"),
        ({"kind": "project", "usd_per_day": "lots"}, "no amount of money"),
        ({"kind": "planet", "usd_per_day": "5"}, "no scope of a limit"),
        ({"kind": "key", "name": "nobody", "usd_per_day": "5"}, "There is no key"),
        ({}, "no scope of a limit"),
    ):
        response = await visitor.post("/limits", **fields)
        assert response.status_code in (400, 404), fields
        assert words in response.text
        if "usd_per_day" in fields:
            assert f'value="{fields["usd_per_day"]}"' in response.text
    assert (await visitor.post("/limits/remove", scope="project")).status_code == 404
    assert (await live.get("/api/limits"))["limits"] == []


async def test_a_viewer_may_look_only(live: Live, visitors: Visitors) -> None:
    await live.post("/api/limits", {"scope": "project", "concurrent": 7})
    visitor = await visitors("viewer")
    page = await visitor.get("/limits")
    assert "of 7" in page
    assert "Set a limit" not in page
    assert "Remove" not in page
    assert (await visitor.post("/limits", kind="project", concurrent="1")).status_code == 403
    assert (await visitor.post("/limits/remove", scope="project")).status_code == 403
