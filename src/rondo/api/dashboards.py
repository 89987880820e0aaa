"""Dashboards as numbers: traffic, quality, resources. The console draws the same."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from rondo import clock
from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest, NotFound
from rondo.governance.model import Role
from rondo.monitoring.dashboards.quality import Quality, quality
from rondo.monitoring.dashboards.reached import declared
from rondo.monitoring.dashboards.traffic import TrafficBoard, traffic
from rondo.monitoring.dashboards.window import DAY_US, Chosen, Window, parse_chosen, parse_window
from rondo.monitoring.resources import Usage
from rondo.releases.store import list_apps
from rondo.settings.table import nearest

WINDOW = ("window", "since", "until")
CHOSEN = ("app", "release", "model", "arm")


async def show_traffic(asked: Asked) -> TrafficBoard:
    """Load, users, errors by kind, latency, tokens, cost and savings over time."""
    window, chosen = await _asked_for(asked)
    return await asyncio.to_thread(traffic, asked.control.records, asked.project, window, chosen)


async def show_quality(asked: Asked) -> Quality:
    """Scores with their intervals, hand-overs, goals met or missed, and evaluations over time."""
    window, chosen = await _asked_for(asked)
    known = await asked.control.read(lambda connection: declared(connection, asked.project, window, chosen))
    return await asyncio.to_thread(quality, asked.control.records, asked.project, window, chosen, known)


async def show_resources(asked: Asked) -> Usage:
    """What the host and the model servers used in the last day."""
    window = parse_window(words_of(asked, WINDOW))
    return asked.control.watching.resources.usage(asked.project, since=window.since)


def words_of(asked: Asked, names: Collection[str]) -> dict[str, str]:
    """The query string's words. Raises InvalidRequest for one that is not among `names`."""
    words = dict(asked.request.query_params)
    for name in words:
        if name not in names:
            raise InvalidRequest(
                f"There is no parameter {name!r:.60}.", remedy=f"Parameters: {', '.join(names)}.", param=name
            )
    return words


async def choose(asked: Asked, words: dict[str, str], *, arm: str = "live") -> Chosen:
    """The choice in a query string. Raises InvalidRequest; NotFound for an app that has no release, and of which
    OpenTelemetry has told no call either."""
    chosen, records = parse_chosen(words, arm=arm), asked.control.records
    if chosen.app is None:
        return chosen
    apps = await asked.control.read(lambda connection: [app.name for app in list_apps(connection, asked.project)])
    if chosen.app not in apps:
        ever = {"project": asked.project, "since": 0, "until": clock.now_us() + DAY_US}
        facets = await asyncio.to_thread(records.query, "facets", ever)
        called = [row["value"] for row in facets if row["facet"] == "app"]
        if chosen.app not in called:
            hint = nearest(chosen.app, sorted({*apps, *called}))
            raise NotFound(
                f"There is no app called {chosen.app!r:.100}.{hint}",
                remedy="Leave `app` out for all of them; `rondo release` makes one.",
                param="app",
            )
    return chosen


async def _asked_for(asked: Asked) -> tuple[Window, Chosen]:
    words = words_of(asked, (*WINDOW, *CHOSEN))
    return parse_window(words), await choose(asked, words)


DOORS = [
    Door("GET", "/api/dashboards/traffic", Role.VIEWER, show_traffic),
    Door("GET", "/api/dashboards/quality", Role.VIEWER, show_quality),
    Door("GET", "/api/dashboards/resources", Role.VIEWER, show_resources),
]
