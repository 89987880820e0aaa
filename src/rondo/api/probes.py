"""What other machines ask: is it alive, is it ready, and its numbers for Prometheus."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rondo import clock
from rondo.control import Connection, ControlPlane
from rondo.errors import RondoError
from rondo.gateway.keys import authenticate
from rondo.gateway.wire import error_body, status_of
from rondo.governance.admit import require
from rondo.governance.model import Role
from rondo.limits.status import status
from rondo.monitoring.dashboards.quality import AppGoals
from rondo.monitoring.dashboards.reached import app_goals
from rondo.monitoring.health import is_ready
from rondo.rollout import report, store


def routes(control: ControlPlane) -> list[Route]:
    """`/healthz` and `/readyz` are open and say yes or no; `/metrics` needs a key with a role."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if control.stopping.is_set():
            return PlainTextResponse("stopping\n", 503)
        ready = await asyncio.to_thread(is_ready, control.drain, control.gateway)
        return PlainTextResponse("ok\n") if ready else PlainTextResponse("not ready\n", 503)

    async def metrics(request: Request) -> Response:
        from rondo.monitoring.alerts.metrics import AlertMetrics  # many a server is never asked
        from rondo.monitoring.prometheus import Rollouts, exposition

        try:
            grant = authenticate(control.gateway.plan, request.scope["headers"])
            require(grant, Role.VIEWER)
            limits = await status(control.ledger, control.gateway.plan.limits, grant.project, control.alerts)
            deployments = control.gateway.tries.standing()

            def declared(connection: Connection) -> tuple[list[AppGoals], Rollouts, AlertMetrics]:
                going = report.under_way(connection, grant.project, control.watching.rollouts.latest)
                ended = store.ended_counts(connection, grant.project)
                alerts = AlertMetrics(connection, grant.project, clock.now_us())
                return app_goals(connection, grant.project), Rollouts(going, ended), alerts

            goals, rollouts, alerts = await control.read(declared)
            accept = request.headers.get("accept", "")
            told = await asyncio.to_thread(
                exposition,
                control.records,
                control.drain,
                grant.project,
                limits,
                deployments,
                goals=goals,
                rollouts=rollouts,
                alerts=alerts,
                accept=accept,
            )
        except RondoError as error:
            return Response(error_body(error), status_of(error), media_type="application/json")
        return Response(told.text, media_type=told.content_type)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
