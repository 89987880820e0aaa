"""Dashboards as numbers: traffic, quality, resources. The console draws the same."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.monitoring.dashboards.quality import Quality, quality
from rondo.monitoring.dashboards.reached import app_goals
from rondo.monitoring.dashboards.traffic import TrafficBoard, traffic
from rondo.monitoring.dashboards.window import Chosen, Window, parse_chosen, parse_window
from rondo.monitoring.resources import Usage

WINDOW = ("window", "since", "until")
CHOSEN = ("app", "release", "model", "arm")


async def show_traffic(asked: Asked) -> TrafficBoard:
    """Load, users, errors by kind, latency, tokens, cost and savings over time."""
    window, chosen = _asked_for(asked)
    return await asyncio.to_thread(traffic, asked.control.records, asked.project, window, chosen)


async def show_quality(asked: Asked) -> Quality:
    """Scores with their intervals, hand-overs, and goals met or missed over time."""
    window, chosen = _asked_for(asked)
    apps = await asked.control.read(lambda connection: app_goals(connection, asked.project))
    return await asyncio.to_thread(quality, asked.control.records, asked.project, window, chosen, apps)


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


def _asked_for(asked: Asked) -> tuple[Window, Chosen]:
    words = words_of(asked, (*WINDOW, *CHOSEN))
    return parse_window(words), parse_chosen(words)


DOORS = [
    Door("GET", "/api/dashboards/traffic", Role.VIEWER, show_traffic),
    Door("GET", "/api/dashboards/quality", Role.VIEWER, show_quality),
    Door("GET", "/api/dashboards/resources", Role.VIEWER, show_resources),
]
