"""What the catalog knows of quality: the goals of apps, as their latest releases declare them, and evaluations."""

from __future__ import annotations

from sqlalchemy import Connection

from rondo.monitoring.dashboards.evaluations import evaluations
from rondo.monitoring.dashboards.quality import AppGoals, Declared
from rondo.monitoring.dashboards.window import Chosen, Window
from rondo.monitoring.goals import live_percent
from rondo.releases import store
from rondo.reviews.model import rules_of


def app_goals(connection: Connection, project: str) -> list[AppGoals]:
    """By app, also apps without any."""
    return [
        AppGoals(
            app.name,
            app.settings.get("goals") or [],
            live_percent=live_percent(app.settings),
            human_percent=rules_of(app.settings).sample_percent,
        )
        for app in store.list_apps(connection, project)
    ]


def declared(connection: Connection, project: str, window: Window, chosen: Chosen) -> Declared:
    """All that `quality` needs of the catalog."""
    return Declared(app_goals(connection, project), evaluations(connection, project, window, chosen))
