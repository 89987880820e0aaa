"""What differs between two releases of an app, with the text of their prompts."""

from __future__ import annotations

from sqlalchemy import Connection

from rondo.prompts import store as prompts
from rondo.releases import store
from rondo.releases.diff import Change, diff


def changes_between(connection: Connection, project: str, app: str, before: int, after: int) -> list[Change]:
    """Differences from one release to another. Raises NotFound."""
    old = store.get_release(connection, project, app, before)
    new = store.get_release(connection, project, app, after)
    named = (release.manifest["prompt"] for release in (old, new))
    sources = {
        prompt["version"]: prompts.get(connection, project, prompt["name"], prompt["version"]).source
        for prompt in named
    }
    return diff(old, new, sources)
