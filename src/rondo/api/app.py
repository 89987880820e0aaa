"""The JSON API of the control plane: every door needs a key and a role, and a table lists them all."""

from __future__ import annotations

import logging

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from rondo.api import (
    alerts,
    apps,
    batches,
    calls,
    costs,
    dashboards,
    datasets,
    drafts,
    drift,
    feedback,
    files,
    gate,
    judges,
    keys,
    knowledge,
    limits,
    models,
    openapi,
    otlp,
    patterns,
    probes,
    prompts,
    redteam,
    releases,
    reviews,
    rollouts,
    route,
    runs,
    status,
    traces,
)
from rondo.api.door import Asked, Door
from rondo.control import ControlPlane
from rondo.errors import InvalidRequest, NotFound, RondoError, unexpected
from rondo.gateway.keys import authenticate
from rondo.gateway.wire import error_body, status_of
from rondo.governance.admit import require

_log = logging.getLogger("rondo.api")

DOORS: list[Door] = [
    *status.DOORS,
    *apps.DOORS,
    *alerts.DOORS,
    *rollouts.DOORS,
    *releases.DOORS,
    *gate.DOORS,
    *drafts.DOORS,
    *runs.DOORS,
    *redteam.DOORS,
    *prompts.DOORS,
    *models.DOORS,
    *route.DOORS,
    *knowledge.DOORS,
    *calls.DOORS,
    *dashboards.DOORS,
    *costs.DOORS,
    *drift.DOORS,
    *patterns.DOORS,
    *traces.DOORS,
    *datasets.DOORS,
    *feedback.DOORS,
    *reviews.DOORS,
    *judges.DOORS,
    *keys.DOORS,
    *limits.DOORS,
    *files.DOORS,
    *batches.DOORS,
    *otlp.DOORS,
    *openapi.DOORS,
]


def api_app(control: ControlPlane) -> Router:
    """The API and the probes, as an ASGI application."""
    routes = [_route(control, door) for door in DOORS] + probes.routes(control)
    return Router(routes, redirect_slashes=False, default=_unknown)


def _route(control: ControlPlane, door: Door) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            grant = authenticate(control.gateway.plan, request.scope["headers"])
            require(grant, door.role)
            result = await door.handler(Asked(control, grant, request))
        except RondoError as error:
            return (door.refuse or _refuse)(request, error)
        except Exception:
            _log.exception("unexpected error on %s", request.url.path)
            return (door.refuse or _refuse)(request, unexpected())
        if isinstance(result, Response):
            return result
        return Response(msgspec.json.encode(result), media_type="application/json")

    return _JsonRoute(door.path, endpoint, methods=[door.method])


def _refuse(request: Request, error: RondoError) -> Response:
    return Response(error_body(error), status_of(error), media_type="application/json")


class _JsonRoute(Route):
    """Refuses another method in the API's own format."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods and scope["method"] not in self.methods:
            refused = f"This address takes no {scope['method']:.20}."
            error = InvalidRequest(refused, remedy="The documentation lists what it takes.")
            allowed = {"allow": ", ".join(sorted(self.methods))}
            response = Response(error_body(error), 405, allowed, media_type="application/json")
            await response(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


async def _unknown(scope: object, receive: object, send: object) -> None:
    error = NotFound("There is no such address in the API.", remedy="The documentation lists them under API.")
    response = Response(error_body(error), 404, media_type="application/json")
    await response(scope, receive, send)  # type: ignore[arg-type]
