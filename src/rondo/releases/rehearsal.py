"""Tries whether a release can be served, before it is given traffic: by building it, as a plan would, on this machine.

What is built is thrown away. Nothing is asked of a model: that a key is right, or a provider up, it does not say.
"""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from rondo.errors import KeyMissing
from rondo.gateway.plan import ServedRelease
from rondo.releases.model import Release
from rondo.releases.publish import Publisher


class Rehearsal:
    """From any thread; one release at a time is built. `publisher` is for nobody else."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._lock = threading.Lock()

    def check(self, connection: Connection, release: Release) -> None:
        """Raises what keeps the release from being served, and KeyMissing where none of its models has a key."""
        with self._lock:
            served = self._publisher.build(connection, release, {})
        _require_key(served)


def _require_key(release: ServedRelease) -> None:
    """One model that can answer is enough: the route falls back on it, or a rule names it."""
    answering = [*release.route, *(release.models[name] for name in sorted(release.rules.uses))]
    missing = [key for model in answering if (key := model.missing_key) is not None]
    if len(missing) == len(answering):
        raise KeyMissing(
            "none of its models has a key.",
            remedy=f"Set {' or '.join(dict.fromkeys(missing))} in the server's environment and restart it.",
        )
