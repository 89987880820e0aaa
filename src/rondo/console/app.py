"""The console: pages of the control plane, as an ASGI application.

Every page but sign-in needs a session, and the role in the table. A session is a signed cookie with a key's digest;
the key is looked up in the gateway's plan at every request, so a revoked key is out at once. Forms are accepted only
from our own pages. The console holds no rules: pages call the rooms' verbs.
"""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from rondo.console.pages import (
    alerts,
    audit,
    batches,
    call,
    calls,
    compare,
    costs,
    dashboards,
    datasets,
    drift,
    judges,
    keys,
    knowledge,
    limits,
    overview,
    patterns,
    playground,
    prompts,
    redteam,
    releases,
    reviews,
    rollouts,
    runs,
    sign_in,
    trace,
    traces,
)
from rondo.console.shield import Shield, require_our_page
from rondo.console.visit import Page, Visit, go, render
from rondo.control import ControlPlane
from rondo.errors import Forbidden, InvalidRequest, NotFound, RondoError, unexpected
from rondo.gateway.wire import status_of
from rondo.governance.admit import require
from rondo.governance.model import Grant

_log = logging.getLogger("rondo.console")

PAGES: list[Page] = [
    *overview.PAGES,
    *alerts.PAGES,
    *dashboards.PAGES,
    *costs.PAGES,
    *drift.PAGES,
    *patterns.PAGES,
    *calls.PAGES,
    *call.PAGES,
    *traces.PAGES,
    *trace.PAGES,
    *batches.PAGES,
    *datasets.PAGES,
    *runs.PAGES,
    *compare.PAGES,
    *redteam.PAGES,
    *reviews.PAGES,
    *releases.PAGES,
    *rollouts.PAGES,
    *prompts.PAGES,
    *knowledge.PAGES,
    *playground.PAGES,
    *judges.PAGES,
    *keys.PAGES,
    *limits.PAGES,
    *audit.PAGES,
]


def console_app(control: ControlPlane, *, session_key: bytes) -> ASGIApp:
    """The console over this control plane; `session_key` signs its cookies."""
    door = sign_in.SignIn(control, session_key)
    routes = [
        *(_route(control, door, page) for page in PAGES),
        Route("/login", door.form, methods=["GET"]),
        Route("/login", door.enter, methods=["POST"]),
        Route("/logout", door.leave, methods=["POST"]),
        Route("/theme", sign_in.theme, methods=["POST"]),
        Mount("/static", StaticFiles(packages=[("rondo.console", "static")]), name="static"),
    ]
    return Shield(Starlette(routes=routes, exception_handlers={HTTPException: _unknown, RondoError: _refused}))


def _route(control: ControlPlane, door: sign_in.SignIn, page: Page) -> Route:
    async def endpoint(request: Request) -> Response:
        grant = door.grant(request)
        if grant is None:
            return _sign_in_first(request)
        visit = Visit(control, grant, request)
        try:
            if page.method == "POST":
                require_our_page(request.headers)
            require(grant, page.role)
            return await page.handler(visit)
        except RondoError as error:
            return _fault(request, grant, error)
        except HTTPException:
            raise
        except Exception:
            _log.exception("unexpected error on %s", request.url.path)
            fault = unexpected()
            return _fault(request, grant, fault)

    return Route(page.path, endpoint, methods=[page.method], name=f"{page.method} {page.path}")


def _sign_in_first(request: Request) -> Response:
    """To the sign-in page, and from there back to where the visitor wanted to go."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"hx-redirect": "/login"})
    if request.method != "GET":
        return go("/login")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") == "cross-site" and request.cookies.get(sign_in.COOKIE) is None:
        # A link on another site led here, so the browser held the strict cookie back. Coming from our own page it
        # sends it along.
        return HTMLResponse(render(request, "bounce.html", wanted=wanted))
    return go("/login", next=wanted if wanted != "/" else None)


def _fault(request: Request, grant: Grant | None, error: RondoError) -> Response:
    template = "fault_part.html" if request.headers.get("hx-request") == "true" else "fault.html"
    page = render(request, template, grant, error=error)
    return HTMLResponse(page, status_code=status_of(error))


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return HTMLResponse(render(request, "fault.html", error=Forbidden("This address takes no such request.")), 405)
    if error.status_code == 400:
        unreadable = InvalidRequest("The form cannot be read.", remedy="Go back to the page and send it from there.")
        return HTMLResponse(render(request, "fault.html", error=unreadable), 400)
    missing = NotFound("There is no such page.", remedy="The navigation leads to all there are.")
    return HTMLResponse(render(request, "fault.html", error=missing), error.status_code)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RondoError)
    return _fault(request, None, error)
