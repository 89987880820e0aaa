"""The gate in the console: on the page of a release, in the forms that give it traffic, on the overview."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.visiting import Visitors
from journeys.running import make_project
from live_server import Live, live_on

GATE = '[gate]\nsuites = ["echo"]\n'
SUITE = 'dataset = "questions"\n[[scorers]]\nkind = "contains"\n'


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """In the place of the usual one: an app behind a gate, with a release that waits."""
    project = make_project(tmp_path / "project", more=GATE)
    (project / "suites").mkdir()
    (project / "suites" / "echo.toml").write_text(SUITE)
    async with live_on(project) as opened:
        await opened.release(prompt="# system\nBe brief.\n\n# user\n{{ question }}\n")
        yield opened


async def test_what_a_release_waits_for_is_told(live: Live, visitors: Visitors) -> None:
    viewer = await visitors("viewer")
    page = await viewer.get("/releases/bot/2")
    assert 'id="gate"' in page
    assert "has not been run on bot#2" in page
    assert "<code>rondo eval echo --target 2 --against production</code>" in page
    assert "inconclusive" in await viewer.get("/")
    approver = await visitors("approver")
    assert "Gate of #2" in await approver.get("/releases/bot/promote?release=2")


async def test_a_form_that_the_gate_refuses_comes_back_with_the_reason(live: Live, visitors: Visitors) -> None:
    approver = await visitors("approver")
    for path, fields in (("promote", {"release": "2"}), ("split", {"share.2": "5"})):
        response = await approver.post(f"/releases/bot/{path}", **fields)
        assert response.status_code == 409
        assert "bot#2 may not take traffic (inconclusive)" in response.text
        assert 'name="exception"' in response.text
    assert (await live.get("/api/apps/bot"))["shares"] == {"1": 100}


async def test_an_exception_is_made_in_the_form_and_shown_from_then_on(live: Live, visitors: Visitors) -> None:
    approver = await visitors("approver")
    sent = await approver.post("/releases/bot/promote", release="2", exception="<i>it burns</i>")
    assert sent.status_code == 303, sent.text
    for page in ("/releases/bot/2", "/"):
        text = await approver.get(page)
        assert "&lt;i&gt;it burns&lt;/i&gt;" in text
        assert "<i>it burns</i>" not in text
    trace = (await live.chat()).headers["x-rondo-trace-id"]
    await live.drained()
    assert "an exception of approver" in await approver.get(f"/calls/{trace}")


async def test_who_made_a_release_does_not_except_it(live: Live, visitors: Visitors) -> None:
    _, secret = await live.key("maker", role="approver")
    (live.project / "prompt.md").write_text("# system\nBe long.\n\n# user\n{{ question }}\n")
    from rondo.releases import bundle

    archive = bundle.to_zip(bundle.read_folder(live.project))
    assert (await live.ask("POST", "/api/releases", content=archive, key=secret)).status_code == 200
    maker = await visitors(secret=secret)
    response = await maker.post("/releases/bot/promote", release="3", exception="trust me")
    assert response.status_code == 403
    assert "maker made bot#3" in response.text


async def test_an_app_without_a_gate_says_so(tmp_path: Path, live: Live, visitors: Visitors) -> None:
    (live.project / "rondo.toml").write_text((live.project / "rondo.toml").read_text().replace(GATE, ""))
    await live.release(prompt="# system\nBe free.\n\n# user\n{{ question }}\n")
    admin = await visitors("admin")
    assert "now none is declared" in await admin.get("/releases/bot/3")
    assert "No gate is declared: any release may take traffic." in await admin.get("/")
