"""The pages that change things: traffic, keys, and the playground."""

from __future__ import annotations

import json
import re

import pytest

from console.visiting import Visitors
from live_server import Live
from lost_indexes import lost

FORM = {"origin": "http://rondo.test"}
PART = {**FORM, "hx-request": "true"}


async def test_promote_split_and_roll_back(live: Live, visitors: Visitors) -> None:
    await live.release(prompt="# user\n{{ question }} Two.\n")
    await live.release(prompt="# user\n{{ question }} Three.\n")
    visitor = await visitors("approver")
    assert "What changes from" in await visitor.get("/releases/bot/promote?release=2")
    assert 'value="10"' in await visitor.get("/releases/bot/split?release=3")

    split = await visitor.post("/releases/bot/split", **{"share.3": "10", "share.2": " ", "reason": "careful"})
    assert split.headers["location"] == "/releases/bot?did=split"
    page = await visitor.get(split.headers["location"])
    assert "The new shares hold." in page
    assert "careful" in page
    assert (await live.get("/api/apps/bot"))["shares"] == {"1": 90.0, "3": 10.0}
    assert live.server.control.gateway.plan.apps["default", "bot"].arms

    promoted = await visitor.post("/releases/bot/promote", release="3", reason="<b>better</b>")
    assert promoted.status_code == 303
    page = await visitor.get("/releases/bot")
    assert "&lt;b&gt;better" in page
    assert live.server.control.gateway.plan.apps["default", "bot"].stable.number == 3

    assert "#1: the stable release before" in await visitor.get("/releases/bot/rollback")
    assert (await visitor.post("/releases/bot/rollback", to="", reason="")).status_code == 303
    assert live.server.control.gateway.plan.apps["default", "bot"].stable.number == 1
    assert (await visitor.post("/releases/bot/rollback", to="3")).status_code == 303
    assert live.server.control.gateway.plan.apps["default", "bot"].stable.number == 3
    history = (await live.get("/api/apps/bot/traffic"))["changes"]
    assert {change["actor"] for change in history} == {"rondo up", "approver"}


@pytest.mark.parametrize(
    ("action", "fields", "words"),
    [
        ("promote", {"release": "9"}, "no release 9"),
        ("promote", {"release": "x"}, "whole number"),
        ("promote", {}, "whole number"),
        ("promote", {"release": "1", "reason": "\0"}, "NUL"),
        ("promote", {"release": "1", "reason": "x" * 3_000}, "reason"),
        ("split", {"share.2": "200"}, "share"),
        ("split", {"share.2": "<script>"}, "share"),
        ("split", {"share.x": "5"}, "whole number"),
        ("split", {"share.1": "5"}, "stable"),
        ("split", {}, "candidate"),
        ("shadow", {"share.1": "5"}, "answers these requests itself"),
        ("shadow", {"share.2": "200"}, "share"),
        ("shadow", {"share.9": "5"}, "no release 9"),
        ("shadow", {"share.<script>": "5"}, "no model called"),
        ("rollback", {"to": "2"}, "never served"),
        ("rollback", {}, "no stable release before"),
    ],
)
async def test_a_refused_form_says_why(
    live: Live, visitors: Visitors, action: str, fields: dict[str, str], words: str
) -> None:
    await live.release(prompt="# user\n{{ question }} Two.\n")
    visitor = await visitors("approver")
    response = await visitor.post(f"/releases/bot/{action}", **fields)
    assert response.status_code in (400, 404, 409)
    assert words in response.text
    assert "<script>" not in response.text.replace("<script src=", "")
    assert (await live.get("/api/apps/bot"))["shares"] == {"1": 100.0}


async def test_a_form_for_what_cannot_be_served_says_why_and_keeps_what_was_entered(
    live: Live, visitors: Visitors
) -> None:
    number = str(await lost(live))
    visitor = await visitors("approver")
    for page, sent in (
        ("promote", {"release": number}),
        ("split", {f"share.{number}": "5"}),
        ("shadow", {f"share.{number}": "5"}),
        ("rollout/start", {"release": number, "steps": "5% 1h\n100%"}),
    ):
        response = await visitor.post(f"/releases/bot/{page}", reason="better words", **sent)
        assert response.status_code == 409, page
        assert f"bot#{number} cannot be served" in response.text
        assert "better words" in response.text
    assert (await live.chat()).headers["x-rondo-release"] == "bot#1"


async def test_requests_are_copied_and_no_more(live: Live, visitors: Visitors) -> None:
    await live.release(prompt="# user\n{{ question }} Two.\n")
    visitor = await visitors("approver")
    form = await visitor.get("/releases/bot/shadow?release=2")
    assert 'name="share.2"' in form
    assert 'value="10"' in form
    assert 'name="share.1"' not in form, "the stable release answers these requests itself"
    assert 'name="share.parrot"' in form

    sent = await visitor.post("/releases/bot/shadow", **{"share.2": "12.5", "share.parrot": "5", "reason": "a look"})
    page = await visitor.get(sent.headers["location"])
    assert "Requests are copied from now on." in page
    assert "12.5 %" in page
    assert "a look" in page
    assert "nobody sees" in page
    assert 'value="12.5"' in await visitor.get("/releases/bot/shadow")
    app = live.server.control.gateway.plan.apps["default", "bot"]
    assert [share for _, share in app.shadows] == [1250, 500]
    assert not app.arms, "copies are no candidates"

    ended = await visitor.post("/releases/bot/shadow", **{"share.2": "", "share.parrot": "0"})
    assert "No requests are copied." in await visitor.get(ended.headers["location"])
    assert not live.server.control.gateway.plan.apps["default", "bot"].shadows


async def test_only_approvers_copy_requests(live: Live, visitors: Visitors) -> None:
    developer = await visitors("developer")
    assert "/releases/bot/shadow" not in await developer.get("/releases/bot")
    await developer.get("/releases/bot/shadow", 403)
    assert (await developer.post("/releases/bot/shadow", **{"share.parrot": "5"})).status_code == 403


async def test_releases_are_shown_and_compared(live: Live, visitors: Visitors) -> None:
    await live.release(prompt="# user\n{{ question }} Two.\n")
    await live.chat()
    await live.drained()
    visitor = await visitors("viewer")
    assert "/releases/bot" in await visitor.get("/releases")
    page = await visitor.get("/releases/bot/2")
    assert "Changes since" in page
    assert ">ready<" in page
    assert "parrot" in page
    first = await visitor.get("/releases/bot/1")
    assert "rondo up" in first
    changes = await visitor.get("/releases/bot/diff?from=1&to=2")
    assert "+{{ question }} Two." in changes
    assert "Nothing differs" in await visitor.get("/releases/bot/diff?from=1&to=1")
    await visitor.get("/releases/bot/diff", 400)
    await visitor.get("/releases/bot/diff?from=1&to=x", 400)
    await visitor.get("/releases/bot/99", 404)
    await visitor.get("/releases/bot/99999999999999999999", 404)


async def test_a_keys_secret_is_shown_once(live: Live, visitors: Visitors) -> None:
    visitor = await visitors()
    made = await visitor.post("/keys", name="<b>shop</b>", kind="secret", role="", **{"app.bot": "1"})
    assert made.status_code == 200
    (secret,) = set(re.findall(r"rondo_sk_[\w-]{40,}", made.text))
    assert "<b>shop" not in made.text
    page = await visitor.get("/keys")
    assert secret not in page
    assert secret[-4:] in page
    assert (await live.chat(key=secret)).status_code == 200
    key_id = next(key["id"] for key in (await live.get("/api/keys"))["keys"] if "shop" in key["name"])
    assert "cannot be undone" in await visitor.get(f"/keys/{key_id}/revoke")
    gone = await visitor.post(f"/keys/{key_id}/revoke")
    assert gone.headers["location"] == "/keys?did=revoked"
    assert "is revoked" in await visitor.get(gone.headers["location"])
    assert (await live.chat(key=secret)).status_code == 401


async def test_keys_that_cannot_be_are_refused(live: Live, visitors: Visitors) -> None:
    visitor = await visitors()
    for fields in ({"name": ""}, {"name": "x", "kind": "odd"}, {"name": "x", "role": "king"}, {"name": "x" * 200}):
        assert (await visitor.post("/keys", **fields)).status_code == 400
    both = await visitor.post("/keys", name="x", role="viewer", **{"app.bot": "1"})
    assert both.status_code == 400
    (admin,) = (await live.get("/api/keys"))["keys"]
    last = await visitor.post(f"/keys/{admin['id']}/revoke")
    assert last.status_code == 409
    assert "last admin key" in last.text
    await visitor.get("/keys/key_unknown/revoke", 404)


async def test_the_playground_answers_whole(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("developer")
    assert 'value="bot"' in await visitor.get("/playground")
    for model in ("bot", "parrot", "scripted/parrot"):
        page = await visitor.post("/playground", model=model, question="Can I return a bike?")
        assert page.status_code == 200, page.text
        assert "x-rondo-trace-id" in page.text
    page = await visitor.post("/playground", model="quoter", question="hello <script>alert(1)</script>")
    assert "<script>alert" not in page.text
    part = await visitor.client.post("/playground", data={"model": "bot", "question": "bike"}, headers=PART)
    assert "within 30 days" in part.text
    assert "<html" not in part.text
    await live.drained()
    (call, *_) = (await live.get("/api/calls?tag=via=playground"))["items"]
    assert call["app"] == "bot"


async def test_the_playground_streams(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("developer")
    response = await visitor.client.post(
        "/playground/stream", data={"model": "bot", "question": "bike <b>evil</b>", "user": "u", "inputs": '{"a": 1}'},
        headers=PART,
    )  # fmt: skip
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.strip().split("\n\n")
    spoken = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: {")]
    text = "".join(piece["choices"][0]["delta"].get("content") or "" for piece in spoken if piece["choices"])
    assert text == "You asked: bike <b>evil</b>"
    assert events[-1].startswith("event: done\ndata: ")
    panel = json.loads(events[-1].split("data: ", 1)[1])["html"]
    assert "bot#1" in panel
    assert "<b>evil" not in panel


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "nope", "question": "x"}, "no app or model"),
        ({"model": "bot", "question": " "}, "question"),
        ({"model": "", "question": "x"}, "model"),
        ({"model": "bot", "question": "x" * 40_000}, "characters"),
        ({"model": "bot", "question": "x", "inputs": "[1]"}, "inputs"),
        ({"model": "bot", "question": "x", "inputs": "{"}, "inputs"),
    ],
)
async def test_the_playground_explains(live: Live, visitors: Visitors, fields: dict[str, str], words: str) -> None:
    visitor = await visitors("developer")
    for path, headers in (("/playground", FORM), ("/playground", PART), ("/playground/stream", PART)):
        response = await visitor.client.post(path, data=fields, headers=headers)
        assert response.status_code in (400, 404)
        assert words in response.text


async def test_a_form_with_a_file_in_it_is_refused_as_what_it_is(visitors: Visitors) -> None:
    visitor = await visitors()
    sent = await visitor.client.post("/keys", files={"name": ("a.txt", b"x")}, headers=FORM)
    assert sent.status_code == 400
    assert "The form cannot be read." in sent.text
