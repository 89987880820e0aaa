"""Who gets in, who may do what, and that no form from elsewhere is taken."""

from __future__ import annotations

import re

import pytest

from console.visiting import Visitors
from live_server import Live
from rondo.console.app import PAGES
from rondo.console.pages.sign_in import COOKIE
from rondo.governance.model import Role


def address(path: str) -> str:
    """A page's path with something in its places."""
    return re.sub(r"\{[^}]*\}", "1", path)


async def test_every_page_needs_a_session(live: Live, visitors: Visitors) -> None:
    nobody = await visitors(None)
    assert len(PAGES) > 25
    for page in PAGES:
        response = await nobody.client.request(page.method, address(page.path), headers={"origin": "http://rondo.test"})
        assert response.status_code == 303, page
        assert response.headers["location"].startswith("/login"), page
    part = await nobody.client.get("/calls/tail", headers={"hx-request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (204, "/login")


async def test_every_response_has_the_security_headers(live: Live, visitors: Visitors) -> None:
    nobody, admin = await visitors(None), await visitors()
    for visitor, path in [
        (nobody, "/login"),
        (nobody, "/"),
        (admin, "/"),
        (admin, "/static/console.css"),
        (admin, "/x"),
    ]:
        headers = (await visitor.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


async def test_signing_in_and_out(live: Live, visitors: Visitors) -> None:
    visitor = await visitors(None)
    assert "Paste a key" in await visitor.get("/login")
    entered = await visitor.post("/login", key=f"  {live.admin}\n", next="/calls?app=bot")
    assert (entered.status_code, entered.headers["location"]) == (303, "/calls?app=bot")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert live.admin not in cookie
    assert "Overview" in await visitor.get("/")
    assert (await visitor.client.get("/login")).status_code == 303
    left = await visitor.post("/logout")
    assert left.headers["location"] == "/login"
    assert (await visitor.client.get("/")).status_code == 303


async def test_sign_in_never_leads_elsewhere(live: Live, visitors: Visitors) -> None:
    visitor = await visitors(None)
    entered = await visitor.post("/login", key=live.admin, next="https://evil.test/")
    assert entered.headers["location"] == "/"
    assert (await visitor.client.get("/login?next=//evil.test")).headers["location"] == "/"


@pytest.mark.parametrize("secret", ["", "wrong", "rondo_sk_" + "x" * 43, "\x00", "é" * 200])
async def test_a_wrong_key_is_told_so(live: Live, visitors: Visitors, secret: str) -> None:
    visitor = await visitors(None)
    response = await visitor.post("/login", key=secret)
    assert response.status_code == 401
    assert "not valid" in response.text
    assert COOKIE not in response.cookies


async def test_a_key_without_a_role_stays_outside(live: Live, visitors: Visitors) -> None:
    visitor = await visitors(None)
    for _, secret in [await live.key("plain"), await live.key("<i>judge</i>", kind="feedback")]:
        response = await visitor.post("/login", key=secret)
        assert response.status_code == 401
        assert "has no role" in response.text
        assert "<i>" not in response.text


async def test_a_revoked_key_ends_its_sessions(live: Live, visitors: Visitors) -> None:
    key_id, secret = await live.key("gone", role="viewer")
    visitor = await visitors(None, secret=secret)
    await visitor.get("/")
    assert (await live.ask("DELETE", f"/api/keys/{key_id}")).status_code == 200
    assert (await visitor.client.get("/")).status_code == 303


async def test_a_forged_cookie_is_no_session(live: Live, visitors: Visitors) -> None:
    visitor = await visitors()
    good = visitor.client.cookies[COOKIE]
    for bad in [good[:-1] + ("0" if good[-1] != "0" else "1"), "x", good.replace(".", "..", 1), ""]:
        visitor.client.cookies.clear()
        visitor.client.cookies.set(COOKIE, bad)
        assert (await visitor.client.get("/")).status_code == 303


@pytest.mark.parametrize("role", list(Role))
async def test_roles_are_enforced_on_every_page(live: Live, visitors: Visitors, role: Role) -> None:
    visitor = await visitors(role.value)
    for page in PAGES:
        response = await visitor.client.request(
            page.method, address(page.path), data={} if page.method == "POST" else None,
            headers={"origin": "http://rondo.test"},
        )  # fmt: skip
        refused = response.status_code == 403
        assert refused == (not role.includes(page.role)), (page, response.status_code)
        assert response.status_code < 500, page


async def test_pages_offer_only_what_the_role_may(live: Live, visitors: Visitors) -> None:
    await live.release(prompt="# user\n{{ question }} Briefly.\n")
    viewer, approver = await visitors("viewer"), await visitors("approver")
    seen, full = await viewer.get("/releases/bot"), await approver.get("/releases/bot")
    assert "Promote" not in seen
    assert "Roll back" not in seen
    assert "/playground" not in seen
    assert 'href="/keys"' not in seen
    assert "Promote" in full
    assert "/playground" in full
    assert 'href="/keys"' not in full


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://evil.test"}, {"origin": "http://rondo.test", "sec-fetch-site": "cross-site"}]
)
async def test_forms_from_elsewhere_are_refused(live: Live, visitors: Visitors, headers: dict[str, str]) -> None:
    await live.release(prompt="# user\n{{ question }} Briefly.\n")
    admin = await visitors()
    for path, fields in [
        ("/releases/bot/promote", {"release": "2"}),
        ("/keys", {"name": "evil", "role": "admin"}),
        ("/login", {"key": live.admin}),
        ("/logout", {}),
        ("/theme", {"theme": "dark"}),
    ]:
        response = await admin.client.post(path, data=fields, headers=headers)
        assert response.status_code == 403, path
    assert (await live.get("/api/apps/bot"))["stable"] == 1
    assert len((await live.get("/api/keys"))["keys"]) == 1
    await admin.get("/")


async def test_a_link_from_another_site_keeps_the_session(live: Live, visitors: Visitors) -> None:
    """The browser holds a strict cookie back on such a link: our own page fetches it."""
    nobody = await visitors(None)
    page = await nobody.get("/calls?text=a%22b", headers={"sec-fetch-site": "cross-site"})
    assert "/login?next=%2Fcalls" in page


async def test_light_and_dark(live: Live, visitors: Visitors) -> None:
    visitor = await visitors(None)
    chosen = await visitor.post("/theme", theme="dark", back="//evil.test")
    assert chosen.headers["location"] == "/"
    assert 'data-theme="dark"' in await visitor.get("/login")
    visitor.client.cookies.set("rondo_theme", '"><script>')
    assert "<script>" not in (await visitor.get("/login")).replace('<script src="', "")
