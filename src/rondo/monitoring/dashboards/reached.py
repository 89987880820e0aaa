"""The goals of a project's apps, as their latest releases declare them."""

from __future__ import annotations

from sqlalchemy import Connection

from rondo.monitoring.dashboards.quality import AppGoals
from rondo.monitoring.goals import live_percent
from rondo.releases import store


def app_goals(connection: Connection, project: str) -> list[AppGoals]:
    """By app, also apps without any."""
    return [
        AppGoals(app.name, app.settings.get("goals") or [], live_percent(app.settings))
        for app in store.list_apps(connection, project)
    ]
