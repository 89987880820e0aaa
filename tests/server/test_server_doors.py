"""Deny by default: every route there is needs a key, or a session, but for the few that are open on purpose."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Mount, Route

from live_server import Live
from rondo.api.app import DOORS, api_app
from rondo.console.app import PAGES, console_app
from rondo.governance.model import Role

OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("OPTIONS", "/v1/feedback")}
"""These need no key: they say yes or no, or what a browser may ask."""

SIGN_IN = {("GET", "/login"), ("POST", "/login"), ("POST", "/logout"), ("POST", "/theme"), ("GET", "/static")}
"""The console's own open routes: the sign-in page and what it looks like."""

TRACE = "0" * 31 + "1"
EXAMPLES = {"app": "bot", "number": "1", "name": "facts", "version": "abc", "trace_id": TRACE, "id": "key_1"}


def example(path: str) -> str:
    """A path with its parameters filled in."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: EXAMPLES.get(match[1], "x"), path)


def routes_of(router: object) -> set[tuple[str, str]]:
    """Every (method, path) of a Starlette application, however it is wrapped."""
    inner = getattr(router, "_app", router)
    found: set[tuple[str, str]] = set()
    for route in inner.routes:  # type: ignore[attr-defined]
        if isinstance(route, Mount):
            found.add(("GET", route.path))
        else:
            assert isinstance(route, Route), route
            assert route.methods
            found |= {(method, route.path) for method in route.methods if method != "HEAD"}
    return found


def everything(live: Live) -> set[tuple[str, str]]:
    console = console_app(live.server.control, session_key=b"0" * 32)
    api = api_app(live.server.control)
    return set(live.server.control.gateway.routes) | routes_of(api) | routes_of(console)


async def test_the_tables_are_all_there_is(live: Live) -> None:
    console = routes_of(console_app(live.server.control, session_key=b"0" * 32))
    assert console == {(page.method, page.path) for page in PAGES} | SIGN_IN
    api = routes_of(api_app(live.server.control))
    assert api == {(door.method, door.path) for door in DOORS} | {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    }
    # These are the gateway's in all but name: whoever may call it may use them.
    ours = ("/v1/files", "/v1/batches", "/v1/traces", "/v1/logs")
    assert all((door.role is None) is door.path.startswith(ours) for door in DOORS)


async def test_without_a_key_every_door_is_shut(live: Live) -> None:
    for method, path in sorted(everything(live) - OPEN - SIGN_IN):
        response = await live.ask(method, example(path), key=None)
        if path.startswith(("/v1/", "/api/")) or path == "/metrics":
            assert response.status_code == 401, (method, path)
            assert response.json()["error"]["type"] == "authentication_error", path
        else:
            assert response.status_code == 303, (method, path)
            assert response.headers["location"].startswith("/login"), (method, path)


@pytest.mark.parametrize("kind", ["feedback", "secret"])
async def test_a_key_without_a_role_opens_the_gateway_only(live: Live, kind: str) -> None:
    _, secret = await live.key("narrow", kind=kind)
    for method, path in sorted(everything(live) - OPEN - SIGN_IN):
        response = await live.ask(method, example(path), key=secret)
        if path.startswith("/v1/"):
            allowed = kind == "secret" or path == "/v1/feedback"
            assert (response.status_code == 403) is not allowed, (method, path)
        elif path.startswith("/api/") or path == "/metrics":
            assert response.status_code == 403, (method, path)
        else:  # the console takes no bearer keys
            assert response.status_code == 303, (method, path)


async def test_a_key_without_a_role_cannot_sign_in(live: Live) -> None:
    for kind in ("feedback", "secret"):
        _, secret = await live.key(f"narrow-{kind}", kind=kind)
        response = await live.ask(
            "POST", "/login", key=None, data={"key": secret}, headers={"sec-fetch-site": "same-origin"}
        )
        assert response.status_code == 401
        assert "set-cookie" not in response.headers


@pytest.mark.parametrize("role", ["viewer", "developer", "approver"])
async def test_a_role_opens_its_own_doors_only(live: Live, role: str) -> None:
    _, secret = await live.key(role, role=role)
    for door in DOORS:
        if door.path == "/api/calls/tail":
            continue  # it waits
        response = await live.ask(door.method, example(door.path), key=secret)
        shut = door.role is not None and not Role(role).includes(door.role)
        assert (response.status_code == 403) is shut, (door.method, door.path)
        assert response.status_code != 401
        assert response.status_code < 500, (door.method, door.path, response.text)


async def test_the_open_routes_say_nothing_but_yes_or_no(live: Live) -> None:
    for path in ("/healthz", "/readyz"):
        response = await live.ask("GET", path, key=None)
        assert (response.status_code, response.text) == (200, "ok\n")
    assert (await live.ask("OPTIONS", "/v1/feedback", key=None)).content == b""


async def test_unknown_addresses_are_not_found(live: Live) -> None:
    for path in ("/api/nothing", "/api/", "/v1/nothing"):
        assert (await live.ask("GET", path)).status_code == 404, path
    assert (await live.ask("GET", "/nothing/here", key=None)).status_code in (303, 404)


async def test_a_file_outside_the_console_cannot_be_fetched(live: Live) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert (await live.ask("GET", path, key=None)).status_code == 404, path
