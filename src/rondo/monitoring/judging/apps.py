"""The apps that are judged live, as the catalog has them now."""

from __future__ import annotations

from pydantic import ValidationError

from rondo.catalog.engine import Catalog
from rondo.errors import RondoError, Unavailable
from rondo.evals.model import Target
from rondo.evals.targets import Subjects
from rondo.governance import projects
from rondo.monitoring.judging.model import Watched
from rondo.releases import store
from rondo.settings.live import LiveSettings


def watched(catalog: Catalog, subjects: Subjects) -> tuple[list[Watched], dict[tuple[str, str], str]]:
    """Every app with scorers in `[live]`, with its latest release; and by (project, app) why others cannot be judged.

    Raises Unavailable.
    """
    found: list[Watched] = []
    faults: dict[tuple[str, str], str] = {}
    with catalog.read() as connection:
        wanted = [
            (project, app)
            for project in projects.names(connection)
            for app in store.list_apps(connection, project)
            if app.settings.get("live")
        ]
        newest = {
            (project, app.name): store.list_releases(connection, project, app.name, limit=1) for project, app in wanted
        }
    for project, app in wanted:
        try:
            settings = LiveSettings.model_validate(app.settings["live"])
            for release in newest[project, app.name] if settings.scorers else ():
                target = Target(label=release.label, app=app.name, number=release.number, hash=release.hash)
                subject = subjects.subject(project, target)
                found.append(Watched(project=project, app=app.name, settings=settings, subject=subject))
        except ValidationError as error:
            faults[project, app.name] = f"`[live]` cannot be read: {error}"
        except Unavailable:
            raise
        except RondoError as error:
            faults[project, app.name] = str(error)
    return found, faults
