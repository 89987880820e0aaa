"""Apps and the traffic of their releases: promote, split, rollback."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rondo.api.door import Asked, Door, whole_number
from rondo.control import Connection, ControlPlane
from rondo.governance.model import Role
from rondo.monitoring.overview import shares
from rondo.releases import store, traffic
from rondo.releases.gate_passage import exception_asked
from rondo.releases.model import TrafficChange
from rondo.releases.state import NOTHING


class Promotion(Struct, forbid_unknown_fields=True):
    """`exception` is the reason to give traffic in spite of the gate."""

    release: int
    reason: str = ""
    exception: str | None = None


class Split(Struct, forbid_unknown_fields=True):
    """Percent of each candidate, by release number; `exception` as for a promotion."""

    shares: dict[str, float]
    reason: str = ""
    exception: str | None = None


class ShadowShares(Struct, forbid_unknown_fields=True):
    """Percent of the requests, by release number or model name; none ends all copying."""

    shares: dict[str, float] = {}
    reason: str = ""


class Rollback(Struct, forbid_unknown_fields=True):
    to: int | None = None
    reason: str = ""


async def list_apps(asked: Asked) -> dict[str, Any]:
    """Every app: its traffic, how many releases it has, and its settings."""
    return {"apps": await asked.control.read(lambda connection: _describe_all(connection, asked.project))}


async def show(asked: Asked) -> dict[str, Any]:
    """One app, as in the list."""
    app = asked.path("app")
    return await asked.control.read(lambda connection: _describe(connection, asked.project, app))


async def history(asked: Asked) -> dict[str, Any]:
    """Every change of the app's traffic, newest first, with who made it and why."""
    app = asked.path("app")

    def read(connection: Connection) -> list[TrafficChange]:
        store.get_app(connection, asked.project, app)
        return store.traffic_history(connection, asked.project, app)

    return {"changes": list(reversed(await asked.control.read(read)))}


async def promote(asked: Asked) -> TrafficChange:
    """One release serves everyone; a split ends. It needs to have passed its gate, or an exception, and one that cannot
    be served is refused, as with all that gives a release traffic."""
    wanted = await asked.body(Promotion)
    return await asked.control.change(
        lambda: traffic.promote(
            *_whose(asked),
            wanted.release,
            actor=asked.actor,
            reason=wanted.reason,
            exception=exception_asked(asked.grant, wanted.exception),
            check_release=asked.control.check_release,
        )
    )


async def split(asked: Asked) -> TrafficChange:
    """Candidates take shares of the traffic; the stable release has the rest. Each needs to have passed its gate."""
    wanted = await asked.body(Split)
    percents: dict[int, object] = {}
    for name, percent in wanted.shares.items():
        percents[whole_number(name, "shares")] = percent
    return await asked.control.change(
        lambda: traffic.split(
            *_whose(asked),
            percents,
            actor=asked.actor,
            reason=wanted.reason,
            exception=exception_asked(asked.grant, wanted.exception),
            check_release=asked.control.check_release,
        )
    )


async def shadow(asked: Asked) -> TrafficChange:
    """Copy shares of the requests to other releases or models; clients never see their answers."""
    wanted = await asked.body(ShadowShares)
    return await asked.control.change(
        lambda: traffic.shadow(
            *_whose(asked),
            wanted.shares,
            actor=asked.actor,
            reason=wanted.reason,
            check_release=asked.control.check_release,
        )
    )


async def rollback(asked: Asked) -> TrafficChange:
    """End the split, or go back to the stable release before, or to the release `to`."""
    wanted = await asked.body(Rollback)
    return await asked.control.change(
        lambda: traffic.rollback(
            *_whose(asked),
            to=wanted.to,
            actor=asked.actor,
            reason=wanted.reason,
            check_release=asked.control.check_release,
        )
    )


def _whose(asked: Asked) -> tuple[Any, str, str]:
    control: ControlPlane = asked.control
    return control.catalog, asked.project, asked.path("app")


def _describe_all(connection: Connection, project: str) -> list[dict[str, Any]]:
    return [_describe(connection, project, row.name) for row in store.list_apps(connection, project)]


def _describe(connection: Connection, project: str, app: str) -> dict[str, Any]:
    row = store.get_app(connection, project, app)
    change = store.current_traffic(connection, project, app)
    now = change.traffic if change else NOTHING
    return {
        "name": row.name,
        "stable": now.stable,
        "shares": shares(now),
        "shadows": {each.name: each.share_bp / 100 for each in now.shadows},
        "releases": store.next_number(connection, project, app) - 1,
        "settings": row.settings,
        "created_at": row.created_at,
    }


DOORS = [
    Door("GET", "/api/apps", Role.VIEWER, list_apps),
    Door("GET", "/api/apps/{app}", Role.VIEWER, show),
    Door("GET", "/api/apps/{app}/traffic", Role.VIEWER, history),
    Door("POST", "/api/apps/{app}/promote", Role.APPROVER, promote),
    Door("POST", "/api/apps/{app}/split", Role.APPROVER, split),
    Door("POST", "/api/apps/{app}/shadow", Role.APPROVER, shadow),
    Door("POST", "/api/apps/{app}/rollback", Role.APPROVER, rollback),
]
