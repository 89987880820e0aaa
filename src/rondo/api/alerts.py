"""Alerts: what fires, what did, who looks after it, what is silent, and whether a channel works."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

from rondo import clock
from rondo.api.door import Asked, Door
from rondo.governance.model import Role
from rondo.monitoring.alerts import verbs, view
from rondo.monitoring.alerts.model import Silence
from rondo.monitoring.alerts.verbs import Quiet
from rondo.monitoring.alerts.view import AlertsView, AlertView


class Noted(Struct, forbid_unknown_fields=True):
    """What somebody does, and why."""

    note: str = ""


async def show_all(asked: Asked) -> AlertsView:
    """Open alerts, the worst first, and `limit` of those that are over; silences, and everything that is watched."""
    alarms, now = asked.control.watching.alarms, clock.now_us()
    app, limit = asked.query("app"), asked.query_number("limit", 50, most=500)
    watched, faults = alarms.watched(asked.project), alarms.faults(asked.project)
    return await asked.control.read(
        lambda connection: view.view(connection, asked.project, watched, faults, now, app=app, limit=limit)
    )


async def show_one(asked: Asked) -> AlertView:
    """One alert with all that became of it, the calls behind it, and who was told."""
    return await _story(asked)


async def acknowledge(asked: Asked) -> AlertView:
    """Somebody looks after it: nobody is told of it again until it is over, or worse."""
    wanted = await asked.body(Noted)
    await asyncio.to_thread(
        verbs.acknowledge, asked.control.catalog, asked.project, asked.path("id"), actor=asked.actor, note=wanted.note
    )
    return await _story(asked)


async def resolve(asked: Asked) -> AlertView:
    """Somebody says that it is over. Where it is not, another begins."""
    wanted = await asked.body(Noted)
    await asyncio.to_thread(
        verbs.resolve, asked.control.catalog, asked.project, asked.path("id"), actor=asked.actor, note=wanted.note
    )
    asked.control.watching.alarms.courier.wake()
    return await _story(asked)


async def silence(asked: Asked) -> Silence:
    """Tell nobody of alerts that match, for a while; they are shown as ever."""
    wanted = await asked.body(Quiet)
    return await asyncio.to_thread(verbs.silence, asked.control.catalog, asked.project, wanted, actor=asked.actor)


async def unsilence(asked: Asked) -> dict[str, Any]:
    """End a silence now."""
    id_ = asked.path("id")
    await asyncio.to_thread(verbs.unsilence, asked.control.catalog, asked.project, id_, actor=asked.actor)
    return {"ended": id_}


async def test(asked: Asked) -> dict[str, Any]:
    """Send a test to a channel of an app, now; `error` says why it did not arrive, or for whom."""
    app, channel = asked.path("app"), asked.path("channel")
    tried = await asked.control.watching.alarms.courier.trial(asked.project, app, channel)
    return {"app": app, "channel": channel, "sent": tried.error is None, "error": tried.error or tried.but}


async def _story(asked: Asked) -> AlertView:
    alert, now = asked.path("id"), clock.now_us()
    return await asked.control.read(lambda connection: view.story(connection, asked.project, alert, now))


DOORS = [
    Door("GET", "/api/alerts", Role.VIEWER, show_all),
    Door("POST", "/api/alerts/silences", Role.DEVELOPER, silence),
    Door("DELETE", "/api/alerts/silences/{id}", Role.DEVELOPER, unsilence),
    Door("GET", "/api/alerts/{id}", Role.VIEWER, show_one),
    Door("POST", "/api/alerts/{id}/acknowledge", Role.DEVELOPER, acknowledge),
    Door("POST", "/api/alerts/{id}/resolve", Role.DEVELOPER, resolve),
    Door("POST", "/api/apps/{app}/alerts/channels/{channel}/test", Role.DEVELOPER, test),
]
