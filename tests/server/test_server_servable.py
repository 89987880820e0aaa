"""Traffic for a release that cannot be served: refused with the reason, and what serves goes on."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from journeys.running import make_project
from live_server import Live, live_on
from lost_indexes import indexes, lost, with_own_index

PROMPT = "# system\nBe brief.\n\n# user\n{{ question }}?\n"
KEYLESS = """
[models.far]
provider = "openai"
model = "gpt-4o-mini"
"""


async def routed(live: Live, route: str) -> int:
    """A new release with this route."""
    settings = live.project / "rondo.toml"
    settings.write_text(settings.read_text().replace('route = ["parrot"]', f"route = {route}"))
    return await live.release()


async def serves(live: Live) -> str:
    response = await live.chat()
    assert response.status_code == 200, response.text
    return response.headers["x-rondo-release"]


async def refused(live: Live, path: str, body: object) -> str:
    """The message of a change that is refused because a release cannot be served; nothing has moved."""
    before = await live.get("/api/apps/bot/traffic")
    response = await live.ask("POST", f"/api/apps/bot/{path}", json=body)
    assert response.status_code == 409, response.text
    assert await live.get("/api/apps/bot/traffic") == before
    error = response.json()["error"]
    assert error["code"] == "unservable"
    message: str = error["message"]
    return message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("promote", {"release": 2}),
        ("split", {"shares": {"2": 5}}),
        ("shadow", {"shares": {"2": 5}}),
        ("rollout", {"release": 2, "steps": ["5% 1h", "100%"]}),
        ("rollout", {"release": 2, "steps": ["shadow 1h", "100%"]}),
        ("rollout", {"release": 2, "steps": ["approve", "100%"]}),
        ("rollout", {"release": 2, "steps": ["100%"]}),
        ("rollout", {"release": 2, "steps": ["5% 1h", "100%"], "at": "2040-01-01"}),
    ],
)
async def test_what_cannot_be_served_gets_no_traffic_and_the_app_goes_on(live: Live, path: str, body: Any) -> None:
    assert await lost(live) == 2
    message = await refused(live, path, body)
    assert message.startswith("bot#2 cannot be served: The index version ")
    assert "Build it again: `rondo release`. The traffic stays as it is." in message
    assert await serves(live) == "bot#1"
    assert (await live.get("/api/apps/bot/rollout"))["rollout"] is None
    assert await live.release() == 2  # which builds the index again, as the message says
    await live.post(f"/api/apps/bot/{path}", body)


async def test_a_release_needs_one_model_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with live_on(make_project(tmp_path / "project", more=KEYLESS)) as live:
        number = await routed(live, '["far"]')
        message = await refused(live, "promote", {"release": number})
        assert "none of its models has a key. Set OPENAI_API_KEY in the server's environment" in message
        assert await serves(live) == "bot#1"
        settings = live.project / "rondo.toml"
        settings.write_text(settings.read_text().replace('route = ["far"]', 'route = ["far", "parrot"]'))
        number = await live.release()
        await live.post("/api/apps/bot/promote", {"release": number})
        assert await serves(live) == f"bot#{number}"


async def test_the_way_back_leads_to_what_can_be_served(live: Live) -> None:
    """Release 1 is the first, 2 has served, 3 serves; then the index that 1 and 3 share is lost."""
    (shared,) = indexes(live)
    number, _ = await with_own_index(live)
    await live.post("/api/apps/bot/promote", {"release": number})
    (live.project / "facts" / "more.md").unlink()
    await live.post("/api/apps/bot/promote", {"release": await live.release(prompt=PROMPT)})
    shutil.rmtree(shared)
    assert await serves(live) == "bot#3"
    message = await refused(live, "rollback", {"to": 1})
    assert "bot#1 cannot be served" in message
    assert "`rondo rollback --to NUMBER` goes back to another release that has served." in message
    await live.post("/api/apps/bot/rollback", {})
    assert await serves(live) == "bot#2"
    assert "bot#1 cannot be served" in await refused(live, "rollback", {})
    assert await serves(live) == "bot#2"


async def test_from_what_cannot_be_served_there_is_a_way_back(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        number, index = await with_own_index(live)
        await live.post("/api/apps/bot/promote", {"release": number})
    shutil.rmtree(index)
    async with live_on(project) as live:
        assert (await live.chat()).status_code == 503
        assert await live.release() == 2
        assert await serves(live) == "bot#2"  # the index is there again
    shutil.rmtree(index)
    async with live_on(project) as live:
        assert (await live.chat()).status_code == 503
        await live.post("/api/apps/bot/rollback", {})
        assert await serves(live) == "bot#1"


async def rollout(live: Live, status: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await live.get("/api/apps/bot/rollout"))["rollout"]
            if found["status"] == status:
                return found
            await asyncio.sleep(0.05)


async def test_a_candidate_that_is_lost_on_the_way_is_not_promoted_until_it_is_mended(tmp_path: Path) -> None:
    more = '[rollout]\nsteps = ["approve", "100%"]\n[rollout.guards]\nleast_calls = 1\n'
    async with live_on(make_project(tmp_path / "project", more=more)) as live:
        number, index = await with_own_index(live)
        await live.post("/api/apps/bot/rollout", {"release": number})
        shutil.rmtree(index)
        assert "cannot be served" in await refused(live, "rollout/promote", {})
        assert (await rollout(live, "running"))["share"] == 0
        await live.post("/api/apps/bot/rollout/approve", {})
        paused = await rollout(live, "paused")
        assert f"bot#{number} cannot be served" in paused["why"]
        assert await serves(live) == "bot#1"
        assert await live.release() == number
        await live.post("/api/apps/bot/rollout/resume", {})
        await rollout(live, "promoted")
        async with asyncio.timeout(10):
            while await serves(live) != f"bot#{number}":
                await asyncio.sleep(0.05)


async def test_ending_a_rollout_never_fails(live: Live) -> None:
    """Also where the stable release could not be built again: it serves, and goes on."""
    (index,) = indexes(live)
    number, _ = await with_own_index(live)
    await live.post("/api/apps/bot/rollout", {"release": number, "steps": ["50% 1h", "100%"]})
    shutil.rmtree(index)
    await live.post("/api/apps/bot/rollout/abort", {})
    assert await serves(live) == "bot#1"
