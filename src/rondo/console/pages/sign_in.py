"""Signing in with a key, signing out, and the choice between light and dark."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from rondo import clock
from rondo.console import session
from rondo.console.shield import is_safe_path, require_our_page
from rondo.console.visit import THEME, go, render
from rondo.control import ControlPlane
from rondo.governance.admit import digest
from rondo.governance.model import Grant

COOKIE = "rondo_session"
_YEAR_S = 365 * 86_400


class SignIn:
    """Knows who a request comes from."""

    def __init__(self, control: ControlPlane, session_key: bytes) -> None:
        self._control = control
        self._session_key = session_key

    def grant(self, request: Request) -> Grant | None:
        """What the visitor's key grants now; None without a session, or when the key has been revoked."""
        value = request.cookies.get(COOKIE)
        found = session.unseal(self._session_key, value, clock.now_us()) if value else None
        grant = self._control.gateway.plan.grants.get(found) if found else None
        return grant if grant is not None and grant.role is not None else None

    async def form(self, request: Request) -> Response:
        wanted = request.query_params.get("next", "/")
        if self.grant(request) is not None:
            return go(wanted if is_safe_path(wanted) else "/")
        return self._page(request, wanted)

    async def enter(self, request: Request) -> Response:
        require_our_page(request.headers)
        async with request.form(max_files=0, max_fields=10) as sent:
            secret, wanted = str(sent.get("key", "")).strip(), str(sent.get("next", "/"))
        name = digest(secret)
        grant = self._control.gateway.plan.grants.get(name)
        if grant is None:
            return self._page(request, wanted, "This key is not valid. `rondo keys list` shows the keys there are.")
        if grant.role is None:
            return self._page(
                request,
                wanted,
                f"The key “{grant.name}” has no role: it may call the gateway, but not use the console. "
                "An admin can make one that may: `rondo keys create NAME --role viewer`.",
            )
        response = go(wanted if is_safe_path(wanted) else "/")
        response.set_cookie(
            COOKIE,
            session.seal(self._session_key, name, clock.now_us()),
            max_age=session.LIFETIME_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def leave(self, request: Request) -> Response:
        require_our_page(request.headers)
        response = go("/login")
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response

    def _page(self, request: Request, wanted: str, problem: str | None = None) -> Response:
        page = render(request, "login.html", wanted=wanted if is_safe_path(wanted) else "/", problem=problem)
        return HTMLResponse(page, status_code=401 if problem else 200)


async def theme(request: Request) -> Response:
    """Light, dark, or as the system has it; kept in a cookie, so that no page flashes."""
    require_our_page(request.headers)
    async with request.form(max_files=0, max_fields=10) as sent:
        choice, back = str(sent.get("theme", "")), str(sent.get("back", "/"))
    response = RedirectResponse(back if is_safe_path(back) else "/", status_code=303)
    if choice in ("light", "dark"):
        response.set_cookie(THEME, choice, max_age=_YEAR_S, samesite="strict")
    else:
        response.delete_cookie(THEME, samesite="strict")
    return response
