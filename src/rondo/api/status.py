"""`rondo status` and `rondo doctor`: what serves whom, whether goals are met, whether all is well."""

from __future__ import annotations

import asyncio
from typing import Any

from rondo import clock
from rondo.api.door import Asked, Door
from rondo.governance.model import Role
from rondo.monitoring.alerts import view as alerts
from rondo.monitoring.health import checks, gates, judged, rollouts, settings, told
from rondo.monitoring.overview import overview, serving
from rondo.rollout.report import going
from rondo.traces.filter import parse_time


async def status(asked: Asked) -> dict[str, Any]:
    """What serves whom in every app, or in one, how the goals stand, and where the records are."""
    control, project, app = asked.control, asked.project, asked.query("app")
    until = clock.now_us()
    since = parse_time("since", asked.query("since") or "24h")
    apps = await control.read(lambda connection: serving(connection, project, app))
    view = await asyncio.to_thread(overview, control.records, project, apps, since=since, until=until)
    drain = await asyncio.to_thread(control.drain.status)
    latest = control.watching.rollouts.latest
    under_way = await control.read(lambda connection: going(connection, project, latest))
    fire = await control.read(lambda connection: alerts.firing(connection, project, until))
    judged_live = control.watching.judging.status(project)
    return {
        "project": project,
        "settings_fault": control.settings_fault,
        "alerts": [alerts.one_line(each) for each in fire if app in (None, each.alert.app)],
        "overview": view,
        "rollouts": [each for each in under_way if app in (None, each.app)],
        "live": [each for each in judged_live if app in (None, each.app)],
        "telemetry": await asyncio.to_thread(control.watching.telling.status, project),
        "drain": drain,
        "revision": control.gateway.plan.revision,
    }


async def doctor(asked: Asked) -> dict[str, Any]:
    """The checks behind `rondo doctor`, each with what to do."""
    control = asked.control
    found = await asyncio.to_thread(checks, control.drain, control.gateway, asked.project, control.ledger.state())
    found += settings(control.settings_fault)
    found += await control.read(lambda connection: gates(connection, asked.project))
    found += rollouts(control.watching.rollouts.faults(asked.project))
    found += told(await asyncio.to_thread(control.watching.telling.status, asked.project))
    found += judged(control.watching.judging.status(asked.project))
    faults, now = control.watching.alarms.faults(asked.project), clock.now_us()
    found += await control.read(lambda connection: alerts.checks(connection, asked.project, faults, now))
    return {"ok": all(check.ok for check in found), "checks": found}


DOORS = [Door("GET", "/api/status", Role.VIEWER, status), Door("GET", "/api/doctor", Role.VIEWER, doctor)]
