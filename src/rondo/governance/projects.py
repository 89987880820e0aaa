"""The verbs of projects: create, list, and the check that one exists."""

from __future__ import annotations

from sqlalchemy import Connection

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_name
from rondo.errors import Conflict, NotFound
from rondo.governance import audit, store


def create(catalog: Catalog, name: str, *, actor: str) -> None:
    """A new, empty project. Raises InvalidRequest, and Conflict where there is one already."""
    check_name(name, param="project")
    with catalog.begin() as connection:
        if store.project_exists(connection, name):
            raise Conflict(f"There is a project called {name!r} already.", remedy="Choose another name.")
        add(connection, name, actor=actor)


def add(connection: Connection, name: str, *, actor: str) -> None:
    """The same inside a transaction, for a name that is known to be free and valid."""
    store.insert_project(connection, name, clock.now_us())
    audit.record(connection, name, actor, "project.create", f"project:{name}", {})


def names(connection: Connection) -> list[str]:
    """Of all projects, sorted."""
    return store.project_names(connection)


def require(connection: Connection, name: str) -> None:
    """Raises NotFound unless the project exists."""
    if not store.project_exists(connection, name):
        raise NotFound(f"There is no project called {name!r:.100}.", remedy="Use a key of a project that exists.")
