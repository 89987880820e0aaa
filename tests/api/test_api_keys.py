"""Keys over the API: made, listed, revoked at once, and never shown again."""

from __future__ import annotations

import json

from live_server import Live


async def test_a_key_works_at_once_and_is_out_at_once(live: Live) -> None:
    key_id, secret = await live.key("shop")
    assert (await live.chat(key=secret)).status_code == 200
    revoked = await live.ask("DELETE", f"/api/keys/{key_id}")
    assert revoked.status_code == 200
    assert (await live.chat(key=secret)).status_code == 401
    assert (await live.ask("DELETE", f"/api/keys/{key_id}")).status_code == 200  # again changes nothing


async def test_only_a_hash_is_kept(live: Live) -> None:
    _, secret = await live.key("shop")
    listed = json.dumps((await live.get("/api/keys"))["keys"])
    assert secret not in listed
    assert "shop" in listed
    await live.chat(key=secret)
    await live.drained()
    secret_part = secret.removeprefix("rondo_sk_")
    for file in live.data.rglob("*"):
        if file.is_file() and file.name != "admin.key":
            assert secret_part.encode() not in file.read_bytes(), file


async def test_a_key_for_one_app(live: Live) -> None:
    _, secret = await live.key("narrow", apps=["bot"])
    assert (await live.chat("bot", key=secret)).status_code == 200
    assert (await live.chat("parrot", key=secret)).status_code == 403


async def test_a_browsers_key_may_only_send_feedback(live: Live) -> None:
    _, secret = await live.key("web", kind="feedback")
    assert secret.startswith("rondo_pk_")
    trace = (await live.chat()).headers["x-rondo-trace-id"]
    body = {"trace_id": trace, "name": "helpful", "value": True}
    assert (await live.post("/v1/feedback", body, key=secret))["trace_id"] == trace
    assert (await live.chat(key=secret)).status_code == 403
    assert (await live.ask("GET", "/api/calls", key=secret)).status_code == 403


async def test_a_wrong_key_is_not_made(live: Live) -> None:
    before = len((await live.get("/api/keys"))["keys"])
    wrong: list[dict[str, object]] = [
        {},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "x", "kind": "odd"},
        {"name": "x", "role": "king"},
        {"name": "x", "kind": "feedback", "role": "admin"},
        {"name": "x", "apps": "bot"},
        {"name": "x", "apps": ["no such name!"]},
        {"name": "x", "typo": 1},
    ]
    for body in wrong:
        assert (await live.ask("POST", "/api/keys", json=body)).status_code == 400, body
    assert len((await live.get("/api/keys"))["keys"]) == before


async def test_the_last_admin_cannot_lock_everyone_out(live: Live) -> None:
    (admin,) = [key for key in (await live.get("/api/keys"))["keys"] if key["role"] == "admin"]
    assert (await live.ask("DELETE", f"/api/keys/{admin['id']}")).status_code == 409
    assert (await live.ask("DELETE", "/api/keys/key_nobody")).status_code == 404
