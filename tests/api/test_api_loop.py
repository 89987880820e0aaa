"""The loop over the API: release, promote, split, roll back, look at what was answered, and why."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from live_server import Live

PROMPT2 = "# system\nBe brief.\n\n# user\n{{ question }}?\n"


async def served(live: Live, **fields: Any) -> str:
    response = await live.chat(**fields)
    assert response.status_code == 200
    return response.headers["x-rondo-release"]


async def test_a_new_project_has_a_first_release_that_serves(live: Live) -> None:
    (app,) = (await live.get("/api/apps"))["apps"]
    assert (app["name"], app["stable"], app["releases"]) == ("bot", 1, 1)
    assert await served(live) == "bot#1"
    release = await live.get("/api/apps/bot/releases/1")
    assert len(release["hash"]) == 64
    assert release["message"] == "First release"


async def test_a_release_serves_nobody_until_it_is_promoted(live: Live) -> None:
    assert await live.release(prompt=PROMPT2) == 2
    assert await served(live) == "bot#1"
    await live.post("/api/apps/bot/promote", {"release": 2, "reason": "better"})
    assert await served(live) == "bot#2"
    await live.post("/api/apps/bot/rollback", {"reason": "worse"})
    assert await served(live) == "bot#1"
    states = {each["number"]: each["state"] for each in (await live.get("/api/apps/bot/releases"))["releases"]}
    assert states == {1: "stable", 2: "retired"}
    changes = (await live.get("/api/apps/bot/traffic"))["changes"]
    assert [(change["action"], change["actor"], change["reason"]) for change in changes[:2]] == [
        ("rollback", "admin", "worse"),
        ("promote", "admin", "better"),
    ]


async def test_the_same_content_is_the_same_release(live: Live) -> None:
    assert await live.release() == 1


async def test_a_split_is_sticky_and_in_proportion(live: Live) -> None:
    await live.release(prompt=PROMPT2)
    await live.post("/api/apps/bot/split", {"shares": {"2": 50}})
    arms = {user: await served(live, user=user) for user in (f"u{n}" for n in range(40))}
    assert set(arms.values()) == {"bot#1", "bot#2"}
    assert {user: await served(live, user=user) for user in arms} == arms
    sessions = {await served(live, session="s1") for _ in range(5)}
    assert len(sessions) == 1  # without a user, the session sticks
    drawn = Counter([await served(live) for _ in range(40)])
    assert set(drawn) == {"bot#1", "bot#2"}  # with neither, every trace is drawn
    await live.post("/api/apps/bot/promote", {"release": 1})
    assert {await served(live, user=user) for user in arms} == {"bot#1"}


WRONG_CHANGES: list[tuple[str, object, int]] = [
    ("promote", {"release": 9}, 404),
    ("promote", {"release": "x"}, 400),
    ("promote", {}, 400),
    ("promote", {"release": 1, "typo": 1}, 400),
    ("split", {"shares": {"1": 10}}, 400),
    ("split", {"shares": {"2": 101}}, 400),
    ("split", {"shares": {"9": 10}}, 404),
    ("split", {"shares": {"x": 10}}, 400),
    ("split", {"shares": {"2": -1}}, 400),
    ("split", {"shares": {"2": "nan"}}, 400),
    ("split", {"shares": {}}, 400),
    ("rollback", {"to": 9}, 404),
    ("rollback", {}, 409),
]


async def test_wrong_changes_change_nothing(live: Live) -> None:
    await live.release(prompt=PROMPT2)
    before = await live.get("/api/apps/bot")
    for path, body, status in WRONG_CHANGES:
        response = await live.ask("POST", f"/api/apps/bot/{path}", json=body)
        assert response.status_code == status, (path, body, response.text)
        assert response.json()["error"]["message"]
    assert await live.get("/api/apps/bot") == before
    for path, body in (("promote", {"release": 1}), ("split", {"shares": {"2": 10}}), ("rollback", {})):
        assert (await live.ask("POST", f"/api/apps/nobody/{path}", json=body)).status_code == 404


async def test_bodies_that_cannot_be_read_are_refused(live: Live) -> None:
    for body in (b"{", b"[]", b"\xff", b'{"reason":"\xff","release":1}', b"[" * 100_000):
        for path in ("/api/apps/bot/promote", "/api/keys", "/api/releases", "/api/knowledge/facts"):
            response = await live.ask("POST", path, content=body)
            assert response.status_code == 400, (path, body[:10], response.text)


async def test_two_releases_are_compared_and_so_are_their_prompts(live: Live) -> None:
    await live.release(prompt=PROMPT2)
    changes = (await live.get("/api/apps/bot/diff", **{"from": 1, "to": 2}))["changes"]
    assert "Be brief" in json.dumps(changes)
    (prompt,) = (await live.get("/api/prompts"))["prompts"]
    name = prompt["name"]
    versions = [each["version"] for each in (await live.get(f"/api/prompts/{name}"))["versions"]]
    assert len(versions) == 2
    compared = await live.get(f"/api/prompts/{name}/diff", **{"from": versions[1], "to": versions[0]})
    assert "+Be brief." in compared["text"]
    shown = await live.get(f"/api/prompts/{name}/{versions[0]}")
    assert shown["version"] == versions[0]


async def test_calls_are_listed_filtered_exported_and_explained(live: Live) -> None:
    mine = await live.chat(user="anna", session="s1", metadata={"ticket": "42"})
    await live.chat("parrot", user="bert")
    await live.chat("nobody")
    trace = mine.headers["x-rondo-trace-id"]
    await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False, "comment": "no"})
    await live.drained()
    assert len((await live.get("/api/calls"))["items"]) == 3
    for query in (
        {"user": "anna"},
        {"app": "bot"},
        {"session": "s1"},
        {"tag": "ticket=42"},
        {"text": "hello", "app": "bot"},
    ):
        assert [call["trace_id"] for call in (await live.get("/api/calls", **query))["items"]] == [trace], query
    assert [call["status"] for call in (await live.get("/api/calls", status="error"))["items"]] == [404]
    (call,) = (await live.get(f"/api/calls/{trace}"))["calls"]
    assert call["answer"] == "You asked: hello"
    exported = await live.ask("GET", "/api/calls/export")
    assert {json.loads(line)["user"] for line in exported.text.splitlines()} == {"anna", "bert", None}
    parquet = await live.ask("GET", "/api/calls/export", params={"format": "parquet", "user": "anna"})
    assert parquet.content[:4] == parquet.content[-4:] == b"PAR1"
    (score,) = (await live.get("/api/feedback"))["items"]
    assert (score["trace_id"], score["value"], score["comment"]) == (trace, 0.0, "no")
    story = json.dumps(await live.get(f"/api/why/{trace}"))
    for told in ("hello", "You asked: hello", "Be kind.", "parrot", "First release", "helpful"):
        assert told in story, told


async def test_tail_gives_what_came_after(live: Live) -> None:
    await live.chat()
    await live.drained()
    start = await live.get("/api/calls/tail")
    asked = await live.chat(user="late")
    await live.drained()
    after = await live.get("/api/calls/tail", after=start["after"])
    assert [call["trace_id"] for call in after["items"]] == [asked.headers["x-rondo-trace-id"]]


async def test_a_wrong_filter_is_named(live: Live) -> None:
    wrong = {"limit": "0", "status": "odd", "min_cost": "cheap", "since": "soon", "typo": "1", "before": "x"}
    for name, value in wrong.items():
        response = await live.ask("GET", "/api/calls", params={name: value})
        assert response.status_code == 400, name
        assert name in response.text


async def test_what_is_not_there_is_not_found(live: Live) -> None:
    for path in (
        "/api/apps/nobody",
        "/api/apps/nobody/releases",
        "/api/apps/bot/releases/99",
        "/api/prompts/none/abc",
        "/api/why/" + "0" * 31 + "1",
        "/api/knowledge/none/search?q=x",
    ):
        assert (await live.ask("GET", path)).status_code == 404, path
    for path in ("/api/apps/bot/releases/x", "/api/apps/bot/diff?from=1", "/api/knowledge/facts/search"):
        assert (await live.ask("GET", path)).status_code == 400, path


async def test_knowledge_is_built_and_searched(live: Live) -> None:
    from rondo.releases import bundle

    (live.project / "facts" / "more.md").write_text("# Helmets\n\nHelmets cost 49 pounds.\n")
    archive = bundle.to_zip(bundle.read_folder(live.project))
    built = await live.ask("POST", "/api/knowledge/facts", content=archive)
    assert built.status_code == 200, built.text
    found = await live.get("/api/knowledge/facts/search", q="helmets", version=built.json()["version"])
    assert "49 pounds" in found["chunks"][0]["text"]
    assert len((await live.get("/api/knowledge", name="facts"))["versions"]) == 2


async def test_models_providers_and_status_are_told(live: Live) -> None:
    assert [model["name"] for model in (await live.get("/api/models"))["models"]] == ["parrot", "quoter", "slow"]
    assert "extractive" in {each["name"] for each in (await live.get("/api/providers"))["providers"]}
    await live.chat()
    await live.drained()
    status = await live.get("/api/status")
    assert status["project"] == "default"
    assert status["drain"]["accepted"] == status["drain"]["stored"] == 1


async def test_status_can_be_of_one_app(live: Live) -> None:
    settings = live.project / "rondo.toml"
    settings.write_text(settings.read_text().replace('name = "bot"', 'name = "shop"'))
    await live.release()
    every, one = await live.get("/api/status"), await live.get("/api/status", app="shop")
    assert [each["app"] for each in every["overview"]["apps"]] == ["bot", "shop"]
    assert [each["app"] for each in one["overview"]["apps"]] == ["shop"]
    assert (await live.ask("GET", "/api/status?app=none")).status_code == 404


async def test_every_change_is_in_the_audit_trail(live: Live) -> None:
    await live.release(prompt=PROMPT2)
    await live.post("/api/apps/bot/promote", {"release": 2, "reason": "why not"})
    key_id, _ = await live.key("temp")
    await live.ask("DELETE", f"/api/keys/{key_id}")
    actions = [entry["action"] for entry in (await live.get("/api/audit"))["entries"]]
    assert {"key.create", "key.revoke"} <= set(actions)
    assert any("promote" in action for action in actions)
    assert any("release" in action for action in actions)
    assert await live.get("/api/audit/verify")


async def test_the_answer_door_answers_from_the_knowledge(live: Live) -> None:
    asked = await live.post("/v1/apps/bot/answer", {"question": "What does delivery cost?"})
    assert asked["release"] == 1
    await live.drained()
    (call,) = (await live.get(f"/api/calls/{asked['trace_id']}"))["calls"]
    assert "29 pounds" in json.dumps(call["chunks"])
