"""The page of a rollout: looking, starting, acting, and who may not."""

from __future__ import annotations

import asyncio

import pytest

from console.visiting import Visitors
from live_server import Live
from rondo.rollout.evidence import Reader
from rondo.rollout.model import GoalVerdict, Reading, Side

BRIEF = "# system\nBe brief.\n\n# user\n{{ question }}\n"
HERE = "/releases/bot/rollout"


async def test_from_nothing_to_a_promotion(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("approver")
    assert "No release has been rolled out yet." in await visitor.get(HERE)
    number = await live.release(prompt=BRIEF)
    form = await visitor.get(f"{HERE}/start?release={number}")
    assert f'<option value="{number}" selected' in form
    steps = "5% 1h\napprove\n\n100%"
    response = await visitor.post(f"{HERE}/start", release=str(number), steps=steps, kind="canary", reason="<b>try")
    assert response.headers["location"] == f"{HERE}?did=rollout-started", response.text
    page = await visitor.get(f"{HERE}?did=rollout-started")
    for text in ("The rollout has begun", "5 % for 1 h", "approval", "waits for", 'hx-trigger="every 2s"', "running"):
        assert text in page
    assert "moves the traffic" in await visitor.get("/releases/bot")
    part = await visitor.get(HERE, headers={"hx-request": "true"})
    assert part.startswith('<div id="rollout"') or '<div id="rollout"' in part[:200]
    assert "<html" not in part
    for act, did in (("pause", "rollout-paused"), ("resume", "rollout-resumed"), ("promote", "promoted")):
        assert 'name="reason"' in await visitor.get(f"{HERE}/{act}")
        response = await visitor.post(f"{HERE}/{act}", reason="<i>because")
        assert response.headers["location"] == f"{HERE}?did={did}", response.text
    page = await visitor.get(HERE)
    assert "&lt;i&gt;because" in page
    assert "<i>because" not in page
    assert "hx-trigger" not in page
    assert '<span class="sr">ended here: </span>5 % for 1 h' in page
    assert '<span class="sr">not reached: </span>100 %' in page
    assert 'aria-current="step"' not in page
    assert (await live.get("/api/apps/bot"))["stable"] == number
    report = await visitor.client.get(f"{HERE}/report")
    assert report.headers["content-disposition"].endswith('.md"')
    assert report.text.startswith(f"# bot#{number} against #1: promoted")
    assert (await visitor.client.get(f"{HERE}/report?format=json")).json()["status"] == "promoted"


async def test_goals_have_their_units(live: Live, visitors: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs read 3.46e-05, of nobody knew what."""
    cost = GoalVerdict(
        metric="cost.per_request_usd", verdict="worse", guarded=True, candidate=0.000_034_6, baseline=0.000_012,
        difference=0.000_022_6, low=0.000_018, high=0.000_03, candidate_units=90, baseline_units=91,
    )  # fmt: skip
    slow = GoalVerdict(
        metric="latency.p95_ms", verdict="not_enough", guarded=False, candidate=1_240.0, baseline=812.0,
        difference=428.0, low=-3e307, high=900.0, candidate_units=90, baseline_units=91,
    )  # fmt: skip
    reading = Reading(at=1, candidate=Side(calls=90, units=90), baseline=Side(calls=91, units=91), goals=[cost, slow])
    monkeypatch.setattr(Reader, "__call__", lambda *_, **__: reading)
    await live.post("/api/apps/bot/rollout", {"release": await live.release(prompt=BRIEF), "steps": ["5% 1h", "100%"]})
    visitor = await visitors("viewer")
    async with asyncio.timeout(10):
        while "cost.per_request_usd" not in (page := await visitor.get(HERE)):
            await asyncio.sleep(0.05)
    table = page.partition("Goals, candidate against baseline")[2].partition("</table>")[0]
    for text in ("$0.000035", "+$0.000023", "[+$0.000018, +$0.000030]", "1.24 s", "+428 ms", "[−∞, +900 ms]"):
        assert text in table
    assert "e-05" not in table


async def test_a_wrong_form_says_why_and_keeps_what_was_sent(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("approver")
    number = str(await live.release(prompt=BRIEF))
    for sent, words in (
        ({"release": number, "steps": "5%"}, "says not how long"),
        ({"release": number, "steps": ""}, "Nothing says in which steps"),
        ({"release": "x", "steps": "100%"}, "whole number"),
        ({"release": number, "steps": "100%", "at": "noon"}, "is no time"),
    ):
        response = await visitor.post(f"{HERE}/start", **sent)
        assert response.status_code == 400, sent
        assert words in response.text
    response = await visitor.post(f"{HERE}/abort")
    assert response.status_code == 404
    assert "No rollout" in response.text
    await visitor.get(f"{HERE}/explode", 404)


async def test_a_viewer_looks_and_does_nothing(live: Live, visitors: Visitors) -> None:
    number = await live.release(prompt=BRIEF)
    await live.post("/api/apps/bot/rollout", {"release": number, "steps": ["5% 1h", "100%"]})
    visitor = await visitors("viewer")
    page = await visitor.get(HERE)
    assert "5 % for 1 h" in page
    assert 'id="abort"' not in page
    for path in (f"{HERE}/start", f"{HERE}/abort"):
        await visitor.get(path, 403)
        assert (await visitor.post(path)).status_code == 403
